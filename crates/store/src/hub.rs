//! The newest commits in memory, and who waits for what. The writer publishes each batch here once it is
//! durable; watches read at their own pace. Nothing here touches the disk or calls back under the lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Change, Error, Event, Revision, Span, limits};

type Waker = Arc<dyn Fn() + Send + Sync>;

/// What a watch does next.
pub(crate) enum Next {
    /// Hand this on.
    Event(Event),
    /// Wait.
    Nothing,
    /// Read the engine's history after this revision.
    History(Revision),
}

/// A watch as the hub knows it. Everything up to `cursor` was handed on or does not concern it.
struct Slot {
    span: Span,
    cursor: Revision,
    /// Something after `cursor` may concern it. While false, publishing moves `cursor` along.
    pending: bool,
    waker: Option<Waker>,
    wake: Arc<Condvar>,
}

struct State {
    recent: VecDeque<Event>,
    recent_bytes: usize,
    /// Everything after this revision is in `recent`.
    floor: Revision,
    published: Revision,
    oldest_watch: Revision,
    closed: bool,
    slots: BTreeMap<u64, Slot>,
    next_id: u64,
}

/// See the module.
pub(crate) struct Hub(Mutex<State>);

impl Hub {
    /// A hub for a store at `revision`, whose history reaches back to `oldest_watch`.
    pub(crate) fn new(revision: Revision, oldest_watch: Revision) -> Self {
        Self(Mutex::new(State {
            recent: VecDeque::new(),
            recent_bytes: 0,
            floor: revision,
            published: revision,
            oldest_watch,
            closed: false,
            slots: BTreeMap::new(),
            next_id: 0,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing of ours panics while the lock is held, and each step leaves the state consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest published revision.
    pub(crate) fn revision(&self) -> Revision {
        self.state().published
    }

    /// The oldest revision that a watch can start from.
    pub(crate) fn oldest_watch(&self) -> Revision {
        self.state().oldest_watch
    }

    /// Makes durable commits visible to watches.
    pub(crate) fn publish(&self, commits: Vec<Event>, revision: Revision, oldest_watch: Revision) {
        let mut wakers = Vec::new();
        {
            let mut state = self.state();
            for commit in commits {
                state.push(commit, &mut wakers);
            }
            state.published = revision;
            state.oldest_watch = oldest_watch;
            for slot in state.slots.values_mut().filter(|slot| !slot.pending) {
                slot.cursor = slot.cursor.max(revision);
            }
        }
        for waker in wakers {
            waker();
        }
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        let wakers: Vec<Waker> = {
            let mut state = self.state();
            state.closed = true;
            state.slots.values().for_each(|slot| slot.wake.notify_all());
            state.slots.values().filter_map(|slot| slot.waker.clone()).collect()
        };
        for waker in wakers {
            waker();
        }
    }

    /// Adds a watch from `from`.
    pub(crate) fn join(&self, span: Span, from: Revision) -> u64 {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        let pending = from < state.published;
        state.slots.insert(id, Slot { span, cursor: from, pending, waker: None, wake: Arc::default() });
        id
    }

    /// Removes a watch.
    pub(crate) fn leave(&self, id: u64) {
        self.state().slots.remove(&id);
    }

    /// What the watch does next.
    pub(crate) fn next(&self, id: u64, span: &Span) -> Result<Next, Error> {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(slot) = state.slots.get_mut(&id) else { return Err(Error::Closed) };
        if !slot.pending {
            return if state.closed { Err(Error::Closed) } else { Ok(Next::Nothing) };
        }
        if slot.cursor < state.floor {
            return Ok(Next::History(slot.cursor));
        }
        let first = state.recent.partition_point(|commit| commit.revision <= slot.cursor);
        for commit in state.recent.range(first..) {
            if let Some(event) = cut(commit, span) {
                slot.cursor = commit.revision;
                return Ok(Next::Event(event));
            }
        }
        slot.cursor = slot.cursor.max(state.published);
        slot.pending = false;
        if state.closed { Err(Error::Closed) } else { Ok(Next::Nothing) }
    }

    /// Notes that the watch took everything up to `upto` from history.
    pub(crate) fn seen(&self, id: u64, upto: Revision) {
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(slot) = state.slots.get_mut(&id) {
            slot.cursor = slot.cursor.max(upto);
            slot.pending = slot.cursor < state.published;
        }
    }

    /// Blocks until there may be something for the watch, or the store closes, or time is up.
    pub(crate) fn wait(&self, id: u64, timeout: Option<Duration>) {
        let state = self.state();
        let Some(wake) = state.slots.get(&id).map(|slot| slot.wake.clone()) else { return };
        let idle =
            |state: &mut State| !state.closed && state.slots.get(&id).is_some_and(|slot| !slot.pending);
        match timeout {
            Some(timeout) => drop(wake.wait_timeout_while(state, timeout, idle)),
            None => drop(wake.wait_while(state, idle)),
        }
    }

    /// Sets the watch's callback, and calls it if there may be something already.
    pub(crate) fn set_waker(&self, id: u64, waker: Waker, pending: bool) {
        let now = {
            let mut guard = self.state();
            let state = &mut *guard;
            let Some(slot) = state.slots.get_mut(&id) else { return };
            slot.waker = Some(waker.clone());
            pending || slot.pending || state.closed
        };
        if now {
            waker();
        }
    }
}

impl State {
    fn push(&mut self, commit: Event, wakers: &mut Vec<Waker>) {
        for slot in self.slots.values_mut() {
            let concerns = || commit.changes.iter().any(|change| slot.span.contains(change.key()));
            // A watch that read history may have seen this commit before it was published.
            if slot.pending || commit.revision <= slot.cursor || !concerns() {
                continue;
            }
            slot.cursor = slot.cursor.max(commit.revision - 1);
            slot.pending = true;
            slot.wake.notify_all();
            wakers.extend(slot.waker.clone());
        }
        self.recent_bytes += size(&commit);
        self.recent.push_back(commit);
        while self.recent.len() > limits::RECENT_COMMITS || self.recent_bytes > limits::RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= size(&oldest);
            self.floor = oldest.revision;
        }
    }
}

fn size(commit: &Event) -> usize {
    commit.changes.iter().map(Change::size).sum()
}

/// The part of a commit that lies within `span`.
fn cut(commit: &Event, span: &Span) -> Option<Event> {
    let changes: Vec<Change> =
        commit.changes.iter().filter(|change| span.contains(change.key())).cloned().collect();
    (!changes.is_empty()).then_some(Event { revision: commit.revision, changes })
}
