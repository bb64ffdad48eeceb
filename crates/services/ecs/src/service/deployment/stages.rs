//! Stages of deployments, carried out: a step at a time, in the deployment's row. What follows what is decided by
//! [`plan::stages`](crate::service::plan::stages).
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-lifecycle-hooks.html>

use wire::Timestamp;

use super::{Failure, alarms, fail, hooks};
use crate::{
    cluster::{
        DeploymentConfiguration, DeploymentId, DeploymentLifecycleHook, DeploymentLifecycleHookStatus,
        HookRow, ServiceDeploymentRow, ServiceRow, Stage, StageRow, Txn, Writes,
    },
    limits,
    service::plan::stages::{self, ALL, Cause, Going, Next},
};

/// A hook rolls back.
const HOOK: Failure = Failure {
    rollout_reason: "ECS deployment stopped: hook execution failure(s) detected.",
    said: "hook execution failure(s) detected.",
    rolls_back: Some("ECS deployment stopped"),
    status_reason: "Service deployment rolled back because of hook execution failure(s).",
};

/// A stage takes too long.
const TIMED_OUT: Failure = Failure {
    rollout_reason: "ECS deployment stopped: the lifecycle stage timed out.",
    said: "the lifecycle stage timed out.",
    rolls_back: Some("ECS deployment stopped"),
    status_reason: "Service deployment rolled back because a lifecycle stage timed out.",
};

/// The first stage of a deployment from these revisions. Hooks run once it has begun.
pub fn at_first(sources: &[DeploymentId], now: Timestamp) -> StageRow {
    let stage = stages::first(sources.len());
    StageRow { stage, since: now, wake_at: None, step: 0, test: 0, production: 0, hooks: Vec::new() }
}

/// Whether the deployment of a service goes on by stages.
pub fn goes_by_stages(txn: &Txn, service: &ServiceRow) -> bool {
    let row = txn.state.service_deployment(&service.name).filter(|row| !row.status.has_ended());
    row.is_some_and(|row| row.stage.is_some())
}

/// It has begun: the hooks of its first stage run.
pub fn begin(txn: &mut Txn, service: &ServiceRow) {
    if let Some((row, course, stage)) = going(txn, service) {
        let first = entered(txn, (service, &row), &course, stage.stage);
        txn.put_service_deployment(ServiceDeploymentRow { stage: Some(first), ..row });
        txn.touch(&service.name);
    }
}

/// Brings the deployment of a service to its next stage, if it can go there. It goes one stage at a time, so that what each
/// asks for is done before the next one, and each is told of. `is_ready`: what it wants has all its tasks.
pub fn advance(txn: &mut Txn, service: &mut ServiceRow, is_ready: bool) {
    let Some((row, course, stage)) = going(txn, service) else { return };
    let now = txn.now();
    let going = Going {
        course: &course,
        stage: &stage,
        back: row.rollback.is_some(),
        started_at: row.started_at.unwrap_or(row.created_at),
        is_ready,
        others: service.deployments.len().saturating_sub(1),
        early: stages::early(Some(&row)).is_some(),
    };
    let next = match stages::next(&going, now) {
        Next::Wait(wake_at) => StageRow { wake_at: watched(&row, wake_at, now), ..stage.clone() },
        Next::Last => StageRow { wake_at: watched(&row, None, now), ..stage.clone() },
        Next::Enter(stage_after) => entered(txn, (service, &row), &course, stage_after),
        Next::Expire => expired(&stage, now),
        Next::Fail(cause) => {
            let why = match cause {
                Cause::Hook => &HOOK,
                Cause::TimedOut => &TIMED_OUT,
            };
            txn.touch(&service.name);
            return fail(txn, service, &row, why);
        }
    };
    if next != stage {
        if next.stage != stage.stage || next.hooks != stage.hooks {
            txn.touch(&service.name);
        }
        txn.put_service_deployment(ServiceDeploymentRow { stage: Some(next), updated_at: now, ..row });
    }
}

/// It goes back to an earlier revision: which gets what it lacks, then the traffic, before the rest goes.
pub fn turn_back(txn: &mut Txn, service: &ServiceRow) {
    let Some((row, course, stage)) = going(txn, service) else { return };
    let first = if stages::rolls(&course) { Stage::CleanUp } else { Stage::ScaleUp };
    let stage = StageRow { stage: first, since: txn.now(), wake_at: None, ..stage };
    txn.put_service_deployment(ServiceDeploymentRow { stage: Some(stage), ..row });
}

/// Whether the deployment of a service may be completed: it is at its last stage, or goes by none.
pub fn may_complete(txn: &Txn, service: &ServiceRow) -> bool {
    going(txn, service).is_none_or(|(_, _, stage)| stage.stage == Stage::CleanUp)
}

/// The time of a stage has come: its service is settled.
pub fn woken(txn: &mut Txn, row: &ServiceDeploymentRow) {
    let Some(stage) = row.stage.clone() else { return };
    let stage = Some(StageRow { wake_at: None, ..stage });
    txn.put_service_deployment(ServiceDeploymentRow { stage, ..row.clone() });
    txn.touch(&row.service);
}

/// The clock was set back behind the beginning of a stage: what was left of it is left.
pub fn set_back(stage: &StageRow, now: Timestamp) -> StageRow {
    let ahead = stage.since.millis_since(now).max(0);
    let back = |at: Timestamp| at.plus_millis(-ahead);
    StageRow {
        since: back(stage.since),
        wake_at: stage.wake_at.map(back),
        hooks: stage
            .hooks
            .iter()
            .map(|hook| {
                let mut hook = HookRow { expires_at: back(hook.expires_at), ..hook.clone() };
                hook.function.iter_mut().for_each(|function| function.call_at = back(function.call_at));
                hook
            })
            .collect(),
        ..stage.clone()
    }
}

/// How much test and production traffic is to go to a revision, in percent; none where nothing is shifted.
pub fn traffic(
    service: &ServiceRow,
    row: &ServiceDeploymentRow,
    revision: DeploymentId,
) -> Option<(f64, f64)> {
    let stage =
        row.stage.as_ref().filter(|_| row.course.as_ref().is_some_and(|course| !stages::rolls(course)))?;
    let serves = row.rollback.as_ref().and_then(|rollback| rollback.to);
    let serves = serves.or(service.completed.filter(|id| row.sources.contains(id)));
    let serves = serves.or(row.sources.first().copied());
    let of = |target: i32| match revision {
        id if id == row.target => target,
        id if Some(id) == serves => ALL - target,
        _ => 0,
    };
    let percent = |tenths: i32| f64::from(tenths) / 10.0;
    Some((percent(of(stage.test)), percent(of(stage.production))))
}

/// The deployment of a service that goes on by stages.
fn going(
    txn: &Txn,
    service: &ServiceRow,
) -> Option<(ServiceDeploymentRow, DeploymentConfiguration, StageRow)> {
    let row = txn.state.service_deployment(&service.name).filter(|row| !row.status.has_ended())?;
    let (course, stage) = (row.course.clone()?, row.stage.clone()?);
    Some((row.as_ref().clone(), course, stage))
}

/// A stage as it is when a deployment comes to it.
fn entered(
    txn: &mut Txn,
    (service, row): (&ServiceRow, &ServiceDeploymentRow),
    course: &DeploymentConfiguration,
    stage: Stage,
) -> StageRow {
    let now = txn.now();
    let before = row.stage.clone().unwrap_or_else(|| at_first(&row.sources, now));
    let back = before.stage == Stage::ScaleUp && stage == Stage::ProductionTrafficShift;
    let mut next = StageRow { stage, since: now, wake_at: None, ..before };
    match stage {
        Stage::TestTrafficShift => next.test = ALL,
        Stage::ProductionTrafficShift if back => (next.test, next.production) = (0, 0),
        Stage::ProductionTrafficShift => {
            next.step = next.step.saturating_add(1);
            next.production = stages::weight(course, next.step);
        }
        _ => {}
    }
    let runs = |hook: &&DeploymentLifecycleHook| {
        let stages = hook.lifecycle_stages.as_deref().unwrap_or_default();
        // What goes back is held up by nobody.
        let hooked = stage.of_hooks().filter(|_| row.rollback.is_none());
        hooked.is_some_and(|hooked| stages.contains(&hooked))
    };
    let all: Vec<_> = course.lifecycle_hooks.iter().flatten().filter(runs).collect();
    if !all.is_empty() {
        let row = ServiceDeploymentRow { stage: Some(next.clone()), ..row.clone() };
        next.hooks = all.into_iter().map(|hook| hooks::begun(txn, service, &row, hook)).collect();
    }
    next
}

/// Alarms are looked at from time to time.
fn watched(row: &ServiceDeploymentRow, wake_at: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let look = Some(now.plus_millis(limits::ALARMS_LOOKED_AT_MS)).filter(|_| alarms::watches(row));
    wake_at.into_iter().chain(look).min()
}

fn expired(stage: &StageRow, now: Timestamp) -> StageRow {
    let mut next = stage.clone();
    for hook in next.hooks.iter_mut().filter(|hook| stages::waits(hook.status) && hook.expires_at <= now) {
        hook.status = DeploymentLifecycleHookStatus::TimedOut;
    }
    next
}
