//! Services, and the deployments of them.

use ::ecs::{
    Cluster, arn,
    cluster::{DeploymentLifecycleHookStatus, ServiceName},
};
use serde_json::{Value, json};

use super::User;
use crate::{
    record::{Makes, Thing},
    server::CLUSTER,
};

impl User {
    pub(super) fn configuration(&self) -> Value {
        let world = &self.world;
        let mut configuration = json!({
            "minimumHealthyPercent": world.range(0, 10) * 10,
            "maximumPercent": 100 + world.range(0, 10) * 10,
        });
        if world.percent(50) {
            configuration["deploymentCircuitBreaker"] =
                json!({"enable": true, "rollback": world.percent(70)});
        }
        if world.percent(30) {
            self.stages(&mut configuration);
        }
        configuration
    }

    /// Has deployments go by stages.
    pub(super) fn stages(&self, configuration: &mut Value) {
        let world = &self.world;
        let strategy = world.pick(&["BLUE_GREEN", "LINEAR", "CANARY"]).copied().unwrap_or_default();
        configuration["strategy"] = strategy.into();
        configuration["bakeTimeInMinutes"] = world.range(0, 2).into();
        let bake = world.range(0, 1);
        match strategy {
            "LINEAR" => {
                configuration["linearConfiguration"] =
                    json!({"stepPercent": 30.0, "stepBakeTimeInMinutes": bake});
            }
            "CANARY" => {
                configuration["canaryConfiguration"] =
                    json!({"canaryPercent": 10.0, "canaryBakeTimeInMinutes": bake});
            }
            _ => {}
        }
        if world.percent(40) {
            let action = if world.percent(50) { "CONTINUE" } else { "ROLLBACK" };
            configuration["lifecycleHooks"] = json!([{
                "targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP", "POST_PRODUCTION_TRAFFIC_SHIFT"],
                "timeoutConfiguration": {"timeoutInMinutes": world.range(2, 8), "action": action},
            }]);
        }
    }

    /// Says how a deployment goes on that pauses.
    pub(super) async fn go_on(&self) {
        let Some(server) = self.world.server() else { return };
        let Some(visible) = server.state() else { return };
        let waiting: Vec<(ServiceName, String, String)> =
            visible.state.services().filter_map(|row| waits(&visible.state, &row.name)).collect();
        let Some((name, id, hook)) = self.world.pick(&waiting).cloned() else { return };
        let ctx = server.homes.own().ctx("", self.world.now());
        let arn = arn::service_deployment(&ctx, CLUSTER, &name.0, &id);
        let action = if self.world.percent(70) { "CONTINUE" } else { "ROLLBACK" };
        drop((visible, server));
        let input = json!({"serviceDeploymentArn": arn, "hookId": hook, "action": action});
        if self.call("ContinueServiceDeployment", input).await.is_ok() {
            self.world.record.lock().answered(hook);
        }
    }

    pub(super) async fn create(&self) {
        let (world, name) = (&self.world, self.service());
        let desired = world.range(0, 8) * world.scale();
        let mut input = json!({
            "cluster": CLUSTER, "serviceName": name, "taskDefinition": self.definition(),
            "desiredCount": desired, "deploymentConfiguration": self.configuration(),
        });
        if world.percent(30) {
            input["capacityProviderStrategy"] = self.strategy();
        }
        match world.range(0, 8) {
            0 => input["placementConstraints"] = json!([{"type": "distinctInstance"}]),
            1 => {
                input["placementConstraints"] =
                    json!([{"type": "memberOf", "expression": "attribute:zone != c"}])
            }
            2 => input["placementStrategy"] = json!([{"type": "binpack", "field": "memory"}]),
            3 => input["placementStrategy"] = json!([{"type": "random"}]),
            4 => {
                input["placementStrategy"] = json!([{"type": "spread", "field": "attribute:zone"}, {"type": "spread", "field": "instanceId"}])
            }
            5 => {
                input["placementStrategy"] =
                    json!([{"type": "spread", "field": "attribute:ecs.availability-zone"}])
            }
            _ => {}
        }
        if world.percent(20) {
            input["availabilityZoneRebalancing"] =
                (if world.percent(60) { "ENABLED" } else { "DISABLED" }).into();
        }
        self.change(("ecs", "CreateService"), input, Thing::Service(name), Makes::Be(desired)).await;
    }

    pub(super) async fn update(&self) {
        let (world, name) = (&self.world, self.service());
        let desired = world.range(0, 10) * world.scale();
        let mut input = json!({"cluster": CLUSTER, "service": name, "desiredCount": desired});
        if world.percent(60) {
            input["taskDefinition"] = self.definition().into();
        }
        if world.percent(30) {
            input["forceNewDeployment"] = true.into();
            if world.percent(30) {
                input["capacityProviderStrategy"] = self.strategy();
            }
        }
        if world.percent(20) {
            input["deploymentConfiguration"] = self.configuration();
        }
        if world.percent(15) {
            input["availabilityZoneRebalancing"] =
                (if world.percent(70) { "ENABLED" } else { "DISABLED" }).into();
        }
        self.change(("ecs", "UpdateService"), input, Thing::Service(name), Makes::Become(desired)).await;
    }

    pub(super) async fn delete(&self) {
        let name = self.service();
        let input = json!({"cluster": CLUSTER, "service": name, "force": true});
        self.change(("ecs", "DeleteService"), input, Thing::Service(name), Makes::Gone).await;
    }

    /// Asks for the newest deployment of a service to be rolled back.
    pub(super) async fn stop_deployment(&self) {
        let Some(server) = self.world.server() else { return };
        let Some(visible) = server.state() else { return };
        let name = ServiceName(self.service());
        let Some(row) = visible.state.service_deployment(&name) else { return };
        let ctx = server.homes.own().ctx("", self.world.now());
        let arn = arn::service_deployment(&ctx, CLUSTER, &name.0, &row.id);
        drop((visible, server));
        drop(self.call("StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await);
    }

    pub(super) async fn daemon(&self) {
        let input = if self.world.percent(60) {
            json!({"cluster": CLUSTER, "serviceName": "daemon", "taskDefinition": "small:1", "schedulingStrategy": "DAEMON"})
        } else {
            json!({"cluster": CLUSTER, "service": "daemon", "taskDefinition": format!("small:{}", self.world.range(1, 2))})
        };
        let operation = if input.get("serviceName").is_some() { "CreateService" } else { "UpdateService" };
        drop(self.call(operation, input).await);
    }
}

/// The newest deployment of a service and a hook at which it waits.
fn waits(state: &Cluster, name: &ServiceName) -> Option<(ServiceName, String, String)> {
    let row = state.service_deployment(name)?;
    let mut hooks = row.stage.iter().flat_map(|stage| &stage.hooks);
    let hook = hooks.find(|hook| hook.status == DeploymentLifecycleHookStatus::AwaitingAction)?;
    Some((name.clone(), row.id.clone(), hook.id.clone()))
}
