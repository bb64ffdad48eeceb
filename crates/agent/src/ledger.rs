//! What the agent must not forget, in one SQLite file: which instance it is and by which key, its assignments, how far each
//! task is, and how far its output is shipped. A write answers once it is on disk; writes that come
//! together share one fsync. When a task's record is written, and what waits for that, says [`Draft`]. What is stored
//! lies behind [`store::Store`]: a file here, and a simulated disk in the simulator.

mod draft;

pub use draft::Draft;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use agent_protocol::{acs, agent_key::AgentKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::{Commit, Condition, Entry, Span, Store, aside};
use tokio::sync::oneshot;

use crate::task::{TaskState, id_in};

const INSTANCE: &str = "instance";
const ACS: &str = "acs";
const KEY: &str = "agent-key";

/// The agent's file. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    /// Changes when the host restarts.
    boot_id: Arc<str>,
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The ledger is new, and what runs here is not.
    #[error("the agent's ledger is gone, and {0} of its tasks are on this host")]
    Gone(usize),
    #[error("what was to be written breaks an assertion: {0}")]
    Broken(String),
    #[error("the ledger could not be made")]
    Io(#[from] std::io::Error),
}

/// Which container instance this host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub cluster: String,
    pub arn: String,
}

/// How far the agent has followed ACS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcsCursor {
    /// The highest payload seen.
    pub seq_num: i64,
    /// The newest manifest seen.
    pub timeline: Option<i64>,
}

/// A place in a container's output, and what was dropped before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// The engine's.
    pub cursor: u64,
    /// Lines that ended before it; 0 where that is not known.
    pub lines: u64,
    /// Lines that were never read, as the log mode is non-blocking, and their bytes on disk.
    pub dropped_lines: u64,
    pub dropped_bytes: u64,
}

/// One task as it was written down.
#[derive(Debug, Clone)]
pub struct Written {
    pub assignment: acs::Task,
    pub record: Record,
}

/// What is written down of tasks.
#[derive(Debug, Default)]
pub struct Tasks {
    pub written: Vec<(String, Written)>,
    /// Tasks whose assignment cannot be read, and how far they are. It comes again when the control plane is there.
    pub unreadable: Vec<(String, Record)>,
}

/// How far a task is, as it is written down.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Record {
    pub boot_id: String,
    pub state: TaskState,
    /// Reports that the control plane has not acknowledged, oldest first.
    #[serde(default)]
    pub reports: Vec<ecs_model::SubmitTaskStateChangeRequest>,
    /// Nothing of the task is left on the host.
    #[serde(default)]
    pub removed: bool,
    /// What was written down cannot be read. Never written.
    #[serde(skip)]
    pub is_lost: bool,
}

/// The reason of a task that nothing is left of.
const LOST: &str = "The agent's record of this task cannot be read, and nothing of it is left on the host";

impl Record {
    /// One that is lost may have run to its end, where the engine has nothing of it: it does not run twice.
    pub(crate) fn stop_if_lost(&mut self, found: Option<&engine::FoundTask>) {
        if self.is_lost && found.is_none_or(|found| found.containers.is_empty()) {
            self.state.stop = true;
            self.state.reason.get_or_insert_with(|| LOST.to_owned());
        }
    }
}

impl Ledger {
    /// Opens the file in `dir`, or makes it. The caller sees to it that one agent at a time does so.
    pub fn open(dir: &Path) -> Result<Ledger, Error> {
        std::fs::create_dir_all(dir)?;
        let history = store::sqlite::HistoryLimits::NONE;
        let options = store::sqlite::Options { history, keeps_room: true, ..Default::default() };
        let store = store::sqlite::Sqlite::open(&dir.join("ledger.db"), options)?;
        if let Some(damage) = store.damage() {
            tracing::error!("{damage}; docs/repair.md");
        }
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Ledger::over(Arc::new(store), boot_id.trim()))
    }

    /// A ledger in any store.
    pub fn over(store: Arc<dyn Store>, boot_id: &str) -> Ledger {
        Ledger { store, boot_id: boot_id.into() }
    }

    /// Identifies this run of the host.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Which instance this host was last.
    pub fn instance(&self) -> Result<Option<Instance>, Error> {
        self.read(INSTANCE)
    }

    /// Remembers which instance this host is, and starts to follow ACS anew.
    pub async fn set_instance(&self, instance: &Instance) -> Result<(), Error> {
        let commit = Commit::new().put(INSTANCE, json(instance)).put(ACS, json(&AcsCursor::default()));
        self.commit(commit).await
    }

    /// The key pair that this host has made for itself.
    pub fn key(&self) -> Result<Option<AgentKey>, Error> {
        self.read(KEY)
    }

    /// Remembers a key pair in the place of the one before, which another container instance had.
    pub async fn set_key(&self, key: &AgentKey) -> Result<(), Error> {
        self.commit(Commit::new().put(KEY, json(key))).await
    }

    /// How far ACS was followed.
    pub fn acs(&self) -> Result<AcsCursor, Error> {
        Ok(self.read(ACS)?.unwrap_or_default())
    }

    /// Remembers how far ACS was followed.
    pub async fn set_acs(&self, cursor: AcsCursor) -> Result<(), Error> {
        self.commit(Commit::new().put(ACS, json(&cursor))).await
    }

    /// Writes an assignment down.
    pub async fn assign(&self, id: &str, task: &acs::Task) -> Result<(), Error> {
        self.commit(Commit::new().put(assignment_key(id), json(task))).await
    }

    /// Writes an assignment anew, unless the task was forgotten meanwhile.
    pub async fn reassign(&self, id: &str, task: &acs::Task) -> Result<(), Error> {
        let key = assignment_key(id);
        let Some(entry) = self.store.get(&key)? else { return Ok(()) };
        let unchanged = Condition::Revision { key: key.clone(), revision: entry.revision };
        match self.commit(Commit::new().put(key, json(task)).when(unchanged)).await {
            Err(Error::Store(store::Error::Conflict { .. })) => Ok(()),
            outcome => outcome,
        }
    }

    /// Writes down how far a task is.
    pub async fn record(&self, id: &str, record: &Record) -> Result<(), Error> {
        self.commit(Commit::new().put(record_key(id), json(record))).await
    }

    /// Forgets a task.
    pub async fn forget(&self, id: &str) -> Result<(), Error> {
        let mut commit = Commit::new().delete(assignment_key(id)).delete(record_key(id));
        let cursors = self.store.range(&Span::prefix(&output_prefix(id)), 0)?;
        for entry in cursors.entries {
            commit = commit.delete(entry.key);
        }
        self.commit(commit).await
    }

    /// Up to where a container's output is shipped.
    pub fn shipped(&self, id: &engine::ContainerId) -> Result<Shipped, Error> {
        let key = output_key(id);
        let row = self.read::<serde_json::Value>(&key)?;
        // The first version wrote the cursor alone.
        match row.as_ref().map(|row| row.as_u64().ok_or(row)) {
            None => Ok(Shipped::default()),
            Some(Ok(cursor)) => Ok(Shipped { cursor, ..Shipped::default() }),
            // From the beginning: twice rather than not at all.
            Some(Err(row)) => Ok(Shipped::deserialize(row).unwrap_or_default()),
        }
    }

    /// Writes down up to where a container's output is shipped.
    pub async fn set_shipped(&self, id: &engine::ContainerId, shipped: Shipped) -> Result<(), Error> {
        self.commit(Commit::new().put(output_key(id), json(&shipped))).await
    }

    /// Whether nothing was ever written here.
    pub fn is_new(&self) -> bool {
        self.store.revision() == 0
    }

    /// Every task that is written down, by id. What cannot be read is set aside.
    pub fn tasks(&self) -> Result<Tasks, Error> {
        let mut rows = BTreeMap::new();
        self.store.scan(&Span::prefix("task/"), &mut |entry| {
            rows.insert(entry.key.clone(), entry);
        })?;
        let mut tasks = Tasks::default();
        for (key, entry) in &rows {
            let Some(id) = key.strip_prefix("task/").and_then(|rest| rest.strip_suffix("/assignment")) else {
                continue;
            };
            let is_own = |arn: &String| id_in(arn) == id;
            let record = self.record_in(rows.get(&record_key(id)), id);
            match self.parse(entry, |task: &acs::Task| task.arn.iter().any(is_own)) {
                Some(assignment) => tasks.written.push((id.to_owned(), Written { assignment, record })),
                None => tasks.unreadable.push((id.to_owned(), record)),
            }
        }
        Ok(tasks)
    }

    /// How far a task is, as it was last written down.
    pub fn task(&self, id: &str) -> Result<Record, Error> {
        Ok(self.record_in(self.store.get(&record_key(id))?.as_ref(), id))
    }

    fn record_in(&self, entry: Option<&Entry>, id: &str) -> Record {
        let fresh = || Record { boot_id: self.boot_id.to_string(), ..Record::default() };
        let is_own = |arn: &String| id_in(arn) == id;
        let reports_own = |record: &Record| record.reports.iter().all(|one| one.task.iter().all(is_own));
        match entry {
            Some(entry) => {
                self.parse(entry, reports_own).unwrap_or_else(|| Record { is_lost: true, ..fresh() })
            }
            None => fresh(),
        }
    }

    async fn commit(&self, commit: Commit) -> Result<(), Error> {
        let (tell, told) = oneshot::channel();
        let done = move |outcome| {
            // Whoever waited may have gone; the write stands all the same.
            let _ = tell.send(outcome);
        };
        self.store.submit(commit, Box::new(done));
        told.await.unwrap_or(Err(store::Error::Closed))?;
        Ok(())
    }

    /// None as well where the row cannot be read.
    fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        Ok(self.store.get(key)?.and_then(|entry| self.parse(&entry, |_| true)))
    }

    /// Reads a row, or sets it aside. `is_own`: whether what it names is what its key does.
    fn parse<T: DeserializeOwned>(&self, entry: &Entry, is_own: impl FnOnce(&T) -> bool) -> Option<T> {
        let reason = match serde_json::from_slice(&entry.value) {
            Ok(row) if entry.whole && is_own(&row) => return Some(row),
            Ok(_) if entry.whole => "it names another task than its key does".to_owned(),
            Ok(_) => "it does not match its checksum".to_owned(),
            Err(error) => error.to_string(),
        };
        let key = &entry.key;
        tracing::error!(key, reason, "a row of the ledger cannot be read; it is set aside: docs/repair.md");
        // Where it cannot be moved it is passed over all the same.
        self.store.submit(aside::commit(entry, &reason), Box::new(|_| ()));
        None
    }
}

fn assignment_key(id: &str) -> String {
    format!("task/{id}/assignment")
}

fn record_key(id: &str) -> String {
    format!("task/{id}/record")
}

fn output_prefix(id: &str) -> String {
    format!("task/{id}/output/")
}

fn output_key(id: &engine::ContainerId) -> String {
    format!("{}{}", output_prefix(&id.task), id.name)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own rows have text keys and finite numbers")
}

#[cfg(test)]
mod tests;
