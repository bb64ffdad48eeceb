//! The world: a cluster's state, a virtual clock, and an agenda of what happens when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ::ecs::{
    Cluster, Ctx, Ids, Txn,
    account::{self, Account},
    cluster::{Change, ClusterRow, Key, Ports},
};
use ecs_model as ecs;
use state::{Batch, Domain};
use wire::{Error, Timestamp};

use crate::{agents::Agent, carrier::Bus, checks, random::Random, restart, users};

/// How long faults and users act, in virtual milliseconds.
const STORM_MS: i64 = 20 * 60_000;
/// How long the world then has to come to rest.
const CALM_MS: i64 = 40 * 60_000;

/// The last change of each row.
type Changes = BTreeMap<Key, Change>;

/// What one history was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub steps: u64,
    pub tasks_started: u64,
    pub restarts: u64,
    pub faults: u64,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub at_ms: i64,
    pub step: u64,
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, at_ms, step, what } = self;
        write!(
            f,
            "at {at_ms} ms, step {step}: {what}\nreplay: ROADSTEAD_SIM_SEED={seed} cargo test -p sim replay"
        )
    }
}

/// Something on the agenda.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The agent of this number acts.
    Agent(usize),
    /// A user does something.
    User,
    /// The control plane ends at once and starts again from its rows.
    Restart,
    /// The cluster's own timer.
    Timer,
    /// Its events are taken.
    Carrier,
}

/// The state of everything.
pub struct World {
    pub state: Cluster,
    pub account: Account,
    pub agents: Vec<Agent>,
    pub random: Random,
    pub now: Timestamp,
    pub storm: bool,
    pub outcome: Outcome,
    /// What has come of the cluster's events; none where nobody listens.
    pub bus: Option<Bus>,
    agenda: BTreeSet<(i64, u64, Item)>,
    order: u64,
    ids: Ids,
    broken: Option<String>,
}

/// Lives through one history.
pub fn run(seed: u64) -> Result<Outcome, Failure> {
    let mut world = World::new(seed);
    let fail =
        |world: &World, what: String| Failure { seed, at_ms: world.now.0, step: world.outcome.steps, what };
    world.prepare();
    while let Some((at, _, item)) = world.agenda.pop_first() {
        if at > STORM_MS + CALM_MS {
            break;
        }
        world.now = Timestamp(world.now.0.max(at));
        world.storm = world.now.0 < STORM_MS;
        world.act(item);
        if let Some(what) = world.broken.take() {
            return Err(fail(&world, what));
        }
    }
    // What was told in the last moment.
    world.carry();
    match world.broken.take().or_else(|| checks::at_rest(&world)) {
        Some(what) => Err(fail(&world, what)),
        None => Ok(world.outcome),
    }
}

impl World {
    fn new(seed: u64) -> World {
        let row = ClusterRow { active: true, ..ClusterRow::plain("sim") };
        World {
            state: Cluster::of(row),
            account: Account::default(),
            agents: Vec::new(),
            random: Random::new(seed),
            now: Timestamp(1),
            storm: true,
            outcome: Outcome::default(),
            bus: seed.is_multiple_of(2).then(Bus::default),
            agenda: BTreeSet::new(),
            order: 0,
            ids: Ids::new(u128::from(seed) << 64 | 1),
            broken: None,
        }
    }

    /// Definitions, hosts, and the first items of the agenda.
    fn prepare(&mut self) {
        users::register_definitions(self);
        let hosts = self.random.range(1, 5);
        for _ in 0..hosts {
            let number = self.agents.len();
            let agent = Agent::register(self);
            self.agents.push(agent);
            self.plan(1, Item::Agent(number));
        }
        self.plan(2, Item::User);
        self.plan(5_000, Item::Restart);
        if self.bus.is_some() {
            self.plan(100, Item::Carrier);
        }
    }

    /// Puts something on the agenda, `after` milliseconds from now.
    pub fn plan(&mut self, after: i64, item: Item) {
        self.order += 1;
        self.agenda.insert((self.now.0 + after.max(0), self.order, item));
    }

    fn act(&mut self, item: Item) {
        match item {
            Item::Agent(number) => {
                let mut agent = std::mem::take(&mut self.agents[number]);
                let next = agent.act(self);
                self.agents[number] = agent;
                self.plan(next, Item::Agent(number));
            }
            Item::User => {
                if self.storm {
                    users::act(self);
                    let next = self.random.range(200, 30_000);
                    self.plan(next, Item::User);
                }
            }
            Item::Restart => {
                if self.storm {
                    self.restart();
                    let next = self.random.range(10_000, 300_000);
                    self.plan(next, Item::Restart);
                }
            }
            Item::Carrier => {
                self.carry();
                let next = if self.storm { self.random.range(1, 60_000) } else { 1_000 };
                self.plan(next, Item::Carrier);
            }
            Item::Timer => {
                if state::batch::is_due(&self.state, self.now) {
                    self.batch(|batch, ctx, ids| batch.tick(ctx, ids));
                }
            }
        }
    }

    /// Runs a command, checks what it made of the state, and lets its answer be seen.
    pub fn command<T>(&mut self, command: impl FnOnce(&mut Txn) -> Result<T, Error>) -> Result<T, Error> {
        let reply = self.batch(|batch, ctx, ids| batch.command(ctx, ids, command));
        reply.unwrap_or_else(|| {
            self.broken = Some("a command breaks an assertion".to_owned());
            Err(Error::internal("broken"))
        })
    }

    /// Runs a batch as the runtime does: `work`, and the settling of what it touched.
    fn batch<T>(&mut self, work: impl FnOnce(&mut Batch<Cluster, Changes>, &Ctx, &mut Ids) -> T) -> T {
        let (ctx, before) = (self.ctx(), self.state.clone());
        let ports = Ports { account: Arc::new(self.account.clone()), listened: self.bus.is_some() };
        let mut batch = Batch::new(before.clone(), ports, Changes::new());
        let reply = work(&mut batch, &ctx, &mut self.ids);
        batch.settle(&ctx, &mut self.ids);
        let done = batch.done();
        if let Some(key) = done.broken.first() {
            self.broken = Some(format!("{key:?} breaks an assertion"));
        }
        self.state = done.state;
        self.outcome.steps += 1;
        let changes: Vec<Change> = done.sink.into_values().collect();
        self.broken = self.broken.take().or_else(|| checks::after_step(&before, &self.state, &changes));
        if let Some(at) = self.state.agenda().wake_at() {
            self.plan(at.millis_since(self.now), Item::Timer);
        }
        reply
    }

    /// Runs a command on the account.
    pub fn account_command<T>(
        &mut self,
        command: impl FnOnce(&mut account::Txn) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let ctx = self.ctx();
        let mut txn = state::Txn::new(self.account.clone(), &(), &ctx, &mut self.ids);
        let reply = command(&mut txn)?;
        self.account = txn.state;
        Ok(reply)
    }

    /// The bus takes the events that wait; they are forgotten, unless all ends before.
    fn carry(&mut self) {
        let Some(mut bus) = self.bus.take() else { return };
        let ends = self.storm && self.random.percent(20);
        match bus.accept(&self.state) {
            Err(what) => self.broken = Some(what),
            Ok(_) if ends => self.restart(),
            Ok(None) => {}
            Ok(Some(up_to)) => drop(self.command(|txn| Ok(state::contract::forget(txn, up_to)))),
        }
        self.bus = Some(bus);
    }

    fn restart(&mut self) {
        self.outcome.restarts += 1;
        // Now and then an earlier version ran until then, or ended while its rows were taken over.
        let (earlier, random) = (self.random.percent(20), &mut self.random);
        match restart::reread(&self.state, || earlier && random.percent(60)) {
            Ok(state) => self.state = state,
            Err(what) => self.broken = Some(what),
        }
        // Connections do not outlive the control plane; agents come back by themselves.
        let disconnect = |txn: &mut Txn| {
            ::ecs::instance::state::disconnect_all(txn);
            Ok(())
        };
        self.command(disconnect).ok();
        self.agents.iter_mut().for_each(Agent::disconnected);
    }

    /// The context of a command now.
    pub fn ctx(&self) -> Ctx {
        Ctx {
            now: self.now,
            account: "000000000000".into(),
            region: "us-east-1".into(),
            partition: "aws".into(),
            caller_arn: "arn:aws:iam::000000000000:root".into(),
            agent: None,
        }
    }

    /// An attribute-less resource of an agent's registration.
    pub fn resource(name: &str, value: i32) -> ecs::Resource {
        ecs::Resource {
            name: Some(name.to_owned()),
            r#type: Some("INTEGER".to_owned()),
            integer_value: Some(value),
            ..Default::default()
        }
    }
}
