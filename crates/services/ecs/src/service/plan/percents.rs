//! How many tasks a service starts and stops next, by how many it has: the running count stays within
//! minimumHealthyPercent and maximumPercent and moves towards the PRIMARY deployment.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html>

/// Tasks of a service that shall run (`desiredStatus` RUNNING), or some of them to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Of the PRIMARY deployment, on a container instance that is not draining, and not found to fail its health checks.
    pub current: Health,
    /// The others: they are to be replaced.
    pub outdated: Health,
}

/// Tasks by their health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// RUNNING and not UNHEALTHY: they count as healthy.
    pub healthy: i32,
    /// The others.
    pub not_healthy: i32,
}

/// What the service wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    pub desired: i32,
    /// How many tasks beyond these are no surplus: others stop for them once they run.
    pub moving: i32,
    /// How many tasks are on their way that are neither current nor outdated yet: they make up for some of an earlier
    /// revision that were lost.
    pub upheld: i32,
    /// How many of the outdated tasks failed their health checks.
    pub sick: i32,
    pub minimum_healthy_percent: i32,
    pub maximum_percent: i32,
    /// The PRIMARY deployment may start tasks now: no back-off, and the last try found room.
    pub may_start: bool,
    /// The last try found none, and nothing is being stopped that may give some back.
    pub full: bool,
    /// No other task is replaced before the last one that came is healthy.
    pub one_at_a_time: bool,
    /// The PRIMARY deployment has failed and starts no task any more: none goes that none can replace.
    pub stalled: bool,
}

/// How many tasks to start, and how many of which to stop: of each kind the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plan {
    pub start: i32,
    pub stop: Tasks,
    /// Tasks are to be replaced, but the percentages let none start and none stop, and no task is on its way that
    /// would change that.
    pub blocked: bool,
}

impl Health {
    /// All of them.
    pub fn all(self) -> i32 {
        self.healthy.saturating_add(self.not_healthy)
    }

    /// Those that are not among `others`, which are some of them.
    fn without(self, others: Health) -> Health {
        let healthy = self.healthy.saturating_sub(others.healthy);
        Health { healthy, not_healthy: self.not_healthy.saturating_sub(others.not_healthy) }
    }

    /// At most `most` of them: those that are not healthy first.
    fn at_most(self, most: i32) -> Health {
        let not_healthy = self.not_healthy.min(most);
        Health { healthy: self.healthy.min(most - not_healthy), not_healthy }
    }
}

impl Tasks {
    /// All of them.
    pub fn all(self) -> i32 {
        self.current.all().saturating_add(self.outdated.all())
    }
}

impl Want {
    /// The least healthy tasks to keep: the percentage of the desired count, rounded up.
    pub fn floor(&self) -> i32 {
        floor(self.desired, self.minimum_healthy_percent)
    }

    /// The most tasks to have: the percentage of the desired count, rounded down.
    pub fn ceiling(&self) -> i32 {
        ceiling(self.desired, self.maximum_percent)
    }
}

/// The least healthy tasks to keep of so many that are wanted: the percentage of them, rounded up.
pub fn floor(desired: i32, minimum_healthy_percent: i32) -> i32 {
    percent(desired, minimum_healthy_percent).1
}

/// The most tasks to have of so many that are wanted: the percentage of them, rounded down.
pub fn ceiling(desired: i32, maximum_percent: i32) -> i32 {
    percent(desired, maximum_percent).0
}

/// The share rounded down, and rounded up.
fn percent(count: i32, percent: i32) -> (i32, i32) {
    let share = i64::from(count.max(0)) * i64::from(percent.max(0));
    let clamp = |n: i64| i32::try_from(n).unwrap_or(i32::MAX);
    (clamp(share / 100), clamp((share + 99) / 100))
}

/// Plans for a service that has `tasks`; those that are `protected` of them are not stopped.
pub fn plan(want: &Want, tasks: &Tasks, protected: &Tasks) -> Plan {
    let current = tasks.current.all();
    let surplus = surplus(want, tasks, protected);
    let total = tasks.all().saturating_add(want.upheld) - surplus.all();
    let missing = (want.desired - current).max(0);
    let room = (want.ceiling() - total).max(0);
    let start = if want.may_start && !want.stalled { missing.min(room) } else { 0 };
    // The surplus of current tasks goes, and outdated ones are replaced.
    let stop = Tasks { current: surplus, outdated: replace(want, tasks, protected, start) };
    let full = want.may_start && !want.stalled && missing > 0 && room == 0;
    let blocked = full && stop.all() == 0 && tasks.current.not_healthy == 0;
    let plan = Plan { start, stop, blocked };
    if want.one_at_a_time { one_at_a_time(want, tasks, plan) } else { plan }
}

/// The current tasks that are too many. Where one that is protected has not started yet healthy ones would go for it: as many
/// stay as the floor asks for.
fn surplus(want: &Want, tasks: &Tasks, protected: &Tasks) -> Health {
    let many = (tasks.current.all() - want.desired - want.moving).max(0);
    let Health { healthy, not_healthy } = tasks.current.without(protected.current).at_most(many);
    let spare = tasks.current.healthy - want.floor().min(want.desired);
    Health { healthy: healthy.min(spare.max(0)), not_healthy }
}

/// No more of a plan than replaces one task: where one is on its way nothing else is touched, and where one is too many an
/// outdated one goes. What is no replacement goes on as planned: a surplus goes, and where nothing is outdated all start.
fn one_at_a_time(want: &Want, tasks: &Tasks, plan: Plan) -> Plan {
    if tasks.outdated.all() == 0 {
        return plan;
    }
    let over = tasks.all() - plan.stop.current.all() - want.desired;
    let is_coming = tasks.current.not_healthy > plan.stop.current.not_healthy;
    let start = if is_coming || over > 0 { 0 } else { plan.start.min(1) };
    let most = if is_coming || over < 0 || start > 0 { 0 } else { over.max(1) };
    Plan { start, stop: Tasks { outdated: plan.stop.outdated.at_most(most), ..plan.stop }, ..plan }
}

/// Outdated tasks go as current ones take their place. Where the ceiling, or the lack of room for new
/// ones, stops that, they go first, as far as the floor allows; those that failed their health checks one after the other,
/// and none of them while what is wanted instead waits for something else.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_services.html>
fn replace(want: &Want, tasks: &Tasks, protected: &Tasks, starting: i32) -> Health {
    let mut free = tasks.outdated.without(protected.outdated);
    let outdated = tasks.outdated.all();
    let current = tasks.current.all().min(want.desired);
    let ready = tasks.current.healthy.min(want.desired);
    let coming = current - ready + starting;
    let replaced = (outdated + ready - want.desired).max(0);
    // It does not get better by itself.
    let stuck = !want.stalled && starting == 0 && coming == 0 && ready < want.desired;
    if stuck {
        let one = i32::from(want.full || want.may_start && want.upheld == 0);
        free.not_healthy -= (want.sick - replaced.max(one)).max(0);
    }
    // What must stay so that no more than `floor` healthy ones are counted on.
    let needed = (want.floor() - ready).max(0);
    let spare_healthy = (tasks.outdated.healthy - needed).min(free.healthy).max(0);
    let may_go = free.not_healthy + spare_healthy;
    let most = if stuck { may_go } else { replaced.min(may_go) };
    free.at_most(most)
}

#[cfg(test)]
mod tests;
