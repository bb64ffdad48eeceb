//! Which capacity providers a cluster has: CreateCluster, PutClusterCapacityProviders, and those of managed instances,
//! which their cluster has as long as they are there.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutClusterCapacityProviders.html>

use ecs_model::{self as ecs, ClusterField, errors};
use sha2::{Digest, Sha256};
use wire::Error;

use super::strategy;
use crate::{
    Account,
    account::providers::{
        Kind,
        retire::{self, Outcome},
    },
    cluster::{ClusterRow, Txn, Writes},
    clusters,
    convert::Stored,
    limits,
    rows::{AutoScalingGroupProvider, ManagedDraining, ManagedScalingStatus},
};

const TOO_MANY: &str = "The maximum number of capacity providers per cluster has been exceeded.";

/// Sets the capacity providers of a cluster and its default strategy. Its own ones of managed instances stay, named or
/// not. It is carried out at once.
///
/// # Errors
/// `InvalidParameterException`, `ResourceInUseException`.
pub fn put_cluster_capacity_providers(
    txn: &mut Txn,
    request: ecs::PutClusterCapacityProvidersRequest,
) -> Result<ecs::PutClusterCapacityProvidersResponse, Error> {
    let mut row = txn.state.row.as_ref().clone();
    let own = |name: &&String| matches!(txn.ports.account.provider(name), Some(Kind::Managed { .. }));
    let stays: Vec<String> = row.capacity_providers.iter().filter(own).cloned().collect();
    let before = std::mem::take(&mut row.capacity_providers);
    row.capacity_providers = distinct(request.capacity_providers.into_iter().chain(stays));
    row.default_capacity_provider_strategy =
        strategy::filled(request.default_capacity_provider_strategy.stored());
    check(&txn.ports.account, &row)?;
    let gone = before.iter().filter(|name| !row.capacity_providers.contains(name));
    if gone.into_iter().any(|name| txn.state.used_capacity().is_used(name)) {
        return Err(in_use());
    }
    txn.put_cluster(row);
    let include = [ClusterField::Settings, ClusterField::Attachments];
    let shown = clusters::cluster(txn.state, &txn.ports.account, txn.ctx, &include);
    Ok(ecs::PutClusterCapacityProvidersResponse { cluster: Some(shown) })
}

/// Each once, where it stands first.
pub fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// Whether a cluster may have the capacity providers and the default strategy of its row.
///
/// # Errors
/// `InvalidParameterException`, `ClientException`.
pub fn check(account: &Account, row: &ClusterRow) -> Result<(), Error> {
    if row.capacity_providers.len() > limits::CLUSTER_CAPACITY_PROVIDERS {
        return Err(errors::invalid_parameter(TOO_MANY));
    }
    for name in &row.capacity_providers {
        let is_there = match account.provider(name) {
            Some(Kind::Managed { cluster }) => cluster == row.name,
            Some(Kind::Fargate | Kind::Group(_)) => true,
            None => false,
        };
        if !is_there {
            return Err(account.unusable(name));
        }
    }
    strategy::check_default(account, &row.capacity_providers, &row.default_capacity_provider_strategy)
}

/// A provider of managed instances comes to its cluster, or not, where that is not ACTIVE or has no room for it.
pub fn associate(txn: &mut Txn, name: &str) -> Outcome {
    let mut row = txn.state.row.as_ref().clone();
    if !row.active {
        return retire::no_cluster();
    }
    if row.capacity_providers.iter().any(|known| known == name) {
        return Outcome::Created;
    }
    if row.capacity_providers.len() >= limits::CLUSTER_CAPACITY_PROVIDERS {
        return Outcome::NotCreated(TOO_MANY.to_owned());
    }
    row.capacity_providers.push(name.to_owned());
    txn.put_cluster(row);
    Outcome::Created
}

/// A provider of managed instances leaves its cluster. False where something of it uses the provider.
pub fn dissociate(txn: &mut Txn, name: &str) -> bool {
    let mut row = txn.state.row.as_ref().clone();
    let by_default = row.default_capacity_provider_strategy.iter().any(|item| item.capacity_provider == name);
    if row.active && (by_default || txn.state.used_capacity().is_used(name)) {
        return false;
    }
    if row.capacity_providers.iter().any(|known| known == name) {
        row.capacity_providers.retain(|known| known != name);
        txn.put_cluster(row);
    }
    true
}

/// What the providers of a cluster have attached to it, as the API shows it, and how far that is: nothing takes time here.
pub fn attachments(account: &Account, row: &ClusterRow) -> (Vec<ecs::Attachment>, Option<String>) {
    let groups: Vec<(&String, &AutoScalingGroupProvider)> = row
        .capacity_providers
        .iter()
        .filter_map(|name| Some((name, account.provider_row(name)?.group.as_ref()?)))
        .collect();
    let mut all = Vec::new();
    for (name, group) in &groups {
        let mut attached = |kind: &str, what: &str, called: &dyn Fn(&str) -> String| {
            let id = uuid(&row.name, name, kind);
            let called = called(&id);
            let detail = |name: &str, value: &str| ecs::KeyValuePair {
                name: Some(name.to_owned()),
                value: Some(value.to_owned()),
            };
            all.push(ecs::Attachment {
                id: Some(id),
                r#type: Some(kind.to_owned()),
                status: Some("CREATED".to_owned()),
                details: Some(vec![detail("capacityProviderName", name), detail(what, &called)]),
            });
        };
        if group.managed_scaling.status == ManagedScalingStatus::Enabled {
            attached("as_policy", "scalingPolicyName", &|id| format!("ECSManagedAutoScalingPolicy-{id}"));
        }
        if group.managed_draining == ManagedDraining::Enabled {
            attached("managed_draining", "autoScalingLifecycleHookName", &|_| {
                "ecs-managed-draining-termination-hook".to_owned()
            });
        }
    }
    (all, (!groups.is_empty()).then(|| "UPDATE_COMPLETE".to_owned()))
}

/// The same for the same, whenever it is asked.
fn uuid(cluster: &str, provider: &str, kind: &str) -> String {
    let digest = Sha256::digest(format!("{cluster}/{provider}/{kind}"));
    let hex = hex::encode(&digest[..16]);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn in_use() -> Error {
    errors::resource_in_use("The specified capacity provider is in use and cannot be removed.")
}
