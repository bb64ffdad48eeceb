//! Daemons, their deployments and revisions: what is called about them names its cluster by an ARN, of the cluster itself
//! or of what is in it.

use ::ecs::{
    Ctx, arn,
    daemon::{change, delete, describe},
};
use bytes::Bytes;
use ecs_model as ecs;
use serde::Serialize;
use wire::{Error, Request};

use super::{ClusterHandle, Home, json};
use crate::gate::Call;

/// CreateDaemon.
pub async fn create(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::CreateDaemonRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = home.cluster(&ctx, request.cluster_arn.as_deref())?;
    json(&cluster.command(&call.caller, move |txn| change::create_daemon(txn, request)).await?)
}

/// UpdateDaemon.
pub async fn update(home: &Home, call: Call) -> Result<Bytes, Error> {
    on_daemon(home, call, change::update_daemon, |request| &request.daemon_arn).await
}

/// DeleteDaemon.
pub async fn delete(home: &Home, call: Call) -> Result<Bytes, Error> {
    on_daemon(home, call, delete::delete_daemon, |request| &request.daemon_arn).await
}

/// DescribeDaemon.
pub fn describe(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DescribeDaemonRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = holding(home, &ctx, &request.daemon_arn)?;
    json(&describe::describe_daemon(&cluster.read().state, &ctx, &request)?)
}

/// ListDaemons.
pub fn list(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::ListDaemonsRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = home.cluster(&ctx, request.cluster_arn.as_deref())?;
    json(&describe::list_daemons(&cluster.read().state, &ctx, &request)?)
}

/// ListDaemonDeployments.
pub fn list_deployments(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::ListDaemonDeploymentsRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = holding(home, &ctx, &request.daemon_arn)?;
    json(&describe::list_daemon_deployments(&cluster.read().state, &ctx, &request)?)
}

/// DescribeDaemonDeployments.
pub fn describe_deployments(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DescribeDaemonDeploymentsRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let (name, _) = describe::deployments_named(&ctx, &request.daemon_deployment_arns)?;
    let cluster = home.cluster(&ctx, Some(&name))?;
    json(&describe::describe_daemon_deployments(&cluster.read().state, &ctx, &request)?)
}

/// DescribeDaemonRevisions.
pub fn describe_revisions(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DescribeDaemonRevisionsRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let (name, _) = describe::revisions_named(&ctx, &request.daemon_revision_arns)?;
    let cluster = home.cluster(&ctx, Some(&name))?;
    json(&describe::describe_daemon_revisions(&cluster.read().state, &ctx, &request)?)
}

/// A command on the daemon that a request names.
async fn on_daemon<R, T>(
    home: &Home,
    mut call: Call,
    command: fn(&mut ::ecs::Txn, R) -> Result<T, Error>,
    arn: fn(&R) -> &String,
) -> Result<Bytes, Error>
where
    R: Request<Response = T> + Send + 'static,
    T: Serialize + Send + 'static,
{
    let request: R = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = holding(home, &ctx, arn(&request))?;
    json(&cluster.command(&call.caller, move |txn| command(txn, request)).await?)
}

/// The cluster that a daemon is in.
fn holding(home: &Home, ctx: &Ctx, daemon: &str) -> Result<ClusterHandle, Error> {
    let (cluster, _) = arn::daemon_name(ctx, daemon)?;
    home.cluster(ctx, Some(&cluster))
}
