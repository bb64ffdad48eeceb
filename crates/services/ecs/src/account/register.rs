//! RegisterTaskDefinition.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{FamilyRow, TaskDefinitionRow, Txn, effective, members, validate};
use crate::{
    arn,
    convert::{Shown, Stored},
    rows::{SettingName, TaskDefinitionStatus},
    tags,
};

/// Gives a new revision of a family. Revisions count up from 1 and are never used again.
///
/// # Errors
/// `ClientException` as ECS words what is wrong; `UnsupportedFeatureException` for what is not built; `LimitExceededException`.
pub fn register_task_definition(
    txn: &mut Txn,
    request: ecs::RegisterTaskDefinitionRequest,
) -> Result<ecs::RegisterTaskDefinitionResponse, Error> {
    let tagged = request.tags.is_some();
    let mut row = checked(txn, request)?;
    let name = row.registered.family.clone();
    if txn.state.is_full(&name) {
        return Err(errors::limit_exceeded("The number of task definitions has reached its limit."));
    }
    let revision = next(txn.state.families.get(&name).map(|family| family.last_revision))?;
    row.registered.task_definition_arn = arn::task_definition(txn.ctx, &name, revision);
    row.registered.revision = revision;
    let reply = ecs::RegisterTaskDefinitionResponse {
        task_definition: Some(row.registered.shown()),
        tags: tagged.then(|| row.tags.shown()),
    };
    txn.put(FamilyRow { name, last_revision: revision });
    txn.put(row);
    Ok(reply)
}

/// What is to be registered, if it can be: ACTIVE, with the defaults filled in, and without a revision yet.
pub(super) fn checked(
    txn: &Txn,
    request: ecs::RegisterTaskDefinitionRequest,
) -> Result<TaskDefinitionRow, Error> {
    let ctx = txn.ctx;
    members::check(&request)?;
    let given_tags = request.tags.clone().unwrap_or_default();
    tags::check(&given_tags)?;
    validate::check(&request)?;
    let mut registered = effective::task_definition(request);
    registered.status = TaskDefinitionStatus::Active;
    registered.registered_at = Some(ctx.now);
    registered.registered_by = Some(ctx.caller_arn.to_string());
    let log_mode = txn.state.setting(ctx, &ctx.caller_arn, SettingName::DefaultLogDriverMode).to_owned();
    Ok(TaskDefinitionRow { registered, tags: given_tags.stored(), log_mode })
}

/// The revision behind the last one of a family.
pub(super) fn next(last: Option<i32>) -> Result<i32, Error> {
    last.unwrap_or(0).checked_add(1).ok_or_else(|| errors::client("Too many revisions of the family."))
}
