//! Tasks by RunTask, stops, and one service.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ecs::{
    cluster::{TaskId, TaskRow},
    service,
    task::{run, stop},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    CALLERS,
    agents::{Agents, tell_all},
    processor_time,
    world::{World, read, said},
    written,
};
use crate::commands::bench::summary;

/// Tasks of one RunTask.
const BY_TEN: usize = 10;
/// Calls of RunTask, one after another, whose time is measured.
const ALONE: usize = 1000;
/// Stops of one task whose time is measured.
const STOPS: usize = 200;

impl World {
    /// What a task of the bench asks of its place.
    pub fn placed(&self) -> Value {
        match self.zones {
            1 => json!([]),
            _ => json!([{"type": "spread", "field": "attribute:ecs.availability-zone"}]),
        }
    }

    fn request(&self, count: usize) -> Value {
        json!({"taskDefinition": "web", "count": count, "placementStrategy": self.placed()})
    }

    /// Starts so many tasks by RunTask, and has each reported RUNNING; all of it is on disk at the end.
    pub async fn tasks(&self, tasks: usize) -> anyhow::Result<Value> {
        let (began, used, wrote) = (Instant::now(), processor_time()?, written()?);
        let mut working = JoinSet::new();
        for caller in 0..CALLERS {
            let calls = (caller..tasks.div_ceil(BY_TEN)).step_by(CALLERS).count();
            let (cluster, request) = (self.cluster().clone(), self.request(BY_TEN));
            working.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..calls {
                    let began = Instant::now();
                    let request = read(request.clone())?;
                    let reply = cluster.execute("", |txn| run::run_task(txn, request)).await.map_err(said)?;
                    times.push(began.elapsed());
                    let arns = reply.tasks.unwrap_or_default().into_iter().filter_map(|task| task.task_arn);
                    tell_all(&cluster, arns.collect(), "RUNNING").await?;
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(done) = working.join_next().await {
            times.extend(done??);
        }
        let seconds = began.elapsed().as_secs_f64();
        let running = self.cluster().read().state.totals().task_counts().0;
        let of_each = |whole: f64| whole / f64::from(running.max(1));
        let told = summary(times);
        Ok(json!({
            "running": running, "seconds": seconds, "tasks_per_second": f64::from(running) / seconds,
            "run_p50_ms": told["p50_ms"], "run_p99_ms": told["p99_ms"],
            "processor_us_of_each": of_each((processor_time()? - used) * 1e6),
            "written_bytes_of_each": of_each((written()? - wrote) as f64),
        }))
    }

    /// RunTask of one task, one after another.
    pub async fn alone(&self) -> anyhow::Result<Value> {
        let mut times = Vec::new();
        for _ in 0..ALONE {
            let request = read(self.request(1))?;
            let began = Instant::now();
            self.cluster().execute("", |txn| run::run_task(txn, request)).await.map_err(said)?;
            times.push(began.elapsed());
        }
        Ok(summary(times))
    }

    /// Stops of one task each, from StopTask to the report of its end, while three daemons are on every instance.
    pub async fn stops(&self) -> anyhow::Result<Value> {
        let agents = Agents::start(self.cluster());
        for number in 0..3 {
            let request = json!({"serviceName": format!("daemon{number}"), "taskDefinition": "web",
                "schedulingStrategy": "DAEMON"});
            self.create(request).await?;
        }
        self.steady().await?;
        drop(agents);
        let alone = |task: &&Arc<TaskRow>| task.service.is_none();
        let tasks: Vec<TaskId> =
            self.cluster().read().state.tasks().filter(alone).take(STOPS).map(|task| task.id).collect();
        let mut times = Vec::new();
        for id in tasks {
            let began = Instant::now();
            let request = read(json!({"task": id.to_string()}))?;
            self.cluster().execute("", |txn| stop::stop_task(txn, request)).await.map_err(said)?;
            tell_all(self.cluster(), vec![id.to_string()], "STOPPED").await?;
            times.push(began.elapsed());
        }
        Ok(summary(times))
    }

    /// From CreateService to its steady state.
    pub async fn service(&self, tasks: usize) -> anyhow::Result<Value> {
        let _agents = Agents::start(self.cluster());
        let began = Instant::now();
        self.create(json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": tasks})).await?;
        self.steady().await?;
        let state = &self.cluster().read().state;
        Ok(json!({"running": state.totals().task_counts().0, "seconds": began.elapsed().as_secs_f64()}))
    }

    /// CreateService.
    pub async fn create(&self, request: Value) -> anyhow::Result<()> {
        let request = read(request)?;
        let create = |txn: &mut ecs::Txn| service::create::create_service(txn, request);
        self.cluster().execute("", create).await.map(drop).map_err(said)
    }

    /// Waits until every service is steady.
    pub async fn steady(&self) -> anyhow::Result<()> {
        while !self.cluster().read().state.services().all(|row| row.steady) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}
