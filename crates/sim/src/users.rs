//! Users: they run tasks, make, change and delete services, rules and schedules, stop tasks, and drain hosts, at the worst
//! moment. What ECS refuses is refused; that is part of life. What they were answered they write down.

use std::sync::Arc;

use ::ecs::{
    arn,
    cluster::{Desired, InstanceStatus, ServiceName, TaskId},
};
use serde_json::{Value, json};

use crate::{
    network::{As, Failed, Node, call},
    record::{Makes, Thing},
    server::{ACCOUNT, CLUSTER, REGION},
    world::World,
};

/// Families that run, and some that do not last, do not come, need a port, or are asked how they are.
const FAMILIES: [(&str, i32, i32); 8] = [
    ("small", 128, 128),
    ("large", 700, 512),
    ("crash", 128, 64),
    ("checked", 64, 64),
    ("gone", 32, 32),
    ("port", 64, 64),
    ("pair", 64, 64),
    ("short", 64, 64),
];
const ROLE: &str = "arn:aws:iam::000000000000:role/runs";

/// One of them.
pub struct User {
    world: Arc<World>,
    number: usize,
    /// How often it has asked for tasks.
    runs: usize,
    /// How many schedules it has made: each has a name of its own.
    schedules: usize,
    steps: usize,
}

impl User {
    /// The user of this number.
    pub fn new(world: &Arc<World>, number: usize) -> User {
        let (runs, schedules, steps) = Default::default();
        User { world: world.clone(), number, runs, schedules, steps }
    }

    async fn call(&self, operation: &'static str, input: Value) -> Result<Value, Failed> {
        self.call_of("ecs", operation, input).await
    }

    async fn call_of(
        &self,
        service: &'static str,
        operation: &'static str,
        input: Value,
    ) -> Result<Value, Failed> {
        call(&self.world, Node::User(self.number), &As::Administrator, (service, operation), input).await
    }

    /// Calls until it is known what came of it.
    async fn insist(
        &self,
        service: &'static str,
        operation: &'static str,
        input: Value,
    ) -> Result<Value, Failed> {
        loop {
            let outcome = self.call_of(service, operation, input.clone()).await;
            match outcome {
                Err(failed) if !failed.is_refusal() => self.world.pause(500, 5_000).await,
                known => return known,
            }
        }
    }

    /// A call that changes something of this user's own.
    async fn change(
        &self,
        (service, operation): (&'static str, &'static str),
        input: Value,
        thing: Thing,
        makes: Makes,
    ) {
        let under = self.world.record.lock().begin(thing, makes);
        let outcome = self.call_of(service, operation, input).await;
        let mut record = self.world.record.lock();
        match outcome {
            Ok(_) => record.done(under),
            Err(failed) if failed.is_refusal() => record.refused(under),
            Err(_) => {}
        }
    }

    /// Registers two revisions of each family, and has events told.
    pub async fn prepare(&self) {
        for (family, cpu, memory) in FAMILIES {
            for _ in 0..2 {
                let input = definition(family, cpu, memory);
                if let Err(Failed::Refused(error)) = self.insist("ecs", "RegisterTaskDefinition", input).await
                {
                    self.world.fail(format!("{family} is no task definition: {error}"));
                }
            }
        }
        if !self.world.percent(60) {
            return;
        }
        let rule = json!({"Name": "all", "EventPattern": "{\"source\":[\"aws.ecs\"]}"});
        let group = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/events");
        let targets = json!({"Rule": "all", "Targets": [{"Id": "t", "Arn": group}]});
        for (operation, input) in [("PutRule", rule), ("PutTargets", targets)] {
            if let Err(Failed::Refused(error)) = self.insist("events", operation, input).await {
                self.world.fail(format!("{operation} is refused: {error}"));
            }
        }
        let mut bus = self.world.bus.lock();
        (bus.rule_stands, bus.rule_stood_at) = (true, self.world.now());
    }

    /// Works for as long as there are faults.
    pub async fn work(mut self) {
        while self.world.is_storm() {
            self.world.pause(100, 25_000).await;
            self.steps += 1;
            self.act().await;
        }
    }

    async fn act(&mut self) {
        match self.world.range(0, 18) {
            0 | 1 => self.run_tasks().await,
            2 | 3 => self.create().await,
            4..=6 => self.update().await,
            7 => self.stop().await,
            8 => self.drain().await,
            9 => self.delete().await,
            10 => self.start_on().await,
            11 => self.stop_deployment().await,
            12 => self.daemon().await,
            13 => self.schedule().await,
            14 => self.unschedule().await,
            15 => self.rule().await,
            16 => self.storm().await,
            17 => self.go_on().await,
            _ => self.attribute().await,
        }
    }

    fn definition(&self) -> String {
        let family = self.world.pick(&FAMILIES).map_or("small", |(family, ..)| family);
        format!("{family}:{}", self.world.range(1, 2))
    }

    /// A service of this user's.
    fn service(&self) -> String {
        format!("s{}-{}", self.number, self.world.range(0, 3))
    }

    async fn run_tasks(&mut self) {
        let (definition, count) = (self.definition(), self.world.range(1, 10));
        self.run(definition, count).await;
    }

    /// Many at once.
    async fn storm(&mut self) {
        for _ in 0..self.world.range(3, 8) {
            self.run("short:1".to_owned(), 10).await;
        }
    }

    async fn run(&mut self, definition: String, count: i64) {
        self.runs += 1;
        let by = format!("u{}-{}", self.number, self.runs);
        self.world.record.lock().asks(by.clone(), usize::try_from(count).unwrap_or(0));
        let input = json!({
            "cluster": CLUSTER, "taskDefinition": definition, "count": count, "startedBy": by,
            "clientToken": by,
            "placementStrategy": [{"type": "spread", "field": "attribute:zone"}],
        });
        // Again with the same token, as an SDK does.
        for _ in 0..3 {
            match self.call("RunTask", input.clone()).await {
                Ok(output) => {
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

    fn configuration(&self) -> Value {
        let world = &self.world;
        let mut configuration = json!({
            "minimumHealthyPercent": world.range(0, 10) * 10,
            "maximumPercent": 100 + world.range(0, 10) * 10,
        });
        if world.percent(50) {
            configuration["deploymentCircuitBreaker"] =
                json!({"enable": true, "rollback": world.percent(70)});
        }
        if world.percent(20) {
            self.stages(&mut configuration);
        }
        configuration
    }

    /// Has deployments go by stages.
    fn stages(&self, configuration: &mut Value) {
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
                "timeoutConfiguration": {"timeoutInMinutes": 2, "action": action},
            }]);
        }
    }

    /// Says how a deployment goes on that pauses.
    async fn go_on(&self) {
        let Some(server) = self.world.server() else { return };
        let Some(visible) = server.state() else { return };
        let name = ServiceName(self.service());
        let Some(row) = visible.state.service_deployment(&name) else { return };
        let mut hooks = row.stage.iter().flat_map(|stage| &stage.hooks).map(|hook| hook.id.clone());
        let Some(hook) = hooks.next_back() else { return };
        let ctx = server.homes.own().ctx("", self.world.now());
        let arn = arn::service_deployment(&ctx, CLUSTER, &name.0, &row.id);
        let action = if self.world.percent(70) { "CONTINUE" } else { "ROLLBACK" };
        drop((visible, server));
        let input = json!({"serviceDeploymentArn": arn, "hookId": hook, "action": action});
        drop(self.call("ContinueServiceDeployment", input).await);
    }

    async fn create(&self) {
        let (world, name) = (&self.world, self.service());
        let desired = world.range(0, 8);
        let mut input = json!({
            "cluster": CLUSTER, "serviceName": name, "taskDefinition": self.definition(),
            "desiredCount": desired, "deploymentConfiguration": self.configuration(),
        });
        match world.range(0, 5) {
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
            _ => {}
        }
        self.change(("ecs", "CreateService"), input, Thing::Service(name), Makes::Be(desired)).await;
    }

    async fn update(&self) {
        let (world, name) = (&self.world, self.service());
        let desired = world.range(0, 10);
        let mut input = json!({"cluster": CLUSTER, "service": name, "desiredCount": desired});
        if world.percent(60) {
            input["taskDefinition"] = self.definition().into();
        }
        if world.percent(30) {
            input["forceNewDeployment"] = true.into();
        }
        if world.percent(20) {
            input["deploymentConfiguration"] = self.configuration();
        }
        self.change(("ecs", "UpdateService"), input, Thing::Service(name), Makes::Become(desired)).await;
    }

    async fn delete(&self) {
        let name = self.service();
        let input = json!({"cluster": CLUSTER, "service": name, "force": true});
        self.change(("ecs", "DeleteService"), input, Thing::Service(name), Makes::Gone).await;
    }

    async fn daemon(&self) {
        let input = if self.world.percent(60) {
            json!({"cluster": CLUSTER, "serviceName": "daemon", "taskDefinition": "small:1", "schedulingStrategy": "DAEMON"})
        } else {
            json!({"cluster": CLUSTER, "service": "daemon", "taskDefinition": format!("small:{}", self.world.range(1, 2))})
        };
        let operation = if input.get("serviceName").is_some() { "CreateService" } else { "UpdateService" };
        drop(self.call(operation, input).await);
    }

    async fn stop(&self) {
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

    async fn drain(&self) {
        let Some(visible) = self.world.server().and_then(|server| server.state()) else { return };
        let hosts: Vec<_> = visible.state.instances().map(|row| (row.id.to_string(), row.status)).collect();
        drop(visible);
        let Some((id, status)) = self.world.pick(&hosts).cloned() else { return };
        let status = if status == InstanceStatus::Active { "DRAINING" } else { "ACTIVE" };
        let input = json!({"cluster": CLUSTER, "containerInstances": [id], "status": status});
        drop(self.call("UpdateContainerInstancesState", input).await);
    }

    /// StartTask on one or two hosts.
    async fn start_on(&self) {
        let Some(visible) = self.world.server().and_then(|server| server.state()) else { return };
        let hosts: Vec<String> = visible.state.instances().map(|row| row.id.to_string()).collect();
        drop(visible);
        let Some(first) = self.world.pick(&hosts).cloned() else { return };
        let second = self.world.pick(&hosts).cloned().filter(|second| *second != first);
        let hosts: Vec<String> = second.into_iter().chain([first]).collect();
        let input =
            json!({"cluster": CLUSTER, "taskDefinition": self.definition(), "containerInstances": hosts});
        drop(self.call("StartTask", input).await);
    }

    /// Asks for the newest deployment of a service to be rolled back.
    async fn stop_deployment(&self) {
        let Some(server) = self.world.server() else { return };
        let Some(visible) = server.state() else { return };
        let name = ServiceName(self.service());
        let Some(row) = visible.state.service_deployment(&name) else { return };
        let ctx = server.homes.own().ctx("", self.world.now());
        let arn = arn::service_deployment(&ctx, CLUSTER, &name.0, &row.id);
        drop((visible, server));
        drop(self.call("StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await);
    }

    async fn attribute(&self) {
        let Some(visible) = self.world.server().and_then(|server| server.state()) else { return };
        let hosts: Vec<String> = visible.state.instances().map(|row| row.id.to_string()).collect();
        drop(visible);
        let Some(host) = self.world.pick(&hosts).cloned() else { return };
        let zone = self.world.pick(&["a", "b", "c"]).copied().unwrap_or("a");
        let attribute =
            json!({"name": "zone", "value": zone, "targetType": "container-instance", "targetId": host});
        drop(self.call("PutAttributes", json!({"cluster": CLUSTER, "attributes": [attribute]})).await);
    }

    async fn schedule(&mut self) {
        self.schedules += 1;
        let name = format!("d{}-{}", self.number, self.schedules);
        let input = json!({
            "Name": name, "ScheduleExpression": "rate(1 minute)", "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{CLUSTER}"), "RoleArn": ROLE,
                "EcsParameters": {
                    "TaskDefinitionArn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/short:1"),
                    "TaskCount": self.world.range(1, 2),
                },
            },
        });
        self.change(("scheduler", "CreateSchedule"), input, Thing::Schedule(name), Makes::Be(1)).await;
    }

    async fn unschedule(&mut self) {
        if self.schedules == 0 {
            return;
        }
        let last = i64::try_from(self.schedules).unwrap_or(1);
        let name = format!("d{}-{}", self.number, self.world.range(1, last));
        let input = json!({"Name": name});
        self.change(("scheduler", "DeleteSchedule"), input, Thing::Schedule(name), Makes::Gone).await;
    }

    /// Makes a rule that runs a task now and then, or deletes it.
    async fn rule(&mut self) {
        let name = format!("r{}-{}", self.number, self.world.range(0, 1));
        if self.world.percent(40) {
            self.remove_rule(name).await;
            return;
        }
        let input = json!({"Name": name, "ScheduleExpression": "rate(2 minutes)"});
        let thing = Thing::Rule(name.clone());
        self.change(("events", "PutRule"), input, thing, Makes::Be(1)).await;
        let target = json!({
            "Id": "t", "Arn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{CLUSTER}"), "RoleArn": ROLE,
            "EcsParameters": {"TaskDefinitionArn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/short:2"), "TaskCount": 1},
        });
        drop(self.call_of("events", "PutTargets", json!({"Rule": name, "Targets": [target]})).await);
    }

    async fn remove_rule(&self, name: String) {
        drop(self.call_of("events", "RemoveTargets", json!({"Rule": name, "Ids": ["t"]})).await);
        let input = json!({"Name": name});
        self.change(("events", "DeleteRule"), input, Thing::Rule(name), Makes::Gone).await;
    }

    /// Takes away what would never come to rest.
    pub async fn leave(&self, most: usize) {
        for schedule in 1..=most {
            let name = format!("d{}-{schedule}", self.number);
            self.world.record.lock().forget(&Thing::Schedule(name.clone()));
            drop(self.insist("scheduler", "DeleteSchedule", json!({"Name": name})).await);
        }
        for rule in 0..2 {
            let name = format!("r{}-{rule}", self.number);
            self.world.record.lock().forget(&Thing::Rule(name.clone()));
            drop(self.insist("events", "RemoveTargets", json!({"Rule": name, "Ids": ["t"]})).await);
            drop(self.insist("events", "DeleteRule", json!({"Name": name})).await);
        }
    }
}

/// What is registered of a family.
fn definition(family: &str, cpu: i32, memory: i32) -> Value {
    let mut app = json!({"name": "app", "image": "busybox", "cpu": cpu, "memory": memory, "essential": true});
    match family {
        "checked" => {
            app["healthCheck"] =
                json!({"command": ["CMD", "true"], "interval": 20, "retries": 2, "startPeriod": 10});
        }
        "port" => app["portMappings"] = json!([{"containerPort": 80, "hostPort": 8080}]),
        _ => {}
    }
    let mut containers = vec![app];
    if family == "pair" {
        containers.push(json!({
            "name": "beside", "image": "busybox", "cpu": cpu, "memory": memory, "essential": false,
            "dependsOn": [{"containerName": "app", "condition": "START"}],
        }));
    }
    json!({"family": family, "containerDefinitions": containers})
}
