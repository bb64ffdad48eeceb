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
        match world.range(0, 9) {
            0..=2 => self.stages(&mut configuration),
            3 | 4 => self.early(&mut configuration),
            5 => {
                configuration["strategy"] = "ROLLING".into();
                configuration["earlySuccessCriteria"] = json!({"enable": false});
                configuration["lifecycleHooks"] = self.hooks();
            }
            _ => {}
        }
        configuration
    }

    /// Has deployments succeed before all is done.
    fn early(&self, configuration: &mut Value) {
        let world = &self.world;
        let least = configuration["minimumHealthyPercent"].as_i64().unwrap_or(0) / 10;
        let cleanup = world.pick(&["BLOCKING", "DEFERRED"]).copied().unwrap_or_default();
        configuration["strategy"] = "ROLLING".into();
        configuration["bakeTimeInMinutes"] = world.range(0, 1).into();
        configuration["earlySuccessCriteria"] = json!({
            "enable": true, "healthyPercent": world.range(least, 10) * 10,
            "sourceServiceRevisionCleanup": cleanup,
        });
        if world.percent(30) {
            configuration["lifecycleHooks"] = self.hooks();
        }
    }

    /// Has deployments pause, at any of the stages.
    fn hooks(&self) -> Value {
        const STAGES: [&str; 6] = [
            "RECONCILE_SERVICE",
            "PRE_SCALE_UP",
            "POST_SCALE_UP",
            "POST_TEST_TRAFFIC_SHIFT",
            "PRE_PRODUCTION_TRAFFIC_SHIFT",
            "POST_PRODUCTION_TRAFFIC_SHIFT",
        ];
        let world = &self.world;
        let action = if world.percent(50) { "CONTINUE" } else { "ROLLBACK" };
        // One may come once for each step of the traffic.
        let (stages, most) = match world.percent(50) {
            true => (vec![STAGES[2], STAGES[5]], 8),
            false => (world.pick(&STAGES).copied().into_iter().collect(), 5),
        };
        json!([{
            "targetType": "PAUSE", "lifecycleStages": stages,
            "timeoutConfiguration": {"timeoutInMinutes": world.range(2, most), "action": action},
        }])
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
        configuration["earlySuccessCriteria"] = json!({"enable": false});
        if world.percent(40) {
            configuration["lifecycleHooks"] = self.hooks();
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
        self.in_subnets(&mut input);
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
            self.in_subnets(&mut input);
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

    /// Asks for the newest deployment of a service to be rolled back, or to be left where it is.
    pub(super) async fn stop_deployment(&self) {
        let Some(server) = self.world.server() else { return };
        let Some(visible) = server.state() else { return };
        let goes_on = |name: &ServiceName| {
            visible.state.service_deployment(name).is_some_and(|row| !row.status.has_ended())
        };
        let going: Vec<ServiceName> =
            visible.state.services().map(|row| row.name.clone()).filter(goes_on).collect();
        let own = ServiceName(self.service());
        let name = if self.world.percent(80) { self.world.pick(&going).cloned() } else { Some(own) };
        let Some(name) = name else { return };
        let Some(id) = visible.state.service_deployment(&name).map(|row| row.id.clone()) else { return };
        let ctx = server.homes.own().ctx("", self.world.now());
        let mut input = json!({"serviceDeploymentArn": arn::service_deployment(&ctx, CLUSTER, &name.0, &id)});
        drop((visible, server));
        match self.world.range(0, 4) {
            0 => {}
            1 | 2 => input["stopType"] = "ROLLBACK".into(),
            _ => input["stopType"] = "ABORT".into(),
        }
        if self.call("StopServiceDeployment", input).await.is_ok() {
            self.world.record.lock().halted(name, id);
        }
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
