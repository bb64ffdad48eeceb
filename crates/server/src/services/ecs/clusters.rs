//! The operations on which clusters there are, which is the home's to know.

use ::ecs::{clusters, paging, task::describe::missing};
use bytes::Bytes;
use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{Home, json};
use crate::gate::Call;

/// Things that one DescribeClusters may name.
const DESCRIBE: usize = 100;

/// CreateCluster. One that is there already is the answer, if it is as the request has it.
pub async fn create(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::CreateClusterRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let row = clusters::create_cluster(&ctx, &home.account().state, request.clone())?;
    let cluster = home.create_cluster(&call.caller, row).await?;
    clusters::check_same(&home.account().state, &cluster.read().state.row, &request)?;
    let all = [
        ecs::ClusterField::Settings,
        ecs::ClusterField::Tags,
        ecs::ClusterField::Configurations,
        ecs::ClusterField::Attachments,
    ];
    let shown = clusters::cluster(&cluster.read().state, &home.account().state, &ctx, &all);
    json(&ecs::CreateClusterResponse { cluster: Some(shown) })
}

/// DescribeClusters.
pub fn describe(home: &Home, mut call: Call) -> Result<Bytes, Error> {
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
    let account = home.account();
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in named {
        let name = ::ecs::arn::cluster_name(&ctx, Some(&name))?;
        match home.cluster_by_name(&name) {
            Some(cluster) => {
                let state = &cluster.read().state;
                found.push(clusters::cluster(state, &account.state, &ctx, &include));
            }
            None => failures.push(missing(::ecs::arn::cluster(&ctx, &name))),
        }
    }
    json(&ecs::DescribeClustersResponse { clusters: Some(found), failures: Some(failures) })
}

/// ListClusters.
pub fn list(home: &Home, mut call: Call) -> Result<Bytes, Error> {
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
