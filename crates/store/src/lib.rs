//! Durable rows, revisions, watches and leases behind one small trait.
//!
//! A [`Store`] holds rows: a key (a string, ordered by its bytes) and a value (bytes). A [`Commit`] is a
//! group of changes that happens whole or not at all; it is on disk before anybody sees it or hears that
//! it succeeded, and it moves the store's [`Revision`] by one. A [`Watch`] sees every change after a
//! revision, in order, without gaps. A [`Lease`] lets one holder at a time act, with a token that fences
//! the writes of those before it.
//!
//! Two engines: [`sqlite`] (the default: one file) and [`memory`] (tests). Both pass [`conformance`].
//! This crate knows nothing of what the rows mean, and nothing of async runtimes: it has one writer thread
//! per store, and callbacks.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

mod apply;
pub mod aside;
#[cfg(feature = "testing")]
pub mod conformance;
mod error;
mod hub;
mod lease;
pub mod limits;
pub mod memory;
mod queue;
mod row;
pub mod space;
pub mod sqlite;
mod watch;

pub use error::Error;
pub use lease::{Clock, Lease, ManualClock, MonotonicClock};
pub use row::{Change, Commit, Condition, Entry, Range, Revision, Span};
pub use watch::{Event, Watch};

/// Called once with the outcome of a submitted commit. It runs on the store's writer thread (or on the
/// submitting thread, before `submit` returns, when the commit is refused at once), so it must be quick and
/// must not wait for the store.
pub type Done = Box<dyn FnOnce(Result<Revision, Error>) + Send>;

/// Rows, revision, watch, lease. All methods may be called from any thread.
pub trait Store: Send + Sync + 'static {
    /// Queues a commit and returns without waiting for the disk. `done` hears the revision at which the
    /// commit became durable and visible, or why it did not happen. A commit without changes checks its
    /// conditions and answers the current revision; one whose changes all delete absent keys does too.
    ///
    /// Commits are applied in the order of submission. Errors: [`Error::Invalid`], [`Error::Busy`] when the
    /// queue is full, [`Error::Conflict`] and [`Error::Fenced`] when a condition does not hold, the disk's
    /// [`Error::DiskFull`], [`Error::ReadOnly`], [`Error::Io`], [`Error::Corrupt`]; [`Error::Closed`].
    fn submit(&self, commit: Commit, done: Done);

    /// [`Store::submit`], waiting for the outcome. Never call it from a `done`.
    fn commit(&self, commit: Commit) -> Result<Revision, Error> {
        let (tx, rx) = mpsc::sync_channel(1);
        self.submit(
            commit,
            Box::new(move |outcome| {
                // The receiver waits below; it cannot be gone.
                let _ = tx.send(outcome);
            }),
        );
        rx.recv().unwrap_or(Err(Error::Closed))
    }

    /// The row at `key`, if any.
    fn get(&self, key: &str) -> Result<Option<Entry>, Error>;

    /// The first rows of `span` in key order: at most `limit` (0 means [`limits::MAX_RANGE_ENTRIES`], which
    /// is also the most), and at most about [`limits::MAX_RANGE_BYTES`] of them. `more` in the answer says
    /// that rows were left out; go on with [`Span::after`] the last key.
    fn range(&self, span: &Span, limit: usize) -> Result<Range, Error>;

    /// Hands every row of `span` to `each`, in the order that costs the least, all as of one revision, which is returned.
    /// For loading: `watch` from the returned revision sees everything that happened since.
    fn scan(&self, span: &Span, each: &mut dyn FnMut(Entry)) -> Result<Revision, Error>;

    /// The revision of the newest visible commit; 0 in a store that never had one.
    fn revision(&self) -> Revision;

    /// Every change within `span` of a revision above `from`, in order and without gaps: those already made
    /// first, then those to come. Errors: [`Error::Compacted`] when the history after `from` is gone (read
    /// the rows again, and watch from there), [`Error::FutureRevision`] when the store never was at `from`.
    fn watch(&self, span: Span, from: Revision) -> Result<Watch, Error>;

    /// Takes the lease `name` for `ttl` if nobody, or `holder` itself, holds it. A new token is issued each
    /// time, larger than all before; whoever held an earlier one is fenced. Error: [`Error::LeaseHeld`].
    fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Lease, Error>;

    /// Holds the lease for another `ttl` from now. Error: [`Error::LeaseLost`] when it ran out or changed
    /// hands; stop acting then.
    fn renew_lease(&self, lease: &Lease) -> Result<(), Error>;

    /// Gives the lease up. Error: [`Error::LeaseLost`] when it was not held any more.
    fn release_lease(&self, lease: &Lease) -> Result<(), Error>;

    /// Writes a consistent copy of the store to the new file `to`, while reads and writes go on. The copy
    /// is on disk when this returns. Error: [`Error::Invalid`] when `to` exists.
    fn backup(&self, to: &Path) -> Result<(), Error>;

    /// Whether so little space is left that nothing new should be begun: what there is, is for commits that end
    /// something. Costs some microseconds. False where the store is on no disk.
    fn is_tight(&self) -> bool {
        false
    }

    /// Writes what is queued, and takes nothing more: all that comes after is refused by [`Error::Closed`]. What was
    /// stored is whole in the store's file then, also where others still hold this handle. Waits for the disk.
    fn close(&self);

    /// How the store is doing. Never fails and never waits for the disk's writer.
    fn health(&self) -> Health;
}

/// How a store is doing.
#[derive(Clone, Debug)]
pub struct Health {
    /// False from a write that failed for the disk's sake until one succeeds. The store tries by itself
    /// about once a second, so this turns true again without a restart and without traffic.
    pub writable: bool,
    /// Why the last write failed, while `writable` is false.
    pub last_error: Option<Error>,
    /// The newest visible revision.
    pub revision: Revision,
    /// The oldest revision that a watch can start from.
    pub oldest_watch: Revision,
    /// What the store takes on disk (for the memory engine: in memory), in bytes, its history included.
    pub size_bytes: u64,
    /// Commits waiting to be written.
    pub queued: usize,
}
