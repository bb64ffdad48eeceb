//! Protection of tasks from being chosen to be stopped.

use ::ecs::cluster::{Desired, TaskId};
use serde_json::json;

use super::User;
use crate::server::CLUSTER;

impl User {
    /// Protects some tasks of services for a while, or ends that.
    pub(super) async fn protect(&self) {
        let Some(visible) = self.world.server().and_then(|server| server.state()) else { return };
        let live =
            visible.state.tasks().filter(|task| task.desired == Desired::Running && task.service.is_some());
        let live: Vec<TaskId> = live.map(|task| task.id).collect();
        drop(visible);
        let some = (0..self.world.range(1, 3)).filter_map(|_| self.world.pick(&live).copied());
        let tasks: std::collections::BTreeSet<TaskId> = some.collect();
        if tasks.is_empty() {
            return;
        }
        let (enabled, minutes) = (self.world.percent(75), self.world.range(1, 8));
        let names: Vec<String> = tasks.iter().map(TaskId::to_string).collect();
        let mut input = json!({"cluster": CLUSTER, "tasks": names, "protectionEnabled": enabled});
        if enabled {
            input["expiresInMinutes"] = minutes.into();
        }
        let alone = self.world.record.lock().protection_changes(&tasks);
        let asked_at = self.world.passed_ms();
        let outcome = self.call("UpdateTaskProtection", input).await;
        if let Ok(output) = outcome.as_ref()
            && enabled
        {
            let arns = output["protectedTasks"].as_array().into_iter().flatten();
            let ids = arns.filter_map(|task| TaskId::parse(task["taskArn"].as_str()?.rsplit('/').next()?));
            // It began when the call was carried out: later than it was made.
            self.world.record.lock().protects(ids, &alone, asked_at + minutes * 60_000);
        }
        self.world.record.lock().protection_changed(&tasks);
    }
}
