//! Tasks that belong to no service, and the end of any.

use ::ecs::cluster::{Desired, TaskId};
use serde_json::json;

use super::User;
use crate::server::CLUSTER;

impl User {
    pub(super) async fn run_tasks(&mut self) {
        let (definition, count) = (self.definition(), self.world.range(1, 10));
        self.run(definition, count).await;
    }

    /// Many at once.
    pub(super) async fn storm(&mut self) {
        for _ in 0..self.world.range(3, 8) {
            self.run("short:1".to_owned(), 10).await;
        }
    }

    pub(super) async fn run(&mut self, definition: String, count: i64) {
        self.runs += 1;
        let by = format!("u{}-{}", self.number, self.runs);
        self.world.record.lock().asks(by.clone(), usize::try_from(count).unwrap_or(0));
        let mut input = json!({
            "cluster": CLUSTER, "taskDefinition": definition, "count": count, "startedBy": by,
            "clientToken": by,
            "placementStrategy": [{"type": "spread", "field": "attribute:zone"}],
        });
        self.in_subnets(&mut input);
        let of_providers = self.world.percent(30);
        if of_providers {
            input["capacityProviderStrategy"] = self.strategy();
        }
        // Again with the same token, as an SDK does.
        for _ in 0..3 {
            match self.call("RunTask", input.clone()).await {
                Ok(output) => {
                    let mut tasks = output["tasks"].as_array().into_iter().flatten();
                    if of_providers && tasks.any(|task| task["capacityProviderName"].is_null()) {
                        self.world.fail("tasks that were asked of capacity providers are of none");
                    }
                    let arns = output["tasks"].as_array().into_iter().flatten();
                    let ids =
                        arns.filter_map(|task| TaskId::parse(task["taskArn"].as_str()?.rsplit('/').next()?));
                    self.world.record.lock().told_of(ids, self.world.passed_ms());
                    return;
                }
                Err(failed) if failed.is_refusal() => return,
                Err(_) => self.world.pause(100, 2_000).await,
            }
        }
    }

    pub(super) async fn stop(&self) {
        let Some(visible) = self.world.server().and_then(|server| server.state()) else { return };
        let live = visible.state.tasks().filter(|task| task.desired == Desired::Running);
        let live: Vec<TaskId> = live.map(|task| task.id).collect();
        drop(visible);
        let Some(task) = self.world.pick(&live).copied() else { return };
        let input = json!({"cluster": CLUSTER, "task": task.to_string(), "reason": "a user stops it"});
        if self.call("StopTask", input).await.is_ok() {
            self.world.record.lock().stops(task);
        }
    }

    /// StartTask on one or two hosts.
    pub(super) async fn start_on(&self) {
        let Some(visible) = self.world.server().and_then(|server| server.state()) else { return };
        let hosts: Vec<String> = visible.state.instances().map(|row| row.id.to_string()).collect();
        drop(visible);
        let Some(first) = self.world.pick(&hosts).cloned() else { return };
        let second = self.world.pick(&hosts).cloned().filter(|second| *second != first);
        let hosts: Vec<String> = second.into_iter().chain([first]).collect();
        let mut input =
            json!({"cluster": CLUSTER, "taskDefinition": self.definition(), "containerInstances": hosts});
        self.in_subnets(&mut input);
        drop(self.call("StartTask", input).await);
    }
}
