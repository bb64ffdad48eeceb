//! TagResource, UntagResource and ListTagsForResource on task definitions, daemons' ones too, and capacity providers.

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{Account, Txn};
use crate::{
    Ctx,
    arn::{Arn, Resource},
    beyond::On,
    convert::Shown,
    rows::{Tag, TaskDefinitionId},
    tags,
};

/// What has tags here.
enum Named {
    Definition(TaskDefinitionId),
    OfDaemon(TaskDefinitionId),
    Provider(String),
}

impl Named {
    fn of(resource: Resource) -> Option<Named> {
        match resource {
            Resource::TaskDefinition { family, revision } => {
                Some(Named::Definition(TaskDefinitionId { family, revision }))
            }
            Resource::DaemonTaskDefinition { family, revision } => {
                Some(Named::OfDaemon(TaskDefinitionId { family, revision }))
            }
            Resource::CapacityProvider { name } => Some(Named::Provider(name)),
            _ => None,
        }
    }

    fn own(ctx: &Ctx, arn: &str) -> Option<Named> {
        let arn = Arn::parse(arn).filter(|arn| *arn.account == *ctx.account && *arn.region == *ctx.region);
        arn.and_then(|arn| Named::of(arn.resource))
    }

    fn tags<'a>(&self, state: &'a Account) -> Option<&'a Vec<Tag>> {
        match self {
            Named::Definition(id) => state.task_definition(id).map(|row| &row.tags),
            Named::OfDaemon(id) => state.daemon_definition(id).map(|row| &row.made_of.tags),
            Named::Provider(name) => state.provider_row(name).map(|row| &row.tags),
        }
    }
}

/// Whether a resource's ARN is one whose tags the account keeps.
pub fn is_ours(resource_arn: &str) -> bool {
    Arn::parse(resource_arn).is_some_and(|arn| Named::of(arn.resource).is_some())
}

/// Sets tags on one.
pub fn tag_resource(
    txn: &mut Txn,
    request: ecs::TagResourceRequest,
) -> Result<ecs::TagResourceResponse, Error> {
    change(txn, &request.resource_arn, |tags| tags::merge(On::Other, tags, request.tags))?;
    Ok(ecs::TagResourceResponse::default())
}

/// Takes tags off one.
pub fn untag_resource(
    txn: &mut Txn,
    request: ecs::UntagResourceRequest,
) -> Result<ecs::UntagResourceResponse, Error> {
    change(txn, &request.resource_arn, |tags| tags::remove(tags, &request.tag_keys))?;
    Ok(ecs::UntagResourceResponse::default())
}

/// The tags of one.
pub fn list_tags_for_resource(
    state: &Account,
    ctx: &Ctx,
    request: &ecs::ListTagsForResourceRequest,
) -> Result<ecs::ListTagsForResourceResponse, Error> {
    let named = Named::own(ctx, &request.resource_arn);
    let missing = || errors::invalid_parameter("The specified resource was not found.");
    let tags = named.as_ref().and_then(|named| named.tags(state)).ok_or_else(missing)?;
    Ok(ecs::ListTagsForResourceResponse { tags: Some(tags.shown()) })
}

fn change(
    txn: &mut Txn,
    resource_arn: &str,
    change: impl FnOnce(&mut Vec<Tag>) -> Result<(), Error>,
) -> Result<(), Error> {
    match Named::own(txn.ctx, resource_arn).ok_or_else(tags::not_found)? {
        Named::Definition(id) => {
            let mut row = txn.state.task_definition(&id).ok_or_else(tags::not_found)?.as_ref().clone();
            change(&mut row.tags)?;
            txn.put(row);
        }
        Named::OfDaemon(id) => {
            let mut row = txn.state.daemon_definition(&id).ok_or_else(tags::not_found)?.as_ref().clone();
            change(&mut row.made_of.tags)?;
            txn.put(row);
        }
        Named::Provider(name) => {
            let mut row = txn.state.provider_row(&name).ok_or_else(tags::not_found)?.clone();
            change(&mut row.tags)?;
            txn.put(row);
        }
    }
    Ok(())
}
