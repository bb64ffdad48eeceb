//! One cluster's state: its rows and the indexes derived from them. `Cluster::take` is the only place
//! that changes either, so an index can never disagree with its rows. Cloning is cheap (persistent maps):
//! a snapshot is a clone, and undoing is dropping one.

pub mod change;
pub mod rows;
pub mod txn;
mod weight;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use imbl::{OrdMap, OrdSet};
use wire::Timestamp;

use state::{Agenda, Domain, ShardId};

use crate::{account::Account, instance, limits, placement::Slots, service, tick};

pub use change::{Change, Key, Row};
pub use rows::*;
pub use txn::{Txn, Writes, assigned};

/// What the tasks on one container instance take from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Held by tasks that are not STOPPED.
    pub used: Resources,
    pub running: i32,
    pub pending: i32,
    /// All tasks placed here that are not STOPPED, and what each shall do.
    pub tasks: OrdMap<TaskId, Desired>,
    /// Those that are STOPPED and not forgotten yet.
    pub ended: OrdSet<TaskId>,
    /// How many of them are of each group.
    pub groups: OrdMap<String, i32>,
    /// Where the instance stands in [`Cluster::slots`].
    pub slot: Option<u32>,
}

/// What is settled on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A container instance was deregistered, and its tasks are given up.
    Instance(InstanceId),
    /// Something that a service looks at has changed.
    Service(ServiceName),
}

/// What a cluster may read of others.
pub struct Ports {
    /// Task definitions and settings of its account and region, as they stand.
    pub account: Arc<Account>,
}

/// One cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The cluster's own row.
    pub row: Arc<ClusterRow>,
    instances: OrdMap<InstanceId, Arc<InstanceRow>>,
    services: OrdMap<ServiceName, Arc<ServiceRow>>,
    tasks: OrdMap<TaskId, Arc<TaskRow>>,
    tokens: OrdMap<String, Arc<TokenRow>>,
    /// Client tokens, the oldest first.
    tokens_by_age: OrdSet<(Timestamp, String)>,
    /// How many tasks are STOPPED.
    stopped: usize,
    usage: OrdMap<InstanceId, Arc<Usage>>,
    slots: Slots,
    service_tasks: OrdMap<ServiceName, OrdSet<TaskId>>,
    /// Services that wait for room, and daemons: what looks again when capacity comes.
    waiting: OrdSet<ServiceName>,
    agenda: Agenda<Key, Mark>,
    /// Its last row was deleted.
    gone: bool,
    running: i32,
    pending: i32,
}

impl Cluster {
    /// A cluster with nothing in it.
    pub fn of(row: ClusterRow) -> Cluster {
        Cluster {
            row: Arc::new(row),
            instances: OrdMap::new(),
            services: OrdMap::new(),
            tasks: OrdMap::new(),
            tokens: OrdMap::new(),
            tokens_by_age: OrdSet::new(),
            stopped: 0,
            usage: OrdMap::new(),
            slots: Slots::default(),
            service_tasks: OrdMap::new(),
            waiting: OrdSet::new(),
            agenda: Agenda::default(),
            gone: false,
            running: 0,
            pending: 0,
        }
    }

    /// A task by id.
    pub fn task(&self, id: &TaskId) -> Option<&Arc<TaskRow>> {
        self.tasks.get(id)
    }

    /// All tasks in order of their ids.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<TaskRow>> {
        self.tasks.values()
    }

    /// Tasks whose id is greater than `after`, in order: for paging without a scan of what came before.
    pub fn tasks_after(&self, after: Option<&TaskId>) -> impl Iterator<Item = &Arc<TaskRow>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, |id| Excluded(*id));
        self.tasks.range((from, Unbounded)).map(|(_, row)| row)
    }

    /// The tasks that a service made and that are not forgotten yet.
    pub fn tasks_of_service(&self, name: &ServiceName) -> impl Iterator<Item = &Arc<TaskRow>> {
        self.service_tasks.get(name).into_iter().flatten().filter_map(|id| self.tasks.get(id))
    }

    /// The tasks on a container instance that are not STOPPED.
    pub fn tasks_on(&self, instance: &InstanceId) -> impl Iterator<Item = &Arc<TaskRow>> {
        self.usage.get(instance).into_iter().flat_map(|u| u.tasks.keys()).filter_map(|id| self.tasks.get(id))
    }

    /// A container instance by id.
    pub fn instance(&self, id: &InstanceId) -> Option<&Arc<InstanceRow>> {
        self.instances.get(id)
    }

    /// All container instances in order of their ids.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<InstanceRow>> {
        self.instances.values()
    }

    /// Container instances whose id is greater than `after`, in order.
    pub fn instances_after(&self, after: &InstanceId) -> impl Iterator<Item = &Arc<InstanceRow>> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.instances.range((Excluded(*after), Unbounded)).map(|(_, row)| row)
    }

    /// All container instances in order of their ids, each with what is in use on it.
    pub fn hosts(&self) -> impl Iterator<Item = (&Arc<InstanceRow>, &Arc<Usage>)> {
        // Every instance has its usage: as many of both means the same ids, and no look-up for each.
        let same = self.instances.len() == self.usage.len();
        let paired = same.then(|| self.instances.values().zip(self.usage.values()));
        let looked_up = || self.instances.iter().filter_map(|(id, row)| Some((row, self.usage.get(id)?)));
        paired.into_iter().flatten().chain((!same).then(looked_up).into_iter().flatten())
    }

    /// The container instances that tasks which are not STOPPED are on, whether there is a row of them or not.
    pub fn hosts_with_tasks(&self) -> impl Iterator<Item = InstanceId> {
        self.usage.iter().filter(|(_, usage)| !usage.tasks.is_empty()).map(|(id, _)| *id)
    }

    /// What is in use on a container instance.
    pub fn usage(&self, id: &InstanceId) -> Option<&Arc<Usage>> {
        self.usage.get(id)
    }

    /// What placement asks of every container instance.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// A service by name.
    pub fn service(&self, name: &ServiceName) -> Option<&Arc<ServiceRow>> {
        self.services.get(name)
    }

    /// All services in order of their names.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceRow>> {
        self.services.values()
    }

    /// Services that wait for room, and daemons.
    pub fn services_waiting(&self) -> impl Iterator<Item = &ServiceName> {
        self.waiting.iter()
    }

    /// What a RunTask client token made.
    pub fn token(&self, token: &str) -> Option<&Arc<TokenRow>> {
        self.tokens.get(token)
    }

    /// All RunTask client tokens that are remembered.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<TokenRow>> {
        self.tokens.values()
    }

    /// The oldest of what is remembered beyond the limits: STOPPED tasks and client tokens, a few of each.
    pub fn surplus(&self) -> Vec<Key> {
        const FEW: usize = 4;
        let of = |have: usize, most: usize| have.saturating_sub(most).min(FEW);
        let tokens = of(self.tokens.len(), limits::TOKENS);
        let tokens = self.tokens_by_age.iter().take(tokens).map(|(_, token)| Key::Token(token.clone()));
        // Tokens are remembered for longer: the earliest to be forgotten are tasks, nearly all of them.
        let tasks = self.agenda.timers().filter(|(_, key)| matches!(key, Key::Task(_)));
        let tasks = tasks.take(of(self.stopped, limits::STOPPED_TASKS)).map(|(_, key)| key.clone());
        tasks.chain(tokens).collect()
    }

    /// How many services and container instances there are, INACTIVE ones too.
    pub fn counts(&self) -> (usize, usize) {
        (self.services.len(), self.instances.len())
    }

    /// Tasks that are RUNNING, and tasks that are on their way there.
    pub fn task_counts(&self) -> (i32, i32) {
        (self.running, self.pending)
    }

    /// Takes out of `free` each task definition that a task which is not STOPPED, or a service, is of.
    pub fn retain_unreferenced(&self, free: &mut BTreeSet<TaskDefinitionId>) {
        for row in self.services.values().filter(|row| row.status != ServiceStatus::Inactive) {
            free.remove(&row.task_definition);
            for deployment in &row.deployments {
                free.remove(&deployment.task_definition);
            }
        }
        let mut tasks = self.tasks.values().filter(|row| row.last != TaskStatus::Stopped);
        while !free.is_empty()
            && let Some(row) = tasks.next()
        {
            free.remove(&row.task_definition);
        }
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
            Key::Instance(id) => self.instances.get(id).and_then(|row| row.forget_at),
            Key::Service(name) => self.services.get(name).and_then(|row| row.wakes_at()),
            Key::Task(id) => self.tasks.get(id).and_then(|row| row.forget_at),
            Key::Token(token) => self.tokens.get(token).map(|row| row.forget_at),
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
            Change::Put(Row::Task(row)) => self.put_task(row),
            Change::Put(Row::Token(row)) => {
                self.forget_token(&row.token);
                self.tokens_by_age.insert((row.forget_at, row.token.clone()));
                self.tokens.insert(row.token.clone(), row.clone());
            }
            Change::Delete(Key::Cluster(())) => self.gone = true,
            Change::Delete(Key::Instance(id)) => self.delete_instance(id),
            Change::Delete(Key::Service(name)) => {
                self.services.remove(name);
                self.waiting.remove(name);
            }
            Change::Delete(Key::Task(id)) => self.delete_task(id),
            Change::Delete(Key::Token(token)) => self.forget_token(token),
        }
    }

    fn due(txn: &mut Txn, key: Key) {
        tick::due(txn, key);
    }

    fn settle(txn: &mut Txn, mark: Mark) {
        match mark {
            Mark::Instance(id) => instance::state::give_up(txn, &id),
            Mark::Service(name) => service::settle(txn, &name),
        }
    }

    fn marked(&self, mark: &Mark) -> Key {
        match mark {
            Mark::Instance(id) => Key::Instance(*id),
            Mark::Service(name) => Key::Service(name.clone()),
        }
    }

    fn forgets(&self, key: &Key) -> bool {
        match key {
            Key::Service(name) => self.services.get(name).is_some_and(|row| row.forget_at.is_some()),
            Key::Task(_) | Key::Instance(_) | Key::Token(_) | Key::Cluster(()) => true,
        }
    }

    fn set_back(txn: &mut Txn, key: Key) {
        tick::set_back(txn, key);
    }

    fn gone(&self) -> bool {
        self.gone
    }
}

impl Cluster {
    fn put_instance(&mut self, row: &Arc<InstanceRow>) {
        let old = self.instances.insert(row.id, row.clone());
        let usage = self.usage.entry(row.id).or_default();
        let slot = match usage.slot {
            Some(slot) => slot,
            None => {
                let slot = self.slots.allot(&row.id);
                // Tasks may have been read before their instance.
                self.slots.fill(slot, &usage.used, &usage.groups);
                Arc::make_mut(usage).slot = Some(slot);
                slot
            }
        };
        self.slots.host(slot, old.as_deref(), row, &usage.used);
    }

    fn forget_token(&mut self, token: &str) {
        if let Some(old) = self.tokens.remove(token) {
            self.tokens_by_age.remove(&(old.forget_at, old.token.clone()));
        }
    }

    fn delete_instance(&mut self, id: &InstanceId) {
        let row = self.instances.remove(id);
        let Some(usage) = self.usage.remove(id) else { return };
        if let Some(slot) = usage.slot {
            self.slots.release(slot, row.as_deref(), &usage.used, usage.groups.keys());
        }
    }

    fn put_service(&mut self, row: &Arc<ServiceRow>) {
        if row.status == ServiceStatus::Active && (row.unplaced.is_some() || row.daemon()) {
            self.waiting.insert(row.name.clone());
        } else {
            self.waiting.remove(&row.name);
        }
        self.services.insert(row.name.clone(), row.clone());
    }

    fn put_task(&mut self, row: &Arc<TaskRow>) {
        if let Some(old) = self.tasks.insert(row.id, row.clone()) {
            self.uncount(&old);
        } else if let Some((service, _)) = &row.service {
            self.service_tasks.entry(service.clone()).or_default().insert(row.id);
        }
        self.count(row);
    }

    fn delete_task(&mut self, id: &TaskId) {
        let Some(old) = self.tasks.remove(id) else { return };
        self.uncount(&old);
        let Some((service, _)) = &old.service else { return };
        if let Some(ids) = self.service_tasks.get_mut(service) {
            ids.remove(id);
            if ids.is_empty() {
                self.service_tasks.remove(service);
            }
        }
    }

    fn count(&mut self, row: &TaskRow) {
        let (running, pending) = row.counts();
        self.running += running;
        self.pending += pending;
        self.stopped += usize::from(row.last == TaskStatus::Stopped);
        let Some(instance) = &row.instance else { return };
        if row.last == TaskStatus::Stopped {
            // Its container instance may be forgotten.
            if let Some(usage) = self.usage.get_mut(instance) {
                Arc::make_mut(usage).ended.insert(row.id);
            }
            return;
        }
        let usage = Arc::make_mut(self.usage.entry(*instance).or_default());
        usage.running += running;
        usage.pending += pending;
        usage.tasks.insert(row.id, row.desired);
        usage.used.add(&row.needs);
        *usage.groups.entry(row.group.clone()).or_default() += 1;
        if let Some(slot) = usage.slot {
            self.slots.take(slot, &row.needs, &row.group);
        }
    }

    fn uncount(&mut self, row: &TaskRow) {
        let (running, pending) = row.counts();
        self.running -= running;
        self.pending -= pending;
        self.stopped -= usize::from(row.last == TaskStatus::Stopped);
        let Some(usage) = row.instance.as_ref().and_then(|id| self.usage.get_mut(id)) else { return };
        let usage = Arc::make_mut(usage);
        if row.last == TaskStatus::Stopped {
            usage.ended.remove(&row.id);
            return;
        }
        usage.running -= running;
        usage.pending -= pending;
        usage.tasks.remove(&row.id);
        usage.used.subtract(&row.needs);
        match usage.groups.get_mut(&row.group) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                usage.groups.remove(&row.group);
            }
        }
        if let Some(slot) = usage.slot {
            let reserved = row.instance.as_ref().and_then(|id| self.instances.get(id));
            self.slots.give(slot, &row.needs, &row.group, reserved.map(|row| &row.registered));
        }
    }
}

impl TaskRow {
    /// (1, 0) when RUNNING, (0, 1) when on the way there, (0, 0) after, as ECS counts tasks.
    pub fn counts(&self) -> (i32, i32) {
        match self.last {
            TaskStatus::Provisioning | TaskStatus::Pending | TaskStatus::Activating => (0, 1),
            TaskStatus::Running => (1, 0),
            _ => (0, 0),
        }
    }
}

impl ServiceRow {
    /// The earliest time at which this service must be looked at again.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let deployments = self.deployments.iter().filter_map(|d| d.not_before);
        deployments.chain(self.wake_at).chain(self.forget_at).min()
    }
}

impl Resources {
    /// Takes more.
    pub fn add(&mut self, other: &Resources) {
        self.cpu += other.cpu;
        self.memory += other.memory;
        self.ports_tcp.extend(&other.ports_tcp);
        self.ports_udp.extend(&other.ports_udp);
    }

    /// Gives back.
    pub fn subtract(&mut self, other: &Resources) {
        self.cpu -= other.cpu;
        self.memory -= other.memory;
        self.ports_tcp.retain(|port| !other.ports_tcp.contains(port));
        self.ports_udp.retain(|port| !other.ports_udp.contains(port));
    }
}
