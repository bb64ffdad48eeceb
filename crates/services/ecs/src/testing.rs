//! What several tests of this crate share.

use std::{collections::BTreeMap, sync::Arc};

use ecs_model as ecs;
use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wire::Error;

use state::{
    Batch, Domain, Id128, Table,
    contract::{AlarmState, Alarms, Egress, Given, Interface, Network, Networks, NotANetwork, Wants},
};

use crate::{
    Cluster, Ctx, Ids, Txn,
    account::{self, Account},
    capacity,
    cluster::{Change, Desired, InstanceId, Keeps, Key, Ports, TaskRow, TaskStatus, looks},
    clusters, instance, invariants, service, task,
};

/// A fixed time and the default account.
pub fn ctx() -> Ctx {
    Ctx {
        now: wire::Timestamp(1_700_000_000_000),
        account: "000000000000".into(),
        region: "us-east-1".into(),
        partition: "aws".into(),
        caller_arn: "arn:aws:iam::000000000000:root".into(),
        agent: None,
    }
}

/// One cluster with an account, a clock that stands still until it is moved, and helpers in the words of the
/// API. Every step is checked against the invariants.
pub struct World {
    pub state: Cluster,
    pub account: Account,
    pub ctx: Ctx,
    pub ids: Ids,
    /// Whether somebody wants to hear of it.
    pub listened: bool,
    /// After how long without its agent a container instance is lost to services.
    pub lost_after_ms: Option<i64>,
    /// What alarms say, by name.
    pub alarms: Said,
    /// Which STOPPED tasks are kept beyond their hour.
    pub keeps: Option<Keeps>,
    /// What the last batch changed.
    pub changed: Vec<Key>,
    /// What it has stored.
    pub stored: Changes,
    /// How many rows it looked at.
    pub looked: usize,
}

/// Alarms that somebody evaluates.
#[derive(Debug, Clone, Default)]
pub struct Said(pub BTreeMap<String, AlarmState>);

impl Alarms for Said {
    fn alarm(&self, name: &str) -> Option<AlarmState> {
        self.0.get(name).cloned()
    }
}

/// Networks of one VPC: each subnet's name ends in the letter of its zone, and what begins otherwise is not there.
#[derive(Debug, Clone, Copy)]
pub struct Subnets;

impl Networks for Subnets {
    fn network(&self, subnets: &[String], groups: &[String]) -> Result<Network, NotANetwork> {
        let error = || Error::new("NotFound", 400, "It does not exist");
        if let Some(named) = subnets.iter().find(|name| !name.starts_with("subnet-")) {
            return Err(match named.as_str() {
                "other" => NotANetwork::SeveralVpcs,
                _ => NotANetwork::Subnet { named: named.clone(), error: error() },
            });
        }
        if let Some(named) = groups.iter().find(|name| !name.starts_with("sg-")) {
            return Err(match named.as_str() {
                "foreign" => NotANetwork::ForeignGroup(named.clone()),
                _ => NotANetwork::Group { named: named.clone(), error: error() },
            });
        }
        let zone = |name: &String| format!("us-east-1{}", &name[name.len() - 1..]);
        let subnets = subnets.iter().map(|name| (name.clone(), zone(name))).collect();
        Ok(Network { subnets, default_group: "sg-default".to_owned() })
    }
}

/// The interface that tasks are given.
pub fn interface(number: u8) -> Interface {
    Interface {
        id: format!("eni-{number}"),
        vpc: "vpc-1".to_owned(),
        vpc_blocks: vec!["10.0.0.0/16".to_owned()],
        subnet: "subnet-a".to_owned(),
        block: "10.0.1.0/24".to_owned(),
        zone: "us-east-1a".to_owned(),
        address: Some([10, 0, 1, number].into()),
        gateway: Some([10, 0, 1, 1].into()),
        mac: format!("0a:00:0a:00:01:{number:02x}"),
        private_name: Some(format!("ip-10-0-1-{number}.ec2.internal")),
        domain: "ec2.internal".to_owned(),
        groups: vec!["sg-1".to_owned()],
        egress: Egress::Nat,
        public: None,
    }
}

/// The last change of each row.
pub type Changes = BTreeMap<Key, Change>;

/// An identifier for a name of at most 16 bytes; identifiers sort as their names do.
pub fn id(name: &str) -> Id128 {
    let short = || {
        let mut bytes = [0; 16];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Id128(u128::from_be_bytes(bytes))
    };
    name.parse().unwrap_or_else(|_| short())
}

/// The name that such an identifier is for.
pub fn name(id: Id128) -> String {
    let bytes = id.0.to_be_bytes();
    String::from_utf8(bytes.into_iter().take_while(|byte| *byte != 0).collect()).unwrap()
}

/// Runs a command on an account. What it would store must read back as it was.
pub fn on_account<T>(
    account: &mut Account,
    ctx: &Ctx,
    command: impl FnOnce(&mut account::Txn) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut ids = Ids::new(1);
    let mut state = account.clone();
    let mut txn = state::Txn::new(&mut state, &(), ctx, &mut ids);
    let reply = command(&mut txn)?;
    for change in txn.changes() {
        if let account::Change::Put(row) = change {
            let path = account::Row::path(&row.key());
            assert_eq!(&account::Row::decode(&path, &row.encode()).unwrap(), row);
        }
    }
    *account = state;
    Ok(reply)
}

impl World {
    /// An empty cluster `c`, and two revisions each of the families `web`, `checked` (with a health check)
    /// and `port` (with a static host port).
    pub fn new() -> World {
        let account = Account::default();
        let row = clusters::create_cluster(&ctx(), &account, from(json!({"clusterName": "c"}))).unwrap();
        let mut world = World {
            state: Cluster::of(row),
            account,
            ctx: ctx(),
            ids: Ids::new(7),
            listened: false,
            lost_after_ms: None,
            alarms: Said::default(),
            keeps: None,
            changed: Vec::new(),
            stored: Changes::new(),
            looked: 0,
        };
        for _ in 0..2 {
            world.define("web", json!({}));
            world.define("checked", json!({"healthCheck": {"command": ["CMD", "true"]}}));
            world.define("port", json!({"portMappings": [{"containerPort": 80, "hostPort": 8080}]}));
        }
        world
    }

    /// Registers a task definition of one container `app` of 100 MiB.
    pub fn define(&mut self, family: &str, more: Value) {
        self.define_task(family, json!({}), more);
    }

    /// Likewise, with members of the task too.
    pub fn define_task(&mut self, family: &str, of_task: Value, more: Value) {
        let mut container = json!({"name": "app", "image": "busybox", "memory": 100, "cpu": 10});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let tags = json!([{"key": "from", "value": "definition"}]);
        let mut request = json!({"family": family, "containerDefinitions": [container], "tags": tags});
        request.as_object_mut().unwrap().extend(of_task.as_object().unwrap().clone());
        let ctx = self.ctx.clone();
        on_account(&mut self.account, &ctx, |txn| account::register_task_definition(txn, from(request)))
            .unwrap();
    }

    /// Runs a command.
    pub fn run<T>(&mut self, command: impl FnOnce(&mut Txn) -> Result<T, Error>) -> Result<T, Error> {
        let (reply, broken) = self.batch(|batch, ctx, ids| batch.command(ctx, ids, command));
        assert_eq!(broken, []);
        reply.expect("no assertion is broken")
    }

    /// Runs a batch: `work`, and the settling of what it touched. Gives what broke an assertion too.
    pub fn batch<T>(
        &mut self,
        work: impl FnOnce(&mut Batch<Cluster, Changes>, &Ctx, &mut Ids) -> T,
    ) -> (T, Vec<Key>) {
        let ports = Ports {
            account: Arc::new(self.account.clone()),
            listened: self.listened,
            lost_after_ms: self.lost_after_ms,
            alarms: Arc::new(self.alarms.clone()),
            networks: Arc::new(Subnets),
            keeps: self.keeps,
        };
        let mut batch = Batch::new(self.state.clone(), ports, Changes::new());
        looks::taken();
        let reply = work(&mut batch, &self.ctx, &mut self.ids);
        batch.settle(&self.ctx, &mut self.ids);
        self.looked = looks::taken();
        let done = batch.done();
        assert_eq!(invariants::check(&done.state), Vec::<String>::new());
        let most = state::limits::BATCH_CHANGES + state::limits::STEP_CHANGES + 200;
        assert!(done.keys.len() <= most, "{} changes in a batch", done.keys.len());
        let bytes = done.sink.values().map(|change| match change {
            Change::Put(row) => row.encode().len(),
            Change::Delete(_) => 0,
        });
        let bytes: usize = bytes.sum();
        assert!(
            bytes <= state::limits::BATCH_BYTES + 2 * state::limits::STEP_BYTES,
            "{bytes} bytes in a batch"
        );
        self.state = done.state;
        self.changed = done.keys.into_iter().collect();
        self.stored = done.sink;
        (reply, done.broken)
    }

    /// Calls an operation with a request in JSON.
    pub fn call<R: DeserializeOwned, T>(
        &mut self,
        operation: fn(&mut Txn, R) -> Result<T, Error>,
        request: Value,
    ) -> Result<T, Error> {
        self.run(|txn| operation(txn, from(request)))
    }

    /// Calls an operation that reads.
    pub fn look<R: DeserializeOwned, T>(
        &self,
        operation: fn(&Cluster, &Ctx, &R) -> Result<T, Error>,
        request: Value,
    ) -> Result<T, Error> {
        operation(&self.state, &self.ctx, &from(request))
    }

    /// A new connected container instance with so many MiB; gives its id.
    pub fn host(&mut self, memory: i32) -> String {
        self.host_with_gpus(memory, &[])
    }

    /// Likewise, in a zone.
    pub fn host_in(&mut self, zone: &str, memory: i32) -> String {
        self.host_with(memory, &[], Some(zone))
    }

    /// Likewise, with GPUs of these ids.
    pub fn host_with_gpus(&mut self, memory: i32, gpus: &[&str]) -> String {
        self.host_with(memory, gpus, None)
    }

    fn host_with(&mut self, memory: i32, gpus: &[&str], zone: Option<&str>) -> String {
        let number = |name: &str, value: i32| json!({"name": name, "type": "INTEGER", "integerValue": value});
        let able = [
            "ecs.capability.container-health-check",
            "com.amazonaws.ecs.capability.docker-remote-api.1.18",
            "com.amazonaws.ecs.capability.docker-remote-api.1.24",
        ];
        let mut resources = vec![number("CPU", 100_000), number("MEMORY", memory)];
        if !gpus.is_empty() {
            resources.push(json!({"name": "GPU", "type": "STRINGSET", "stringSetValue": gpus}));
        }
        let able = able.iter().map(|name| json!({"name": name}));
        let zone = zone.map(|zone| json!({"name": instance::ZONE, "value": zone}));
        let attributes: Vec<_> = able.chain(zone).collect();
        let request = json!({
            "totalResources": resources,
            "attributes": attributes,
        });
        let registered = self.call(instance::register::register_container_instance, request).unwrap();
        let arn = registered.container_instance.unwrap().container_instance_arn.unwrap();
        let id = arn.rsplit('/').next().unwrap().to_owned();
        self.connect(&id, true);
        id
    }

    /// A new connected container instance of a capacity provider; gives its id.
    pub fn host_of(&mut self, provider: &str, memory: i32) -> String {
        let number = |name: &str, value: i32| json!({"name": name, "type": "INTEGER", "integerValue": value});
        let able = "com.amazonaws.ecs.capability.docker-remote-api.1.18";
        let request = json!({
            "totalResources": [number("CPU", 100_000), number("MEMORY", memory)],
            "attributes": [{"name": able}, {"name": capacity::ATTRIBUTE, "value": provider}],
        });
        let registered = self.call(instance::register::register_container_instance, request).unwrap();
        let arn = registered.container_instance.unwrap().container_instance_arn.unwrap();
        let id = arn.rsplit('/').next().unwrap().to_owned();
        self.connect(&id, true);
        id
    }

    /// Makes a capacity provider, which does not grow, and gives it to the cluster, alone.
    pub fn provider(&mut self, name: &str) {
        self.providers(&[name]);
    }

    /// Likewise several.
    pub fn providers(&mut self, names: &[&str]) {
        for name in names {
            let request = json!({"name": name, "autoScalingGroupProvider": {"autoScalingGroupArn": name}});
            let ctx = self.ctx.clone();
            let create = account::providers::create;
            on_account(&mut self.account, &ctx, |txn| create(txn, from(request), None)).unwrap();
        }
        let put = json!({
            "cluster": "c", "capacityProviders": names, "defaultCapacityProviderStrategy": [],
        });
        self.call(capacity::attach::put_cluster_capacity_providers, put).unwrap();
    }

    /// Registers a task definition of daemons, of one container `app` of 100 MiB.
    pub fn define_daemon(&mut self, family: &str, more: Value) {
        let mut container = json!({"name": "app", "image": "busybox", "memory": 100, "cpu": 10});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = json!({"family": family, "containerDefinitions": [container]});
        let ctx = self.ctx.clone();
        let register = account::daemon::register_daemon_task_definition;
        on_account(&mut self.account, &ctx, |txn| register(txn, from(request))).unwrap();
    }

    /// The agent's socket opens, or ends.
    pub fn connect(&mut self, instance: &str, open: bool) {
        let (id, version) = (InstanceId::parse(instance).unwrap(), open.then(ecs::VersionInfo::default));
        let done = self.run(|txn| {
            instance::state::connection(txn, &id, version);
            Ok(())
        });
        done.unwrap();
    }

    /// Moves the clock, and lets everything happen that is due on the way.
    pub fn pass(&mut self, millis: i64) {
        let end = self.ctx.now.plus_millis(millis);
        while let Some(at) = self.state.agenda().wake_at().filter(|at| *at <= end) {
            self.ctx.now = self.ctx.now.max(at);
            self.tick();
        }
        self.ctx.now = end;
    }

    /// One tick at the time that it is.
    pub fn tick(&mut self) {
        let ((), broken) = self.batch(|batch, ctx, ids| batch.tick(ctx, ids));
        assert_eq!(broken, []);
    }

    /// The agent reports a task.
    pub fn report(&mut self, task: &str, status: &str, exit_code: Option<i32>) {
        let container = json!({"containerName": "app", "status": status});
        let mut request = json!({"task": task, "status": status, "containers": [container]});
        if let Some(code) = exit_code {
            request["containers"][0]["exitCode"] = code.into();
        }
        self.call(task::report::submit_task_state_change, request).unwrap();
    }

    /// EC2 does what is wanted of it: tasks hear of their interfaces, which it gives, or refuses with that code.
    pub fn ferry(&mut self, refused: Option<&str>) {
        let told = (4u8..).zip(self.state.concerned()).map(|(number, id)| {
            let given = match (self.state.wanted(id), refused) {
                (None, _) => Given::Gone,
                (Some(_), Some(code)) => Given::Refused { code: code.to_owned(), message: String::new() },
                (Some(_), None) => Given::Interface(Box::new(interface(number))),
            };
            (id, given)
        });
        let told: Vec<_> = told.collect();
        let left = self.run(|txn| Ok(Cluster::hear(txn, told))).unwrap();
        assert_eq!(left, []);
    }

    /// Agents do what is wanted: what shall run is RUNNING, what shall not is STOPPED, until nothing changes.
    pub fn obey(&mut self) {
        loop {
            let of = |task: &&Arc<TaskRow>| match task.desired {
                Desired::Running => task.last < TaskStatus::Running,
                Desired::Stopped => task.last < TaskStatus::Stopped,
            };
            let next = self.state.tasks().find(of).map(|task| (task.id.to_string(), task.desired));
            let Some((id, desired)) = next else { return };
            let exit_code = (desired == Desired::Stopped).then_some(143);
            self.report(&id, desired.as_str(), exit_code);
        }
    }

    /// Likewise, of those tasks alone that agents know: others wait for their interface.
    pub fn obey_for_agents(&mut self) {
        loop {
            let of = |task: &&Arc<TaskRow>| {
                let is_done = task.desired == Desired::Running && task.last == TaskStatus::Running;
                task.is_for_agent() && !is_done
            };
            let next = self.state.tasks().find(of).map(|task| (task.id.to_string(), task.desired));
            let Some((id, desired)) = next else { return };
            let exit_code = (desired == Desired::Stopped).then_some(143);
            self.report(&id, desired.as_str(), exit_code);
        }
    }

    /// The ids of the tasks that shall run, oldest first.
    pub fn live(&self) -> Vec<String> {
        let mut live: Vec<_> = self.state.tasks().filter(|task| task.desired == Desired::Running).collect();
        live.sort_by_key(|task| task.created_at);
        live.iter().map(|task| task.id.to_string()).collect()
    }

    /// How many tasks there are on a container instance that are not STOPPED.
    pub fn task_count(&self, instance: &str) -> usize {
        self.state.tasks_on(&InstanceId::parse(instance).unwrap()).count()
    }

    /// A task as the API shows it.
    pub fn task(&self, id: &str) -> ecs::Task {
        let reply = self.look(task::describe::describe_tasks, json!({"tasks": [id], "include": ["TAGS"]}));
        reply.unwrap().tasks.unwrap().remove(0)
    }

    /// A service as the API shows it.
    pub fn service(&self, name: &str) -> ecs::Service {
        let request = json!({"services": [name], "include": ["TAGS"]});
        let reply = self.look(service::describe::describe_services, request).unwrap();
        reply.services.unwrap().remove(0)
    }

    /// The messages of a service's events, oldest first, without what is different in every run.
    pub fn events(&self, name: &str) -> Vec<String> {
        let ids = Regex::new(r"(task|deployment|container-instance) [-/0-9a-z]+\)").unwrap();
        let events = self.service(name).events.unwrap();
        let text =
            |event: &ecs::ServiceEvent| ids.replace_all(event.message.as_ref().unwrap(), "$1)").into_owned();
        let prefix = format!("(service {name}) ");
        events.iter().rev().map(|event| text(event).strip_prefix(&prefix).unwrap().to_owned()).collect()
    }
}

/// A request from JSON.
pub fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The code and message of a refusal.
pub fn refusal<T>(result: Result<T, Error>) -> (String, String) {
    let error = result.err().expect("it is refused");
    (error.code().to_owned(), error.message().to_owned())
}
