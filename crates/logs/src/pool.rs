//! What the stores of one program share: the thread that writes, and the limits. However many accounts and regions
//! have logs, there is one of each.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};

use crate::catalog::{self, CatalogLog};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::segment;
use crate::store::Logs;
use crate::writer::{Done, Plan, Put, Rounds, Store, Work};

/// Handles to the same limits and the same writer. The last one dropped, with all stores opened in it, stops the writer
/// after it has answered all that waits.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    limits: Limits,
    thread: Option<JoinHandle<()>>,
}

/// What waits for the writer.
#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    put_bytes: usize,
    /// Stores there have been.
    stores: u64,
    /// No more comes.
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

impl Pool {
    /// Starts the writer.
    ///
    /// # Errors
    /// That there is no thread to be had.
    pub fn new(limits: Limits) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (seen, mut rounds) = (Arc::clone(&shared), Rounds::new(limits.clone()));
        let thread = thread::Builder::new().name("logs-writer".into()).spawn(move || {
            // However the thread ends, nobody waits for it.
            let seen = Ended(seen);
            while let Some(work) = seen.0.take(rounds.has_more()) {
                rounds.run(work);
            }
        });
        let thread = Some(thread.map_err(Error::write)?);
        Ok(Self { inner: Arc::new(Inner { shared, limits, thread }) })
    }

    /// Opens the store in `dir`, which is made if absent. The caller makes sure that nobody else has it.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn open(&self, dir: &Path) -> Result<Logs> {
        fs::create_dir_all(dir.join("groups")).map_err(Error::write)?;
        segment::sync_parent(&dir.join("groups")).map_err(Error::write)?;
        let (log, catalog) = CatalogLog::open(dir)?;
        let (path, known) = (dir.to_owned(), catalog.clone());
        // A deletion that was cut short; nobody waits for it.
        let _ = thread::Builder::new()
            .name("logs-delete".into())
            .spawn(move || catalog::remove_orphans(&path, &known));
        let catalog = Arc::new(ArcSwap::from_pointee(catalog));
        let store = Box::new(Store::new(dir.to_owned(), log, Arc::clone(&catalog)));
        let id = {
            let mut queue = self.inner.shared.queue.lock();
            queue.stores += 1;
            queue.stores
        };
        self.push(Work::Open(id, store));
        Ok(Logs::new(Writer { id, pool: self.clone() }, catalog))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    fn push(&self, work: Work) {
        let shared = &self.inner.shared;
        let mut queue = shared.queue.lock();
        if queue.is_closed {
            drop(queue);
            return work.refuse(Error::Closed);
        }
        if let Work::Put(_, put) = &work {
            let bytes = put.batch.head.len();
            if queue.put_bytes > 0 && queue.put_bytes + bytes > self.inner.limits.queue_bytes {
                drop(queue);
                return work.refuse(Error::Overloaded);
            }
            queue.put_bytes += bytes;
        }
        queue.work.push_back(work);
        shared.arrived.notify_one();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.lock().is_closed = true;
        self.shared.arrived.notify_one();
        let Some(thread) = self.thread.take() else { return };
        // The last handle may be dropped by a `done`, on the writer's own thread.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// All that waits, once something does, or at once; nothing once closed and empty.
    fn take(&self, at_once: bool) -> Option<VecDeque<Work>> {
        let mut queue = self.queue.lock();
        while queue.work.is_empty() {
            if queue.is_closed {
                return None;
            }
            if at_once {
                break;
            }
            self.arrived.wait(&mut queue);
        }
        queue.put_bytes = 0;
        Some(std::mem::take(&mut queue.work))
    }
}

/// Refuses what comes, and what waits, once the writer is gone.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.is_closed = true;
        let left = std::mem::take(&mut queue.work);
        drop(queue);
        left.into_iter().for_each(|work| work.refuse(Error::Closed));
    }
}

/// The way of one store to the writer. Dropping it waits until the writer has answered all that the store asked.
pub(crate) struct Writer {
    id: u64,
    pool: Pool,
}

impl Writer {
    pub fn put(&self, put: Put) {
        self.pool.push(Work::Put(self.id, put));
    }

    pub fn change(&self, plan: Plan, done: Done) {
        self.pool.push(Work::Change(self.id, plan, done));
    }

    pub fn maintain(&self, now_ms: i64, done: Done) {
        self.pool.push(Work::Maintain(self.id, now_ms, done));
    }

    pub fn limits(&self) -> &Limits {
        self.pool.limits()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let (answer, wait) = mpsc::sync_channel(1);
        self.pool.push(Work::Close(self.id, Box::new(move |result| drop(answer.send(result)))));
        let thread = self.pool.inner.thread.as_ref().map(|thread| thread.thread().id());
        if thread != Some(thread::current().id()) {
            let _ = wait.recv();
        }
    }
}
