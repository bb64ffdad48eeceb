//! TagResource, UntagResource and ListTagsForResource on task definitions and capacity providers.

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{Account, CapacityProviderRow, TaskDefinitionRow, Txn};
use crate::{
    Ctx,
    arn::{Arn, Resource},
    convert::Shown,
    rows::{Tag, TaskDefinitionId},
    tags,
};

/// Whether a resource's ARN is one whose tags the account keeps.
pub fn is_ours(resource_arn: &str) -> bool {
    let resource = Arn::parse(resource_arn).map(|arn| arn.resource);
    matches!(resource, Some(Resource::TaskDefinition { .. } | Resource::CapacityProvider { .. }))
}

/// Sets tags on one.
pub fn tag_resource(
    txn: &mut Txn,
    request: ecs::TagResourceRequest,
) -> Result<ecs::TagResourceResponse, Error> {
    change(txn, &request.resource_arn, |all| tags::merge(all, request.tags))?;
    Ok(ecs::TagResourceResponse::default())
}

/// Takes tags off one.
pub fn untag_resource(
    txn: &mut Txn,
    request: ecs::UntagResourceRequest,
) -> Result<ecs::UntagResourceResponse, Error> {
    change(txn, &request.resource_arn, |all| tags::remove(all, &request.tag_keys))?;
    Ok(ecs::UntagResourceResponse::default())
}

fn change(
    txn: &mut Txn,
    arn: &str,
    change: impl FnOnce(&mut Vec<Tag>) -> Result<(), Error>,
) -> Result<(), Error> {
    match find(&txn.state, txn.ctx, arn).ok_or_else(tags::not_found)? {
        Found::Definition(row) => {
            let mut row = row.clone();
            change(&mut row.tags)?;
            txn.put(row);
        }
        Found::Provider(row) => {
            let mut row = row.clone();
            change(&mut row.tags)?;
            txn.put(row);
        }
    }
    Ok(())
}

/// The tags of one.
pub fn list_tags_for_resource(
    state: &Account,
    ctx: &Ctx,
    request: &ecs::ListTagsForResourceRequest,
) -> Result<ecs::ListTagsForResourceResponse, Error> {
    let missing = || errors::invalid_parameter("The specified resource was not found.");
    let tags = match find(state, ctx, &request.resource_arn).ok_or_else(missing)? {
        Found::Definition(row) => &row.tags,
        Found::Provider(row) => &row.tags,
    };
    Ok(ecs::ListTagsForResourceResponse { tags: Some(tags.shown()) })
}

/// What has tags.
enum Found<'a> {
    Definition(&'a TaskDefinitionRow),
    Provider(&'a CapacityProviderRow),
}

fn find<'a>(state: &'a Account, ctx: &Ctx, arn: &str) -> Option<Found<'a>> {
    let resource = Arn::parse(arn).filter(|arn| *arn.account == *ctx.account && *arn.region == *ctx.region);
    match resource?.resource {
        Resource::TaskDefinition { family, revision } => {
            let row = state.task_definition(&TaskDefinitionId { family, revision });
            row.map(|row| Found::Definition(row))
        }
        Resource::CapacityProvider { name } => state.provider_row(&name).map(Found::Provider),
        _ => None,
    }
}
