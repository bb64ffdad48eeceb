//! The health check grace period: for so long after a task has started, nothing is done about what its health checks find.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_definition_parameters.html>

use ecs_model::errors;
use wire::{Error, Timestamp};

use super::failed_health;
use crate::{
    cluster::{
        HealthStatus, ServiceName, ServiceRow, TaskId, TaskRow, TaskStopCode, Txn, Writes, tally::Standing,
    },
    limits, task,
};

/// `stoppedReason` of a task that was replaced for its health.
pub const FAILED: &str = "Task failed container health checks";

/// Until when a task of a service has time to become healthy. None has that started in the future: the clock was set back.
fn until(service: &ServiceRow, task: &TaskRow, now: Timestamp) -> Option<Timestamp> {
    let millis = i64::from(service.health_check_grace_period_seconds) * 1000;
    task.started_at.filter(|at| *at <= now).map(|at| at.plus_millis(millis)).filter(|until| *until > now)
}

/// What a request gives.
///
/// # Errors
/// `InvalidParameterException` for less than nothing.
pub fn seconds(given: Option<i32>) -> Result<Option<i32>, Error> {
    match given {
        Some(seconds) if seconds < 0 => {
            Err(errors::invalid_parameter("healthCheckGracePeriodSeconds must be at least 0"))
        }
        given => Ok(given),
    }
}

/// A health check of a task of a service says UNHEALTHY: the task is to be replaced, unless it has time still. Then it is
/// looked at again once that is over.
pub fn unhealthy(txn: &mut Txn, name: &ServiceName, id: &TaskId) {
    let (service, task) = (txn.state.service(name).cloned(), txn.state.task(id).cloned());
    let until = service.as_ref().zip(task).and_then(|(service, task)| until(service, &task, txn.now()));
    match (service, until) {
        (Some(service), Some(until)) if service.wake_at.is_none_or(|at| at > until) => {
            txn.put_service(ServiceRow { wake_at: Some(until), ..service.as_ref().clone() });
        }
        (Some(_), Some(_)) => {}
        (service, _) => failed(txn, service.as_deref(), id),
    }
}

/// A service is looked at again: tasks whose time is over and whose health checks say UNHEALTHY are to be replaced, as many as
/// one step can take. Gives when the next one's is over.
pub fn over(txn: &mut Txn, service: &ServiceRow) -> Option<Timestamp> {
    if service.health_check_grace_period_seconds == 0 {
        return None;
    }
    let tally = txn.state.tally(&service.name);
    let now = txn.now();
    let (mut next, mut found) = (None, 0);
    for (_, id) in tally.newest(usize::MAX, |_, class| class.standing == Standing::Unhealthy) {
        let Some(task) = txn.state.task(&id).filter(|task| is_sick(task)).cloned() else { continue };
        let at = until(service, &task, now).unwrap_or(now);
        if at <= now && found < limits::SETTLE_TASKS && !(found > 0 && txn.full()) {
            found += 1;
            failed(txn, Some(service), &id);
        } else {
            next = Some(next.map_or(at.max(now), |next: Timestamp| next.min(at.max(now))));
        }
    }
    next
}

/// Whether an essential container of a task is UNHEALTHY.
pub fn is_sick(task: &TaskRow) -> bool {
    task.containers.iter().any(|container| container.essential && container.health == HealthStatus::Unhealthy)
}

/// A task is to be replaced for its health: it stays until that is done, but where there can be no other beside it.
fn failed(txn: &mut Txn, service: Option<&ServiceRow>, id: &TaskId) {
    let Some(row) = txn.state.task(id).filter(|row| !row.failed_health).cloned() else { return };
    failed_health(txn, id);
    if service.is_some_and(|service| !service.daemon()) {
        txn.put_task(TaskRow { failed_health: true, ..row.as_ref().clone() });
    } else {
        task::stop::want(txn, id, TaskStopCode::ServiceSchedulerInitiated, FAILED.to_owned());
    }
}

#[cfg(test)]
mod tests;
