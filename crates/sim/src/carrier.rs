//! Who takes the cluster's events: each number once, each task's statuses in order.

use std::collections::BTreeMap;

use ::ecs::{Cluster, cluster::TaskId};
use state::contract::Tells;

/// Statuses in the order of a task's life.
const LIFE: [&str; 8] = [
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
];

/// What was taken so far.
#[derive(Debug, Default)]
pub struct Bus {
    taken: u64,
    /// By ARN, the last status of each task and the one that was wanted.
    tasks: BTreeMap<String, (String, String)>,
}

impl Bus {
    /// Takes what waits. Gives the highest number that was taken ever.
    ///
    /// # Errors
    /// What is out of order.
    pub fn accept(&mut self, state: &Cluster) -> Result<Option<u64>, String> {
        let before = self.taken;
        for event in state.outgoing().waiting().filter(|event| event.sequence > before) {
            self.taken = event.sequence;
            let detail = &event.detail;
            if event.detail_type != "ECS Task State Change" {
                continue;
            }
            let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
            let told = (text("lastStatus"), text("desiredStatus"));
            let rank = |status: &str| LIFE.iter().position(|known| *known == status);
            let before = self.tasks.insert(text("taskArn"), told.clone());
            if before.as_ref().is_some_and(|before| rank(&before.0) > rank(&told.0)) {
                return Err(format!("after {before:?} was told {told:?} of {}", detail["taskArn"]));
            }
        }
        Ok((self.taken > 0).then_some(self.taken))
    }

    /// What was told last of a task.
    pub fn last_of(&self, task: &TaskId) -> Option<(&str, &str)> {
        let arn = format!("arn:aws:ecs:us-east-1:000000000000:task/sim/{task}");
        self.tasks.get(&arn).map(|(last, desired)| (last.as_str(), desired.as_str()))
    }
}
