//! The store of a simulated control plane: the contract of [`store::Store`] over a simulated [disk](crate::disk). Commits
//! that wait become one write and one sync; what fails of these has not happened, and may be found all the same should
//! the host end at this very moment.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use server::world::Outside;
use store::{
    Change, Commit, Condition, Done, Entry, Error, Health, Lease, Range, Revision, Span, Store, Watch,
};
use tokio::time::sleep;

use crate::{
    breaks::Break,
    disk::{self, Record, Refused},
    process::Process,
    world::World,
};

/// Commits of one write.
const TOGETHER: usize = 512;

/// What is stored, as the process that has it open sees it.
pub struct Rows {
    rows: BTreeMap<String, (Bytes, Revision)>,
    revision: Revision,
}

/// The open store.
pub struct SimStore {
    world: Arc<World>,
    process: Arc<Process>,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    rows: Rows,
    queue: VecDeque<(Commit, Done)>,
    at_work: bool,
    closed: bool,
}

/// What a start finds on a disk.
pub struct Found {
    pub rows: Rows,
    /// The commits of the life before.
    pub records: Vec<Record>,
}

impl Rows {
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.rows.iter().map(|(key, (value, _))| (key.as_str(), value))
    }

    /// Changes one, as somebody who edits the file does.
    pub fn edit(&mut self, key: String, value: Option<Bytes>) {
        match value {
            Some(value) => drop(self.rows.insert(key, (value, self.revision))),
            None => drop(self.rows.remove(&key)),
        }
    }

    fn take(&mut self, record: &Record) {
        for change in &record.changes {
            match change {
                Change::Put { key, value } => {
                    self.rows.insert(key.clone(), (value.clone(), record.revision));
                }
                Change::Delete { key } => drop(self.rows.remove(key)),
            }
        }
        self.revision = record.revision;
    }

    fn holds(&self, condition: &Condition) -> Result<(), Error> {
        let (key, expected) = match condition {
            Condition::Revision { key, revision } => (key, Some(*revision)),
            Condition::Absent { key } => (key, None),
            Condition::Lease { name, token } => {
                return Err(Error::Fenced { lease: name.clone(), token: *token });
            }
        };
        let found = self.rows.get(key).map(|(_, revision)| *revision);
        if found == expected { Ok(()) } else { Err(Error::Conflict { key: key.clone(), expected, found }) }
    }

    fn checkpoint(&self) -> Vec<u8> {
        let put = |(key, (value, _)): (&String, &(Bytes, Revision))| Change::Put {
            key: key.clone(),
            value: value.clone(),
        };
        let record = Record { revision: self.revision, changes: self.rows.iter().map(put).collect() };
        let mut out = Vec::new();
        disk::encode(&[record], &mut out);
        out
    }
}

/// Reads a disk, as a start does.
pub fn recover(world: &World) -> Found {
    let (checkpoint, journal) = world.disk.read();
    let mut rows = Rows { rows: BTreeMap::new(), revision: 0 };
    disk::decode(&checkpoint, false).iter().for_each(|record| rows.take(record));
    let mut records = Vec::new();
    for mut record in disk::decode(&journal, world.has(Break::TornBelieved)) {
        if world.has(Break::DeletesForgotten) {
            record.changes.retain(|change| matches!(change, Change::Put { .. }));
        }
        rows.take(&record);
        records.push(record);
    }
    Found { rows, records }
}

impl SimStore {
    /// Opens what was found for a process, and makes it the disk's checkpoint.
    pub fn open(world: &Arc<World>, process: &Arc<Process>, rows: Rows) -> Arc<SimStore> {
        world.disk.replace(rows.checkpoint());
        let inner = Inner { rows, queue: VecDeque::new(), at_work: false, closed: false };
        Arc::new(SimStore {
            world: world.clone(),
            process: process.clone(),
            inner: Arc::new(Mutex::new(inner)),
        })
    }
}

/// Writes what waits, until nothing does.
async fn write(world: Arc<World>, inner: Arc<Mutex<Inner>>) {
    loop {
        let delay = world.range(100, 3_000);
        sleep(Duration::from_micros(delay.unsigned_abs())).await;
        let (records, answers) = {
            let mut inner = inner.lock();
            let many = inner.queue.len().min(TOGETHER);
            if many == 0 {
                inner.at_work = false;
                return;
            }
            let batch: Vec<_> = inner.queue.drain(..many).collect();
            gather(&inner.rows, batch)
        };
        let mut bytes = Vec::new();
        disk::encode(&records, &mut bytes);
        if world.has(Break::AnswersEarly) {
            // Before anything is on its way to the disk.
            publish(&world, &inner, &records);
            answers.into_iter().for_each(|(done, outcome)| done(outcome));
            sleep(Duration::from_millis(20)).await;
            let _ = world.disk.write(&bytes).and_then(|()| world.disk.sync(false));
            continue;
        }
        *world.sending.lock() = records.clone();
        let written = world.disk.write(&bytes);
        let wait = world.range(50, 2_000) + 1_000 * world.disk.weather().slow_ms;
        sleep(Duration::from_micros(wait.unsigned_abs())).await;
        let written = written.and_then(|()| world.disk.sync(world.has(Break::SyncSkipped)));
        match written {
            Ok(()) => {
                world.digest(&bytes);
                publish(&world, &inner, &records);
                answers.into_iter().for_each(|(done, outcome)| done(outcome));
            }
            Err(refused) => {
                world.outcome(|outcome| outcome.failed_writes += 1);
                let calls_it_done = world.has(Break::FailureHidden);
                for (done, outcome) in answers {
                    done(if calls_it_done { outcome } else { Err(error(refused)) });
                }
            }
        }
    }
}

type Answer = (Done, Result<Revision, Error>);

/// What commits become, each on the state as the one before left it.
fn gather(rows: &Rows, batch: Vec<(Commit, Done)>) -> (Vec<Record>, Vec<Answer>) {
    let (mut revision, mut records, mut answers) = (rows.revision, Vec::new(), Vec::new());
    for (commit, done) in batch {
        // No commit of ours has conditions on what another of the same batch changes.
        let refused = commit.conditions.iter().find_map(|condition| rows.holds(condition).err());
        if let Some(error) = refused {
            answers.push((done, Err(error)));
            continue;
        }
        if !commit.changes.is_empty() {
            revision += 1;
            records.push(Record { revision, changes: commit.changes });
        }
        answers.push((done, Ok(revision)));
    }
    (records, answers)
}

fn publish(world: &World, inner: &Mutex<Inner>, records: &[Record]) {
    let mut inner = inner.lock();
    records.iter().for_each(|record| inner.rows.take(record));
    world.outcome(|outcome| outcome.commits += records.len() as u64);
}

fn error(refused: Refused) -> Error {
    let (path, detail) = ("state.db".to_owned(), "as the seed has it".to_owned());
    match refused {
        Refused::Full => Error::DiskFull { path, detail },
        Refused::Sync => Error::Io { path, detail },
    }
}

fn absent<T>() -> Result<T, Error> {
    Err(Error::Invalid("nothing that is simulated asks for this".to_owned()))
}

fn entry((key, (value, revision)): (&String, &(Bytes, Revision))) -> Entry {
    Entry { key: key.clone(), value: value.clone(), revision: *revision, whole: true }
}

impl Store for SimStore {
    fn submit(&self, mut commit: Commit, done: Done) {
        if let Err(error) = commit.validate() {
            return done(Err(error));
        }
        if self.world.has(Break::HalfCommits) && commit.changes.len() > 2 && self.world.percent(10) {
            commit.changes.pop();
        }
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return done(Err(Error::Closed));
        }
        inner.queue.push_back((commit, done));
        if !std::mem::replace(&mut inner.at_work, true) {
            drop(inner);
            self.process.spawn(Box::pin(write(self.world.clone(), self.inner.clone())));
        }
    }

    /// At once: only a start commits so.
    fn commit(&self, commit: Commit) -> Result<Revision, Error> {
        commit.validate()?;
        let mut inner = self.inner.lock();
        for condition in &commit.conditions {
            inner.rows.holds(condition)?;
        }
        let record = Record { revision: inner.rows.revision + 1, changes: commit.changes };
        let mut bytes = Vec::new();
        disk::encode(std::slice::from_ref(&record), &mut bytes);
        self.world.disk.write(&bytes).and_then(|()| self.world.disk.sync(false)).map_err(error)?;
        inner.rows.take(&record);
        Ok(record.revision)
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        Ok(self.inner.lock().rows.rows.get_key_value(key).map(entry))
    }

    fn range(&self, span: &Span, limit: usize) -> Result<Range, Error> {
        let inner = self.inner.lock();
        let limit = if limit == 0 { store::limits::MAX_RANGE_ENTRIES } else { limit };
        let within = inner.rows.rows.range(span.start().to_owned()..).map(entry);
        let mut within = within.take_while(|entry| span.contains(&entry.key));
        let entries: Vec<Entry> = within.by_ref().take(limit).collect();
        Ok(Range { entries, revision: inner.rows.revision, more: within.next().is_some() })
    }

    /// In any order: that of a file is how it was written.
    fn scan(&self, span: &Span, each: &mut dyn FnMut(Entry)) -> Result<Revision, Error> {
        let (mut entries, revision) = {
            let inner = self.inner.lock();
            let within = inner.rows.rows.iter().filter(|(key, _)| span.contains(key));
            (within.map(entry).collect::<Vec<_>>(), inner.rows.revision)
        };
        for at in (1..entries.len()).rev() {
            entries.swap(at, self.world.range(0, at as i64) as usize);
        }
        entries.into_iter().for_each(each);
        Ok(revision)
    }

    fn revision(&self) -> Revision {
        self.inner.lock().rows.revision
    }

    fn watch(&self, _span: Span, _from: Revision) -> Result<Watch, Error> {
        absent()
    }

    fn acquire_lease(&self, _name: &str, _holder: &str, _ttl: Duration) -> Result<Lease, Error> {
        absent()
    }

    fn renew_lease(&self, _lease: &Lease) -> Result<(), Error> {
        absent()
    }

    fn release_lease(&self, _lease: &Lease) -> Result<(), Error> {
        absent()
    }

    fn backup(&self, _to: &Path) -> Result<(), Error> {
        absent()
    }

    fn is_tight(&self) -> bool {
        self.world.disk.weather().tight
    }

    fn close(&self) {
        self.inner.lock().closed = true;
    }

    fn health(&self) -> Health {
        let inner = self.inner.lock();
        Health {
            writable: true,
            last_error: None,
            revision: inner.rows.revision,
            oldest_watch: inner.rows.revision,
            size_bytes: 0,
            queued: inner.queue.len(),
        }
    }
}
