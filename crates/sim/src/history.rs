//! One history, from its seed to its end: a storm in which users work and everything fails, then calm, in which all must
//! come to rest where it was asked to.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    agent,
    alarm::Alarm,
    breaks::Break,
    checks, fate,
    record::Others,
    restart,
    server::{self, place},
    users::User,
    world::World,
};

/// How many users there are.
const USERS: usize = 2;
/// How long the world has to come to rest.
const CALM_MS: i64 = 45 * 60_000;
/// Between looks at whether it has.
const LOOK: Duration = Duration::from_secs(30);
/// Between looks at whether what users were told holds.
const AUDIT_MS: i64 = 60_000;

/// Which history.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub seed: u64,
    /// How long faults and users act, in minutes.
    pub minutes: u32,
    /// How many machines there are; a few where nothing is said.
    pub machines: Option<u32>,
    /// A deliberate bug.
    pub broken: Option<Break>,
    /// Tells on standard error what happens.
    pub tells: bool,
}

impl Options {
    /// The history of a seed, of the usual length and without a deliberate bug.
    pub fn of(seed: u64) -> Options {
        Options { seed, minutes: 15, machines: None, broken: None, tells: false }
    }
}

/// What histories were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub histories: u64,
    /// Steps of the cluster that were checked.
    pub steps: u64,
    pub commits: u64,
    pub failed_writes: u64,
    /// Commits of agents' ledgers.
    pub noted: u64,
    pub calls: u64,
    /// Containers that were started.
    pub started: u64,
    /// Events that the bus has taken.
    pub events: u64,
    /// STOPPED tasks that were kept beyond their hour.
    pub kept: u64,
    /// Lives of the control plane that ended.
    pub restarts: u64,
    /// Other faults.
    pub faults: u64,
    /// How long it took, in milliseconds of its own time.
    pub lasted_ms: i64,
    /// Of all that was stored, and when.
    pub digest: u64,
}

impl Outcome {
    /// Counts another in.
    pub fn add(&mut self, other: &Outcome) {
        self.histories += other.histories;
        self.steps += other.steps;
        self.commits += other.commits;
        self.failed_writes += other.failed_writes;
        self.noted += other.noted;
        self.calls += other.calls;
        self.started += other.started;
        self.events += other.events;
        self.kept += other.kept;
        self.restarts += other.restarts;
        self.faults += other.faults;
        self.lasted_ms += other.lasted_ms;
        self.digest ^= other.digest;
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome { histories, steps, commits, failed_writes, calls, started, events, kept, noted, .. } =
            self;
        let (restarts, faults, hours) = (self.restarts, self.faults, self.lasted_ms as f64 / 3_600_000.0);
        write!(
            f,
            "{histories} histories of {hours:.1} hours: {calls} calls, {steps} steps, {commits} commits ({failed_writes} failed \
             writes) and {noted} of agents, {started} containers, {kept} tasks kept, {events} events, {restarts} ends of the control plane, {faults} other faults"
        )
    }
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub minutes: u32,
    pub machines: Option<u32>,
    pub broken: Option<&'static str>,
    /// When, in milliseconds since its beginning.
    pub at_ms: i64,
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {}, at {} ms: {}\nreplay: {}", self.seed, self.at_ms, self.what, self.replay())
    }
}

impl Failure {
    /// The command that lives through the same history again.
    pub fn replay(&self) -> String {
        let Failure { seed, minutes, machines, broken, .. } = self;
        let many = machines.map(|many| format!(" --machines {many}")).unwrap_or_default();
        let bug = broken.map(|bug| format!(" --break {bug}")).unwrap_or_default();
        format!("roadstead simulate --seed {seed} --minutes {minutes}{many}{bug}")
    }
}

/// Lives through one history.
///
/// # Errors
/// The promise that was broken.
pub fn run(options: Options) -> Result<Outcome, Failure> {
    within(&options, || World::new(&options), async |world| live(&world, options.minutes).await)
}

/// Lives through what is to happen in a world.
///
/// # Errors
/// The promise that was broken.
pub fn within(
    options: &Options,
    world: impl FnOnce() -> Arc<World>,
    happens: impl AsyncFnOnce(Arc<World>),
) -> Result<Outcome, Failure> {
    let failure = |at_ms, what| Failure {
        seed: options.seed,
        minutes: options.minutes,
        machines: options.machines,
        broken: options.broken.map(Break::name),
        at_ms,
        what,
    };
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| failure(0, format!("there is no executor: {error}")))?;
    let world = runtime.block_on(async { world() });
    let heard = tracing::subscriber::set_default(Alarm(world.clone()));
    runtime.block_on(happens(world.clone()));
    world.server.lock().take();
    drop(runtime);
    drop(heard);
    ::server::world::World::enter(None);
    let came_to = world.came_to();
    let held = world.lives.lock().iter().filter(|life| life.strong_count() > 0).count();
    match world.failure() {
        Some((at_ms, what)) => Err(failure(at_ms, what)),
        None if held > 0 => {
            Err(failure(came_to.lasted_ms, format!("{held} control planes ended and are held still")))
        }
        None => Ok(came_to),
    }
}

async fn live(world: &Arc<World>, minutes: u32) {
    let mut all = JoinSet::new();
    all.spawn(server::live(world.clone()));
    for machine in &world.machines {
        all.spawn(agent::live(world.clone(), machine.clone()));
    }
    all.spawn(fate::disk(world.clone()));
    all.spawn(fate::network(world.clone()));
    all.spawn(fate::clock(world.clone()));
    all.spawn(fate::ledgers(world.clone()));
    all.spawn(audit(world.clone()));
    for number in 0..USERS {
        let user = User::new(world, number);
        let first = number == 0;
        all.spawn(async move {
            if first {
                user.prepare().await;
            }
            user.work().await;
        });
    }
    let storm = Duration::from_secs(u64::from(minutes) * 60);
    if timeout(storm, world.failed()).await.is_err() {
        world.calm();
        let disks = world.machines.iter().map(|machine| &machine.disk).chain([&world.disk]);
        disks.for_each(|disk| disk.set(|weather| *weather = Default::default()));
        world.network.mend();
        come_to_rest(world).await;
    }
    let lasted = world.passed_ms();
    world.outcome(|outcome| outcome.lasted_ms = lasted);
    all.shutdown().await;
}

/// Looks now and then whether what users were told holds.
async fn audit(world: Arc<World>) {
    loop {
        world.pause(AUDIT_MS / 2, AUDIT_MS).await;
        look(&world);
        checks::kept::unseen(&world).await;
    }
}

fn look(world: &World) {
    let Some(server) = world.server() else { return };
    let Some(visible) = server.state() else { return };
    let events = server.events.shards().and_then(|shards| shards.known(&place())).map(|shard| shard.read());
    let scheduler = server.scheduler.shards().and_then(|shards| shards.known(&place()));
    let scheduler = scheduler.map(|shard| shard.read());
    let others = Others {
        events: events.as_ref().map(|visible| &*visible.state),
        scheduler: scheduler.as_ref().map(|visible| &*visible.state),
    };
    restart::audit(world, &visible.state, others);
}

/// Waits until all is at rest, for as long as that may take.
async fn come_to_rest(world: &Arc<World>) {
    let ends = world.passed_ms() + CALM_MS;
    let leaving = async {
        // What is still under way ends first.
        sleep(Duration::from_secs(60)).await;
        for number in 0..USERS {
            User::new(world, number).leave(60).await;
        }
        loop {
            sleep(LOOK).await;
            let restless = match world.server() {
                Some(server) => checks::at_rest(world, &server),
                None => Some("there is no control plane".to_owned()),
            };
            let Some(restless) = restless else { break };
            if world.passed_ms() > ends {
                world.fail(restless);
                break;
            }
        }
        look(world);
        checks::kept::after_their_hour(world).await;
        if let Some(state) = world.server().and_then(|server| server.state())
            && let Some(broken) = ::ecs::invariants::check(&state.state).into_iter().next()
        {
            world.fail(broken);
        }
    };
    tokio::select! {
        biased;
        () = world.failed() => {}
        () = leaving => {}
    }
}
