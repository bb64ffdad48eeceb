//! `roadstead capacity`: how much of what each capacity provider has is needed, from the state of a control plane that runs
//! or does not.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use ecs::{
    Account, Cluster, account,
    capacity::reservation::{self, Figures},
    cluster,
};
use serde_json::{Value, json};
use state::{
    Domain, ShardId, Table,
    shard::{KeyParts, MAIN},
};

use crate::{advice::Advise, commands::up::Settings, output::say};

/// Arguments of `roadstead capacity`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Print each as a JSON object on a line
    #[arg(long)]
    json: bool,
}

/// A capacity provider in a cluster.
struct Found {
    account: String,
    region: String,
    cluster: String,
    provider: String,
    figures: Figures,
}

/// Task definitions and clusters of an account and region.
#[derive(Default)]
struct Place {
    account: Account,
    clusters: BTreeMap<String, Cluster>,
}

/// Lists them by account, region and cluster, in the order in which the cluster has them.
pub fn run(args: Args) -> anyhow::Result<()> {
    let state = args.settings.config()?.data_dir.join("state.db");
    let found = find(&state)
        .with_context(|| format!("cannot read {}", state.display()))
        .advise("the `--data-dir` of a control plane that has run")?;
    for one in &found {
        match args.json {
            true => say!("{}", as_json(one)),
            false => say!("{}", as_text(one)),
        }
    }
    if found.is_empty() && !args.json {
        say!("no cluster has a capacity provider of container instances");
    }
    Ok(())
}

fn find(state: &Path) -> anyhow::Result<Vec<Found>> {
    let mut places: BTreeMap<(String, String), Place> = BTreeMap::new();
    store::sqlite::look(state, &mut |entry| {
        let parts =
            KeyParts::parse(&entry.key).filter(|parts| parts.service == Cluster::SERVICE && entry.whole);
        let Some(parts) = parts else { return };
        let place = places.entry((parts.account.to_owned(), parts.region.to_owned())).or_default();
        // What cannot be read is the next start's to set aside.
        if parts.shard == MAIN {
            if let Ok(row) = account::Row::decode(parts.row, &entry.value) {
                place.account.apply(&account::Change::Put(row));
            }
        } else if let Ok(row) = cluster::Row::decode(parts.row, &entry.value) {
            let id = ShardId {
                account: parts.account.into(),
                region: parts.region.into(),
                service: Cluster::SERVICE,
                name: parts.shard.into(),
            };
            let cluster = place.clusters.entry(parts.shard.to_owned()).or_insert_with(|| Cluster::new(&id));
            cluster.apply(&cluster::Change::Put(row));
        }
    })?;
    let mut found = Vec::new();
    for ((account, region), place) in &places {
        for (name, cluster) in place.clusters.iter().filter(|(_, cluster)| cluster.row.active) {
            let providers = cluster.row.capacity_providers.iter();
            for provider in providers.filter(|name| place.account.provider_row(name).is_some()) {
                found.push(Found {
                    account: account.clone(),
                    region: region.clone(),
                    cluster: name.clone(),
                    provider: provider.clone(),
                    figures: reservation::figures(cluster, &place.account, provider),
                });
            }
        }
    }
    Ok(found)
}

fn as_text(found: &Found) -> String {
    let Figures { instances, empty, waiting, needed, reservation } = found.figures;
    let Found { account, region, cluster, provider, .. } = found;
    format!(
        "{account} {region} {cluster} {provider}: {instances} container instances, {empty} empty, {waiting} tasks wait, \
         {needed} needed: {reservation} %"
    )
}

fn as_json(found: &Found) -> Value {
    let Figures { instances, empty, waiting, needed, reservation } = found.figures;
    json!({
        "account": found.account,
        "region": found.region,
        "cluster": found.cluster,
        "capacityProvider": found.provider,
        "containerInstances": instances,
        "emptyContainerInstances": empty,
        "provisioningTasks": waiting,
        "neededContainerInstances": needed,
        "capacityProviderReservation": reservation,
    })
}
