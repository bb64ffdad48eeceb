//! The store of a simulated control plane, and that below an agent's ledger: the contract of [`store::Store`] over a simulated
//! [disk](crate::disk). Commits that wait become one write and one sync; what fails of these has not happened, and may be found
//! all the same should the host end at this very moment.

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
    disk::{self, Disk, Record, Refused},
    machine::{Machine, Moment},
    process::Process,
    world::World,
};

/// Commits of one write.
const TOGETHER: usize = 512;
/// How much is appended to a ledger before it is put in order, in bytes.
const LEDGER_MOST: usize = 1 << 20;

/// What is stored, as the process that has it open sees it.
pub struct Rows {
    rows: BTreeMap<String, (Bytes, Revision)>,
    revision: Revision,
}

/// The open store.
pub struct SimStore {
    medium: Medium,
    process: Arc<Process>,
    inner: Arc<Mutex<Inner>>,
}

/// Where it lies.
#[derive(Clone)]
struct Medium {
    world: Arc<World>,
    /// The machine whose agent has it; none is the control plane's.
    machine: Option<Arc<Machine>>,
}

impl Medium {
    fn disk(&self) -> &Disk {
        self.machine.as_ref().map_or(&self.world.disk, |machine| &machine.disk)
    }

    fn range(&self, low: i64, high: i64) -> i64 {
        match &self.machine {
            Some(machine) => machine.chance.lock().range(low, high),
            None => self.world.range(low, high),
        }
    }

    /// Whether this is the bug that the control plane's store has.
    fn has(&self, bug: Break) -> bool {
        self.machine.is_none() && self.world.has(bug)
    }

    /// Whether a sync says that it is done, and does nothing.
    fn skips_sync(&self) -> bool {
        self.has(Break::SyncSkipped) || self.machine.is_some() && self.world.has(Break::LedgerSyncSkipped)
    }

    /// The agent may be ended at this moment; then nothing goes on.
    async fn reach(&self, moment: Moment) {
        if let Some(machine) = &self.machine
            && machine.is_struck_at(&self.world, moment)
        {
            std::future::pending::<()>().await;
        }
    }

    /// These are on their way.
    fn sends(&self, records: &[Record]) {
        if self.machine.is_none() {
            *self.world.sending.lock() = records.to_vec();
        }
    }

    fn count(&self, count: usize) {
        let count = count as u64;
        self.world.outcome(|outcome| match self.machine {
            Some(_) => outcome.noted += count,
            None => outcome.commits += count,
        });
    }

    /// A file that is written for long is put in order now and then.
    fn tidy(&self, rows: &Rows) {
        if self.machine.is_some() && self.disk().grown() > LEDGER_MOST {
            self.disk().replace(rows.checkpoint());
        }
    }

    fn error(&self, refused: Refused) -> Error {
        let path = if self.machine.is_some() { "ledger.db" } else { "state.db" }.to_owned();
        let detail = "as the seed has it".to_owned();
        match refused {
            Refused::Full => Error::DiskFull { path, detail },
            Refused::Sync => Error::Io { path, detail },
        }
    }
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

    fn revision_of(&self, key: &str) -> Option<Revision> {
        self.rows.get(key).map(|(_, revision)| *revision)
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

/// Opens the store below the ledger of a machine's agent, as its start does.
pub fn ledger(world: &Arc<World>, machine: &Arc<Machine>, process: &Arc<Process>) -> Arc<SimStore> {
    let (checkpoint, journal) = machine.disk.read();
    let mut rows = Rows { rows: BTreeMap::new(), revision: 0 };
    let records =
        [checkpoint, journal].iter().flat_map(|bytes| disk::decode(bytes, false)).collect::<Vec<_>>();
    records.iter().for_each(|record| rows.take(record));
    SimStore::over(Medium { world: world.clone(), machine: Some(machine.clone()) }, process, rows)
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
        SimStore::over(Medium { world: world.clone(), machine: None }, process, rows)
    }

    fn over(medium: Medium, process: &Arc<Process>, rows: Rows) -> Arc<SimStore> {
        medium.disk().replace(rows.checkpoint());
        let inner = Inner { rows, queue: VecDeque::new(), at_work: false, closed: false };
        Arc::new(SimStore { medium, process: process.clone(), inner: Arc::new(Mutex::new(inner)) })
    }
}

/// Writes what waits, until nothing does.
async fn write(medium: Medium, inner: Arc<Mutex<Inner>>) {
    let world = medium.world.clone();
    loop {
        let delay = medium.range(100, 3_000);
        sleep(Duration::from_micros(delay.unsigned_abs())).await;
        medium.reach(Moment::Write).await;
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
        if medium.has(Break::AnswersEarly) {
            // Before anything is on its way to the disk.
            publish(&medium, &inner, &records);
            answers.into_iter().for_each(|(done, outcome)| done(outcome));
            sleep(Duration::from_millis(20)).await;
            let _ = world.disk.write(&bytes).and_then(|()| world.disk.sync(false));
            continue;
        }
        medium.sends(&records);
        let written = medium.disk().write(&bytes);
        let wait = medium.range(50, 2_000) + 1_000 * medium.disk().weather().slow_ms;
        sleep(Duration::from_micros(wait.unsigned_abs())).await;
        medium.reach(Moment::Sync).await;
        let written = written.and_then(|()| medium.disk().sync(medium.skips_sync()));
        match written {
            Ok(()) => {
                medium.reach(Moment::Answer).await;
                world.digest(&bytes);
                publish(&medium, &inner, &records);
                answers.into_iter().for_each(|(done, outcome)| done(outcome));
            }
            Err(refused) => {
                world.outcome(|outcome| outcome.failed_writes += u64::from(medium.machine.is_none()));
                let calls_it_done = medium.has(Break::FailureHidden);
                for (done, outcome) in answers {
                    done(if calls_it_done { outcome } else { Err(medium.error(refused)) });
                }
            }
        }
    }
}

type Answer = (Done, Result<Revision, Error>);

/// What commits become, each on the state as the one before left it.
fn gather(rows: &Rows, batch: Vec<(Commit, Done)>) -> (Vec<Record>, Vec<Answer>) {
    let (mut revision, mut records, mut answers) = (rows.revision, Vec::new(), Vec::new());
    // What commits before it in the batch have made of the rows that one has a condition on.
    let asks = batch.iter().flat_map(|(commit, _)| &commit.conditions).filter_map(key_of);
    let mut asked: BTreeMap<String, Option<Revision>> =
        asks.map(|key| (key.to_owned(), rows.revision_of(key))).collect();
    for (commit, done) in batch {
        let refused = commit.conditions.iter().find_map(|condition| holds(&asked, condition).err());
        if let Some(error) = refused {
            answers.push((done, Err(error)));
            continue;
        }
        if !commit.changes.is_empty() {
            revision += 1;
            for change in &commit.changes {
                if let Some(now) = asked.get_mut(change.key()) {
                    *now = matches!(change, Change::Put { .. }).then_some(revision);
                }
            }
            records.push(Record { revision, changes: commit.changes });
        }
        answers.push((done, Ok(revision)));
    }
    (records, answers)
}

fn key_of(condition: &Condition) -> Option<&str> {
    match condition {
        Condition::Revision { key, .. } | Condition::Absent { key } => Some(key),
        Condition::Lease { .. } => None,
    }
}

/// Whether a condition holds where rows have these revisions.
fn holds(rows: &BTreeMap<String, Option<Revision>>, condition: &Condition) -> Result<(), Error> {
    let (key, expected) = match condition {
        Condition::Revision { key, revision } => (key, Some(*revision)),
        Condition::Absent { key } => (key, None),
        Condition::Lease { name, token } => {
            return Err(Error::Fenced { lease: name.clone(), token: *token });
        }
    };
    let found = rows.get(key).copied().flatten();
    if found == expected { Ok(()) } else { Err(Error::Conflict { key: key.clone(), expected, found }) }
}

fn publish(medium: &Medium, inner: &Mutex<Inner>, records: &[Record]) {
    let mut inner = inner.lock();
    records.iter().for_each(|record| inner.rows.take(record));
    medium.count(records.len());
    medium.tidy(&inner.rows);
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
        let world = &self.medium.world;
        if self.medium.has(Break::HalfCommits) && commit.changes.len() > 2 && world.percent(10) {
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
            self.process.spawn(Box::pin(write(self.medium.clone(), self.inner.clone())));
        }
    }

    /// At once: only a start commits so.
    fn commit(&self, commit: Commit) -> Result<Revision, Error> {
        commit.validate()?;
        let mut inner = self.inner.lock();
        for condition in &commit.conditions {
            let asked = key_of(condition).map(|key| (key.to_owned(), inner.rows.revision_of(key)));
            holds(&asked.into_iter().collect(), condition)?;
        }
        let record = Record { revision: inner.rows.revision + 1, changes: commit.changes };
        let mut bytes = Vec::new();
        disk::encode(std::slice::from_ref(&record), &mut bytes);
        let written = self.medium.disk().write(&bytes).and_then(|()| self.medium.disk().sync(false));
        written.map_err(|refused| self.medium.error(refused))?;
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
            entries.swap(at, self.medium.range(0, at as i64) as usize);
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
        self.medium.disk().weather().tight
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_see_what_commits_before_them_in_the_batch_have_changed() {
        let mut rows = Rows { rows: BTreeMap::new(), revision: 0 };
        let put = |key: &str| Commit::new().put(key, "v");
        let first = Record { revision: 1, changes: put("a").changes };
        rows.take(&first);
        let unchanged = Condition::Revision { key: "a".to_owned(), revision: 1 };
        let batch = [Commit::new().delete("a"), put("a").when(unchanged.clone()), put("b")];
        let batch = batch.into_iter().map(|commit| (commit, Box::new(|_| ()) as Done)).collect();
        let (records, answers) = gather(&rows, batch);
        let outcomes: Vec<bool> = answers.iter().map(|(_, outcome)| outcome.is_ok()).collect();
        assert_eq!((records.len(), outcomes), (2, vec![true, false, true]));
        let (records, _) = gather(&rows, vec![(put("a").when(unchanged), Box::new(|_| ()) as Done)]);
        assert_eq!(records.len(), 1);
    }
}
