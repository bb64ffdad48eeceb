//! `roadstead bench scale`: the control plane alone, at size: the real runtime on a real store, with agents in this
//! process that do at once what they are told. Prints rates, latencies, memory, and the ratio to a small cluster.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use ecs::{
    cluster::{Desired, InstanceId, TaskId, TaskStatus},
    instance, service,
    task::{report, run, stop},
};
use ecs_model::{ContainerStateChange, SubmitTaskStateChangeRequest};
use futures_util::{StreamExt, stream};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use server::{
    keys,
    runtime::Identity,
    services::ecs::{ClusterHandle, Home, Homes},
};
use tokio::task::JoinSet;

/// Callers at a time.
const CALLERS: usize = 128;
/// Tasks of one RunTask.
const BY_TEN: usize = 10;
/// Container instances of the small cluster, and its tasks: what the large one is compared with.
const SMALL: (usize, usize) = (1000, 20);
/// The service whose way to a steady state is measured.
const SERVICE: (usize, usize) = (5000, 500);
/// Calls of RunTask, one after another, whose time is measured at either size.
const ALONE: usize = 1000;
/// Stops of one task whose time is measured.
const STOPS: usize = 200;

/// Arguments of `roadstead bench scale`.
#[derive(clap::Args)]
pub struct Scale {
    /// Tasks that are started by RunTask
    #[arg(long, default_value_t = 100_000)]
    tasks: usize,
    /// Container instances that they run on
    #[arg(long, default_value_t = 2000)]
    instances: usize,
    /// Where the stores are made, and removed again; the disk of it is measured too
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
}

impl Scale {
    /// Measures.
    pub async fn run(self) -> anyhow::Result<Value> {
        let world = World::open(&self.folder, SMALL.1).await?;
        let (small, small_alone) = (world.tasks(SMALL.0, CALLERS).await?, world.alone().await?);
        drop(world);
        let world = World::open(&self.folder, self.instances).await?;
        let large = world.tasks(self.tasks, CALLERS).await?;
        let (memory, large_alone) = (memory_mib()?, world.alone().await?);
        let ratio = |of: &str| Some(large_alone.get(of)?.as_f64()? / small_alone.get(of)?.as_f64()?);
        let ratios = json!({"alone_p50": ratio("p50_ms"), "alone_p99": ratio("p99_ms")});
        let stops = world.stops().await?;
        drop(world);
        let steady = World::open(&self.folder, SERVICE.1).await?.service(SERVICE.0).await?;
        Ok(json!({
            "small": small, "small_alone": small_alone, "large": large, "large_alone": large_alone,
            "large_to_small": ratios, "memory_mib": memory,
            "stop_among_3_daemons": stops, "service_to_steady": steady,
        }))
    }
}

/// A control plane with one cluster of so many connected container instances, in a folder that goes with it.
struct World {
    home: Arc<Home>,
    cluster: ClusterHandle,
    _homes: Arc<Homes>,
    folder: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "it could not be removed");
        }
    }
}

fn read<T: DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    Ok(serde_json::from_value(value)?)
}

fn said(error: wire::Error) -> anyhow::Error {
    anyhow!("{}: {}", error.code(), error.message())
}

impl World {
    async fn open(folder: &std::path::Path, instances: usize) -> anyhow::Result<World> {
        let folder = folder.join(format!("roadstead-bench-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let history = store::sqlite::HistoryLimits::NONE;
        let options = store::sqlite::Options { history, ..Default::default() };
        let store = store::sqlite::Sqlite::open(&folder.join("state.db"), options)?;
        let word = str::to_owned;
        let identity =
            Identity { account: word("000000000000"), region: word("us-east-1"), partition: word("aws") };
        let homes = Homes::open(Arc::new(store), identity, &mut [])?;
        let (home, by) = (homes.own(), keys::administrator("aws", "000000000000", ""));
        let ctx = home.ctx(&by, server::runtime::now());
        let request = read(json!({"clusterName": "scale"}))?;
        let row = ecs::clusters::create_cluster(&ctx, &home.account().state, request).map_err(said)?;
        let cluster = home.create_cluster(&by, row).await.map_err(said)?;
        let world = World { home, cluster, _homes: homes, folder };
        world.define().await?;
        world.register(instances).await?;
        Ok(world)
    }

    async fn define(&self) -> anyhow::Result<()> {
        let container = json!({"name": "app", "image": "busybox", "memory": 10, "cpu": 10});
        let request = read(json!({"family": "web", "containerDefinitions": [container]}))?;
        let define = move |txn: &mut ecs::account::Txn| ecs::account::register_task_definition(txn, request);
        self.home.account_shard().execute("", define).await.map(drop).map_err(said)
    }

    async fn register(&self, instances: usize) -> anyhow::Result<()> {
        let resource = |name: &str| json!({"name": name, "type": "INTEGER", "integerValue": 1_000_000});
        let request = json!({"totalResources": [resource("CPU"), resource("MEMORY")], "attributes": [
            {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}]});
        let mut working = JoinSet::new();
        for _ in 0..instances {
            let (cluster, request) = (self.cluster.clone(), read(request.clone())?);
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

    /// Starts so many tasks by RunTask, and has each reported RUNNING; all of it is on disk at the end.
    async fn tasks(&self, tasks: usize, callers: usize) -> anyhow::Result<Value> {
        let began = Instant::now();
        let mut working = JoinSet::new();
        for caller in 0..callers {
            let calls = (caller..tasks.div_ceil(BY_TEN)).step_by(callers).count();
            let cluster = self.cluster.clone();
            working.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..calls {
                    let began = Instant::now();
                    let request = read(json!({"taskDefinition": "web", "count": BY_TEN}))?;
                    let reply = cluster.execute("", |txn| run::run_task(txn, request)).await.map_err(said)?;
                    times.push(began.elapsed());
                    let arns = reply.tasks.unwrap_or_default().into_iter().filter_map(|task| task.task_arn);
                    told_all(&cluster, arns.collect(), "RUNNING").await?;
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(done) = working.join_next().await {
            times.extend(done??);
        }
        let seconds = began.elapsed().as_secs_f64();
        let running = self.cluster.read().state.totals().task_counts().0;
        let told = super::summary(times);
        Ok(json!({
            "running": running, "seconds": seconds, "tasks_per_second": f64::from(running) / seconds,
            "run_p50_ms": told["p50_ms"], "run_p99_ms": told["p99_ms"],
        }))
    }

    /// RunTask of one task, one after another.
    async fn alone(&self) -> anyhow::Result<Value> {
        let mut times = Vec::new();
        for _ in 0..ALONE {
            let request = read(json!({"taskDefinition": "web"}))?;
            let began = Instant::now();
            self.cluster.execute("", |txn| run::run_task(txn, request)).await.map_err(said)?;
            times.push(began.elapsed());
        }
        Ok(super::summary(times))
    }

    /// Stops of one task each, from StopTask to the report of its end, while three daemons are on every instance.
    async fn stops(&self) -> anyhow::Result<Value> {
        for number in 0..3 {
            let request = read(json!({"serviceName": format!("daemon{number}"), "taskDefinition": "web",
                "schedulingStrategy": "DAEMON"}))?;
            self.cluster
                .execute("", |txn| service::create::create_service(txn, request))
                .await
                .map_err(said)?;
        }
        self.obey(|state| state.services().all(|row| row.steady)).await?;
        let alone = |task: &&Arc<ecs::cluster::TaskRow>| task.service.is_none();
        let tasks: Vec<TaskId> =
            self.cluster.read().state.tasks().filter(alone).take(STOPS).map(|task| task.id).collect();
        let mut times = Vec::new();
        for id in tasks {
            let began = Instant::now();
            let request = read(json!({"task": id.to_string()}))?;
            self.cluster.execute("", |txn| stop::stop_task(txn, request)).await.map_err(said)?;
            told_all(&self.cluster, vec![id.to_string()], "STOPPED").await?;
            times.push(began.elapsed());
        }
        Ok(super::summary(times))
    }

    /// From CreateService to its steady state.
    async fn service(&self, tasks: usize) -> anyhow::Result<Value> {
        let began = Instant::now();
        let request = read(json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": tasks}))?;
        self.cluster.execute("", |txn| service::create::create_service(txn, request)).await.map_err(said)?;
        self.obey(|state| state.services().all(|row| row.steady)).await?;
        let state = &self.cluster.read().state;
        Ok(json!({"running": state.totals().task_counts().0, "seconds": began.elapsed().as_secs_f64()}))
    }

    /// Agents do what is wanted until it is `over`.
    async fn obey(&self, over: impl Fn(&ecs::Cluster) -> bool) -> anyhow::Result<()> {
        loop {
            let visible = self.cluster.read();
            if over(&visible.state) {
                return Ok(());
            }
            let waits = |task: &&Arc<ecs::cluster::TaskRow>| {
                task.desired == Desired::Running && task.last < TaskStatus::Running
            };
            let waiting: Vec<String> =
                visible.state.tasks().filter(waits).map(|task| task.id.to_string()).collect();
            drop(visible);
            if waiting.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            told_all(&self.cluster, waiting, "RUNNING").await?;
        }
    }
}

/// The agents report these tasks, all at once.
async fn told_all(cluster: &ClusterHandle, tasks: Vec<String>, status: &'static str) -> anyhow::Result<()> {
    let told = tasks.into_iter().map(|task| {
        let container = ContainerStateChange {
            container_name: Some("app".to_owned()),
            status: Some(status.to_owned()),
            ..Default::default()
        };
        let request = SubmitTaskStateChangeRequest {
            task: Some(task),
            status: Some(status.to_owned()),
            containers: Some(vec![container]),
            ..Default::default()
        };
        cluster.execute("", |txn| report::submit_task_state_change(txn, request))
    });
    // Not tasks of their own: an agent's reports come on the connection that it has.
    let mut told = stream::iter(told).buffer_unordered(CALLERS);
    while let Some(done) = told.next().await {
        done.map_err(said)?;
    }
    Ok(())
}

/// What this process has in memory, in MiB.
fn memory_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("the kernel tells no VmRSS")?;
    Ok(kib.trim().parse::<u64>()? / 1024)
}
