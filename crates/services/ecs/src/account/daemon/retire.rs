//! DeleteDaemonTaskDefinition, and how one that is deleted goes.

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::MISSING;
use crate::{
    account::{Key, Txn},
    arn, limits,
    rows::{DaemonDefinitionRow, DaemonTaskDefinitionStatus as Status, TaskDefinitionId},
};

/// The most that one sweep changes.
const MAX_SWEPT: usize = 100;

/// Asks for a daemon's task definition to be deleted: it is DELETE_IN_PROGRESS as long as a daemon refers to it, and no
/// daemon can begin to.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteDaemonTaskDefinition.html>
///
/// # Errors
/// `ClientException` for one that is not there, is deleted already, or is named without a revision.
pub fn delete_daemon_task_definition(
    txn: &mut Txn,
    request: ecs::DeleteDaemonTaskDefinitionRequest,
) -> Result<ecs::DeleteDaemonTaskDefinitionResponse, Error> {
    let (family, revision) = arn::daemon_task_definition_name(txn.ctx, &request.daemon_task_definition)?;
    let revision = revision.ok_or_else(|| errors::client("Revision is missing."))?;
    let found = txn.state.daemon_definition(&TaskDefinitionId { family, revision });
    let mut row = found.ok_or_else(|| errors::client(MISSING))?.as_ref().clone();
    if row.status != Status::Active {
        return Err(errors::client("The daemon task definition is being deleted."));
    }
    row.status = Status::DeleteInProgress;
    row.made_of.registered.delete_requested_at = Some(txn.now());
    let named = row.made_of.registered.task_definition_arn.clone();
    txn.put(row);
    Ok(ecs::DeleteDaemonTaskDefinitionResponse { daemon_task_definition_arn: Some(named) })
}

/// What is DELETE_IN_PROGRESS and no longer `referenced` by a daemon or a task of one is DELETED: some of it, the rest when it
/// is called again. To be called now and then.
pub fn sweep(txn: &mut Txn, referenced: impl Fn(&TaskDefinitionId) -> bool) {
    let free = txn.state.daemons.deleting.values().filter(|row| !referenced(&row.id()));
    let free: Vec<_> = free.take(MAX_SWEPT).cloned().collect();
    let forget_at = Some(txn.now().plus_millis(limits::INACTIVE_KEPT_MS));
    for row in free {
        txn.put(DaemonDefinitionRow { status: Status::Deleted, forget_at, ..row.as_ref().clone() });
    }
}

/// One has been DELETED for an hour.
pub fn forget(txn: &mut Txn, id: TaskDefinitionId) {
    txn.delete(Key::DaemonDefinition(id));
}

/// The clock was set back: one that is DELETED is kept no longer than it ever is.
pub fn set_back(txn: &mut Txn, id: &TaskDefinitionId) {
    let Some(row) = txn.state.daemon_definition(id).cloned() else { return };
    let latest = txn.now().plus_millis(limits::INACTIVE_KEPT_MS);
    if row.forget_at.is_some_and(|at| at > latest) {
        txn.put(DaemonDefinitionRow { forget_at: Some(latest), ..row.as_ref().clone() });
    }
}
