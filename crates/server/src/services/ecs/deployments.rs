//! Deployments and revisions of services: what is called about them names its cluster by ARNs alone.

use ::ecs::{
    Ctx,
    service::{
        deployment::{
            describe,
            named::{self, Kind},
            proceed, stop,
        },
        revision,
    },
};
use bytes::Bytes;
use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{ClusterHandle, Home, json};
use crate::gate::Call;

/// DescribeServiceDeployments.
pub fn describe(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DescribeServiceDeploymentsRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = holding(home, &ctx, Kind::Deployment, &request.service_deployment_arns)?;
    json(&describe::describe_service_deployments(&cluster.read().state, &ctx, &request)?)
}

/// DescribeServiceRevisions.
pub fn describe_revisions(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DescribeServiceRevisionsRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = holding(home, &ctx, Kind::Revision, &request.service_revision_arns)?;
    json(&revision::describe_service_revisions(&cluster.read().state, &ctx, &request)?)
}

/// StopServiceDeployment.
pub async fn stop(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::StopServiceDeploymentRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let arn = std::slice::from_ref(&request.service_deployment_arn);
    let cluster = holding(home, &ctx, Kind::Deployment, arn).map_err(of_one)?;
    let run = move |txn: &mut ::ecs::Txn| stop::stop_service_deployment(txn, request);
    json(&cluster.command(&call.caller, run).await.map_err(of_one)?)
}

/// ContinueServiceDeployment.
pub async fn proceed(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::ContinueServiceDeploymentRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let arn = std::slice::from_ref(&request.service_deployment_arn);
    let cluster = holding(home, &ctx, Kind::Deployment, arn).map_err(of_one)?;
    let run = move |txn: &mut ::ecs::Txn| proceed::continue_service_deployment(txn, request);
    json(&cluster.command(&call.caller, run).await.map_err(of_one)?)
}

/// Operations on one deployment do not know that there may be no cluster: with it, the deployment is gone.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopServiceDeployment.html#API_StopServiceDeployment_Errors>
fn of_one(error: Error) -> Error {
    match error.code() {
        "ClusterNotFoundException" => {
            errors::service_deployment_not_found("The service deployment does not exist.")
        }
        _ => error,
    }
}

/// The cluster that these are in.
fn holding(home: &Home, ctx: &Ctx, kind: Kind, arns: &[String]) -> Result<ClusterHandle, Error> {
    let named = named::read(ctx, kind, arns)?;
    home.cluster(ctx, Some(&named.cluster))
}
