//! Tasks: their life, and the operations on them.

pub mod describe;
pub mod kept;
pub mod lifecycle;
pub mod list;
pub mod protection;
pub mod provisioning;
pub mod report;
pub mod run;
pub mod stop;
#[cfg(test)]
mod tests;

use ecs_model::errors;
use wire::Error;

use crate::{
    arn,
    cluster::{TaskId, TaskRow, TaskStatus, Txn, Writes},
    daemon,
    fargate::interruption,
    service,
};

/// The time of a task has come: one that waits for room fails, one that was interrupted is stopped, one that stopped long
/// enough ago is forgotten, and the protection of another ends.
pub fn due(txn: &mut Txn, id: &TaskId) {
    match txn.state.task(id) {
        Some(task) if task.is_provisioning() => provisioning::waited(txn, id),
        Some(task) if task.stop_at().is_some() => interruption::due(txn, id),
        _ => protection::due(txn, id),
    }
}

/// What follows for others once a task is STOPPED that was not before.
pub fn has_ended(txn: &mut Txn, before: &TaskRow, after: &TaskRow) {
    if !is_stopped(txn, before, after) {
        return;
    }
    if let Some(host) = &after.instance {
        txn.room_came(host);
    }
    txn.trim();
}

/// What follows for what made a task, once that is STOPPED and was not before; says whether it is so.
pub fn is_stopped(txn: &mut Txn, before: &TaskRow, after: &TaskRow) -> bool {
    let is_so = before.last != TaskStatus::Stopped && after.last == TaskStatus::Stopped;
    if is_so {
        service::task_stopped(txn, before, after);
        daemon::task_stopped(txn, before, after);
    }
    is_so
}

/// Finds the task that a request names by id or ARN.
///
/// # Errors
/// `InvalidParameterException` as ECS words it.
pub(crate) fn find<'a>(txn: &'a Txn, named: &str) -> Result<&'a TaskRow, Error> {
    let id = arn::task_id(txn.ctx, &txn.state.row.name, named)?;
    let found = TaskId::parse(&id).and_then(|id| txn.state.task(&id)).map(|row| row.as_ref());
    found.ok_or_else(|| errors::invalid_parameter("The referenced task was not found."))
}
