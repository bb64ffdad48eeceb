//! The store in one SQLite file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Clock, Commit, Done, Entry, Error, Health, Lease, MonotonicClock, Range, Revision, Span, Store, Watch,
};

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
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(MonotonicClock::default()), history: HistoryLimits::default() }
    }
}

/// A store in one SQLite file.
pub struct Sqlite {
    never: std::convert::Infallible,
}

impl Sqlite {
    /// Opens the store at `path`, or makes it. The caller sees to it that one process at a time does so.
    pub fn open(path: &Path, _options: Options) -> Result<Self, Error> {
        Err(Error::Io { path: path.display().to_string(), detail: "this engine is not built yet".to_owned() })
    }
}

impl Store for Sqlite {
    fn submit(&self, _: Commit, _: Done) {
        match self.never {}
    }
    fn get(&self, _: &str) -> Result<Option<Entry>, Error> {
        match self.never {}
    }
    fn range(&self, _: &Span, _: usize) -> Result<Range, Error> {
        match self.never {}
    }
    fn scan(&self, _: &Span, _: &mut dyn FnMut(Entry)) -> Result<Revision, Error> {
        match self.never {}
    }
    fn revision(&self) -> Revision {
        match self.never {}
    }
    fn watch(&self, _: Span, _: Revision) -> Result<Watch, Error> {
        match self.never {}
    }
    fn acquire_lease(&self, _: &str, _: &str, _: Duration) -> Result<Lease, Error> {
        match self.never {}
    }
    fn renew_lease(&self, _: &Lease) -> Result<(), Error> {
        match self.never {}
    }
    fn release_lease(&self, _: &Lease) -> Result<(), Error> {
        match self.never {}
    }
    fn backup(&self, _: &Path) -> Result<(), Error> {
        match self.never {}
    }
    fn health(&self) -> Health {
        match self.never {}
    }
}
