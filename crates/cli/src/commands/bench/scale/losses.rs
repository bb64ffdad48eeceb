//! Many services, of which a tenth of the container instances die at once.

use std::time::{Duration, Instant};

use ecs::{
    cluster::{InstanceId, InstanceStatus},
    instance, limits,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{
    CALLERS,
    agents::Agents,
    memory_mib,
    world::{World, read, said},
};

/// Of so many container instances one dies.
const ONE_OF: usize = 10;

impl World {
    /// So many tasks by services as large as they may be, then the deaths.
    pub async fn losses(&self, tasks: usize) -> anyhow::Result<Value> {
        let _agents = Agents::start(self.cluster());
        let began = Instant::now();
        let most = limits::SERVICE_DESIRED_COUNT as usize;
        for number in 0..tasks.div_ceil(most) {
            let count = most.min(tasks - number * most);
            self.create(
                json!({"serviceName": format!("web{number}"), "taskDefinition": "web", "desiredCount": count,
                "placementStrategy": self.placed()}),
            )
            .await?;
        }
        self.steady().await?;
        let seconds = began.elapsed().as_secs_f64();
        let memory = memory_mib()?;
        let dead: Vec<InstanceId> =
            self.cluster().read().state.instances().map(|row| row.id).step_by(ONE_OF).collect();
        let lost: usize = {
            let state = &self.cluster().read().state;
            dead.iter().filter_map(|id| state.usage(id)).map(|usage| usage.running as usize).sum()
        };
        let began = Instant::now();
        stream::iter(dead.iter().map(|id| self.dies(*id)))
            .buffer_unordered(CALLERS)
            .try_collect::<()>()
            .await?;
        let wanted = i32::try_from(tasks)?;
        while self.cluster().read().state.totals().task_counts().0 < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.steady().await?;
        Ok(json!({
            "running": tasks, "seconds": seconds, "tasks_per_second": tasks as f64 / seconds, "memory_mib": memory,
            "dead": dead.len(), "lost": lost, "replaced_seconds": began.elapsed().as_secs_f64(),
        }))
    }

    /// DeregisterContainerInstance by force: nothing is heard of it any more.
    async fn dies(&self, id: InstanceId) -> anyhow::Result<()> {
        let request = read(json!({"containerInstance": id.to_string(), "force": true}))?;
        let dies = |txn: &mut ecs::Txn| instance::state::deregister_container_instance(txn, request);
        self.cluster().execute("", dies).await.map_err(said)?;
        let state = &self.cluster().read().state;
        let is_gone = state.instance(&id).is_none_or(|row| row.status == InstanceStatus::Inactive);
        anyhow::ensure!(is_gone, "it is gone");
        Ok(())
    }
}
