//! TagResource, UntagResource and ListTagsForResource on task definitions.

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{Account, TaskDefinitionRow, Txn};
use crate::{
    Ctx,
    arn::{Arn, Resource},
    convert::Shown,
    rows::TaskDefinitionId,
    tags,
};

/// Whether a resource's ARN is one whose tags the account keeps.
pub fn is_ours(resource_arn: &str) -> bool {
    matches!(Arn::parse(resource_arn), Some(Arn { resource: Resource::TaskDefinition { .. }, .. }))
}

/// Sets tags on a task definition.
pub fn tag_resource(
    txn: &mut Txn,
    request: ecs::TagResourceRequest,
) -> Result<ecs::TagResourceResponse, Error> {
    let mut row = find(&txn.state, txn.ctx, &request.resource_arn).ok_or_else(tags::not_found)?.clone();
    tags::merge(&mut row.tags, request.tags)?;
    txn.put(row);
    Ok(ecs::TagResourceResponse::default())
}

/// Takes tags off a task definition.
pub fn untag_resource(
    txn: &mut Txn,
    request: ecs::UntagResourceRequest,
) -> Result<ecs::UntagResourceResponse, Error> {
    let mut row = find(&txn.state, txn.ctx, &request.resource_arn).ok_or_else(tags::not_found)?.clone();
    tags::remove(&mut row.tags, &request.tag_keys)?;
    txn.put(row);
    Ok(ecs::UntagResourceResponse::default())
}

/// The tags of a task definition.
pub fn list_tags_for_resource(
    state: &Account,
    ctx: &Ctx,
    request: &ecs::ListTagsForResourceRequest,
) -> Result<ecs::ListTagsForResourceResponse, Error> {
    let missing = || errors::invalid_parameter("The specified resource was not found.");
    let row = find(state, ctx, &request.resource_arn).ok_or_else(missing)?;
    Ok(ecs::ListTagsForResourceResponse { tags: Some(row.tags.shown()) })
}

fn find<'a>(state: &'a Account, ctx: &Ctx, arn: &str) -> Option<&'a TaskDefinitionRow> {
    let resource = Arn::parse(arn).filter(|arn| *arn.account == *ctx.account && *arn.region == *ctx.region);
    let Some(Resource::TaskDefinition { family, revision }) = resource.map(|arn| arn.resource) else {
        return None;
    };
    let row = state.task_definition(&TaskDefinitionId { family, revision });
    row.map(|row| row.as_ref())
}
