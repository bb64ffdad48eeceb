//! Services of task sets: what each runs, somebody else says.

use ::ecs::cluster::{DeploymentId, ServiceName};
use serde_json::json;

use super::User;
use crate::{
    record::{Makes, Thing},
    server::CLUSTER,
};

impl User {
    fn service_of_sets(&self) -> String {
        format!("x{}-{}", self.number, self.world.range(0, 1))
    }

    /// A task set of a service of this user's, if there is any.
    fn task_set(&self, service: &str) -> Option<DeploymentId> {
        let visible = self.world.server()?.state()?;
        let name = ServiceName(service.into());
        let sets: Vec<DeploymentId> = visible.state.task_sets(&name).map(|set| set.id).collect();
        self.world.pick(&sets).copied()
    }

    fn is_there(&self, service: &str) -> bool {
        let visible = self.world.server().and_then(|server| server.state());
        visible.is_some_and(|visible| visible.state.service(&ServiceName(service.into())).is_some())
    }

    /// Does something with one of its services of task sets.
    pub(super) async fn set_of_tasks(&self) {
        let (world, name) = (&self.world, self.service_of_sets());
        let percent = world.range(0, 10) * 10;
        let scale = json!({"unit": "PERCENT", "value": percent});
        let mut input = json!({"cluster": CLUSTER, "service": name});
        let set = self.task_set(&name);
        let what = if self.is_there(&name) { world.range(1, 9) } else { world.range(0, 1) };
        match (what, set) {
            (0, _) => {
                let thing = Thing::Service(name.clone());
                let desired = world.range(0, 6);
                let input = json!({
                    "cluster": CLUSTER, "serviceName": name, "desiredCount": desired,
                    "deploymentController": {"type": "EXTERNAL"},
                });
                self.change(("ecs", "CreateService"), input, thing, Makes::Be(desired)).await;
            }
            (1, _) => {
                let (desired, thing) = (world.range(0, 8), Thing::Service(name));
                input["desiredCount"] = desired.into();
                self.change(("ecs", "UpdateService"), input, thing, Makes::Become(desired)).await;
            }
            (2, _) if world.percent(30) => {
                input["force"] = true.into();
                let thing = Thing::Service(name);
                self.change(("ecs", "DeleteService"), input, thing, Makes::Gone).await;
            }
            (2..=4, _) | (_, None) => {
                input["taskDefinition"] = self.definition().into();
                self.in_subnets(&mut input);
                input["scale"] = scale;
                if world.percent(35) {
                    input["capacityProviderStrategy"] = self.strategy();
                }
                if let Ok(output) = self.call("CreateTaskSet", input).await
                    && let Some(id) = output["taskSet"]["id"].as_str().and_then(|id| id.parse().ok())
                {
                    self.world.record.lock().is(Thing::TaskSet(name, id), percent);
                }
            }
            (5 | 6, Some(set)) => {
                (input["taskSet"], input["scale"]) = (set.to_string().into(), scale);
                let thing = Thing::TaskSet(name, set);
                if self.world.record.lock().knows(&thing) {
                    self.change(("ecs", "UpdateTaskSet"), input, thing, Makes::Become(percent)).await;
                } else if self.call("UpdateTaskSet", input).await.is_ok() {
                    self.world.record.lock().is(thing, percent);
                }
            }
            (7, Some(set)) => {
                input["primaryTaskSet"] = set.to_string().into();
                drop(self.call("UpdateServicePrimaryTaskSet", input).await);
            }
            (_, Some(set)) => {
                input["taskSet"] = set.to_string().into();
                if world.percent(60) {
                    input["force"] = true.into();
                }
                drop(self.call("DeleteTaskSet", input).await);
            }
        }
    }
}
