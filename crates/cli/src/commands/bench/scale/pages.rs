//! What clients look at: pages of ListTasks, DescribeServices.

use std::time::{Duration, Instant};

use anyhow::Context;
use ecs::{cluster::ServiceName, service, task};
use ecs_model::{DescribeServicesRequest, ListTasksRequest};
use serde::Serialize;
use serde_json::{Value, json};
use server::keys;

use super::{
    agents::Agents,
    world::{World, read, said},
};
use crate::commands::bench::summary;

/// Pages, or descriptions, of each kind.
const LOOKS: usize = 500;
/// Services that one DescribeServices names.
const DESCRIBED: usize = 10;
/// Tasks of each of them.
const OF_SERVICE: usize = 500;

impl World {
    /// Pages of a hundred, one after another: of all tasks, of one family's, of one service's; and ten services at a time,
    /// which are made for it beside the tasks that are there.
    pub async fn pages(&self) -> anyhow::Result<Value> {
        let agents = Agents::start(self.cluster());
        for number in 0..DESCRIBED {
            self.create(json!({"serviceName": format!("described{number}"), "taskDefinition": "web",
                "desiredCount": OF_SERVICE, "placementStrategy": self.placed()}))
                .await?;
        }
        self.steady().await?;
        drop(agents);
        let services: Vec<ServiceName> =
            self.cluster().read().state.services().map(|row| row.name.clone()).collect();
        Ok(json!({
            "list_tasks": self.list(&json!({}))?,
            "list_tasks_of_family": self.list(&json!({"family": "web"}))?,
            "list_tasks_of_service": self.list(&json!({"serviceName": services.first()}))?,
            "describe_services": self.describe(&services)?,
        }))
    }

    fn ctx(&self) -> ecs::Ctx {
        self.home().ctx(&keys::administrator("aws", "000000000000", ""), server::runtime::now())
    }

    fn list(&self, filter: &Value) -> anyhow::Result<Value> {
        let (mut times, mut next, ctx) = (Vec::new(), None, self.ctx());
        for _ in 0..LOOKS {
            let request = ListTasksRequest { next_token: next.take(), ..read(filter.clone())? };
            let visible = self.cluster().read();
            let (time, reply) =
                timed(|| task::list::list_tasks(&visible.state, &ctx, &request).map_err(said))?;
            times.push(time);
            next = reply.next_token;
        }
        Ok(summary(times))
    }

    fn describe(&self, services: &[ServiceName]) -> anyhow::Result<Value> {
        let (mut times, ctx) = (Vec::new(), self.ctx());
        for look in 0..LOOKS {
            let named = services.iter().cycle().skip(look).take(DESCRIBED.min(services.len()));
            let request: DescribeServicesRequest = read(json!({"services": named.collect::<Vec<_>>()}))?;
            let visible = self.cluster().read();
            let describe =
                || service::describe::describe_services(&visible.state, &ctx, &request).map_err(said);
            let (time, reply) = timed(describe)?;
            anyhow::ensure!(reply.failures.is_none_or(|failures| failures.is_empty()), "all are there");
            times.push(time);
        }
        Ok(summary(times))
    }
}

/// How long an answer takes, as JSON.
fn timed<T: Serialize>(look: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(Duration, T)> {
    let began = Instant::now();
    let reply = look()?;
    serde_json::to_vec(&reply).context("it is written")?;
    Ok((began.elapsed(), reply))
}
