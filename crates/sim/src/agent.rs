//! An agent at work on its machine: it registers, keeps its two sockets, takes assignments in before it acknowledges them,
//! and tells the control plane what becomes of them until that has heard. It ends when the control plane says that this
//! host is none of its own any more.

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
    ledger::Record,
    lower::{self, lower},
    plan,
    task::{Fact, HealthStatus, Task},
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
    server::{CLUSTER, NEW_AGENTS, REGION},
    world::World,
};

/// Something that is to be done at a time.
pub enum Due {
    Fact(String, Fact),
    Step(String),
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
}

/// See the module.
pub struct Agent {
    pub world: Arc<World>,
    pub machine: Arc<Machine>,
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
    manifest: Option<String>,
    timeline: Option<i64>,
    heard_at: Instant,
    told: BTreeMap<ContainerId, HealthStatus>,
    deregistered: bool,
}

/// Every capability that tasks of users ask for.
const CAPABILITIES: [&str; 7] = [
    "ecs.capability.container-health-check",
    "ecs.capability.container-ordering",
    "ecs.capability.container-restart-policy",
    "com.amazonaws.ecs.capability.docker-remote-api.1.18",
    "com.amazonaws.ecs.capability.docker-remote-api.1.24",
    "com.amazonaws.ecs.capability.docker-remote-api.1.25",
    "com.amazonaws.ecs.capability.docker-remote-api.1.29",
];

impl Agent {
    /// Begins on a machine, with what an agent before it left there.
    pub fn begin(world: &Arc<World>, machine: &Arc<Machine>) -> Agent {
        let (admission, key) = {
            let mut host = machine.host.lock();
            let key = host.ledger.key.get_or_insert_with(|| new_key(world)).clone();
            let size = |size: i32| u64::try_from(size).unwrap_or(0);
            (Admission::new(size(host.cpu), size(host.memory)), key)
        };
        let mut agent = Agent {
            world: world.clone(),
            machine: machine.clone(),
            admission,
            tasks: BTreeMap::new(),
            finished: BTreeSet::new(),
            node: Node::Machine(machine.number),
            agenda: BTreeMap::new(),
            order: 0,
            jobs: JoinSet::new(),
            key,
            bound: true,
            instance: None,
            acs: None,
            tcs: None,
            manifest: None,
            timeline: None,
            heard_at: Instant::now(),
            told: BTreeMap::new(),
            deregistered: false,
        };
        agent.adopt();
        agent.plan_at(world.now_ms(), Due::Register);
        agent
    }

    /// Takes up what the ledger has and the engine.
    fn adopt(&mut self) {
        let now = self.world.now_ms();
        let mut host = self.machine.host.lock();
        let (found, boot) = (host.engine.found(&self.world), host.boot.to_string());
        let written = host.ledger.tasks.clone();
        for task in found.iter().filter(|found| !written.contains_key(&found.task)) {
            host.engine.remove(&self.world, &task.task);
        }
        drop(host);
        for (id, (assignment, mut record)) in written {
            let Ok(task) = lower(&assignment, &lowering()) else { continue };
            record.state.stop |= wants_stop(&assignment);
            if !record.removed {
                let found = found.iter().find(|found| found.task == id);
                plan::adopt(&task, &mut record.state, found, record.boot_id == boot, now);
                if record.state.admitted {
                    self.admission.readmit(&id, task.needs.clone());
                }
            }
            self.tasks.insert(id.clone(), Actor::new(assignment, task, record));
            self.write_down(&id);
        }
        let ids: Vec<String> = self.tasks.keys().cloned().collect();
        ids.into_iter().for_each(|id| self.plan_at(now, Due::Step(id)));
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

    /// Works until this host is no container instance any more.
    pub async fn run(&mut self) {
        if self.world.is_storm() {
            self.plan_in(20_000, 400_000, Due::Cut);
        }
        while !self.deregistered {
            self.turn();
            let wake = self.wake();
            tokio::select! {
                biased;
                text = heard(&mut self.acs) => self.hear_acs(text),
                text = heard(&mut self.tcs) => self.hear_tcs(text),
                Some(Ok(done)) = self.jobs.join_next(), if !self.jobs.is_empty() => self.done(done),
                () = sleep_until(wake) => {}
            }
        }
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
        if self.acs.take().is_some() {
            self.plan_in(10, 2_000, Due::Acs);
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
                (self.acs, self.timeline, self.heard_at) = (Some(socket), None, Instant::now());
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
        }
    }

    fn who(&self) -> As {
        As::Key(if self.bound { self.key.access_key_id.clone() } else { NEW_AGENTS.to_owned() })
    }

    fn register(&mut self) {
        let (before, cpu, memory, zone, provider) = {
            let host = self.machine.host.lock();
            (host.ledger.instance.clone(), host.cpu, host.memory, host.zone, host.provider)
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
        if let Some(arn) = before {
            input["containerInstanceArn"] = arn.into();
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
                self.machine.host.lock().ledger.instance = Some(arn.to_owned());
                (self.bound, self.instance) = (true, Some(arn.to_owned()));
                self.plan_in(0, 200, Due::Acs);
                self.plan_in(0, 200, Due::Tcs);
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

    /// Takes an assignment in.
    fn assign(&mut self, assignment: acs::Task) {
        let stop = wants_stop(&assignment);
        let task = match lower(&assignment, &lowering()) {
            Ok(task) => task,
            Err(error) => return self.world.fail(format!("an assignment that is no task: {error}")),
        };
        let Task { id, .. } = &task;
        if let Some(actor) = self.tasks.get_mut(id) {
            if stop && !self.world.has(Break::StopsUnheard) {
                actor.assignment = assignment;
                let id = id.clone();
                self.write_down(&id);
                self.tell(&id, Fact::StopWanted);
            }
            return;
        }
        if self.finished.contains(id) {
            return;
        }
        let id = id.clone();
        let mut record = Record { boot_id: self.machine.host.lock().boot.to_string(), ..Record::default() };
        record.state.stop = stop;
        self.tasks.insert(id.clone(), Actor::new(assignment, task, record));
        self.write_down(&id);
        self.step(&id);
    }

    /// Assignments that went astray to here.
    fn take_strays(&mut self) {
        if !self.world.has(Break::AssignmentsCopied) {
            return;
        }
        let own = self.machine.number;
        let mut strays = std::mem::take(&mut *self.world.strays.lock());
        let ours = strays.extract_if(.., |(machine, _)| *machine != own).map(|(_, task)| task);
        let ours: Vec<acs::Task> = ours.collect();
        self.world.strays.lock().extend(strays);
        ours.into_iter().for_each(|task| self.assign(task));
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

fn new_key(world: &World) -> AgentKey {
    let text = format!("{:032X}", world.bits());
    AgentKey {
        access_key_id: format!("{}{}", agent_protocol::agent_key::OF_AGENT, &text[..16]),
        secret_access_key: format!("{0:032x}{0:032x}", world.bits()),
    }
}
