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
const INVALID: &str =
    "The specified task definition identifier is invalid. Specify a valid name or ARN and try again.";
const ACTIVE: &str =
    "The specified task definition is still in ACTIVE status. Please deregister the target and try again.";

/// Makes a task definition INACTIVE; what runs of it goes on. Repeating it changes nothing.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeregisterTaskDefinition.html>
///
/// # Errors
/// `ClientException` for one that is not there, is being deleted, or is named without a revision.
pub fn deregister_task_definition(
    txn: &mut Txn,
    request: ecs::DeregisterTaskDefinitionRequest,
) -> Result<ecs::DeregisterTaskDefinitionResponse, Error> {
    let id =
        exact(txn.ctx, &request.task_definition)?.ok_or_else(|| errors::client("Revision is missing."))?;
    let row = txn.state.task_definition(&id);
    let row = row.ok_or_else(|| errors::client("Unable to deregister task definition."))?;
    let mut row = row.as_ref().clone();
    match row.status() {
        TaskDefinitionStatus::Active => {
            row.registered.status = TaskDefinitionStatus::Inactive;
            row.registered.deregistered_at = Some(txn.now());
            txn.put(row.clone());
        }
        TaskDefinitionStatus::Inactive => {}
        TaskDefinitionStatus::DeleteInProgress => {
            return Err(errors::client(
                "The task definition could not be deregistered because it is in the process of being deleted.",
            ));
        }
    }
    Ok(ecs::DeregisterTaskDefinitionResponse { task_definition: Some(row.registered.shown()) })
}

/// Asks for INACTIVE task definitions to be deleted: each is DELETE_IN_PROGRESS until nothing refers to it
/// (see [`sweep`]). Those that cannot be are among the failures, as they were named.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteTaskDefinitions.html>
///
/// # Errors
/// `InvalidParameterException` where none are named, or more than ten.
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
    for named in request.task_definitions {
        match delete(txn, &named) {
            Ok(definition) => deleted.push(definition),
            Err(reason) => failures.push(ecs::Failure {
                arn: Some(named),
                reason: Some(reason.to_owned()),
                detail: None,
            }),
        }
    }
    Ok(ecs::DeleteTaskDefinitionsResponse { task_definitions: Some(deleted), failures: Some(failures) })
}

/// Asks for one of them to be deleted; the error is the reason of its failure.
fn delete(txn: &mut Txn, named: &str) -> Result<ecs::TaskDefinition, &'static str> {
    // What is another's is not there; what is none at all, or of no revision, is invalid.
    let other = arn::Arn::parse(named)
        .is_some_and(|arn| matches!(arn.resource, arn::Resource::TaskDefinition { .. }));
    let id = exact(txn.ctx, named).map_err(|_| if other { MISSING } else { INVALID })?.ok_or(INVALID)?;
    let mut row = txn.state.task_definition(&id).ok_or(MISSING)?.as_ref().clone();
    match row.status() {
        TaskDefinitionStatus::Active => return Err(ACTIVE),
        TaskDefinitionStatus::Inactive => {
            row.registered.status = TaskDefinitionStatus::DeleteInProgress;
            row.registered.delete_requested_at = Some(txn.now());
            txn.put(row.clone());
        }
        TaskDefinitionStatus::DeleteInProgress => {}
    }
    Ok(row.registered.shown())
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

/// The task definition that is named; these operations take no bare family, for which there is none.
fn exact(ctx: &Ctx, named: &str) -> Result<Option<TaskDefinitionId>, Error> {
    let (family, revision) = arn::task_definition_name(ctx, named)?;
    Ok(revision.map(|revision| TaskDefinitionId { family, revision }))
}
