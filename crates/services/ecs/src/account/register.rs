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
/// `ClientException` as ECS words what is wrong; `UnsupportedFeatureException` for what is not built.
pub fn register_task_definition(
    txn: &mut Txn,
    request: ecs::RegisterTaskDefinitionRequest,
) -> Result<ecs::RegisterTaskDefinitionResponse, Error> {
    let ctx = txn.ctx;
    members::check(&request)?;
    let tagged = request.tags.is_some();
    let given_tags = request.tags.clone().unwrap_or_default();
    tags::check(&given_tags)?;
    validate::check(&request)?;
    if txn.state.is_full(&request.family) {
        return Err(errors::client("The number of task definitions has reached its limit."));
    }
    let last = txn.state.families.get(&request.family).map_or(0, |family| family.last_revision);
    let revision = last.checked_add(1).ok_or_else(|| errors::client("Too many revisions of the family."))?;
    let family = FamilyRow { name: request.family.clone(), last_revision: revision };
    let mut registered = effective::task_definition(request);
    registered.task_definition_arn = arn::task_definition(ctx, &family.name, revision);
    registered.revision = revision;
    registered.status = TaskDefinitionStatus::Active;
    registered.registered_at = Some(ctx.now);
    registered.registered_by = Some(ctx.caller_arn.to_string());
    let log_mode = txn.state.setting(ctx, &ctx.caller_arn, SettingName::DefaultLogDriverMode).to_owned();
    let row = TaskDefinitionRow { registered, tags: given_tags.stored(), log_mode };
    let reply = ecs::RegisterTaskDefinitionResponse {
        task_definition: Some(row.registered.shown()),
        tags: tagged.then(|| row.tags.shown()),
    };
    txn.put(family);
    txn.put(row);
    Ok(reply)
}
