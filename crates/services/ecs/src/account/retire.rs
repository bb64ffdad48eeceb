//! DeregisterTaskDefinition and DeleteTaskDefinitions.

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{Key, Txn};
use crate::{
    Ctx, arn,
    convert::Shown,
    rows::{TaskDefinitionId, TaskDefinitionStatus},
};

/// The most task definitions that one DeleteTaskDefinitions may name.
const MAX_DELETED: usize = 10;
/// The most that one sweep takes away.
const MAX_SWEPT: usize = 100;

const MISSING: &str =
    "The specified task definition does not exist. Specify a valid account, family, revision and try again.";

/// Makes a task definition INACTIVE; what runs of it goes on. Repeating it changes nothing.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeregisterTaskDefinition.html>
pub fn deregister_task_definition(
    txn: &mut Txn,
    request: ecs::DeregisterTaskDefinitionRequest,
) -> Result<ecs::DeregisterTaskDefinitionResponse, Error> {
    let id = exact(txn.ctx, &request.task_definition)?;
    let row = txn.state.task_definition(&id).ok_or_else(|| errors::client(MISSING))?;
    let mut row = row.as_ref().clone();
    if row.status() == TaskDefinitionStatus::Active {
        row.registered.status = TaskDefinitionStatus::Inactive;
        row.registered.deregistered_at = Some(txn.now());
        txn.put(row.clone());
    }
    Ok(ecs::DeregisterTaskDefinitionResponse { task_definition: Some(row.registered.shown()) })
}

/// Asks for INACTIVE task definitions to be deleted: each is DELETE_IN_PROGRESS until nothing refers to it
/// (see [`sweep`]). Those that cannot be are among the failures.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteTaskDefinitions.html>
pub fn delete_task_definitions(
    txn: &mut Txn,
    request: ecs::DeleteTaskDefinitionsRequest,
) -> Result<ecs::DeleteTaskDefinitionsResponse, Error> {
    if request.task_definitions.is_empty() {
        return Err(errors::invalid_parameter("Task definitions can not be empty."));
    }
    if request.task_definitions.len() > MAX_DELETED {
        return Err(errors::invalid_parameter("Task definitions can not have more than 10 elements."));
    }
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for named in &request.task_definitions {
        let id = exact(txn.ctx, named)?;
        let mut fail = |reason: &str| {
            let arn = arn::task_definition(txn.ctx, &id.family, id.revision);
            failures.push(ecs::Failure { arn: Some(arn), reason: Some(reason.to_owned()), detail: None });
        };
        let Some(row) = txn.state.task_definition(&id) else {
            fail(MISSING);
            continue;
        };
        let mut row = row.as_ref().clone();
        match row.status() {
            TaskDefinitionStatus::Active => {
                fail(
                    "The specified task definition is still in ACTIVE status. Please deregister the target and try again.",
                );
                continue;
            }
            TaskDefinitionStatus::Inactive => {
                row.registered.status = TaskDefinitionStatus::DeleteInProgress;
                row.registered.delete_requested_at = Some(txn.now());
                txn.put(row.clone());
            }
            TaskDefinitionStatus::DeleteInProgress => {}
        }
        deleted.push(row.registered.shown());
    }
    Ok(ecs::DeleteTaskDefinitionsResponse { task_definitions: Some(deleted), failures: Some(failures) })
}

/// Deletes what is DELETE_IN_PROGRESS and what `referenced` (a task that is not STOPPED, a service or
/// deployment of it) no longer holds: some of it, the rest when it is called again. Gives how many those were. To
/// be called when such a reference ends, and now and then.
pub fn sweep(txn: &mut Txn, referenced: impl Fn(&TaskDefinitionId) -> bool) -> usize {
    let free = txn.state.deleting.keys().filter(|id| !referenced(id)).take(MAX_SWEPT);
    let free: Vec<TaskDefinitionId> = free.cloned().collect();
    let count = free.len();
    free.into_iter().for_each(|id| txn.delete(Key::TaskDefinition(id)));
    count
}

/// These operations take no bare family.
fn exact(ctx: &Ctx, named: &str) -> Result<TaskDefinitionId, Error> {
    match arn::task_definition_name(ctx, named)? {
        (family, Some(revision)) => Ok(TaskDefinitionId { family, revision }),
        (family, None) => Err(errors::client(format!(
            "Unexpected format for task definition: {family}. Specify family:revision."
        ))),
    }
}
