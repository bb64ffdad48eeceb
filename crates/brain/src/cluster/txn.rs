//! One step of a cluster's brain: a command works on a private copy of the state, the services it touched
//! are settled, and out come the new state, the changed rows and who must hear of it. A command that fails
//! leaves nothing behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use wire::Timestamp;

use super::{Change, Cluster, Key, Row, rows::*};
use crate::{Ctx, Ids, account::Account, limits};

/// What a step has made of a cluster.
pub struct Step<T> {
    /// The state after it.
    pub state: Cluster,
    /// What the store must hold before anyone may see `state` or `reply`.
    pub changes: Vec<Change>,
    /// Container instances whose assignments changed: their links must look again.
    pub assignments: BTreeSet<InstanceId>,
    /// What broke an assertion of the brain on the way: set aside, and to be told to the operator.
    pub broken: Vec<Key>,
    /// The answer to the command.
    pub reply: T,
}

/// A command at work on a cluster.
pub struct Txn<'a> {
    /// The state as this command has changed it so far.
    pub state: Cluster,
    /// Task definitions and settings, as they stand.
    pub account: &'a Account,
    /// Who, where and when.
    pub ctx: &'a Ctx,
    /// The only source of new ids.
    pub ids: &'a mut Ids,
    changes: BTreeMap<Key, Change>,
    dirty: BTreeSet<ServiceName>,
    assignments: BTreeSet<InstanceId>,
    /// About how many bytes the changes take in the store, those that a later one replaced included.
    bytes: usize,
}

impl Cluster {
    /// Runs one command to its end. Pure: the same state, context, ids and command give the same step.
    pub fn step<T>(
        &self,
        account: &Account,
        ctx: &Ctx,
        ids: &mut Ids,
        command: impl FnOnce(&mut Txn) -> Result<T, wire::Error>,
    ) -> Result<Step<T>, wire::Error> {
        let mut txn = Txn {
            state: self.clone(),
            account,
            ctx,
            ids,
            changes: BTreeMap::new(),
            dirty: BTreeSet::new(),
            assignments: BTreeSet::new(),
            bytes: 0,
        };
        let reply = command(&mut txn)?;
        let broken = txn.settle();
        Ok(Step {
            state: txn.state,
            changes: txn.changes.into_values().collect(),
            assignments: txn.assignments,
            broken,
            reply,
        })
    }
}

/// What a [`Txn`] has made so far, to go back to.
struct Saved {
    state: Cluster,
    changes: BTreeMap<Key, Change>,
    assignments: BTreeSet<InstanceId>,
    bytes: usize,
}

impl Txn<'_> {
    /// Settles what this step touched. A service that breaks an assertion is set aside, and what became of it is
    /// undone; the others are settled all the same. Gives those that broke one.
    fn settle(&mut self) -> Vec<Key> {
        if self.dirty.is_empty() {
            return Vec::new();
        }
        let (saved, mut dirty) = (self.save(), self.dirty.clone());
        if catch_unwind(AssertUnwindSafe(|| crate::service::settle(self))).is_ok() {
            return Vec::new();
        }
        self.restore(saved);
        let mut broken = Vec::new();
        while let Some(name) = dirty.pop_first() {
            let saved = self.save();
            self.dirty = BTreeSet::from([name.clone()]);
            if catch_unwind(AssertUnwindSafe(|| crate::service::settle(self))).is_err() {
                self.restore(saved);
                let key = Key::Service(name);
                self.state.set_aside(&key, self.ctx.now.plus_millis(limits::ASIDE_MS));
                broken.push(key);
            }
        }
        broken
    }

    fn save(&self) -> Saved {
        Saved {
            state: self.state.clone(),
            changes: self.changes.clone(),
            assignments: self.assignments.clone(),
            bytes: self.bytes,
        }
    }

    fn restore(&mut self, saved: Saved) {
        let Saved { state, changes, assignments, bytes } = saved;
        (self.state, self.changes, self.assignments, self.bytes) = (state, changes, assignments, bytes);
        self.dirty.clear();
    }
}

impl Txn<'_> {
    /// The time of this step.
    pub fn now(&self) -> Timestamp {
        self.ctx.now
    }

    /// Writes the cluster's own row.
    pub fn put_cluster(&mut self, row: ClusterRow) {
        self.record(Change::Put(Row::Cluster(Arc::new(row))));
    }

    /// Writes a container instance. What changes its capacity wakes the services that wait for room.
    pub fn put_instance(&mut self, mut row: InstanceRow) {
        row.version += 1;
        self.record(Change::Put(Row::Instance(Arc::new(row))));
    }

    /// Writes a service and marks it for settling.
    pub fn put_service(&mut self, row: ServiceRow) {
        self.dirty.insert(row.name.clone());
        self.record(Change::Put(Row::Service(Arc::new(row))));
    }

    /// Whether this step has changed so much that the rest must wait for the next one, or it would not fit
    /// into one commit.
    pub fn full(&self) -> bool {
        self.changes.len() >= limits::STEP_CHANGES || self.bytes >= limits::STEP_BYTES
    }

    /// Leaves a container instance to the next tick.
    pub fn postpone_instance(&mut self, id: &InstanceId) {
        self.state.unfinished.insert(Key::Instance(id.clone()));
    }

    /// Leaves every service that still is to be settled to the next tick.
    pub fn postpone_services(&mut self) {
        let left = std::mem::take(&mut self.dirty).into_iter().map(Key::Service);
        self.state.unfinished.extend(left);
    }

    /// Takes up one of the container instances that an earlier step left.
    pub fn resume_instance(&mut self) -> Option<InstanceId> {
        let found = self.state.unfinished.iter().find_map(|key| match key {
            Key::Instance(id) => Some(id.clone()),
            _ => None,
        })?;
        self.state.unfinished.remove(&Key::Instance(found.clone()));
        Some(found)
    }

    /// Takes up all services that earlier steps left.
    pub fn resume_services(&mut self) {
        let (services, other) = std::mem::take(&mut self.state.unfinished)
            .into_iter()
            .partition::<Vec<Key>, _>(|key| matches!(key, Key::Service(_)));
        self.state.unfinished = other.into_iter().collect();
        self.dirty.extend(services.into_iter().filter_map(|key| match key {
            Key::Service(name) => Some(name),
            _ => None,
        }));
    }

    /// Writes a task: its service is settled again, and its container instance told when what it shall do
    /// has changed.
    pub fn put_task(&mut self, mut row: TaskRow) {
        let old = self.state.task(&row.id);
        assert!(old.is_none_or(|old| old.last <= row.last), "a task's status only rises: {}", row.id);
        let told = old.map(|old| (old.instance.clone(), old.desired));
        row.version += 1;
        if told != Some((row.instance.clone(), row.desired)) {
            self.assignments.extend(row.instance.clone());
        }
        if let Some((service, _)) = &row.service {
            self.dirty.insert(service.clone());
        }
        self.record(Change::Put(Row::Task(Arc::new(row))));
    }

    /// Remembers a client token.
    pub fn put_token(&mut self, row: TokenRow) {
        self.record(Change::Put(Row::Token(Arc::new(row))));
    }

    /// Forgets a row.
    pub fn delete(&mut self, key: Key) {
        self.record(Change::Delete(key));
    }

    /// Forgets the oldest of what is remembered beyond the limits.
    pub fn trim(&mut self) {
        for key in self.state.surplus() {
            self.delete(key);
        }
    }

    /// Has the link of a container instance look again at what it shall do.
    pub fn notify(&mut self, instance: &InstanceId) {
        self.assignments.insert(instance.clone());
    }

    /// Marks a service for settling at the end of this step.
    pub fn touch(&mut self, service: &ServiceName) {
        self.dirty.insert(service.clone());
    }

    /// Marks every service for settling.
    pub fn touch_all(&mut self) {
        self.dirty.extend(self.state.services().map(|row| row.name.clone()));
    }

    /// Marks the services that wait for room, as room has come.
    pub fn touch_waiting(&mut self) {
        self.dirty.extend(self.state.services_waiting().cloned());
    }

    /// The next service to settle.
    pub fn next_dirty(&mut self) -> Option<ServiceName> {
        self.dirty.pop_first()
    }

    fn record(&mut self, change: Change) {
        self.state.apply(&change);
        self.bytes += change.weight();
        self.changes.insert(change.key(), change);
    }
}
