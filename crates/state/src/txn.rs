//! A command at work: it changes the state of its batch, which nobody else sees, and every change is remembered as a row
//! to store. One that fails leaves nothing behind: the batch sees to that.

use std::collections::BTreeMap;

use wire::Timestamp;

use crate::{Change, Ctx, Domain, Ids, Table, domain::KeyOf, limits};

/// A command at work on a shard.
pub struct Txn<'a, D: Domain> {
    /// The state as this command has changed it so far.
    pub state: &'a mut D,
    /// What others' snapshots say.
    pub ports: &'a D::Ports,
    /// Who, where and when.
    pub ctx: &'a Ctx,
    /// The only source of new ids.
    pub ids: &'a mut Ids,
    pub(crate) changes: BTreeMap<KeyOf<D>, Change<D::Rows>>,
    /// About how many bytes the changes take in the store, those that a later one replaced and those that will
    /// announce them included.
    pub(crate) bytes: usize,
    /// Rows that announcing the changes will take.
    announced: usize,
}

impl<'a, D: Domain> Txn<'a, D> {
    /// A command on this state, which is worth nothing any more where it fails.
    pub fn new(state: &'a mut D, ports: &'a D::Ports, ctx: &'a Ctx, ids: &'a mut Ids) -> Txn<'a, D> {
        Txn { state, ports, ctx, ids, changes: BTreeMap::new(), bytes: 0, announced: 0 }
    }

    /// The time of this step.
    pub fn now(&self) -> Timestamp {
        self.ctx.now
    }

    /// Writes a row.
    pub fn put(&mut self, row: impl Into<D::Rows>) {
        self.record(Change::Put(row.into()));
    }

    /// Forgets a row.
    pub fn delete(&mut self, key: KeyOf<D>) {
        self.record(Change::Delete(key));
    }

    /// Takes in a change.
    pub fn record(&mut self, change: Change<D::Rows>) {
        self.state.apply(&change);
        let (rows, bytes) = self.state.announces(self.ports, &change);
        self.announced += rows;
        self.bytes += change.weight() + bytes;
        self.changes.insert(change.key(), change);
    }

    /// Marks something for settling at the end of the batch.
    pub fn mark(&mut self, mark: D::Mark) {
        self.state.agenda_mut().mark(mark);
    }

    /// Whether this step has changed so much that the rest must wait for the next one, or it would not fit
    /// into one commit.
    pub fn full(&self) -> bool {
        self.changes.len() + self.announced >= limits::STEP_CHANGES || self.bytes >= limits::STEP_BYTES
    }

    /// What it has changed so far.
    pub fn changes(&self) -> impl Iterator<Item = &Change<D::Rows>> {
        self.changes.values()
    }

    /// A row's key within its shard, for messages.
    pub fn path(key: &KeyOf<D>) -> String {
        <D::Rows as Table>::path(key)
    }
}
