//! Container instances: drained and taken back, and what they are called.

use ::ecs::{capacity, cluster::InstanceStatus};
use serde_json::json;

use super::User;
use crate::{
    machine::{MANAGED, PROVIDERS},
    server::CLUSTER,
};

impl User {
    pub(super) async fn drain(&self) {
        let Some(visible) = self.world.server().and_then(|server| server.state()) else { return };
        let hosts: Vec<_> = visible.state.instances().map(|row| (row.id.to_string(), row.status)).collect();
        drop(visible);
        let Some((id, status)) = self.world.pick(&hosts).cloned() else { return };
        let status = if status == InstanceStatus::Active { "DRAINING" } else { "ACTIVE" };
        let input = json!({"cluster": CLUSTER, "containerInstances": [id], "status": status});
        drop(self.call("UpdateContainerInstancesState", input).await);
    }

    pub(super) async fn attribute(&self) {
        let Some(visible) = self.world.server().and_then(|server| server.state()) else { return };
        let hosts: Vec<String> = visible.state.instances().map(|row| row.id.to_string()).collect();
        drop(visible);
        let Some(host) = self.world.pick(&hosts).cloned() else { return };
        let zone = self.world.pick(&["a", "b", "c"]).copied().unwrap_or("a");
        let attribute =
            json!({"name": "zone", "value": zone, "targetType": "container-instance", "targetId": host});
        drop(self.call("PutAttributes", json!({"cluster": CLUSTER, "attributes": [attribute]})).await);
    }

    /// Gives a host to another capacity provider, until its agent says again whose it is.
    pub(super) async fn belong(&self) {
        let Some(visible) = self.world.server().and_then(|server| server.state()) else { return };
        let hosts: Vec<String> = visible.state.instances().map(|row| row.id.to_string()).collect();
        drop(visible);
        let Some(host) = self.world.pick(&hosts).cloned() else { return };
        let provider = self.world.pick(&[PROVIDERS[0], PROVIDERS[1], MANAGED]).copied().unwrap_or_default();
        let attribute = json!({
            "name": capacity::ATTRIBUTE, "value": provider, "targetType": "container-instance", "targetId": host,
        });
        drop(self.call("PutAttributes", json!({"cluster": CLUSTER, "attributes": [attribute]})).await);
    }
}
