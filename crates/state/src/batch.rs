//! A batch: what is due, commands, and the settling of all that they touched, gathered into one commit. Each runs on the
//! state as the one before left it. One that fails half-way, or breaks an assertion, fails alone: the state is made anew, from
//! a copy and what has changed since. A copy for each would cost more than the commands: whatever a command touches first
//! is copied while there is another copy of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use wire::{Error, Timestamp};

use crate::{Change, Ctx, Domain, Ids, Table, Txn, domain::KeyOf, limits};

/// Whether the clock was set, after which the times in rows have to be brought into line with it. That is asked for
/// until nothing more changes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// It was not.
    No,
    /// Perhaps, while nothing ran here.
    Unseen,
    /// Just now.
    Seen,
}

/// Where the changes of a batch go, in the form in which they are stored.
pub trait Sink<T: Table> {
    /// Takes in what one step has changed, all of it or nothing.
    ///
    /// # Errors
    /// What no store takes. The step has not happened then.
    fn take(&mut self, changes: &mut dyn Iterator<Item = &Change<T>>) -> Result<(), Error>;
}

/// A batch at work.
pub struct Batch<D: Domain, S: Sink<D::Rows>> {
    state: D,
    /// The state as it was before all that is `since`.
    base: D,
    /// What commands have changed, in order.
    since: Vec<Change<D::Rows>>,
    ports: D::Ports,
    sink: S,
    keys: BTreeSet<KeyOf<D>>,
    bytes: usize,
    broken: Vec<KeyOf<D>>,
}

/// What a batch has made.
pub struct Done<D: Domain, S> {
    /// The state after it.
    pub state: D,
    /// Holds what the store must hold before anyone may see `state` or an answer.
    pub sink: S,
    /// The rows that changed.
    pub keys: BTreeSet<KeyOf<D>>,
    /// What broke an assertion on the way: set aside, and to be told to the operator.
    pub broken: Vec<KeyOf<D>>,
}

impl<D: Domain, S: Sink<D::Rows>> Batch<D, S> {
    /// Begins from a state.
    pub fn new(state: D, ports: D::Ports, sink: S) -> Batch<D, S> {
        let base = state.clone();
        Batch {
            state,
            base,
            since: Vec::new(),
            ports,
            sink,
            keys: BTreeSet::new(),
            bytes: 0,
            broken: Vec::new(),
        }
    }

    /// What the next steps see of others.
    pub fn see(&mut self, ports: D::Ports) {
        self.ports = ports;
    }

    /// The state so far.
    pub fn state(&self) -> &D {
        &self.state
    }

    /// How many rows have changed so far.
    pub fn changed(&self) -> usize {
        self.keys.len()
    }

    /// Whether another step surely fits into the same commit.
    pub fn has_room(&self) -> bool {
        self.keys.len() < limits::BATCH_CHANGES && self.bytes < limits::BATCH_BYTES
    }

    /// Runs one command to its end.
    ///
    /// # Errors
    /// The command's own; nothing has changed then. `None`: it broke an assertion, which the panic hook has printed.
    pub fn command<T>(
        &mut self,
        ctx: &Ctx,
        ids: &mut Ids,
        command: impl FnOnce(&mut Txn<D>) -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        let (done, is_whole) = self.run(ctx, ids, command);
        if !is_whole {
            self.make_anew();
        }
        done
    }

    /// Runs a step; with what came of it comes whether the state is whole: it failed before it had changed anything, or
    /// not at all.
    fn run<T>(
        &mut self,
        ctx: &Ctx,
        ids: &mut Ids,
        step: impl FnOnce(&mut Txn<D>) -> Result<T, Error>,
    ) -> (Option<Result<T, Error>>, bool) {
        let before = D::listens(&self.ports).then(|| self.state.clone());
        let mut txn = Txn::new(&mut self.state, &self.ports, ctx, ids);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let reply = step(&mut txn)?;
            if let Some(before) = before.as_ref().filter(|_| !txn.changes.is_empty()) {
                D::announce(&mut txn, before);
            }
            Ok(reply)
        }));
        let Txn { changes, bytes, .. } = txn;
        let reply = match ran {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => return (Some(Err(error)), changes.is_empty()),
            Err(_) => return (None, false),
        };
        if changes.is_empty() {
            return (Some(Ok(reply)), true);
        }
        if let Err(error) = self.sink.take(&mut changes.values()) {
            return (Some(Err(error)), false);
        }
        self.bytes += bytes;
        self.keys.extend(changes.keys().cloned());
        self.since.extend(changes.into_values());
        (Some(Ok(reply)), true)
    }

    /// The state without what the last command did to it, which failed half-way. What was to be settled still is.
    fn make_anew(&mut self) {
        let given_up = mem::replace(&mut self.state, self.base.clone());
        self.since.iter().for_each(|change| self.state.apply(change));
        self.state.recall(&given_up);
        self.state.agenda_mut().recall(given_up.agenda());
        self.begin_here();
    }

    /// What fails from now on comes back to this state.
    fn begin_here(&mut self) {
        self.since.clear();
        self.base = self.state.clone();
    }

    /// Does what is due. What breaks an assertion is set aside: the others have their turn.
    pub fn tick(&mut self, ctx: &Ctx, ids: &mut Ids) {
        for key in self.state.agenda().due(ctx.now, limits::DUE) {
            if !self.has_room() {
                return;
            }
            self.one(ctx, ids, key.clone(), |txn| D::due(txn, key));
        }
    }

    /// Settles what is marked, as long as there is room; the rest stays marked, and the next batch follows at once.
    pub fn settle(&mut self, ctx: &Ctx, ids: &mut Ids) {
        while self.has_room()
            && let Some(mark) = self.state.agenda_mut().take_mark()
        {
            let key = self.state.marked(&mark);
            if !self.state.is_aside(&key, ctx.now) {
                self.one(ctx, ids, key, |txn| D::settle(txn, mark));
            }
        }
    }

    /// The clock was set: brings some times in rows into line with it.
    pub fn clock(&mut self, ctx: &Ctx, ids: &mut Ids, set: Set) {
        if set == Set::Seen {
            let until = ctx.now.plus_millis(D::KEPT_MS);
            for key in self.state.agenda().due(ctx.now, usize::MAX) {
                if self.state.forgets(&key) {
                    self.state.set_aside(&key, until);
                }
            }
            self.begin_here();
        }
        let late: Vec<KeyOf<D>> =
            self.state.agenda().due_after(ctx.now.plus_millis(D::SHORTEST_MS)).cloned().collect();
        for key in late {
            if !self.has_room() {
                return;
            }
            self.one(ctx, ids, key.clone(), |txn| D::set_back(txn, key));
        }
    }

    /// A step of the state's own. It may write down in the state what it has seen, which is in no row: so one that fails is
    /// undone by a copy.
    fn one(&mut self, ctx: &Ctx, ids: &mut Ids, key: KeyOf<D>, step: impl FnOnce(&mut Txn<D>)) {
        self.begin_here();
        let (done, _) = self.run(ctx, ids, |txn| {
            step(txn);
            Ok(())
        });
        if !matches!(done, Some(Ok(()))) {
            self.state = self.base.clone();
            self.state.set_aside(&key, ctx.now.plus_millis(limits::ASIDE_MS));
            self.begin_here();
            self.broken.push(key);
        }
    }

    /// Ends it.
    pub fn done(self) -> Done<D, S> {
        let Batch { state, sink, keys, broken, .. } = self;
        Done { state, sink, keys, broken }
    }
}

/// The last change of each row, for those who store nothing.
impl<T: Table> Sink<T> for BTreeMap<T::Key, Change<T>> {
    fn take(&mut self, changes: &mut dyn Iterator<Item = &Change<T>>) -> Result<(), Error> {
        self.extend(changes.map(|change| (change.key(), change.clone())));
        Ok(())
    }
}

/// Whether anything waits at `now`.
pub fn is_due<D: Domain>(state: &D, now: Timestamp) -> bool {
    state.agenda().wake_at().is_some_and(|at| at <= now)
}

#[cfg(test)]
mod tests;
