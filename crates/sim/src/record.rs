//! What users know: of each thing that is theirs, how it may be, by what they were answered. A call that is under way, or
//! whose answer was lost, leaves it open; one that was acknowledged does not.

use std::collections::{BTreeMap, BTreeSet};

use ::ecs::cluster::{
    Cluster, DeploymentId, DeploymentLifecycleHookStatus, Desired, Phase, ServiceDeploymentStatus,
    ServiceName, ServiceStatus, TaskFacet, TaskId, TaskRow,
};
use events::Events;
use scheduler::{Scheduler, rows::ScheduleId};

/// Something that users make and change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Service(String),
    Rule(String),
    Schedule(String),
    /// Of a service; it is as its scale.
    TaskSet(String, DeploymentId),
    /// Of managed instances.
    Provider(String),
}

/// How it is: it is not there, or it is so.
pub type Is = Option<i64>;

/// What a call makes of a thing.
#[derive(Debug, Clone, Copy)]
pub enum Makes {
    /// It is there from then on, and so.
    Be(i64),
    /// It is so from then on, if it is there.
    Become(i64),
    /// It is gone.
    Gone,
}

impl Makes {
    fn of(self, is: Is) -> Is {
        match self {
            Makes::Be(so) => Some(so),
            Makes::Become(so) => is.map(|_| so),
            Makes::Gone => None,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Record {
    things: BTreeMap<Thing, BTreeSet<Is>>,
    /// How many tasks were asked for, by `startedBy`.
    runs: BTreeMap<String, usize>,
    /// Tasks that a user was told exist, with the time.
    tasks: Vec<(TaskId, i64)>,
    /// Tasks that a user was told will stop.
    stopped: BTreeSet<TaskId>,
    /// Deployments of services that a user was told go no further.
    halted: BTreeSet<(ServiceName, String)>,
    /// Hooks of deployments that a user was told are answered.
    answered: BTreeSet<String>,
    /// Until when users were told that tasks are protected, since which nobody asked for another thing.
    protected: BTreeMap<TaskId, i64>,
    /// Tasks whose protection somebody asked to change.
    loose: BTreeSet<TaskId>,
    /// How many calls are under way that change it.
    changing: BTreeMap<TaskId, usize>,
    /// Those of which the last call to change it began while there was no other.
    asked: BTreeSet<TaskId>,
}

/// A call under way.
pub struct Under {
    thing: Thing,
    before: BTreeSet<Is>,
    makes: Makes,
}

impl Record {
    /// A call begins.
    pub fn begin(&mut self, thing: Thing, makes: Makes) -> Under {
        let open = self.things.entry(thing.clone()).or_insert_with(|| BTreeSet::from([None]));
        let before = open.clone();
        open.extend(before.iter().map(|is| makes.of(*is)));
        Under { thing, before, makes }
    }

    /// It was acknowledged.
    pub fn done(&mut self, under: Under) {
        let known = under.before.iter().map(|is| under.makes.of(*is)).collect();
        self.things.insert(under.thing, known);
    }

    /// It was refused, and changed nothing.
    pub fn refused(&mut self, under: Under) {
        self.things.insert(under.thing, under.before);
    }

    /// Somebody was told that a thing is so; it may be gone meanwhile.
    pub fn is(&mut self, thing: Thing, so: i64) {
        self.things.insert(thing, BTreeSet::from([None, Some(so)]));
    }

    /// Whether anything is known of a thing.
    pub fn knows(&self, thing: &Thing) -> bool {
        self.things.contains_key(thing)
    }

    /// Somebody was told that a hook of a deployment is answered.
    pub fn answered(&mut self, hook: String) {
        self.answered.insert(hook);
    }

    /// Somebody was told that a deployment of a service goes no further.
    pub fn halted(&mut self, service: ServiceName, deployment: String) {
        self.halted.insert((service, deployment));
    }

    /// Nobody counts on it any more.
    pub fn forget(&mut self, thing: &Thing) {
        self.things.remove(thing);
    }

    /// Somebody asks for tasks.
    pub fn asks(&mut self, started_by: String, count: usize) {
        self.runs.insert(started_by, count);
    }

    /// Somebody was told of tasks.
    pub fn told_of(&mut self, tasks: impl Iterator<Item = TaskId>, at: i64) {
        self.tasks.extend(tasks.map(|task| (task, at)));
    }

    /// Somebody was told that a task will stop.
    pub fn stops(&mut self, task: TaskId) {
        self.stopped.insert(task);
    }

    /// Somebody asks for the protection of tasks to be changed: nobody counts on it any more. Gives those of which nobody
    /// else asks for that at the same time.
    pub fn protection_changes(&mut self, tasks: &BTreeSet<TaskId>) -> BTreeSet<TaskId> {
        let alone = tasks.iter().filter(|id| self.changing.get(id).is_none_or(|many| *many == 0));
        let alone = alone.copied().collect();
        for id in tasks {
            *self.changing.entry(*id).or_default() += 1;
            self.protected.remove(id);
            self.asked.remove(id);
        }
        self.loose.extend(tasks);
        self.asked.extend(&alone);
        alone
    }

    /// The call has ended.
    pub fn protection_changed(&mut self, tasks: &BTreeSet<TaskId>) {
        tasks.iter().for_each(|id| *self.changing.entry(*id).or_default() -= 1);
    }

    /// Somebody was told that tasks are protected. Where another has asked for something else meanwhile nobody knows.
    pub fn protects(&mut self, tasks: impl Iterator<Item = TaskId>, alone: &BTreeSet<TaskId>, until: i64) {
        for id in tasks.filter(|id| alone.contains(id)) {
            if self.changing.get(&id) == Some(&1) && self.asked.contains(&id) {
                self.protected.insert(id, until);
                self.loose.remove(&id);
            }
        }
    }

    /// Whether a user may have ended the protection of a task.
    pub fn may_be_loose(&self, task: &TaskId) -> bool {
        self.loose.contains(task)
    }

    /// A task that users were told is protected at this time, and that is not though it shall run.
    pub fn unprotected(&mut self, cluster: &Cluster, now: i64) -> Option<String> {
        self.protected.retain(|_, until| *until > now);
        let rows = self.protected.keys().filter_map(|id| cluster.task(id));
        let bare =
            |row: &&std::sync::Arc<TaskRow>| row.desired == Desired::Running && row.protected_until.is_none();
        let bare = rows.into_iter().find(bare)?;
        Some(format!("a user was told that task {} is protected, and it is not", bare.id))
    }

    /// What was acknowledged and is not so. `since`: tasks that were told of before may be forgotten.
    pub fn broken(&mut self, cluster: &Cluster, others: Others, since: i64) -> Option<String> {
        for (thing, may_be) in &self.things {
            let is = match thing {
                Thing::Service(name) => service(cluster, name),
                Thing::TaskSet(service, id) => {
                    let set = cluster.task_set(&ServiceName(service.clone()), *id);
                    set.filter(|set| !set.draining).map(|set| set.scale as i64)
                }
                Thing::Provider(name) => cluster.row.capacity_providers.contains(name).then_some(1),
                Thing::Rule(name) => {
                    let Some(events) = others.events else { continue };
                    events.rule("default", name).map(|_| 1)
                }
                Thing::Schedule(name) => {
                    let Some(scheduler) = others.scheduler else { continue };
                    let id = ScheduleId { group: "default".to_owned(), name: name.clone() };
                    scheduler.schedule(&id).map(|_| 1)
                }
            };
            if !may_be.contains(&is) {
                return Some(format!("{thing:?} is {is:?}, users know that it is one of {may_be:?}"));
            }
        }
        self.tasks.retain(|(_, at)| *at >= since);
        if let Some((lost, _)) = self.tasks.iter().find(|(id, _)| cluster.task(id).is_none()) {
            return Some(format!("a user was told of task {lost}, which is not there"));
        }
        let runs = self.stopped.iter().filter_map(|id| cluster.task(id));
        if let Some(task) = runs.into_iter().find(|task| task.desired != Desired::Stopped) {
            return Some(format!("a user was told that task {} stops, and it shall run", task.id));
        }
        if let Some(hook) = self.answered.iter().find(|hook| awaits(cluster, hook)) {
            return Some(format!("a user was told that hook {hook} is answered, and it still waits"));
        }
        let goes_on = |(service, id): &&(ServiceName, String)| {
            let row = cluster.service_deployment_by_id(service, id);
            row.is_some_and(|row| {
                use ServiceDeploymentStatus::{InProgress, Pending, Successful};
                matches!(row.status, Pending | InProgress | Successful)
            })
        };
        if let Some((service, id)) = self.halted.iter().find(goes_on) {
            return Some(format!(
                "a user was told that deployment {id} of service {service} ends, and it goes on"
            ));
        }
        let many = |by: &str| cluster.tasks_by(TaskFacet::StartedBy(by), Phase::ALL).count();
        let twice = self.runs.iter().find(|(by, asked)| many(by) > **asked);
        twice.map(|(by, asked)| format!("{asked} tasks were asked for as {by}, there are {}", many(by)))
    }
}

/// Other services as they stand, where they are there.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    pub events: Option<&'a Events>,
    pub scheduler: Option<&'a Scheduler>,
}

fn service(cluster: &Cluster, name: &str) -> Is {
    let row = cluster.service(&ServiceName(name.to_owned()))?;
    (row.status == ServiceStatus::Active).then_some(i64::from(row.desired_count))
}

/// Whether the deployment of a service still waits at a hook.
fn awaits(cluster: &Cluster, hook: &str) -> bool {
    cluster.services().any(|service| {
        let newest = cluster.service_deployment(&service.name).and_then(|row| row.stage.as_ref());
        let mut hooks = newest.into_iter().flat_map(|stage| &stage.hooks);
        hooks.any(|of| of.id == hook && of.status == DeploymentLifecycleHookStatus::AwaitingAction)
    })
}
