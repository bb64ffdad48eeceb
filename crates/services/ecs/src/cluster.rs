//! One cluster's state: its rows and the indexes derived from them. `Cluster::take` is the only place that changes either, so
//! an index can never disagree with its rows. Cloning is cheap (persistent maps): a snapshot is a clone.

pub mod change;
pub mod daemons;
mod deployed;
mod earlier;
pub mod facets;
mod history;
mod interfaces;
mod kept;
pub(crate) mod looks;
mod managed;
mod mark;
mod outbox;
mod ports;
pub mod provisioning;
pub mod seek;
mod take;
pub mod tally;
pub mod totals;
pub mod turns;
pub mod txn;
pub mod waiting;
mod weight;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use wire::Timestamp;

use state::{
    Agenda, Domain, ShardId,
    contract::{Outgoing, Tells},
};

use crate::{
    announce, capacity::used::Used, daemon, fargate, instance, limits, placement::Slots, service, task, tick,
};

use daemons::{Daemons, Resident};
use deployed::Deployed;
use facets::Facets;
use history::History;
use interfaces::Interfaces;
use kept::Kept;
use managed::Managed;
use provisioning::Provisioning;

pub use crate::rows::{self, *};
pub use change::{Change, Key, Row};
pub use facets::{InstanceFacet, Phase, TaskFacet};
pub use mark::Mark;
pub use ports::{Keeps, Ports};
pub use tally::Tally;
pub use totals::Totals;
pub use txn::{Txn, Writes, assigned};

use turns::Turns;
use waiting::Waiting;

/// What the tasks on one container instance take from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Held by tasks that are not STOPPED.
    pub used: Resources,
    pub running: i32,
    pub pending: i32,
    /// All tasks placed here that are not STOPPED, and what each shall do, as its agent is to know it.
    pub tasks: OrdMap<TaskId, Desired>,
    /// Those that are STOPPED and not forgotten yet.
    pub ended: OrdSet<TaskId>,
    /// How many of them are of each group.
    pub groups: OrdMap<String, i32>,
    /// Where the instance stands in [`Cluster::slots`].
    pub slot: Option<u32>,
    /// That of the instance.
    pub zone: tally::Zone,
}

/// One cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The cluster's own row.
    pub row: Arc<ClusterRow>,
    instances: OrdMap<InstanceId, Arc<InstanceRow>>,
    services: OrdMap<ServiceName, Arc<ServiceRow>>,
    history: History,
    deployed: Deployed,
    managed: Managed,
    tasks: OrdMap<TaskId, Arc<TaskRow>>,
    /// STOPPED tasks, those that are forgotten first before the others.
    stopped_by_age: OrdSet<(Timestamp, TaskId)>,
    kept: Kept,
    tokens: OrdMap<String, Arc<TokenRow>>,
    /// Client tokens, the oldest first.
    tokens_by_age: OrdSet<(Timestamp, String)>,
    usage: OrdMap<InstanceId, Arc<Usage>>,
    /// How many container instances of each zone take tasks, of those where any does.
    zones: OrdMap<tally::Zone, usize>,
    slots: Slots,
    tallies: OrdMap<ServiceName, Arc<Tally>>,
    totals: Totals,
    facets: Facets,
    waiting: Waiting,
    provisioning: Provisioning,
    turns: Turns,
    interfaces: Interfaces,
    daemons: Daemons,
    used_capacity: Used,
    outgoing: Outgoing,
    agenda: Agenda<Key, Mark>,
    /// Its last row was deleted.
    gone: bool,
}

impl Cluster {
    /// A cluster with nothing in it.
    pub fn of(row: ClusterRow) -> Cluster {
        Cluster {
            row: Arc::new(row),
            instances: OrdMap::new(),
            services: OrdMap::new(),
            history: History::default(),
            deployed: Deployed::default(),
            managed: Managed::default(),
            tasks: OrdMap::new(),
            stopped_by_age: OrdSet::new(),
            kept: Kept::default(),
            tokens: OrdMap::new(),
            tokens_by_age: OrdSet::new(),
            usage: OrdMap::new(),
            zones: OrdMap::new(),
            slots: Slots::default(),
            tallies: OrdMap::new(),
            totals: Totals::default(),
            facets: Facets::default(),
            waiting: Waiting::default(),
            provisioning: Provisioning::default(),
            turns: Turns::default(),
            interfaces: Interfaces::default(),
            daemons: Daemons::default(),
            used_capacity: Used::default(),
            outgoing: Outgoing::default(),
            agenda: Agenda::default(),
            gone: false,
        }
    }

    /// A task by id.
    pub fn task(&self, id: &TaskId) -> Option<&Arc<TaskRow>> {
        looks::one();
        self.tasks.get(id)
    }

    /// All tasks in order of their ids.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<TaskRow>> {
        self.tasks.values().inspect(|_| looks::one())
    }

    /// The tasks that a service made and that are not forgotten yet.
    pub fn tasks_of_service<'a>(&'a self, name: &'a ServiceName) -> impl Iterator<Item = &'a Arc<TaskRow>> {
        self.tasks_by(TaskFacet::Service(name), Phase::ALL)
    }

    /// The tasks that a daemon made and that are not forgotten yet.
    pub fn tasks_of_daemon<'a>(&'a self, name: &'a DaemonName) -> impl Iterator<Item = &'a Arc<TaskRow>> {
        self.tasks_by(TaskFacet::Daemon(name), Phase::ALL)
    }

    /// The tasks of a service, counted and in order.
    pub fn tally(&self, name: &ServiceName) -> Arc<Tally> {
        self.tallies.get(name).cloned().unwrap_or_default()
    }

    /// The services that have tasks which are not STOPPED, whether there is a row of them or not.
    pub fn tallies(&self) -> impl Iterator<Item = (&ServiceName, &Arc<Tally>)> {
        self.tallies.iter()
    }

    /// The tasks on a container instance that are not STOPPED.
    pub fn tasks_on(&self, instance: &InstanceId) -> impl Iterator<Item = &Arc<TaskRow>> {
        self.usage.get(instance).into_iter().flat_map(|u| u.tasks.keys()).filter_map(|id| self.task(id))
    }

    /// A container instance by id.
    pub fn instance(&self, id: &InstanceId) -> Option<&Arc<InstanceRow>> {
        looks::one();
        self.instances.get(id)
    }

    /// All container instances in order of their ids.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<InstanceRow>> {
        self.instances.values().inspect(|_| looks::one())
    }

    /// Container instances whose id is greater than `after`, in order.
    pub fn instances_after(&self, after: &InstanceId) -> impl Iterator<Item = &Arc<InstanceRow>> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.instances.range((Excluded(*after), Unbounded)).map(|(_, row)| row).inspect(|_| looks::one())
    }

    /// All container instances in order of their ids, each with what is in use on it.
    pub fn hosts(&self) -> impl Iterator<Item = (&Arc<InstanceRow>, &Arc<Usage>)> {
        // Every instance has its usage: as many of both means the same ids, and no look-up for each.
        let same = self.instances.len() == self.usage.len();
        let paired = same.then(|| self.instances.values().zip(self.usage.values()));
        let looked_up = || self.instances.iter().filter_map(|(id, row)| Some((row, self.usage.get(id)?)));
        paired
            .into_iter()
            .flatten()
            .chain((!same).then(looked_up).into_iter().flatten())
            .inspect(|_| looks::one())
    }

    /// The container instances that tasks which are not STOPPED are on, whether there is a row of them or not.
    pub fn hosts_with_tasks(&self) -> impl Iterator<Item = InstanceId> {
        self.usage.iter().filter(|(_, usage)| !usage.tasks.is_empty()).map(|(id, _)| *id)
    }

    /// What is in use on a container instance.
    pub fn usage(&self, id: &InstanceId) -> Option<&Arc<Usage>> {
        self.usage.get(id)
    }

    /// The zones where a container instance takes tasks, and how many do.
    pub fn zones(&self) -> &OrdMap<tally::Zone, usize> {
        &self.zones
    }

    /// What placement asks of every container instance.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(crate) fn slots_mut(&mut self) -> &mut Slots {
        &mut self.slots
    }

    /// A service by name.
    pub fn service(&self, name: &ServiceName) -> Option<&Arc<ServiceRow>> {
        looks::one();
        self.services.get(name)
    }

    /// All services in order of their names.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceRow>> {
        self.services.values().inspect(|_| looks::one())
    }

    /// What a RunTask client token made.
    pub fn token(&self, token: &str) -> Option<&Arc<TokenRow>> {
        self.tokens.get(token)
    }

    /// All RunTask client tokens that are remembered.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<TokenRow>> {
        self.tokens.values()
    }

    /// All rows: whatever another belongs to comes behind it, and the cluster's own last.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let tasks = self.tasks.values().cloned().map(Row::Task);
        let services = self.services.values().cloned().map(Row::Service);
        let instances = self.instances.values().cloned().map(Row::Instance);
        let tokens = self.tokens.values().cloned().map(Row::Token);
        let outgoing = self.outgoing.waiting().cloned().map(Row::EventOut);
        let outgoing = outgoing.chain(self.outgoing.sequence().map(Row::from));
        let own = (!self.gone).then(|| Row::Cluster(self.row.clone()));
        tasks
            .chain(self.kept.rows())
            .chain(self.interfaces.rows())
            .chain(self.history.rows())
            .chain(self.deployed.rows())
            .chain(services)
            .chain(self.managed.rows())
            .chain(instances)
            .chain(tokens)
            .chain(outgoing)
            .chain(own)
    }

    /// How many services and container instances there are, INACTIVE ones too.
    pub fn counts(&self) -> (usize, usize) {
        (self.services.len(), self.instances.len())
    }

    /// How many there are of what: DescribeClusters, and the limits of a cluster.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// By how much capacity providers are used.
    pub fn used_capacity(&self) -> &Used {
        &self.used_capacity
    }

    /// How many tasks there are, STOPPED ones too.
    pub fn tasks_kept(&self) -> usize {
        self.tasks.len()
    }
}

impl Domain for Cluster {
    type Rows = Row;
    type Mark = Mark;
    type Ports = Ports;

    const SERVICE: &'static str = "ecs";
    const KEPT_MS: i64 = limits::STOPPED_TASK_KEPT_MS;
    const SHORTEST_MS: i64 = limits::SHORT_LIFE_MS;

    /// INACTIVE, so that no request finds it, until its row is on disk.
    fn new(shard: &ShardId) -> Cluster {
        Cluster::of(ClusterRow::plain(&shard.name))
    }

    fn agenda(&self) -> &Agenda<Key, Mark> {
        &self.agenda
    }

    fn agenda_mut(&mut self) -> &mut Agenda<Key, Mark> {
        &mut self.agenda
    }

    fn timer(&self, key: &Key) -> Option<Timestamp> {
        match key {
            Key::Cluster(()) => self.row.forget_at.filter(|_| !self.gone),
            Key::Instance(id) => self.instances.get(id).and_then(|row| row.forget_at.or(row.lost_at)),
            Key::Service(name) => self.services.get(name).and_then(|row| row.wakes_at()),
            Key::ServiceToken(name) => self.service_token(name).map(|row| row.forget_at),
            Key::ServiceDeployment(id) => {
                self.service_deployment_by_number(id).and_then(|row| row.wakes_at())
            }
            Key::Daemon(name) => self.daemon_row(name).and_then(|row| row.wakes_at()),
            Key::DaemonDeployment(id) => self.daemon_deployment_by_number(id).and_then(|row| row.forget_at),
            Key::Task(id) => self.tasks.get(id).and_then(|row| row.wakes_at()),
            Key::KeptTask(id) => self.kept_task(id).map(|row| row.forget_at),
            Key::Token(token) => self.tokens.get(token).map(|row| row.forget_at),
            Key::InterfaceWanted(_)
            | Key::ServiceEvent(_)
            | Key::ServiceRevision(_)
            | Key::ServiceImages(_)
            | Key::TaskSet(_)
            | Key::DaemonRevision(_)
            | Key::EventOut(_)
            | Key::Sequence(()) => None,
        }
    }

    fn take(&mut self, change: &Change) {
        match change {
            Change::Put(Row::Cluster(row)) => {
                self.row = row.clone();
                self.gone = false;
            }
            Change::Put(Row::Instance(row)) => self.put_instance(row),
            Change::Put(Row::Service(row)) => self.put_service(row),
            Change::Put(Row::ServiceEvent(row)) => self.history.put_event(row),
            Change::Put(Row::ServiceToken(row)) => self.history.put_token(row),
            Change::Put(Row::ServiceRevision(row)) => self.deployed.put_revision(row),
            Change::Put(Row::ServiceImages(row)) => self.deployed.put_images(row),
            Change::Put(Row::ServiceDeployment(row)) => self.deployed.put_deployment(row),
            Change::Put(Row::TaskSet(row)) => self.deployed.put_task_set(row),
            Change::Put(Row::Daemon(row)) => self.put_daemon(row),
            Change::Put(Row::DaemonRevision(row)) => self.managed.put_revision(row),
            Change::Put(Row::DaemonDeployment(row)) => self.managed.put_deployment(row),
            Change::Put(Row::Task(row)) => self.put_task(row),
            Change::Put(Row::KeptTask(row)) => self.kept.put(row),
            Change::Put(Row::Token(row)) => {
                self.forget_token(&row.token);
                self.tokens_by_age.insert((row.forget_at, row.token.clone()));
                self.tokens.insert(row.token.clone(), row.clone());
            }
            Change::Put(Row::InterfaceWanted(row)) => self.interfaces.put(row),
            Change::Put(Row::EventOut(row)) => self.outgoing.put(row),
            Change::Put(Row::Sequence(row)) => self.outgoing.set_sequence(Some(**row)),
            Change::Delete(Key::Cluster(())) => self.gone = true,
            Change::Delete(Key::Instance(id)) => self.delete_instance(id),
            Change::Delete(Key::Service(name)) => self.delete_service(name),
            Change::Delete(Key::ServiceEvent(id)) => self.history.forget_event(id),
            Change::Delete(Key::ServiceToken(name)) => self.history.forget_token(name),
            Change::Delete(Key::ServiceRevision(id)) => self.deployed.forget_revision(id),
            Change::Delete(Key::ServiceImages(id)) => self.deployed.forget_images(id),
            Change::Delete(Key::ServiceDeployment(id)) => self.deployed.forget_deployment(id),
            Change::Delete(Key::TaskSet(id)) => self.deployed.forget_task_set(id),
            Change::Delete(Key::Daemon(name)) => self.delete_daemon(name),
            Change::Delete(Key::DaemonRevision(id)) => self.managed.forget_revision(id),
            Change::Delete(Key::DaemonDeployment(id)) => self.managed.forget_deployment(id),
            Change::Delete(Key::Task(id)) => self.delete_task(id),
            Change::Delete(Key::KeptTask(id)) => self.kept.forget(id),
            Change::Delete(Key::Token(token)) => self.forget_token(token),
            Change::Delete(Key::InterfaceWanted(id)) => self.interfaces.forget(id),
            Change::Delete(Key::EventOut(sequence)) => self.outgoing.remove(*sequence),
            Change::Delete(Key::Sequence(())) => self.outgoing.set_sequence(None),
        }
    }

    fn due(txn: &mut Txn, key: Key) {
        tick::due(txn, key);
    }

    fn settle(txn: &mut Txn, mark: Mark) {
        match mark {
            Mark::Instance(id) => instance::state::give_up(txn, &id),
            Mark::Moved(id) => instance::state::place(txn, &id),
            Mark::Daemon(name) => daemon::settle(txn, &name),
            Mark::Held(id) => daemon::hold::admit(txn, &id),
            Mark::Service(name) => service::settle(txn, &name),
            Mark::Room(host, behind) => service::room(txn, &host, behind.as_ref()),
            Mark::Turn(started_by) => task::provisioning::turn(txn, &started_by),
            Mark::Drained(host) => fargate::interruption::drained(txn, &host),
        }
    }

    fn marked(&self, mark: &Mark) -> Key {
        match mark {
            Mark::Instance(id) | Mark::Moved(id) | Mark::Held(id) | Mark::Room(id, _) | Mark::Drained(id) => {
                Key::Instance(*id)
            }
            Mark::Daemon(name) => Key::Daemon(name.clone()),
            Mark::Service(name) => Key::Service(name.clone()),
            Mark::Turn(started_by) => {
                self.next_turn(started_by).map_or(Key::Cluster(()), |(id, _)| Key::Task(id))
            }
        }
    }

    fn forgets(&self, key: &Key) -> bool {
        match key {
            Key::Service(name) => self.services.get(name).is_some_and(|row| row.forget_at.is_some()),
            Key::ServiceDeployment(id) => {
                self.service_deployment_by_number(id).is_some_and(|row| row.status.has_ended())
            }
            Key::Daemon(name) => self.daemon_row(name).is_some_and(|row| row.forget_at.is_some()),
            // One that waits for room, or is protected, is not about to be forgotten.
            Key::Task(id) => self.tasks.get(id).is_some_and(|row| row.forget_at.is_some()),
            Key::Instance(id) => self.instances.get(id).is_some_and(|row| row.forget_at.is_some()),
            Key::DaemonDeployment(_) | Key::ServiceToken(_) | Key::Token(_) => true,
            Key::Cluster(()) | Key::KeptTask(_) => true,
            Key::InterfaceWanted(_)
            | Key::ServiceEvent(_)
            | Key::ServiceRevision(_)
            | Key::ServiceImages(_)
            | Key::TaskSet(_)
            | Key::DaemonRevision(_)
            | Key::EventOut(_)
            | Key::Sequence(()) => false,
        }
    }

    /// What changes meanwhile is not looked at: a daemon looks at everything once it has its turn again.
    fn set_aside(&mut self, key: &Key, until: Timestamp) {
        match key {
            Key::Service(name) => self.resident_forgotten(&Resident::from(name)),
            Key::Daemon(name) => self.resident_forgotten(&Resident::from(name)),
            _ => {}
        }
        let timer = self.timer(key);
        self.agenda.set_aside(key, timer, until);
    }

    fn set_back(txn: &mut Txn, key: Key) {
        tick::set_back(txn, key);
    }

    fn announces(&self, ports: &Ports, change: &Change) -> (usize, usize) {
        if ports.listened { announce::room(self, change) } else { (0, 0) }
    }

    fn listens(ports: &Ports) -> bool {
        ports.listened
    }

    fn announce(txn: &mut Txn, before: &Cluster) {
        announce::announce(txn, before);
    }

    /// On which container instances to look: a command only adds to them.
    fn recall(&mut self, given_up: &Cluster) {
        self.daemons = given_up.daemons.clone();
    }

    fn gone(&self) -> bool {
        self.gone
    }
}

impl Tells for Cluster {
    fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    fn event_key(sequence: u64) -> Key {
        Key::EventOut(sequence)
    }
}
