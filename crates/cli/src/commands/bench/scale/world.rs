//! A control plane with one cluster of connected container instances, in a folder that goes with it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, anyhow};
use ecs::{cluster::InstanceId, instance};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use server::{
    keys,
    runtime::Identity,
    services::ecs::{ClusterHandle, Home, Homes},
};
use tokio::task::JoinSet;

use super::CALLERS;

/// The name of its cluster.
const CLUSTER: &str = "scale";

/// All of it.
pub struct World {
    /// None while it starts again.
    at_work: Option<AtWork>,
    pub zones: usize,
    folder: PathBuf,
}

struct AtWork {
    home: Arc<Home>,
    cluster: ClusterHandle,
    homes: Arc<Homes>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "it could not be removed");
        }
    }
}

/// A request as JSON has it.
pub fn read<T: DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    Ok(serde_json::from_value(value)?)
}

/// What a call was refused with.
pub fn said(error: wire::Error) -> anyhow::Error {
    anyhow!("{}: {}", error.code(), error.message())
}

fn open(folder: &Path) -> anyhow::Result<Arc<Homes>> {
    let history = store::sqlite::HistoryLimits::NONE;
    let options = store::sqlite::Options { history, ..Default::default() };
    let store = store::sqlite::Sqlite::open(&folder.join("state.db"), options)?;
    let word = str::to_owned;
    let identity =
        Identity { account: word("000000000000"), region: word("us-east-1"), partition: word("aws") };
    Ok(Homes::open(Arc::new(store), identity, &mut [])?)
}

impl World {
    /// Begins one with so many container instances in so many zones.
    pub async fn open(folder: &Path, instances: usize, zones: usize) -> anyhow::Result<World> {
        let folder = folder.join(format!("roadstead-bench-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut world = World { at_work: None, zones, folder };
        let homes = open(&world.folder)?;
        let (home, by) = (homes.own(), keys::administrator("aws", "000000000000", ""));
        let ctx = home.ctx(&by, server::runtime::now());
        let request = read(json!({"clusterName": CLUSTER}))?;
        let row = ecs::clusters::create_cluster(&ctx, &home.account().state, request).map_err(said)?;
        let cluster = home.create_cluster(&by, row).await.map_err(said)?;
        world.at_work = Some(AtWork { home, cluster, homes });
        world.define().await?;
        world.register(instances).await?;
        Ok(world)
    }

    fn at_work(&self) -> &AtWork {
        self.at_work.as_ref().expect("it is taken out in `start_again` alone, which puts it back or fails")
    }

    /// Its cluster.
    pub fn cluster(&self) -> &ClusterHandle {
        &self.at_work().cluster
    }

    /// Its account and region.
    pub fn home(&self) -> &Home {
        &self.at_work().home
    }

    /// What agents connect to.
    pub fn homes(&self) -> &Arc<Homes> {
        &self.at_work().homes
    }

    /// Ends, and starts again on what is on the disk; the seconds until the first answer.
    pub async fn start_again(&mut self) -> anyhow::Result<f64> {
        if let Some(AtWork { home, cluster, homes }) = self.at_work.take() {
            let store = homes.runtime().store().clone();
            drop((home, cluster, homes));
            store.close();
        }
        let began = Instant::now();
        let homes = open(&self.folder)?;
        homes.start().await.map_err(said)?;
        let home = homes.own();
        let cluster = home.cluster_by_name(CLUSTER).context("the cluster is there")?;
        let first = cluster.read().state.tasks().next().map(|row| row.id);
        let seconds = began.elapsed().as_secs_f64();
        anyhow::ensure!(first.is_some(), "no task was read");
        self.at_work = Some(AtWork { home, cluster, homes });
        Ok(seconds)
    }

    async fn define(&self) -> anyhow::Result<()> {
        let container = json!({"name": "app", "image": "busybox", "memory": 10, "cpu": 10});
        let request = read(json!({"family": "web", "containerDefinitions": [container]}))?;
        let define = move |txn: &mut ecs::account::Txn| ecs::account::register_task_definition(txn, request);
        self.home().account_shard().execute("", define).await.map(drop).map_err(said)
    }

    async fn register(&self, instances: usize) -> anyhow::Result<()> {
        let resource = |name: &str| json!({"name": name, "type": "INTEGER", "integerValue": 1_000_000});
        let mut working = JoinSet::new();
        for number in 0..instances {
            let request = json!({"totalResources": [resource("CPU"), resource("MEMORY")], "attributes": [
                {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"},
                {"name": "ecs.availability-zone", "value": format!("zone-{}", number % self.zones)}]});
            let (cluster, request) = (self.cluster().clone(), read(request)?);
            working.spawn(async move {
                let join = |txn: &mut ecs::Txn| {
                    let reply = instance::register::register_container_instance(txn, request)?;
                    let arn = reply.container_instance.and_then(|row| row.container_instance_arn);
                    let id = arn.as_deref().and_then(|arn| InstanceId::parse(arn.rsplit('/').next()?));
                    if let Some(id) = id {
                        instance::state::connection(txn, &id, Some(Default::default()));
                    }
                    Ok(())
                };
                cluster.execute("", join).await.map_err(said)
            });
            if working.len() >= CALLERS {
                working.join_next().await.context("one works")???;
            }
        }
        while let Some(done) = working.join_next().await {
            done??;
        }
        Ok(())
    }
}
