//! The operations on clusters: which there are is the home's to know.

use ::ecs::{
    arn::{Arn, Resource},
    clusters, paging,
    task::describe::missing,
};
use bytes::Bytes;
use ecs_model::{self as ecs, errors};
use wire::Error;

use super::json;
use crate::{
    gate::Call,
    runtime::{ClusterHandle, Home},
};

/// Things that one DescribeClusters may name.
const DESCRIBE: usize = 100;

/// Carries out an operation on clusters.
pub async fn call(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let caller = call.caller.clone();
    let ctx = home.ctx(&caller, call.now);
    match call.operation.name {
        "CreateCluster" => {
            let request: ecs::CreateClusterRequest = call.typed()?;
            let row = clusters::create_cluster(&ctx, request)?;
            let cluster = home.create_cluster(&caller, row).await?;
            let all =
                [ecs::ClusterField::Settings, ecs::ClusterField::Tags, ecs::ClusterField::Configurations];
            let shown = clusters::cluster(&cluster.read().state, &ctx, &all);
            json(&ecs::CreateClusterResponse { cluster: Some(shown) })
        }
        "DescribeClusters" => describe(home, call),
        "ListClusters" => list(home, call),
        "UpdateCluster" => {
            let request: ecs::UpdateClusterRequest = call.typed()?;
            let cluster = home.cluster(&ctx, Some(&request.cluster))?;
            json(&cluster.command(&caller, |txn| clusters::update_cluster(txn, request)).await?)
        }
        "UpdateClusterSettings" => {
            let request: ecs::UpdateClusterSettingsRequest = call.typed()?;
            let cluster = home.cluster(&ctx, Some(&request.cluster))?;
            json(&cluster.command(&caller, |txn| clusters::update_cluster_settings(txn, request)).await?)
        }
        "DeleteCluster" => {
            let request: ecs::DeleteClusterRequest = call.typed()?;
            let cluster = home.cluster(&ctx, Some(&request.cluster))?;
            json(&cluster.command(&caller, clusters::delete_cluster).await?)
        }
        name => Err(errors::server(format!("{name} is listed as built but has no handler."))),
    }
}

/// The cluster that holds the resource of an ARN.
pub fn of_resource(home: &Home, call: &Call, resource_arn: &str) -> Result<ClusterHandle, Error> {
    let ctx = home.ctx(&call.caller, call.now);
    let parsed =
        Arn::parse(resource_arn).filter(|arn| *arn.account == *ctx.account && *arn.region == *ctx.region);
    let name = match parsed.map(|arn| arn.resource) {
        Some(Resource::Cluster { name }) => name,
        Some(
            Resource::Service { cluster, .. }
            | Resource::Task { cluster, .. }
            | Resource::ContainerInstance { cluster, .. },
        ) => cluster,
        _ => return Err(errors::invalid_parameter("The specified resource was not found.")),
    };
    home.cluster(&ctx, Some(&name))
}

fn describe(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DescribeClustersRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let include = request.include.unwrap_or_default();
    let mut named = request.clusters.unwrap_or_default();
    if named.is_empty() {
        named.push("default".to_owned());
    }
    if named.len() > DESCRIBE {
        return Err(errors::invalid_parameter("Clusters cannot have more than 100 elements."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in named {
        let name = ::ecs::arn::cluster_name(&ctx, Some(&name))?;
        match home.cluster_by_name(&name) {
            Some(cluster) => found.push(clusters::cluster(&cluster.read().state, &ctx, &include)),
            None => failures.push(missing(::ecs::arn::cluster(&ctx, &name))),
        }
    }
    json(&ecs::DescribeClustersResponse { clusters: Some(found), failures: Some(failures) })
}

fn list(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::ListClustersRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let page = paging::read(request.max_results, request.next_token.as_deref())?;
    let all = home.clusters();
    let names: Vec<String> = all
        .iter()
        .map(|cluster| cluster.read())
        .filter(|visible| visible.state.row.active)
        .map(|visible| visible.state.row.name.clone())
        .collect();
    let (names, next_token) = page.take(names.iter(), |_| true, String::clone);
    let arns = names.into_iter().map(|name| ::ecs::arn::cluster(&ctx, name)).collect();
    json(&ecs::ListClustersResponse { cluster_arns: Some(arns), next_token })
}
