//! The store in memory, for tests: the same contract, the same conformance suite, and nothing kept after
//! the last handle is gone. Writing can be made to fail, as a full disk would.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::apply::{Batch, Rows};
use crate::hub::Hub;
use crate::lease::Leases;
use crate::queue::{Applied, Backend, Work, Writer};
use crate::watch::{History, Page};
use crate::{
    Change, Clock, Commit, Done, Entry, Error, Event, Health, Lease, MonotonicClock, Range, Revision, Span,
    Store, Watch, limits, row,
};

/// A store in memory.
pub struct Memory {
    writer: Writer,
    hub: Arc<Hub>,
    shared: Arc<Shared>,
    tight: AtomicBool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::with(Arc::new(MonotonicClock::default()), 100_000)
    }

    /// An empty store with its own clock for leases, whose watches can go back over `history` changes.
    pub fn with(clock: Arc<dyn Clock>, history: usize) -> Self {
        let hub = Arc::new(Hub::new(0, 0));
        let shared = Arc::new(Shared::default());
        let backend = MemoryBackend { shared: shared.clone(), leases: Leases::default(), clock, history };
        let writer = Writer::start(backend, hub.clone()).expect("a thread can be started in a test");
        Self { writer, hub, shared, tight: AtomicBool::new(false) }
    }

    /// Makes it say that little space is left, or enough.
    pub fn set_tight(&self, tight: bool) {
        self.tight.store(tight, Ordering::Relaxed);
    }

    /// Makes every write fail with `fault`, or succeed again.
    pub fn set_fault(&self, fault: Option<Error>) {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

#[derive(Default)]
struct Shared {
    data: Mutex<Data>,
    fault: Mutex<Option<Error>>,
}

#[derive(Default)]
struct Data {
    rows: BTreeMap<String, (Bytes, Revision)>,
    history: VecDeque<Event>,
    changes: usize,
    oldest_watch: Revision,
    revision: Revision,
}

impl Shared {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_fault(&self) -> Result<(), Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }
}

impl Data {
    fn within(&self, span: &Span) -> impl Iterator<Item = Entry> {
        // BTreeMap::range panics on an empty range.
        let end = if span.is_empty() { Some(span.start()) } else { span.end() };
        let range = (Bound::Included(span.start()), end.map_or(Bound::Unbounded, Bound::Excluded));
        let rows = if span.is_empty() { None } else { Some(self.rows.range::<str, _>(range)) };
        rows.into_iter().flatten().map(|(key, (value, revision))| Entry {
            key: key.clone(),
            value: value.clone(),
            revision: *revision,
            whole: true,
        })
    }
}

impl Store for Memory {
    fn close(&self) {
        self.writer.close();
    }

    fn submit(&self, commit: Commit, done: Done) {
        self.writer.submit(commit, done);
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        row::check_key(key)?;
        let data = self.shared.data();
        Ok(data.rows.get(key).map(|(value, revision)| Entry {
            key: key.to_owned(),
            value: value.clone(),
            revision: *revision,
            whole: true,
        }))
    }

    fn range(&self, span: &Span, limit: usize) -> Result<Range, Error> {
        let data = self.shared.data();
        let mut range = Range { revision: data.revision, ..Range::default() };
        let mut budget = row::Budget::new(limit);
        for entry in data.within(span) {
            if !budget.spend(&entry) {
                range.more = true;
                break;
            }
            range.entries.push(entry);
        }
        Ok(range)
    }

    fn scan(&self, span: &Span, each: &mut dyn FnMut(Entry)) -> Result<Revision, Error> {
        // The rows are collected first, so that `each` may use the store.
        let (entries, revision) = {
            let data = self.shared.data();
            (data.within(span).collect::<Vec<_>>(), data.revision)
        };
        entries.into_iter().for_each(each);
        Ok(revision)
    }

    fn revision(&self) -> Revision {
        self.hub.revision()
    }

    fn watch(&self, span: Span, from: Revision) -> Result<Watch, Error> {
        let reach = {
            let data = self.shared.data();
            (data.oldest_watch, data.revision)
        };
        Watch::open(self.hub.clone(), self.shared.clone(), span, from, reach)
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

    fn backup(&self, _to: &Path) -> Result<(), Error> {
        Err(Error::Invalid("the store in memory cannot be backed up".to_owned()))
    }

    fn is_tight(&self) -> bool {
        self.tight.load(Ordering::Relaxed)
    }

    fn health(&self) -> Health {
        let (last_error, queued) = self.writer.state();
        let data = self.shared.data();
        let size: usize = data.rows.iter().map(|(key, (value, _))| key.len() + value.len()).sum();
        Health {
            writable: last_error.is_none(),
            last_error,
            revision: self.hub.revision(),
            oldest_watch: self.hub.oldest_watch(),
            size_bytes: size as u64,
            queued,
        }
    }
}

impl History for Shared {
    fn read(&self, span: &Span, after: Revision) -> Result<Page, Error> {
        let data = self.data();
        if after < data.oldest_watch {
            return Err(Error::Compacted { oldest: data.oldest_watch });
        }
        let mut page = Page { events: VecDeque::new(), upto: data.revision };
        let first = data.history.partition_point(|commit| commit.revision <= after);
        let mut read = 0;
        for commit in data.history.range(first..) {
            let changes: Vec<Change> =
                commit.changes.iter().filter(|change| span.contains(change.key())).cloned().collect();
            read += changes.len();
            if !changes.is_empty() {
                page.events.push_back(Event { revision: commit.revision, changes });
            }
            if read >= limits::HISTORY_PAGE {
                page.upto = commit.revision;
                break;
            }
        }
        Ok(page)
    }
}

struct MemoryBackend {
    shared: Arc<Shared>,
    leases: Leases,
    clock: Arc<dyn Clock>,
    history: usize,
}

impl Backend for MemoryBackend {
    fn apply(&mut self, works: Vec<Work>) -> Result<Applied, Error> {
        self.shared.check_fault()?;
        let mut data = self.shared.data();
        let (now, revision) = (self.clock.now(), data.revision);
        let mut batch = Batch::new(&mut *data, &mut self.leases, revision, now);
        batch.run(works)?;
        let (outcomes, commits, revision) = (batch.outcomes, batch.commits, batch.revision);
        data.revision = revision;
        data.changes += commits.iter().map(|commit| commit.changes.len()).sum::<usize>();
        data.history.extend(commits.iter().cloned());
        while data.changes > self.history
            && let Some(oldest) = data.history.pop_front()
        {
            data.changes -= oldest.changes.len();
            data.oldest_watch = oldest.revision;
        }
        Ok(Applied { outcomes, commits, revision, oldest_watch: data.oldest_watch })
    }

    fn probe(&mut self) -> Result<(), Error> {
        self.shared.check_fault()
    }
}

impl Rows for &mut Data {
    fn revision_of(&mut self, key: &str) -> Result<Option<Revision>, Error> {
        Ok(self.rows.get(key).map(|(_, revision)| *revision))
    }

    fn change(&mut self, change: &Change, revision: Revision, _nth: usize) -> Result<bool, Error> {
        Ok(match change {
            Change::Put { key, value } => {
                self.rows.insert(key.clone(), (value.clone(), revision));
                true
            }
            Change::Delete { key } => self.rows.remove(key).is_some(),
        })
    }

    fn put_lease(&mut self, _lease: &Lease) -> Result<(), Error> {
        Ok(())
    }

    fn delete_lease(&mut self, _name: &str) -> Result<(), Error> {
        Ok(())
    }
}
