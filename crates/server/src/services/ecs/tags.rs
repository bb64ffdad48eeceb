//! The tags of whatever an ARN names: the account has those of task definitions, each cluster its own and those of what is
//! in it.

use ::ecs::{
    Txn, account,
    arn::{Arn, Resource},
    tags,
};
use bytes::Bytes;
use ecs_model::{self as ecs, errors};
use serde::Serialize;
use wire::{Error, Request};

use super::{ClusterHandle, Home, json};
use crate::gate::Call;

/// TagResource.
pub async fn tag(home: &Home, call: Call) -> Result<Bytes, Error> {
    change(home, call, account::tags::tag_resource, tags::tag_resource).await
}

/// UntagResource.
pub async fn untag(home: &Home, call: Call) -> Result<Bytes, Error> {
    change(home, call, account::tags::untag_resource, tags::untag_resource).await
}

/// ListTagsForResource.
pub fn list(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::ListTagsForResourceRequest = call.typed()?;
    if account::tags::is_ours(&request.resource_arn) {
        let ctx = home.ctx(&call.caller, call.now);
        return json(&account::tags::list_tags_for_resource(&home.account().state, &ctx, &request)?);
    }
    let cluster = holding(home, &call, &request.resource_arn)?;
    let tags = tags::of(&cluster.read().state, &request.resource_arn)?;
    json(&ecs::ListTagsForResourceResponse { tags: Some(tags) })
}

/// A change of tags, on the account or on the cluster that holds the resource.
async fn change<R, T>(
    home: &Home,
    mut call: Call,
    on_account: fn(&mut account::Txn, R) -> Result<T, Error>,
    on_cluster: fn(&mut Txn, R) -> Result<T, Error>,
) -> Result<Bytes, Error>
where
    R: Request<Response = T> + Send + 'static,
    T: Serialize + Send + 'static,
{
    let arn = call.input.get("resourceArn").and_then(|arn| arn.as_str()).map(str::to_owned);
    let arn = arn.ok_or_else(|| errors::invalid_parameter("resourceArn cannot be empty."))?;
    let request: R = call.typed()?;
    if account::tags::is_ours(&arn) {
        let run = move |txn: &mut account::Txn| on_account(txn, request);
        return json(&home.account_shard().execute(&call.caller, run).await?);
    }
    let cluster = holding(home, &call, &arn)?;
    json(&cluster.command(&call.caller, move |txn| on_cluster(txn, request)).await?)
}

/// The cluster that holds the resource of an ARN. Tools take what is said of one that was deleted for: it is gone.
fn holding(home: &Home, call: &Call, resource_arn: &str) -> Result<ClusterHandle, Error> {
    let ctx = home.ctx(&call.caller, call.now);
    let parsed =
        Arn::parse(resource_arn).filter(|arn| *arn.account == *ctx.account && *arn.region == *ctx.region);
    let name = match parsed.map(|arn| arn.resource) {
        Some(Resource::Cluster { name }) => name,
        Some(
            Resource::Service { cluster, .. }
            | Resource::Daemon { cluster, .. }
            | Resource::TaskSet { cluster, .. }
            | Resource::Task { cluster, .. }
            | Resource::ContainerInstance { cluster, .. },
        ) => cluster,
        _ => return Err(errors::invalid_parameter("The specified resource was not found.")),
    };
    match home.cluster_by_name(&name) {
        Some(cluster) if !cluster.read().state.row.active => Err(errors::invalid_parameter(
            "The specified cluster is inactive. Specify an active cluster and try again.",
        )),
        _ => home.cluster(&ctx, Some(&name)),
    }
}
