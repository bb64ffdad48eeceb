//! A machine: what of a host outlives its agent. A disk with the agent's ledger, and an engine whose containers do as
//! their image has it: they run, end by themselves, do not come up, or hardly stop.

use std::collections::{BTreeMap, VecDeque};

use ::agent::{admission::Needs, task::Task};
use engine::{ContainerId, Created, Exit, FoundTask, Kind, Phase, PulledImage, Started};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{disk::Disk, interfaces, random::Random, server::REGION, users::definitions::kind, world::World};

/// Zones that machines are in.
const ZONES: [&str; 3] = ["a", "b", "c"];
/// Capacity providers that machines may be of.
pub const PROVIDERS: [&str; 2] = ["p0", "p1"];
/// One of managed instances.
pub const MANAGED: &str = "m0";
/// Whose machines are.
const OF: [Option<&str>; 5] =
    [None, Some(PROVIDERS[0]), Some(PROVIDERS[0]), Some(PROVIDERS[1]), Some(MANAGED)];

/// What ECS calls a zone.
pub fn zone(letter: &str) -> String {
    format!("{REGION}{letter}")
}

/// See the module.
pub struct Machine {
    pub number: usize,
    pub host: Mutex<Host>,
    /// What the agent's ledger is on.
    pub disk: Disk,
    /// What strikes that, by a stream of its own.
    pub chance: Mutex<Random>,
    /// What its agents have acknowledged of tasks that they have not forgotten since: whether that they stop, too.
    pub acknowledged: Mutex<BTreeMap<String, bool>>,
    /// At which moment of the next write its agent is to end.
    strikes: Mutex<Option<Moment>>,
    struck: Notify,
    /// How long after the beginning it comes, in milliseconds.
    pub comes_after_ms: i64,
    orders: Mutex<VecDeque<Order>>,
    ordered: Notify,
}

/// What somebody does to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Its agent is gone for so many milliseconds; what runs goes on.
    AgentDies(i64),
    /// It is off for so long, and nothing runs that ran before.
    Off(i64),
    /// It is gone; another one takes its place so much later.
    Vanishes(i64),
}

/// A moment of a write to the ledger: before that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Write,
    Sync,
    /// It is on disk, and nobody has heard.
    Answer,
}

/// What there is of it.
pub struct Host {
    pub cpu: i32,
    pub memory: i32,
    pub zone: &'static str,
    pub provider: Option<&'static str>,
    /// Changes when it starts anew.
    pub boot: u64,
    /// The container instance that its agent was told to be.
    pub instance: Option<String>,
    pub engine: Engine,
}

/// What runs here.
#[derive(Default)]
pub struct Engine(BTreeMap<String, Running>);

/// A task of it.
#[derive(Default)]
struct Running {
    needs: Needs,
    containers: BTreeMap<String, Container>,
}

struct Container {
    state: engine::ContainerState,
    /// When it ends, and how.
    ends: Option<(i64, Option<i32>)>,
}

impl Machine {
    /// A new one.
    pub fn new(number: usize, random: &mut Random) -> Machine {
        let mut size = || i32::try_from(random.range(1, 4)).unwrap_or(1) * 1024;
        let (cpu, memory) = (size(), size());
        let zone = random.pick(&ZONES).copied().unwrap_or(ZONES[0]);
        let provider = random.pick(&OF);
        let provider = provider.copied().flatten();
        let comes_after_ms = if random.percent(25) { random.range(0, 480_000) } else { 0 };
        let machine = Machine::of(number, (cpu, memory), zone, provider);
        // What was drawn last tells worlds apart, and is nobody else's.
        let seed = random.seen().wrapping_add(number as u64) ^ 0x6c65_6467;
        Machine { comes_after_ms, chance: Mutex::new(Random::new(seed)), ..machine }
    }

    /// One of so much CPU and memory, in a zone, of a capacity provider or none.
    pub fn of(
        number: usize,
        (cpu, memory): (i32, i32),
        zone: &'static str,
        provider: Option<&'static str>,
    ) -> Machine {
        let (boot, instance, engine) = Default::default();
        let host = Mutex::new(Host { cpu, memory, zone, provider, boot, instance, engine });
        let chance = Mutex::new(Random::new(number as u64));
        let (disk, acknowledged, strikes, orders) = Default::default();
        let (struck, ordered) = (Notify::new(), Notify::new());
        Machine {
            number,
            host,
            disk,
            chance,
            acknowledged,
            strikes,
            struck,
            comes_after_ms: 0,
            orders,
            ordered,
        }
    }

    /// Its agent ends at some moment of the next write to its ledger.
    pub fn arm(&self) {
        let moments = [Moment::Write, Moment::Sync, Moment::Answer];
        *self.strikes.lock() = self.chance.lock().pick(&moments).copied();
    }

    /// It does not.
    pub fn disarm(&self) {
        *self.strikes.lock() = None;
    }

    /// A write is at this moment; whether the agent ends here.
    pub fn is_struck_at(&self, world: &World, moment: Moment) -> bool {
        let is_struck = world.is_storm() && *self.strikes.lock() == Some(moment);
        if is_struck {
            self.disarm();
            world.tell(|| format!("machine {} is struck {moment:?}", self.number));
            self.struck.notify_one();
        }
        is_struck
    }

    /// Waits for that.
    pub async fn struck(&self) {
        self.struck.notified().await;
    }

    /// Does something to it.
    pub fn order(&self, order: Order) {
        self.orders.lock().push_back(order);
        self.ordered.notify_one();
    }

    /// Waits until somebody does something to it.
    pub async fn ordered(&self) -> Order {
        loop {
            if let Some(order) = self.orders.lock().pop_front() {
                return order;
            }
            self.ordered.notified().await;
        }
    }

    /// Everything on it is gone, and it is another host from here on.
    pub fn wipe(&self, world: &World) {
        let mut host = self.host.lock();
        world.runs.lock().retain(|_, machine| *machine != self.number);
        host.boot += 1;
        host.instance = None;
        host.engine = Engine::default();
        self.disk.wipe();
        self.acknowledged.lock().clear();
    }

    /// It starts anew: nothing runs that ran before.
    pub fn reboot(&self, world: &World) {
        let mut host = self.host.lock();
        world.runs.lock().retain(|_, machine| *machine != self.number);
        host.boot += 1;
        self.disk.crash(&mut self.chance.lock());
        let now = world.now_ms();
        let containers = host.engine.0.values_mut().flat_map(|task| task.containers.values_mut());
        for container in containers.filter(|one| matches!(one.state.phase, Phase::Running(_))) {
            container.ends = None;
            container.state.phase = Phase::Exited(exit(None, now));
        }
    }

    /// Starts a container, if it comes up.
    ///
    /// # Errors
    /// It does not.
    pub fn start(&self, world: &World, task: &Task, index: usize) -> Result<Started, engine::Error> {
        let id = task.container_id(index);
        if task.family.starts_with("crash") && world.percent(40) || world.strikes(4) {
            return Err(engine::Error::fatal(Kind::Start, "it does not come up"));
        }
        let mut host = self.host.lock();
        let now = world.now_ms();
        let ends = course(world, &task.family, now);
        let container = host.engine.container(&id).ok_or_else(|| gone(&id))?;
        if let Phase::Running(started) = &container.state.phase {
            return Ok(started.clone());
        }
        container.ends = ends;
        container.state.starts += 1;
        let started = Started { pid: 1, started_at_ms: now };
        container.state.phase = Phase::Running(started.clone());
        world.outcome(|outcome| outcome.started += 1);
        if !world.ran.lock().insert(id.clone()) && task.containers[index].restart.is_none() {
            world.fail(format!("container {id} runs a second time"));
        }
        let before = world.runs.lock().insert(task.id.clone(), self.number);
        if let Some(other) = before.filter(|other| *other != self.number) {
            world.fail(format!("task {} runs on machine {other} and on machine {}", task.id, self.number));
        }
        interfaces::runs(world, &task.id);
        if let Some(over) = host.overcommitted() {
            world.fail(format!("machine {} has no room for what runs there: {over}", self.number));
        }
        Ok(started)
    }
}

impl Host {
    /// What is held by more than there is of it.
    fn overcommitted(&self) -> Option<String> {
        let (mut cpu, mut memory, mut ports) = (0, 0, Vec::new());
        for task in self.engine.0.values().filter(|task| task.is_running()) {
            cpu += task.needs.cpu;
            memory += task.needs.memory_mib;
            ports.extend(task.needs.ports_tcp.iter().copied());
        }
        ports.sort_unstable();
        let twice = ports.windows(2).find(|two| two[0] == two[1]).map(|two| two[0]);
        let has = |size: i32| u64::try_from(size).unwrap_or(0);
        let over = cpu > has(self.cpu) || memory > has(self.memory) || twice.is_some();
        over.then(|| format!("{cpu} CPU, {memory} MiB, port {twice:?}"))
    }
}

impl Running {
    fn is_running(&self) -> bool {
        self.containers.values().any(|one| matches!(one.state.phase, Phase::Running(_)))
    }
}

impl Engine {
    fn container(&mut self, id: &ContainerId) -> Option<&mut Container> {
        self.0.get_mut(&id.task)?.containers.get_mut(&id.name)
    }

    /// Gets an image.
    ///
    /// # Errors
    /// There is none, or not now.
    pub fn pull(world: &World, family: &str) -> Result<PulledImage, engine::Error> {
        if world.strikes(4) {
            return Err(engine::Error::temporary(Kind::Pull, "the registry does not answer"));
        }
        if family.starts_with("gone") {
            return Err(engine::Error::fatal(Kind::Pull, "no such image"));
        }
        Ok(PulledImage { digest: format!("sha256:{}", "0".repeat(64)) })
    }

    /// Makes a container.
    pub fn create(&mut self, world: &World, task: &Task, index: usize) -> Created {
        let id = task.container_id(index);
        if let Some(there) = self.container(&id) {
            return there.state.created.clone();
        }
        let mappings = task.containers[index].spec.port_mappings.iter();
        let bindings = mappings.map(|port| engine::Binding {
            bind_ip: "0.0.0.0".to_owned(),
            container_port: port.container_port,
            host_port: port.host_port.unwrap_or(49_153),
            protocol: port.protocol,
        });
        let created = Created {
            runtime_id: format!("{0:032x}{0:032x}", world.bits()),
            created_at_ms: world.now_ms(),
            bindings: bindings.collect(),
            ipv4: None,
            image_health_check: None,
        };
        let state = engine::ContainerState {
            id: id.clone(),
            created: created.clone(),
            phase: Phase::Created,
            starts: 0,
        };
        let of_task = self.0.entry(id.task).or_default();
        of_task.needs = task.needs.clone();
        of_task.containers.insert(id.name, Container { state, ends: None });
        created
    }

    /// Asks a container to end.
    pub fn stop(&mut self, world: &World, id: &ContainerId, timeout_ms: i64) {
        let now = world.now_ms();
        let slow = world.strikes(20);
        let takes = if slow { timeout_ms } else { world.range(1, 2_000).min(timeout_ms) };
        let code = if takes < timeout_ms { 143 } else { 137 };
        let Some(container) = self.container(id) else { return };
        let ends = container.ends.map_or(i64::MAX, |(at, _)| at);
        if now + takes < ends {
            container.ends = Some((now + takes, Some(code)));
        }
    }

    /// Whether a container is there and runs.
    pub fn runs(&self, id: &ContainerId) -> bool {
        let task = self.0.get(&id.task);
        let one = task.and_then(|task| task.containers.get(&id.name));
        one.is_some_and(|one| matches!(one.state.phase, Phase::Running(_)))
    }

    /// When the next container ends by itself.
    pub fn next_end(&self) -> Option<i64> {
        let containers = self.0.values().flat_map(|task| task.containers.values());
        let live = containers.filter(|one| matches!(one.state.phase, Phase::Running(_)));
        live.filter_map(|one| one.ends.map(|(at, _)| at)).min()
    }

    /// Lets those end whose time has come.
    pub fn ended(&mut self, world: &World) -> Vec<(ContainerId, Exit)> {
        let (now, mut ended) = (world.now_ms(), Vec::new());
        for (id, task) in &mut self.0 {
            for container in task.containers.values_mut() {
                let due = container.ends.filter(|(at, _)| *at <= now);
                let (Some((at, code)), Phase::Running(_)) = (due, &container.state.phase) else { continue };
                container.state.phase = Phase::Exited(exit(code, at));
                ended.push((container.state.id.clone(), exit(code, at)));
            }
            if !task.is_running() {
                world.runs.lock().remove(id);
            }
        }
        ended
    }

    /// What there is, as a new agent finds it.
    pub fn found(&mut self, world: &World) -> Vec<FoundTask> {
        self.ended(world);
        let found = |(id, task): (&String, &Running)| FoundTask {
            task: id.clone(),
            containers: task.containers.values().map(|one| one.state.clone()).collect(),
        };
        self.0.iter().map(found).collect()
    }

    /// Removes a task.
    pub fn remove(&mut self, world: &World, task: &str) {
        if self.0.remove(task).is_some() {
            world.runs.lock().remove(task);
        }
    }
}

fn exit(code: Option<i32>, at_ms: i64) -> Exit {
    Exit { code, oom_killed: false, exited_at_ms: at_ms, reason: None }
}

fn gone(id: &ContainerId) -> engine::Error {
    engine::Error::fatal(Kind::NoSuchContainer, format!("No such container: {id}"))
}

/// When a container of a family ends that begins now.
fn course(world: &World, family: &str, now: i64) -> Option<(i64, Option<i32>)> {
    let after = |low, high, code| Some((now + world.range(low, high), Some(code)));
    match kind(family) {
        "crash" => after(10, 3_000, 1),
        "short" => after(500, 20_000, 0),
        _ if world.strikes(8) => after(1_000, 600_000, 1),
        _ => None,
    }
}
