//! An agent at work on its machine: it registers, keeps its two sockets, takes assignments in before it acknowledges them,
//! and tells the control plane what becomes of them until that has heard. It ends when the control plane says that this
//! host is none of its own any more.

mod keep;
mod life;
mod link;

pub use self::life::live;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ::agent::{
    admission::Admission,
    ledger::{self, AcsCursor, Ledger},
    lower,
    task::{Fact, HealthStatus},
};
use agent_protocol::{acs, agent_key::AgentKey};
use ecs_model::SubmitTaskStateChangeRequest;
use engine::ContainerId;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    actor::Actor,
    breaks::Break,
    machine::{self, Machine},
    network::{AgentEnd, As, Failed, Node, call},
    process::Process,
    server::{CLUSTER, NEW_AGENTS, REGION},
    world::World,
};

/// Something that is to be done at a time.
pub enum Due {
    Fact(String, Fact),
    Step(String),
    Save(String),
    Removed(String),
    Reported(String),
    Register,
    Acs,
    Tcs,
    Publish,
    Health,
    /// The sockets break.
    Cut,
}

/// What came of something that was done beside.
enum Done {
    Registered(Result<Value, Failed>),
    Reported(String),
    Acs(Result<AgentEnd, Failed>),
    Tcs(Result<AgentEnd, Failed>),
    Keyed(Result<(), ledger::Error>),
    Settled(String, Result<(), ledger::Error>),
    Assigned(String),
    Taken(keep::Taken),
    Manifest(keep::Manifested),
    Saved(String, u64, bool),
    Nothing,
}

/// See the module.
pub struct Agent {
    pub world: Arc<World>,
    pub machine: Arc<Machine>,
    /// What the ledger's writes end with.
    process: Arc<Process>,
    ledger: Ledger,
    pub admission: Admission,
    pub tasks: BTreeMap<String, Actor>,
    /// Those that are over: an assignment that is late does not begin them again.
    pub finished: BTreeSet<String>,
    node: Node,
    agenda: BTreeMap<(i64, u64), Due>,
    order: u64,
    jobs: JoinSet<Done>,
    key: AgentKey,
    /// Whether the control plane may know the key.
    bound: bool,
    /// The container instance, once it is registered in this life.
    instance: Option<String>,
    acs: Option<AgentEnd>,
    tcs: Option<AgentEnd>,
    /// Counts connections.
    session: u64,
    /// Something that came by it is written down first.
    is_deaf: bool,
    manifest: Option<String>,
    cursor: AcsCursor,
    heard_at: Instant,
    told: BTreeMap<ContainerId, HealthStatus>,
    deregistered: bool,
    /// The ledger could not be written where nothing goes on without it.
    is_over: bool,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// Every capability that tasks of users ask for.
const CAPABILITIES: [&str; 8] = [
    "ecs.capability.container-health-check",
    "ecs.capability.container-ordering",
    "ecs.capability.container-restart-policy",
    "ecs.capability.task-eni",
    "com.amazonaws.ecs.capability.docker-remote-api.1.18",
    "com.amazonaws.ecs.capability.docker-remote-api.1.24",
    "com.amazonaws.ecs.capability.docker-remote-api.1.25",
    "com.amazonaws.ecs.capability.docker-remote-api.1.29",
];

impl Agent {
    /// Begins on a machine, with what an agent before it left there.
    pub fn begin(world: &Arc<World>, machine: &Arc<Machine>) -> Agent {
        let admission = {
            let host = machine.host.lock();
            let size = |size: i32| u64::try_from(size).unwrap_or(0);
            Admission::new(size(host.cpu), size(host.memory))
        };
        let process = Process::begin(world);
        let ledger = keep::open(world, machine, &process);
        let mut agent = Agent {
            world: world.clone(),
            machine: machine.clone(),
            process,
            cursor: ledger.acs().unwrap_or_default(),
            ledger,
            admission,
            tasks: BTreeMap::new(),
            finished: BTreeSet::new(),
            node: Node::Machine(machine.number),
            agenda: BTreeMap::new(),
            order: 0,
            jobs: JoinSet::new(),
            key: AgentKey { access_key_id: String::new(), secret_access_key: String::new() },
            bound: true,
            instance: None,
            acs: None,
            tcs: None,
            session: 0,
            is_deaf: false,
            manifest: None,
            heard_at: Instant::now(),
            told: BTreeMap::new(),
            deregistered: false,
            is_over: false,
        };
        agent.adopt();
        if agent.open_key() {
            agent.plan_at(world.now_ms(), Due::Register);
        }
        agent
    }

    /// Puts something on the agenda.
    pub fn plan_at(&mut self, at_ms: i64, due: Due) {
        self.order += 1;
        self.agenda.insert((at_ms, self.order), due);
    }

    fn plan_in(&mut self, low: i64, high: i64, due: Due) {
        let at = self.world.now_ms() + self.world.range(low, high);
        self.plan_at(at, due);
    }

    /// Works until this host is no container instance any more, which is true, or its ledger cannot be written.
    pub async fn run(&mut self) -> bool {
        if self.world.is_storm() {
            self.plan_in(20_000, 400_000, Due::Cut);
        }
        while !self.deregistered && !self.is_over {
            self.turn();
            let wake = self.wake();
            tokio::select! {
                biased;
                text = heard(&mut self.acs), if !self.is_deaf => self.hear_acs(text),
                text = heard(&mut self.tcs) => self.hear_tcs(text),
                Some(Ok(done)) = self.jobs.join_next(), if !self.jobs.is_empty() => self.done(done),
                () = sleep_until(wake) => {}
            }
        }
        self.deregistered
    }

    /// Does what is due.
    fn turn(&mut self) {
        self.hear_engine();
        self.take_strays();
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.world.now_ms())
        {
            match entry.remove() {
                Due::Fact(id, fact) => {
                    let probed = matches!(fact, Fact::Probed { .. });
                    self.tell(&id, fact);
                    if probed {
                        self.plan_in(50, 50, Due::Health);
                    }
                }
                Due::Step(id) => self.step(&id),
                Due::Save(id) => self.save(&id),
                Due::Removed(id) => self.removed(&id),
                Due::Reported(id) => self.reported(&id),
                Due::Register => self.register(),
                Due::Acs => self.connect_acs(),
                Due::Tcs => self.connect_tcs(),
                Due::Publish => self.publish(),
                Due::Health => self.tell_health(),
                Due::Cut => self.cut(),
            }
        }
    }

    fn wake(&self) -> Instant {
        let due = self.agenda.keys().next().map(|(at, _)| *at);
        let end = self.machine.host.lock().engine.next_end();
        let wait = match due.into_iter().chain(end).min() {
            Some(at) => (at - self.world.now_ms()).max(0).unsigned_abs(),
            None => 3_600_000,
        };
        Instant::now() + Duration::from_millis(wait)
    }

    fn cut(&mut self) {
        if !self.world.is_storm() {
            return;
        }
        self.world.fault();
        if self.acs.is_some() {
            self.lose_acs(10, 2_000);
        }
        if self.tcs.take().is_some() {
            self.plan_in(10, 2_000, Due::Tcs);
        }
        self.plan_in(20_000, 400_000, Due::Cut);
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Registered(outcome) => self.registered(outcome),
            Done::Reported(id) if id.is_empty() => {}
            Done::Reported(id) => self.reported(&id),
            Done::Acs(Ok(socket)) => {
                (self.acs, self.cursor.timeline, self.heard_at) = (Some(socket), None, Instant::now());
                (self.session, self.is_deaf) = (self.session + 1, false);
            }
            Done::Tcs(Ok(socket)) => {
                self.tcs = Some(socket);
                self.told.clear();
                self.plan_in(0, 1_000, Due::Publish);
                self.plan_in(0, 1_000, Due::Health);
            }
            Done::Acs(Err(Failed::Refused(error))) if error.code() == "InactiveInstanceException" => {
                self.deregistered = true;
            }
            Done::Acs(Err(_)) => self.plan_in(250, 20_000, Due::Acs),
            Done::Tcs(Err(_)) => self.plan_in(1_000, 20_000, Due::Tcs),
            Done::Keyed(written) => {
                if self.needs(written) {
                    self.plan_at(self.world.now_ms(), Due::Register);
                }
            }
            Done::Settled(arn, written) => {
                if self.needs(written) {
                    self.connect(arn);
                }
            }
            Done::Assigned(id) => self.assigned(&id),
            Done::Taken(taken) => self.taken(taken),
            Done::Manifest(done) => self.manifested(done),
            Done::Saved(id, version, is_written) => self.saved(&id, version, is_written),
            Done::Nothing => {}
        }
    }

    fn who(&self) -> As {
        As::Key(if self.bound { self.key.access_key_id.clone() } else { NEW_AGENTS.to_owned() })
    }

    fn register(&mut self) {
        let before = self.ledger.instance().ok().flatten();
        let (cpu, memory, zone, provider) = {
            let host = self.machine.host.lock();
            (host.cpu, host.memory, host.zone, host.provider)
        };
        let mut attributes: Vec<Value> = CAPABILITIES.iter().map(|name| json!({"name": name})).collect();
        let mut has = |name: &str, value: &str| attributes.push(json!({"name": name, "value": value}));
        let mixed = self.world.has(Break::ZonesMixed) && self.world.percent(30);
        has(::ecs::instance::ZONE, &if mixed { format!("{REGION}z") } else { machine::zone(zone) });
        if let Some(provider) = provider {
            has(agent_protocol::CAPACITY_PROVIDER, provider);
        }
        if before.is_none() {
            has("zone", zone);
        }
        let size = |name: &str, value: i32| json!({"name": name, "type": "INTEGER", "integerValue": value});
        let mut input = json!({
            "cluster": CLUSTER,
            "attributes": attributes,
            "totalResources": [size("CPU", cpu), size("MEMORY", memory)],
            "instanceIdentityDocument": if self.bound { String::new() } else { self.key.to_document() },
        });
        if let Some(before) = before {
            input["containerInstanceArn"] = before.arn.into();
        }
        let (world, node, who) = (self.world.clone(), self.node, self.who());
        self.jobs.spawn(async move {
            Done::Registered(call(&world, node, &who, ("ecs", "RegisterContainerInstance"), input).await)
        });
    }

    fn registered(&mut self, outcome: Result<Value, Failed>) {
        match outcome {
            Ok(output) => {
                let arn = output["containerInstance"]["containerInstanceArn"].as_str().unwrap_or_default();
                self.machine.host.lock().instance = Some(arn.to_owned());
                self.bound = true;
                if self.settle(arn) {
                    self.connect(arn.to_owned());
                }
            }
            Err(Failed::Refused(error)) if error.code() == "UnrecognizedClientException" && self.bound => {
                self.bound = false;
                self.plan_in(1, 200, Due::Register);
            }
            Err(Failed::Refused(error)) if error.is_sender_fault() => {
                // A new host: what ran for the one before has nobody who wants it.
                self.deregistered = true;
            }
            // The answer may be all that was lost.
            Err(_) => {
                self.bound = true;
                self.plan_in(200, 10_000, Due::Register);
            }
        }
    }

    /// It is this container instance.
    fn connect(&mut self, arn: String) {
        self.instance = Some(arn);
        self.plan_in(0, 200, Due::Acs);
        self.plan_in(0, 200, Due::Tcs);
    }

    /// Sends a report until it is heard, or the control plane does not want it.
    pub fn report(&mut self, id: String, report: SubmitTaskStateChangeRequest) {
        let (world, node, who) = (self.world.clone(), self.node, self.who());
        let input = serde_json::to_value(&report).unwrap_or_default();
        self.jobs.spawn(async move {
            let (mut wait, mut refused) = (250, 0);
            loop {
                match call(&world, node, &who, ("ecs", "SubmitTaskStateChange"), input.clone()).await {
                    Ok(_) => break,
                    Err(failed) if failed.is_refusal() => refused += 1,
                    Err(_) => {}
                }
                if refused >= 10 {
                    break;
                }
                world.pause(wait * 8 / 10, wait * 12 / 10).await;
                wait = (wait * 2).min(30_000);
            }
            Done::Reported(id)
        });
    }
}

async fn heard(socket: &mut Option<AgentEnd>) -> Option<String> {
    match socket {
        Some(socket) => socket.next().await,
        None => std::future::pending().await,
    }
}

fn lowering() -> lower::Host {
    lower::Host { region: "us-east-1".to_owned(), ..Default::default() }
}

fn wants_stop(assignment: &acs::Task) -> bool {
    assignment.desired_status.as_deref() == Some("STOPPED")
}
