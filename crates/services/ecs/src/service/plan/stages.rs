//! The stages of a deployment: which one follows, when, and how many tasks each revision has meanwhile. A service without a
//! load balancer goes by all of them: no traffic is shifted, and what is to go where is told.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html>
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-linear.html>
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/canary-deployment.html>
//!
//! | | stages |
//! |---|---|
//! | BLUE_GREEN, LINEAR, CANARY | all; PRE_PRODUCTION_TRAFFIC_SHIFT and PRODUCTION_TRAFFIC_SHIFT once for each step |
//! | ROLLING | RECONCILE_SERVICE, PRE_SCALE_UP, SCALE_UP (in which tasks are replaced within the percentages), POST_SCALE_UP, BAKE_TIME, CLEAN_UP |
//! | back to an earlier revision | SCALE_UP, PRODUCTION_TRAFFIC_SHIFT (all of it back), CLEAN_UP; ROLLING: CLEAN_UP |
//!
//! RECONCILE_SERVICE is passed over where no more than one revision has tasks.

use wire::Timestamp;

use crate::{
    cluster::{
        DeploymentConfiguration, DeploymentId, DeploymentLifecycleHookAction, DeploymentLifecycleHookStatus,
        DeploymentRolloutState, DeploymentStrategy, ServiceDeploymentRow, ServiceRow, Stage, StageRow, Tally,
        tally::{Class, Standing},
    },
    limits,
    service::{
        configuration::{self, Early},
        plan::percents,
    },
};

/// All traffic, in tenths of a percent.
pub const ALL: i32 = 1000;
const MINUTE_MS: i64 = 60_000;

/// A deployment that goes by stages, as its next step is planned from.
#[derive(Debug, Clone, Copy)]
pub struct Going<'a> {
    pub course: &'a DeploymentConfiguration,
    pub stage: &'a StageRow,
    /// It is on its way back to an earlier revision.
    pub back: bool,
    pub started_at: Timestamp,
    /// The revision that is wanted has all its tasks, and they are believed to stay.
    pub is_ready: bool,
    /// How many other revisions have tasks.
    pub others: usize,
    /// It succeeds early, and `is_ready` says whether it has enough for that.
    pub early: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing before this time, unless something else happens.
    Wait(Option<Timestamp>),
    Enter(Stage),
    /// Hooks that wait have expired.
    Expire,
    /// It fails.
    Fail(Cause),
    /// There is no stage behind this one: it is done once its service is steady.
    Last,
}

/// Why it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A hook said so, or expired.
    Hook,
    /// A stage, or all of it, took too long.
    TimedOut,
}

/// Whether it replaces tasks within percentages.
pub fn rolls(course: &DeploymentConfiguration) -> bool {
    course.strategy.unwrap_or_default() == DeploymentStrategy::Rolling
}

/// Where a deployment begins, of so many revisions that have tasks.
pub fn first(sources: usize) -> Stage {
    if sources > 1 { Stage::ReconcileService } else { Stage::PreScaleUp }
}

/// What comes next of a deployment.
pub fn next(going: &Going, now: Timestamp) -> Next {
    let waiting = || {
        let hooks = going.stage.hooks.iter();
        hooks.filter(|hook| waits(hook.status))
    };
    if !going.back {
        if let Some(next) = of_hooks(going, now, waiting().map(|hook| hook.expires_at).min()) {
            return next;
        }
        let lasts = going.stage.since.plus_millis(limits::STAGE_MS);
        let all = going.started_at.plus_millis(limits::STAGED_DEPLOYMENT_MS);
        if !rolls(going.course) && (all <= now || lasts <= now && must_end(going.stage.stage)) {
            return Next::Fail(Cause::TimedOut);
        }
    }
    match following(going, now) {
        Next::Wait(None) if !going.back && !rolls(going.course) && must_end(going.stage.stage) => {
            Next::Wait(Some(going.stage.since.plus_millis(limits::STAGE_MS)))
        }
        next => next,
    }
}

/// Whether a hook holds its deployment up.
pub fn waits(hook: DeploymentLifecycleHookStatus) -> bool {
    matches!(hook, DeploymentLifecycleHookStatus::AwaitingAction | DeploymentLifecycleHookStatus::InProgress)
}

/// What hooks want, where they want anything: all at a stage run at once, and one that rolls back is enough.
fn of_hooks(going: &Going, now: Timestamp, expires_at: Option<Timestamp>) -> Option<Next> {
    let gives_up = going.stage.hooks.iter().any(|hook| match hook.status {
        DeploymentLifecycleHookStatus::Failed => true,
        DeploymentLifecycleHookStatus::TimedOut => {
            hook.timeout_action == DeploymentLifecycleHookAction::Rollback
        }
        _ => false,
    });
    match expires_at {
        _ if gives_up => Some(Next::Fail(Cause::Hook)),
        Some(at) if at <= now => Some(Next::Expire),
        Some(at) => Some(Next::Wait(Some(at))),
        None => None,
    }
}

/// The stages that wait for tasks. One that cleans up has nothing left to go back from.
fn must_end(stage: Stage) -> bool {
    matches!(stage, Stage::ReconcileService | Stage::ScaleUp)
}

fn following(going: &Going, now: Timestamp) -> Next {
    let rolls = rolls(going.course);
    let when = |is: bool, stage: Stage| if is { Next::Enter(stage) } else { Next::Wait(None) };
    match (going.stage.stage, going.back) {
        (Stage::ScaleUp, true) => when(going.is_ready, Stage::ProductionTrafficShift),
        (Stage::ProductionTrafficShift, true) => Next::Enter(Stage::CleanUp),
        (Stage::ReconcileService, _) => when(rolls || going.others <= 1, Stage::PreScaleUp),
        (Stage::PreScaleUp, _) => Next::Enter(Stage::ScaleUp),
        (Stage::ScaleUp, _) => {
            let replaced = !rolls || going.early || going.others == 0;
            when(going.is_ready && replaced, Stage::PostScaleUp)
        }
        (Stage::PostScaleUp, _) if rolls => Next::Enter(Stage::BakeTime),
        (Stage::PostScaleUp, _) => Next::Enter(Stage::TestTrafficShift),
        (Stage::TestTrafficShift, _) => Next::Enter(Stage::PostTestTrafficShift),
        (Stage::PostTestTrafficShift, _) => Next::Enter(Stage::PreProductionTrafficShift),
        (Stage::PreProductionTrafficShift, _) => Next::Enter(Stage::ProductionTrafficShift),
        (Stage::ProductionTrafficShift, _) if going.stage.production >= ALL => {
            Next::Enter(Stage::PostProductionTrafficShift)
        }
        (Stage::ProductionTrafficShift, _) => {
            after(going, now, step_bake(going.course), Stage::PreProductionTrafficShift)
        }
        (Stage::PostProductionTrafficShift, _) => Next::Enter(Stage::BakeTime),
        (Stage::BakeTime, _) => after(going, now, going.course.bake_time_in_minutes, Stage::CleanUp),
        (Stage::CleanUp, _) => Next::Last,
    }
}

/// The stage after so many minutes.
fn after(going: &Going, now: Timestamp, minutes: Option<i32>, stage: Stage) -> Next {
    let until = going.stage.since.plus_millis(i64::from(minutes.unwrap_or(0)) * MINUTE_MS);
    if until <= now { Next::Enter(stage) } else { Next::Wait(Some(until)) }
}

/// For how many minutes each step of the shift bakes.
pub fn step_bake(course: &DeploymentConfiguration) -> Option<i32> {
    let linear = course.linear_configuration.as_ref().and_then(|linear| linear.step_bake_time_in_minutes);
    linear.or(course.canary_configuration.as_ref().and_then(|canary| canary.canary_bake_time_in_minutes))
}

/// How much of the production traffic is to go to the target after so many steps, in tenths of a percent.
pub fn weight(course: &DeploymentConfiguration, step: u32) -> i32 {
    let linear = course.linear_configuration.as_ref().and_then(|linear| linear.step_percent);
    let canary = course.canary_configuration.as_ref().and_then(|canary| canary.canary_percent);
    let steps = i32::try_from(step).unwrap_or(i32::MAX);
    match course.strategy.unwrap_or_default() {
        DeploymentStrategy::Linear => tenths(linear).saturating_mul(steps).min(ALL),
        DeploymentStrategy::Canary if step <= 1 => tenths(canary),
        _ => ALL,
    }
}

/// All of it where nothing is said.
fn tenths(percent: Option<f64>) -> i32 {
    percent.map_or(ALL, |percent| (percent * 10.0).round() as i32).clamp(1, ALL)
}

/// When a deployment that goes on to its target has succeeded early.
pub fn early(row: Option<&ServiceDeploymentRow>) -> Option<Early> {
    row.filter(|row| row.rollback.is_none())
        .and_then(|row| row.course.as_ref())
        .and_then(configuration::early)
}

/// Whether what is left of earlier revisions goes though not all of the target is there: its deployment cleans up, or has
/// succeeded before that, and enough of it is healthy.
pub fn cleans(service: &ServiceRow, row: Option<&ServiceDeploymentRow>, tally: &Tally) -> bool {
    let stage = row.and_then(|row| row.stage.as_ref()).map(|stage| stage.stage);
    let Some(early) = early(row).filter(|_| stage == Some(Stage::CleanUp)) else { return false };
    let target = row.map(|row| row.target);
    let Some(primary) = service.deployments.first().filter(|primary| Some(primary.id) == target) else {
        return false;
    };
    let ready = |class: Class| !class.leaving && class.standing == Standing::Healthy;
    let ready = i32::try_from(tally.share(&primary.id).count(ready)).unwrap_or(i32::MAX);
    // What is healthy enough was said when it began; how many are to stay may have changed since.
    let floor = percents::floor(service.desired_count, service.minimum_healthy_percent);
    let enough = early.enough(service.desired_count).max(floor);
    primary.rollout != DeploymentRolloutState::Failed && ready >= enough
}

/// The revision by which what a service runs is kept up while its deployment, which replaces tasks within percentages, has not
/// begun to: it was told to pause before that.
pub fn kept_up_by(service: &ServiceRow, row: Option<&ServiceDeploymentRow>) -> Option<DeploymentId> {
    let row = row.filter(|row| !row.status.has_ended() && row.rollback.is_none())?;
    let (course, stage) = (row.course.as_ref()?, row.stage.as_ref()?.stage);
    let serving = serving(service).filter(|_| rolls(course) && begins(stage))?;
    (service.deployments.first()?.id != serving).then_some(serving)
}

/// Whether nothing of the target is started yet.
fn begins(stage: Stage) -> bool {
    matches!(stage, Stage::ReconcileService | Stage::PreScaleUp)
}

/// What each revision of a service is to have: of a deployment that goes on by stages, or has ended without success. None
/// where the service replaces tasks within percentages.
pub fn counts(
    service: &ServiceRow,
    row: Option<&ServiceDeploymentRow>,
    tally: &Tally,
) -> Option<Vec<(DeploymentId, i32)>> {
    let row = row?;
    let (course, stage) = (row.course.as_ref()?, row.stage.as_ref()?.stage);
    let primary = service.deployments.first()?;
    let serving = serving(service)?;
    let of_others = |serves: i32, rest: &dyn Fn(DeploymentId) -> i32| {
        let others = service.deployments.iter().skip(1).map(|old| old.id);
        others.map(|id| (id, if id == serving { serves } else { rest(id) })).collect::<Vec<_>>()
    };
    let goes_on = !row.status.has_ended();
    let back = row.rollback.is_some();
    let begins = begins(stage);
    let has = |id: DeploymentId| i32::try_from(tally.share(&id).count(|_| true)).unwrap_or(i32::MAX);
    let desired = service.desired_count;
    let (wanted, others) = match (rolls(course), goes_on) {
        // Tasks are not replaced yet: what there is is kept up with what serves.
        (true, true) if begins && !back => (0, of_others(desired, &|_| 0)),
        (true, _) => return None,
        (false, true) => {
            let (cleans, scales) = (stage == Stage::CleanUp, back || !begins);
            // What is gone back from stays until it has no traffic any more.
            let rest = |id: DeploymentId| if back && !cleans && id == row.target { has(id) } else { 0 };
            let serves = if cleans {
                0
            } else if back {
                rest(serving)
            } else {
                desired
            };
            (if scales { desired } else { 0 }, of_others(serves, &rest))
        }
        // It failed, and was not gone back from: what was there before goes on.
        (false, false) => {
            let failed = primary.rollout == DeploymentRolloutState::Failed;
            (desired, of_others(if failed { desired } else { 0 }, &|_| 0))
        }
    };
    Some([(primary.id, wanted)].into_iter().chain(others).collect())
}

/// Which revision of a service of strategy DAEMON is to run everywhere: until its deployment scales up, that which serves.
/// None where nothing serves yet.
pub fn everywhere(service: &ServiceRow, row: Option<&ServiceDeploymentRow>) -> Option<DeploymentId> {
    let primary = service.deployments.first()?.id;
    let stage = row.filter(|row| !row.status.has_ended() && row.rollback.is_none());
    let stage = stage.and_then(|row| row.stage.as_ref()).map(|stage| stage.stage);
    match stage {
        Some(Stage::ReconcileService | Stage::PreScaleUp) => serving(service).filter(|id| *id != primary),
        _ => Some(primary),
    }
}

/// The revision that serves while another one comes: that which was COMPLETED last, else the newest; that itself where there
/// is no other.
pub fn serving(service: &ServiceRow) -> Option<DeploymentId> {
    let mut ids = service.deployments.iter().map(|deployment| deployment.id);
    let primary = ids.next()?;
    let others: Vec<DeploymentId> = ids.collect();
    let completed = service.completed.filter(|id| others.contains(id));
    Some(completed.or(others.first().copied()).unwrap_or(primary))
}

#[cfg(test)]
mod tests;
