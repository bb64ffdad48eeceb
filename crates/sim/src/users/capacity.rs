//! Capacity providers: what there is of them, whether they grow, and which strategies name them. That their machines come
//! and go is their machines' own affair.

use serde_json::{Value, json};

use super::User;
use crate::{
    machine::{MANAGED, PROVIDERS},
    record::{Makes, Thing},
    server::CLUSTER,
};

impl User {
    /// Two that stay, of which the first one grows; and often one of managed instances.
    pub(super) async fn prepare_capacity(&self) {
        for (number, name) in PROVIDERS.iter().enumerate() {
            self.must("ecs", "CreateCapacityProvider", provider(name, number == 0)).await;
        }
        self.must("ecs", "PutClusterCapacityProviders", of_cluster(&PROVIDERS, json!([]))).await;
        if self.world.percent(60) {
            self.make_managed().await;
        }
    }

    /// Over one or both of them, or of managed instances, which may not be there.
    pub(super) fn strategy(&self) -> Value {
        let item = |name: &str, base: i64, weight: i64| json!({"capacityProvider": name, "base": base, "weight": weight});
        let (world, [one, other]) = (&self.world, PROVIDERS);
        match world.range(0, 4) {
            0 => json!([item(one, 0, 1)]),
            1 => json!([item(other, 0, 1)]),
            2 => json!([item(one, world.range(0, 3), 1), item(other, 0, world.range(1, 3))]),
            3 => json!([item(MANAGED, 0, 1)]),
            _ => json!([item(one, 0, world.range(0, 2)), item(other, 1, 1)]),
        }
    }

    pub(super) async fn capacity(&self) {
        let world = &self.world;
        match world.range(0, 6) {
            0 | 1 => {
                let name = world.pick(&PROVIDERS).copied().unwrap_or_default();
                let status = if world.percent(70) { "ENABLED" } else { "DISABLED" };
                let scaling = json!({"managedScaling": {"status": status}});
                let input = json!({"name": name, "autoScalingGroupProvider": scaling});
                drop(self.call("UpdateCapacityProvider", input).await);
            }
            2 => {
                let by_default = if world.percent(40) { self.strategy() } else { json!([]) };
                let input = of_cluster(&PROVIDERS, by_default);
                drop(self.call("PutClusterCapacityProviders", input).await);
            }
            3 => {
                drop(self.call("CreateCapacityProvider", provider("spare", true)).await);
                let named = [PROVIDERS[0], PROVIDERS[1], "spare"];
                drop(self.call("PutClusterCapacityProviders", of_cluster(&named, json!([]))).await);
            }
            4 => self.managed().await,
            5 => {
                let more = json!({"propagateTags": "NONE", "infrastructureRoleArn": "arn:aws:iam::000000000000:role/r",
                    "instanceLaunchTemplate": {"monitoring": "BASIC"}});
                let input = json!({"name": MANAGED, "cluster": CLUSTER, "managedInstancesProvider": more});
                drop(self.call("UpdateCapacityProvider", input).await);
            }
            _ => {
                // One that the cluster uses stays.
                let kept = world.pick(&PROVIDERS).copied().unwrap_or_default();
                let input = of_cluster(&[kept], json!([]));
                if world.percent(10) && self.call("PutClusterCapacityProviders", input).await.is_ok() {
                    let all = of_cluster(&PROVIDERS, json!([]));
                    self.must("ecs", "PutClusterCapacityProviders", all).await;
                }
                drop(self.call("DeleteCapacityProvider", json!({"capacityProvider": "spare"})).await);
            }
        }
    }

    /// One user alone makes and deletes that of managed instances.
    async fn managed(&self) {
        if self.number > 0 {
            return;
        }
        if self.world.percent(60) {
            return self.make_managed().await;
        }
        let input = json!({"capacityProvider": MANAGED, "cluster": CLUSTER});
        let under = self.world.record.lock().begin(Thing::Provider(MANAGED.to_owned()), Makes::Gone);
        let outcome = self.call("DeleteCapacityProvider", input).await;
        let is_begun =
            outcome.is_ok_and(|shown| shown["capacityProvider"]["updateStatus"] != "DELETE_FAILED");
        // What is refused may be begun still.
        if is_begun {
            self.world.record.lock().done(under);
        }
    }

    async fn make_managed(&self) {
        let template = json!({
            "ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/p",
            "networkConfiguration": {"subnets": ["subnet-12345678"]},
        });
        let input = json!({"name": MANAGED, "cluster": CLUSTER, "managedInstancesProvider": {
            "infrastructureRoleArn": "arn:aws:iam::000000000000:role/r", "instanceLaunchTemplate": template,
        }});
        let under = self.world.record.lock().begin(Thing::Provider(MANAGED.to_owned()), Makes::Be(1));
        if self.call("CreateCapacityProvider", input).await.is_ok() {
            self.world.record.lock().done(under);
        }
    }
}

fn of_cluster(names: &[&str], by_default: Value) -> Value {
    json!({"cluster": CLUSTER, "capacityProviders": names, "defaultCapacityProviderStrategy": by_default})
}

fn provider(name: &str, grows: bool) -> Value {
    let status = if grows { "ENABLED" } else { "DISABLED" };
    json!({"name": name, "autoScalingGroupProvider": {
        "autoScalingGroupArn": format!("group-of-{name}"),
        "managedScaling": {"status": status}, "managedTerminationProtection": "DISABLED",
    }})
}
