//! The store in one SQLite file: WAL, `synchronous=FULL`, one writing connection owned by the writer thread,
//! and reading connections that see only what is durable and never wait for the writer.
//!
//! Invariant: SQLite syncs the write-ahead log before it makes a transaction visible to other connections,
//! and only other connections read. One process at a time may have the file open; the caller holds the lock.
//! What must not happen here: deciding what a commit means (that is `apply`, the same for every engine).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use backup::backup;
pub use reader::{aside, look};
pub use room::kept;

use crate::hub::Hub;
use crate::queue::Writer;
use crate::space::Space;
use crate::{
    Clock, Commit, Done, Entry, Error, Health, Lease, MonotonicClock, Range, Revision, Span, Store, Watch,
    row,
};

mod backup;
mod fault;
mod file;
mod reader;
mod room;
mod salvage;
mod wal;
mod writer;

/// How much history the store keeps for watches. What is beyond any of the three is trimmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Changes.
    pub changes: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Time since the commit, by the wall clock.
    pub age: Duration,
}

impl HistoryLimits {
    /// For a store that nobody watches, or only from now on: nothing is written for watches.
    pub const NONE: HistoryLimits = HistoryLimits { changes: 0, bytes: 0, age: Duration::ZERO };
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { changes: 100_000, bytes: 64 << 20, age: Duration::from_secs(24 * 3600) }
    }
}

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// The clock of leases.
    pub clock: Arc<dyn Clock>,
    /// How far back watches can go.
    pub history: HistoryLimits,
    /// Keep room inside the files for when the disk is full, see [`crate::space`].
    pub keeps_room: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(MonotonicClock::default()),
            history: HistoryLimits::default(),
            keeps_room: false,
        }
    }
}

/// A store in one SQLite file. Dropping it writes what is queued and closes the file.
pub struct Sqlite {
    // Dropped first: the writer finishes while the rest is still there.
    writer: Writer,
    hub: Arc<Hub>,
    readers: Arc<reader::Readers>,
    path: PathBuf,
    damage: Option<String>,
}

impl Sqlite {
    /// Opens the store at `path`, or makes it (mode 0600). The caller sees to it that one process at a time
    /// does so. Errors: [`Error::Foreign`], [`Error::TooNew`], [`Error::Corrupt`], the disk's errors. A file
    /// that is refused is left as it is.
    ///
    /// A file with damaged pages, or a damaged log, is kept beside, and what can be read of it taken over into a new
    /// one; the rows that were lost are among [`crate::aside::list`]. [`Sqlite::damage`] tells of it.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let (file, damage) = salvage::open(path, options.keeps_room)?;
        let how = file.how;
        let hub = Arc::new(Hub::new(file.state.revision, file.state.oldest_watch));
        let writer = Writer::start(writer::SqliteBackend::new(path, file, options)?, hub.clone())?;
        let readers = Arc::new(reader::Readers::new(path, how));
        Ok(Self { writer, hub, readers, path: path.to_owned(), damage })
    }

    /// What was damaged when the file was opened, and where it is kept as it was, in words for an operator.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }
}

impl Store for Sqlite {
    fn close(&self) {
        self.writer.close();
    }

    fn submit(&self, commit: Commit, done: Done) {
        self.writer.submit(commit, done);
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        row::check_key(key)?;
        self.readers.get(key)
    }

    fn range(&self, span: &Span, limit: usize) -> Result<Range, Error> {
        self.readers.range(span, limit)
    }

    fn scan(&self, span: &Span, each: &mut dyn FnMut(Entry)) -> Result<Revision, Error> {
        self.readers.scan(span, each)
    }

    fn revision(&self) -> Revision {
        self.hub.revision()
    }

    fn watch(&self, span: Span, from: Revision) -> Result<Watch, Error> {
        // A reader may know a revision an instant before the hub does, so the file is asked, not the hub.
        let state = self.readers.state()?;
        Watch::open(self.hub.clone(), self.readers.clone(), span, from, (state.oldest_watch, state.revision))
    }

    fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Lease, Error> {
        self.writer.acquire(name, holder, ttl)
    }

    fn renew_lease(&self, lease: &Lease) -> Result<(), Error> {
        self.writer.renew(lease)
    }

    fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        self.writer.release(lease)
    }

    fn backup(&self, to: &Path) -> Result<(), Error> {
        backup::backup(&self.path, to)
    }

    fn is_tight(&self) -> bool {
        Space::of(&self.path).is_ok_and(|space| space.is_tight())
    }

    fn health(&self) -> Health {
        let (last_error, queued) = self.writer.state();
        let size = |suffix: &str| std::fs::metadata(file::beside(&self.path, suffix)).map_or(0, |m| m.len());
        Health {
            writable: last_error.is_none(),
            last_error,
            revision: self.hub.revision(),
            oldest_watch: self.hub.oldest_watch(),
            size_bytes: size("") + size("-wal"),
            queued,
        }
    }
}
