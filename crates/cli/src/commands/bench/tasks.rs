//! Tasks: how soon one runs, and how many can come and go.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::{
    super::client::{Client, Target},
    summary,
};

/// Between two looks at a task that starts.
const LOOK: Duration = Duration::from_micros(500);
/// Between two looks at many tasks, and between two attempts to start more: neither shall cost the host much.
const GLANCE: Duration = Duration::from_millis(50);
/// For one task to get where it should, or for the host to be clean.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most tasks that one RunTask starts.
const BATCH: usize = 10;
/// Tasks looked at together: few, so that looking costs little.
const PAGE: usize = 20;

/// Arguments of `roadstead bench start`.
#[derive(clap::Args)]
pub struct Start {
    #[command(flatten)]
    target: Target,
    /// Task definition
    #[arg(long)]
    definition: String,
    /// How many tasks, one after another; they run on until all are measured
    #[arg(long, default_value_t = 50)]
    count: usize,
}

impl Start {
    /// The latencies.
    pub async fn run(self) -> anyhow::Result<Value> {
        let mut client = Client::connect(&self.target).await?;
        let (mut times, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..self.count {
            let at = Instant::now();
            let started = run_tasks(&mut client, &self.definition, 1).await?;
            let [task] = started.as_slice() else { bail!("the task was not placed") };
            until(&mut client, task, "RUNNING").await?;
            times.push(at.elapsed());
            tasks.push(task.clone());
        }
        for task in &tasks {
            client.json("StopTask", &json!({ "task": task })).await?;
        }
        for task in &tasks {
            until(&mut client, task, "STOPPED").await?;
        }
        Ok(summary(times))
    }
}

/// Arguments of `roadstead bench churn`.
#[derive(clap::Args)]
pub struct Churn {
    #[command(flatten)]
    target: Target,
    /// Task definition; its tasks end by themselves with exit code 0
    #[arg(long)]
    definition: String,
    /// How many tasks in all
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// How many at most at the same time
    #[arg(long, default_value_t = 1000)]
    at_once: usize,
    /// Data directory of the control plane: the clock stops when the host is clean, too
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

impl Churn {
    /// The rate.
    pub async fn run(self) -> anyhow::Result<Value> {
        let mut client = Client::connect(&self.target).await?;
        let id = fs::read_to_string(self.data_dir.join("id")).context("the data directory has no id")?;
        let before = remains(&self.data_dir, id.trim())?;
        let at = Instant::now();
        let (mut tasks, mut over) = (Vec::new(), 0);
        while over < self.count {
            ensure!(at.elapsed() < PATIENCE, "{over} of {} tasks are over", self.count);
            loop {
                let missing = (self.count - tasks.len()).min(BATCH);
                if missing == 0 || tasks.len() + missing > over + self.at_once {
                    break;
                }
                let started = run_tasks(&mut client, &self.definition, missing).await?;
                let full = started.len() < missing;
                tasks.extend(started);
                if full {
                    break;
                }
            }
            // They end nearly in the order in which they began.
            loop {
                let looked = &tasks[over..tasks.len().min(over + PAGE)];
                let ended = count_ended(&mut client, looked).await?;
                over += ended;
                if ended < looked.len() || ended == 0 {
                    break;
                }
            }
            if over < self.count {
                tokio::time::sleep(GLANCE).await;
            }
        }
        let stopped = at.elapsed();
        while remains(&self.data_dir, id.trim())? > before {
            ensure!(at.elapsed() < PATIENCE, "the host is not clean");
            tokio::time::sleep(GLANCE).await;
        }
        let clean = at.elapsed();
        let rate = |time: Duration| (self.count as f64 / time.as_secs_f64() * 10.0).round() / 10.0;
        Ok(json!({
            "tasks": self.count,
            "per_second": rate(clean),
            "per_second_until_stopped": rate(stopped),
            "seconds": clean.as_secs_f64(),
        }))
    }
}

/// Starts up to [`BATCH`] tasks; those that were placed.
async fn run_tasks(client: &mut Client, definition: &str, count: usize) -> anyhow::Result<Vec<String>> {
    let answer = client.json("RunTask", &json!({ "taskDefinition": definition, "count": count })).await?;
    let tasks = answer["tasks"].as_array().context("an answer without tasks")?;
    Ok(tasks.iter().filter_map(|task| task["taskArn"].as_str().map(str::to_owned)).collect())
}

async fn until(client: &mut Client, task: &str, status: &str) -> anyhow::Result<()> {
    let at = Instant::now();
    let ask = json!({ "tasks": [task] });
    loop {
        let answer = client.json("DescribeTasks", &ask).await?;
        let task = &answer["tasks"][0];
        if task["lastStatus"] == status {
            return Ok(());
        }
        ensure!(task["lastStatus"] != "STOPPED", "a task stopped: {}", task["stoppedReason"]);
        ensure!(at.elapsed() < PATIENCE, "the task does not get to {status}");
        tokio::time::sleep(LOOK).await;
    }
}

/// How many of the first ones have ended, one after another; an error if one ended badly.
async fn count_ended(client: &mut Client, tasks: &[String]) -> anyhow::Result<usize> {
    if tasks.is_empty() {
        return Ok(0);
    }
    let answer = client.json("DescribeTasks", &json!({ "tasks": tasks })).await?;
    let told = answer["tasks"].as_array().context("an answer without tasks")?;
    let mut ended = 0;
    for arn in tasks {
        let task = told.iter().find(|task| task["taskArn"] == arn.as_str()).context("a task is gone")?;
        if task["lastStatus"] != "STOPPED" {
            break;
        }
        ensure!(task["containers"][0]["exitCode"] == 0, "a task ended badly: {task}");
        ended += 1;
    }
    Ok(ended)
}

/// What tasks leave on this host until they are cleaned up: folders, control groups, links, mounts.
fn remains(data_dir: &Path, id: &str) -> anyhow::Result<usize> {
    let entries = |dir: &Path| fs::read_dir(dir).map_or(0, Iterator::count);
    let groups = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];
    let groups: usize =
        groups.iter().map(|root| entries(&Path::new(root).join(format!("roadstead-{id}")))).sum();
    let link = format!("rv{id}");
    let links = fs::read_dir("/sys/class/net")?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&link))
        .count();
    let namespaces = entries(&Path::new("/run/roadstead").join(id).join("netns"));
    let place = data_dir.to_string_lossy();
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mounts = mounts.lines().filter(|line| line.contains(&*place)).count();
    Ok(entries(&data_dir.join("engine/tasks")) + groups + links + namespaces + mounts)
}
