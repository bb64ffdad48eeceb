//! Tasks: their life, and the operations on them.

pub mod describe;
pub mod lifecycle;
pub mod list;
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
    cluster::{TaskId, TaskRow, Txn},
};

/// Finds the task that a request names by id or ARN.
///
/// # Errors
/// `InvalidParameterException` as ECS words it.
fn find<'a>(txn: &'a Txn, named: &str) -> Result<&'a TaskRow, Error> {
    let id = arn::task_id(txn.ctx, &txn.state.row.name, named)?;
    let found = TaskId::parse(&id).and_then(|id| txn.state.task(&id)).map(|row| row.as_ref());
    found.ok_or_else(|| errors::invalid_parameter("The referenced task was not found."))
}
