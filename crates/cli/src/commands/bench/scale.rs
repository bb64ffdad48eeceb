//! `roadstead bench scale`: the control plane alone, at size: the real runtime on a real store, with agents in this
//! process that do at once what they are told. Prints rates, latencies, memory, and the ratio to a small cluster.

mod agents;
mod links;
mod losses;
mod pages;
mod placing;
mod tasks;
mod world;

use std::path::PathBuf;

use anyhow::Context;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use serde_json::{Map, Value, json};

use world::World;

/// Callers at a time.
const CALLERS: usize = 128;
/// The service whose way to a steady state is measured: its tasks, and its container instances.
const SERVICE: (usize, usize) = (5000, 500);

/// Arguments of `roadstead bench scale`.
#[derive(clap::Args)]
pub struct Scale {
    /// Tasks that are started
    #[arg(long, default_value_t = 100_000)]
    tasks: usize,
    /// Container instances that they run on
    #[arg(long, default_value_t = 2000)]
    instances: usize,
    /// Zones that the container instances are in; tasks are spread over them where there is more than one
    #[arg(long, default_value_t = 1)]
    zones: usize,
    /// Tasks of the small cluster that the large one is compared with; it has one container instance for 50 of them
    #[arg(long, default_value_t = 1000)]
    small: usize,
    /// Where the stores are made, and removed again; the disk of it is measured too
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
    /// Measure these alone
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Tasks by RunTask, the latency of one more, pages of lists, memory, a start with all of it
    Tasks,
    /// One stop among three daemons
    Stops,
    /// A service on its way to its steady state
    Service,
    /// Where tasks go, in memory alone
    Placing,
    /// Connected agents that measure, acknowledge and report
    Links,
    /// The same tasks by services, of which a tenth of the container instances die at once
    Losses,
}

impl Scale {
    /// Measures.
    pub async fn run(self) -> anyhow::Result<Value> {
        let asked = |part: Part| self.only.is_empty() || self.only.contains(&part);
        let mut told = Map::new();
        if asked(Part::Tasks) || asked(Part::Stops) {
            self.by_run_task(&asked, &mut told).await?;
        }
        if asked(Part::Service) {
            let world = World::open(&self.folder, SERVICE.1, self.zones).await?;
            told.insert("service_to_steady".to_owned(), world.service(SERVICE.0).await?);
        }
        if asked(Part::Placing) {
            let world = World::open(&self.folder, self.instances, self.zones).await?;
            told.insert("placing".to_owned(), world.placing(self.tasks).await?);
        }
        if asked(Part::Links) {
            let world = World::open(&self.folder, self.instances, self.zones).await?;
            told.insert("links".to_owned(), world.links().await?);
        }
        if asked(Part::Losses) {
            let world = World::open(&self.folder, self.instances, self.zones).await?;
            told.insert("losses".to_owned(), world.losses(self.tasks).await?);
        }
        Ok(told.into())
    }

    async fn by_run_task(
        &self,
        asked: &impl Fn(Part) -> bool,
        told: &mut Map<String, Value>,
    ) -> anyhow::Result<()> {
        let mut tell = |what: &str, value: Value| told.insert(what.to_owned(), value);
        let world = World::open(&self.folder, self.small.div_ceil(50), self.zones).await?;
        tell("small", world.tasks(self.small).await?);
        let small_alone = world.alone().await?;
        drop(world);
        let mut world = World::open(&self.folder, self.instances, self.zones).await?;
        tell("large", world.tasks(self.tasks).await?);
        tell("memory_mib", memory_mib()?.into());
        let large_alone = world.alone().await?;
        let ratio = |of: &str| Some(large_alone.get(of)?.as_f64()? / small_alone.get(of)?.as_f64()?);
        let ratios = json!({"alone_p50": ratio("p50_ms"), "alone_p99": ratio("p99_ms")});
        tell("large_to_small", ratios);
        tell("small_alone", small_alone);
        tell("large_alone", large_alone);
        if asked(Part::Tasks) {
            tell("pages", world.pages().await?);
            let seconds = world.start_again().await?;
            tell("start_again_seconds", seconds.into());
        }
        if asked(Part::Stops) {
            tell("stop_among_3_daemons", world.stops().await?);
        }
        Ok(())
    }
}

/// What this process has in memory, in MiB.
fn memory_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("the kernel tells no VmRSS")?;
    Ok(kib.trim().parse::<u64>()? / 1024)
}

/// What this process has used of the processors, in user and kernel, in seconds.
fn processor_time() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// What this process has written to disks, in bytes.
fn written() -> anyhow::Result<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("the kernel tells no write_bytes")?.parse()?)
}
