//! What all share that lives through one history: chance, time, the disk, the network, what users and the event bus were
//! told, and whether a promise is broken.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hasher},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use ::ecs::{Cluster, cluster::Keeps};
use agent_protocol::acs;
use engine::ContainerId;
use parking_lot::Mutex;
use server::{runtime::Visible, services::ecs::Homes};
use tokio::{
    sync::Notify,
    time::{Duration, Instant, sleep},
};
use wire::Timestamp;

use crate::{
    breaks::Break,
    bus::Heard,
    disk::{self, Disk},
    history::{Options, Outcome},
    interfaces::Assigned,
    logs::Delivered,
    machine::Machine,
    network::Network,
    random::Random,
    record::Record,
    restart::Restarted,
    server::Server,
};

/// When every history begins: 2026-01-01.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// When a clock stops that does.
const CLOCK_STANDS_MS: i64 = 90_000;

/// See the module.
pub struct World {
    tells: bool,
    broken_by: Option<Break>,
    random: Mutex<Random>,
    began: Instant,
    /// By how much the control plane's clock is off, in milliseconds, and how much more each second, in millionths.
    skew_ms: AtomicI64,
    drift: AtomicI64,
    /// The most that it ever was set ahead.
    most_ahead_ms: AtomicI64,
    sets_clocks: bool,
    is_patient: bool,
    /// After how long without its agent a container instance is lost to services.
    pub lost_after: Option<Duration>,
    /// Which STOPPED tasks are kept beyond their hour.
    pub keeps: Option<Keeps>,
    storm: AtomicBool,
    failed: Mutex<Option<(i64, String)>>,
    over: Notify,
    outcome: Mutex<Outcome>,
    digest: Mutex<DefaultHasher>,
    pub disk: Disk,
    pub network: Network,
    pub machines: Vec<Arc<Machine>>,
    /// Has the control plane end, which is there again soon.
    pub ends: Notify,
    /// The one that is there.
    pub server: Mutex<Option<Arc<Server>>>,
    /// The cluster as it was last seen of the control plane that ended.
    pub before: Mutex<Option<Arc<Visible<Cluster>>>>,
    /// All that were: nothing may hold one for longer than its process.
    pub lives: Mutex<Vec<Weak<Homes>>>,
    pub record: Mutex<Record>,
    pub bus: Mutex<Heard>,
    /// Which machine runs a task.
    pub runs: Mutex<BTreeMap<String, usize>>,
    /// With which interface each task was assigned that has one.
    pub assigned: Mutex<Assigned>,
    /// Containers that ran at any time.
    pub ran: Mutex<BTreeSet<ContainerId>>,
    /// Assignments that go astray, with the machine that they are for.
    pub strays: Mutex<Vec<(usize, acs::Task)>>,
    pub delivered: Delivered,
    /// Commits that are on their way to the disk.
    pub sending: Mutex<Vec<disk::Record>>,
    /// What a start has made of the disk.
    pub restarted: Mutex<Restarted>,
}

impl World {
    /// The world of a seed.
    pub fn new(options: &Options) -> Arc<World> {
        let mut random = Random::new(options.seed);
        let some = usize::try_from(random.range(1, 5)).unwrap_or(1);
        let many = options.machines.map_or(some, |many| many as usize);
        let machines = (0..many).map(|number| Machine::new(number, &mut random)).collect();
        let (drift, sets_clocks) = (random.range(-200, 200), random.percent(30));
        let (drift, is_patient) = (AtomicI64::new(drift), random.percent(20));
        let lost_after = random.percent(50).then(|| random.range(30, 400).unsigned_abs());
        let lost_after = lost_after.map(Duration::from_secs);
        let keeps = if sets_clocks { keeps(options.seed) } else { None };
        let world = World::of(options, random, machines);
        World { drift, sets_clocks, is_patient, lost_after, keeps, ..world }.into()
    }

    /// A world of these machines where nothing fails by itself.
    pub fn quiet(options: &Options, machines: Vec<Machine>, lost_after: Option<Duration>) -> Arc<World> {
        let world = World { lost_after, ..World::of(options, Random::new(options.seed), machines) };
        world.calm();
        world.into()
    }

    fn of(options: &Options, random: Random, machines: Vec<Machine>) -> World {
        World {
            tells: options.tells,
            broken_by: options.broken,
            random: Mutex::new(random),
            began: Instant::now(),
            skew_ms: AtomicI64::new(0),
            drift: AtomicI64::new(0),
            most_ahead_ms: AtomicI64::new(0),
            sets_clocks: false,
            is_patient: false,
            lost_after: None,
            keeps: None,
            storm: AtomicBool::new(true),
            failed: Mutex::default(),
            over: Notify::new(),
            outcome: Mutex::default(),
            digest: Mutex::default(),
            disk: Disk::default(),
            network: Network::default(),
            machines: machines.into_iter().map(Arc::new).collect(),
            ends: Notify::new(),
            server: Mutex::default(),
            before: Mutex::default(),
            lives: Mutex::default(),
            record: Mutex::default(),
            bus: Mutex::default(),
            runs: Mutex::default(),
            assigned: Mutex::default(),
            ran: Mutex::default(),
            strays: Mutex::default(),
            delivered: Delivered::default(),
            sending: Mutex::default(),
            restarted: Mutex::default(),
        }
    }

    /// By how much more there is asked for than in a world of a few machines.
    pub fn scale(&self) -> i64 {
        i64::try_from(self.machines.len() / 5).unwrap_or(1).max(1)
    }

    /// Whether this is the bug that the world has.
    pub fn has(&self, bug: Break) -> bool {
        self.broken_by == Some(bug)
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&self, low: i64, high: i64) -> i64 {
        self.random.lock().range(low, high)
    }

    /// True so many times in a hundred.
    pub fn percent(&self, percent: u32) -> bool {
        self.random.lock().percent(percent)
    }

    /// True so many times in a hundred, while there are faults.
    pub fn strikes(&self, percent: u32) -> bool {
        self.is_storm() && self.percent(percent)
    }

    /// One of these, if there is any.
    pub fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        self.random.lock().pick(from)
    }

    /// Chance itself.
    pub fn random(&self) -> parking_lot::MutexGuard<'_, Random> {
        self.random.lock()
    }

    /// 128 bits of it.
    pub fn bits(&self) -> u128 {
        let mut random = self.random.lock();
        u128::from(random.next()) << 64 | u128::from(random.next())
    }

    /// The true time since the beginning, in milliseconds.
    pub fn passed_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX / 4)
    }

    /// The true time.
    pub fn now_ms(&self) -> i64 {
        EPOCH_MS + self.passed_ms()
    }

    /// The clock of the control plane's host.
    pub fn wall_clock(&self) -> i64 {
        let passed = self.passed_ms();
        let drifted = passed * self.drift.load(Ordering::Relaxed) / 1_000_000;
        let passed = if self.has(Break::ClockStands) { passed.min(CLOCK_STANDS_MS) } else { passed };
        EPOCH_MS + passed + drifted + self.skew_ms.load(Ordering::Relaxed)
    }

    /// Likewise, as a time.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.wall_clock())
    }

    /// Whether the end of all that waits is waited for.
    pub fn is_patient(&self) -> bool {
        self.is_patient
    }

    /// Whether that is set in this world.
    pub fn sets_clocks(&self) -> bool {
        self.sets_clocks
    }

    /// Sets that clock.
    pub fn set_clock(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
        self.most_ahead_ms.fetch_max(skew_ms, Ordering::Relaxed);
    }

    /// Sets it ahead of what it is.
    pub fn set_clock_ahead(&self, millis: i64) {
        self.set_clock(self.skew_ms.load(Ordering::Relaxed) + millis);
    }

    /// What that clock would be, were it as far ahead as it ever was: what anybody took for the time was not later.
    pub fn latest(&self) -> Timestamp {
        let skew = |of: &AtomicI64| of.load(Ordering::Relaxed);
        self.now().plus_millis(skew(&self.most_ahead_ms) - skew(&self.skew_ms))
    }

    /// Waits some time from `low` to `high` milliseconds.
    pub async fn pause(&self, low: i64, high: i64) {
        let millis = self.range(low, high).unsigned_abs();
        sleep(Duration::from_millis(millis)).await;
    }

    /// Whether there are faults, and users at work.
    pub fn is_storm(&self) -> bool {
        self.storm.load(Ordering::Relaxed)
    }

    /// From here on nothing fails.
    pub fn calm(&self) {
        self.storm.store(false, Ordering::Relaxed);
    }

    /// A promise is broken; the first one counts.
    pub fn fail(&self, what: impl Into<String>) {
        let at = self.passed_ms();
        self.failed.lock().get_or_insert_with(|| (at, what.into()));
        self.over.notify_one();
    }

    /// Which was broken, and when.
    pub fn failure(&self) -> Option<(i64, String)> {
        self.failed.lock().clone()
    }

    /// Waits for one.
    pub async fn failed(&self) {
        self.over.notified().await;
    }

    /// Counts what happens.
    pub fn outcome(&self, count: impl FnOnce(&mut Outcome)) {
        count(&mut self.outcome.lock());
    }

    /// Whether what happens is told.
    pub fn tells(&self) -> bool {
        self.tells
    }

    /// Tells what happens, to whoever asked for it.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells {
            eprintln!("{:>9} {}", self.passed_ms(), what());
        }
    }

    /// A fault has struck.
    pub fn fault(&self) {
        self.outcome(|outcome| outcome.faults += 1);
    }

    /// Takes something that happened into what identifies the history.
    pub fn digest(&self, bytes: &[u8]) {
        let mut digest = self.digest.lock();
        digest.write_i64(self.passed_ms());
        digest.write(bytes);
    }

    /// What the history came to.
    pub fn came_to(&self) -> Outcome {
        Outcome { histories: 1, digest: self.digest.lock().finish(), ..self.outcome.lock().clone() }
    }

    /// The control plane, where there is one.
    pub fn server(&self) -> Option<Arc<Server>> {
        self.server.lock().clone()
    }
}

/// Which STOPPED tasks the control plane of a seed keeps, where clocks are set: only so does their hour end while there are
/// faults. By a stream of its own, so that all else of the seed is what it would be.
fn keeps(seed: u64) -> Option<Keeps> {
    let mut random = Random::new(seed ^ 0x6b65_6570);
    let count = usize::try_from(random.range(1, 60)).unwrap_or(1);
    let keeps = Keeps { ms: random.range(3_700_000, 14_400_000), count };
    random.percent(60).then_some(keeps)
}
