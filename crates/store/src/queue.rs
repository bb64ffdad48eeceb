//! The one writer of a store: a bounded queue, and a thread that takes what waits in it as one batch,
//! has the engine make the batch durable, shows it to the watches, and then answers those who asked.
//! The engines differ only in what a [`Backend`] does.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::hub::Hub;
use crate::{Commit, Done, Error, Event, Lease, Revision, lease, limits};

/// How often a store whose disk failed tries again by itself.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// For how long nothing must have come before there is time for what can wait.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Work {
    Commit(Commit),
    Acquire { name: String, holder: String, ttl: Duration },
    Renew { name: String, token: u64 },
    Release { name: String, token: u64 },
}

/// What became of a batch.
pub(crate) struct Applied {
    /// One for each work, in order.
    pub(crate) outcomes: Vec<Result<Revision, Error>>,
    /// The commits that changed rows, in order.
    pub(crate) commits: Vec<Event>,
    /// The store's revision now.
    pub(crate) revision: Revision,
    /// The oldest revision that a watch can start from now.
    pub(crate) oldest_watch: Revision,
}

/// An engine's writing half. Lives on the writer thread.
pub(crate) trait Backend: Send + 'static {
    /// Does all works, in order, durably, in one go. An error means that nothing was done.
    fn apply(&mut self, works: Vec<Work>) -> Result<Applied, Error>;

    /// Finds out whether writing works again, after it failed.
    fn probe(&mut self) -> Result<(), Error>;

    /// Called between batches, after everybody has their answer: time for housekeeping.
    fn tend(&mut self) {}

    /// Called once when nothing has come for a while.
    fn idle(&mut self) {}
}

struct Job {
    work: Work,
    size: usize,
    done: Done,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
    /// It was seen that nothing comes.
    idle: bool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    ready: Condvar,
    fault: Mutex<Option<Error>>,
    faulted: AtomicBool,
}

/// The handle to a store's writer. Dropping it writes what is queued and ends the thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the writer thread.
    pub(crate) fn start(backend: impl Backend, hub: Arc<Hub>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let run = Run { shared: shared.clone(), hub, backend };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || run.run());
        let thread =
            thread.map_err(|e| Error::Invalid(format!("the writer thread cannot be started: {e}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a commit, see [`crate::Store::submit`].
    pub(crate) fn submit(&self, commit: Commit, done: Done) {
        match commit.validate() {
            Ok(()) => {
                let size = commit.size();
                self.push(Job { work: Work::Commit(commit), size, done });
            }
            Err(error) => done(Err(error)),
        }
    }

    /// See [`crate::Store::acquire_lease`].
    pub(crate) fn acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Lease, Error> {
        lease::check(name, holder, ttl)?;
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let token = self.call(Work::Acquire { name: name.clone(), holder: holder.clone(), ttl })?;
        Ok(Lease { name, holder, token, ttl })
    }

    /// See [`crate::Store::renew_lease`].
    pub(crate) fn renew(&self, lease: &Lease) -> Result<(), Error> {
        self.call(Work::Renew { name: lease.name.clone(), token: lease.token }).map(drop)
    }

    /// See [`crate::Store::release_lease`].
    pub(crate) fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.call(Work::Release { name: lease.name.clone(), token: lease.token }).map(drop)
    }

    /// Why writing fails at present, if it does, and how many commits wait.
    pub(crate) fn state(&self) -> (Option<Error>, usize) {
        let fault = self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (fault, self.shared.waiting().jobs.len())
    }

    fn call(&self, work: Work) -> Result<Revision, Error> {
        let (tx, rx) = std::sync::mpsc::sync_channel(1);
        let done = Box::new(move |outcome| {
            // The receiver waits below; it cannot be gone.
            let _ = tx.send(outcome);
        });
        self.push(Job { work, size: 0, done });
        rx.recv().unwrap_or(Err(Error::Closed))
    }

    fn push(&self, job: Job) {
        let mut waiting = self.shared.waiting();
        let error = if waiting.closed {
            Error::Closed
        } else if waiting.jobs.len() >= limits::MAX_QUEUED_COMMITS
            || waiting.bytes + job.size > limits::MAX_QUEUED_BYTES
        {
            Error::Busy
        } else {
            waiting.bytes += job.size;
            waiting.jobs.push_back(job);
            drop(waiting);
            self.shared.ready.notify_one();
            return;
        };
        drop(waiting);
        (job.done)(Err(error));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Writer {
    /// See [`crate::Store::close`].
    pub(crate) fn close(&self) {
        self.shared.waiting().closed = true;
        self.shared.ready.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            // A panic of the writer has answered everybody already; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work. None at the end; an empty batch when it is time to try the disk again, or for what can
    /// wait.
    fn take(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        while waiting.jobs.is_empty() && !waiting.closed {
            let faulted = self.faulted.load(Ordering::Relaxed);
            if faulted || !waiting.idle {
                let patience = if faulted { PROBE_EVERY } else { IDLE_AFTER };
                let (guard, timeout) =
                    self.ready.wait_timeout(waiting, patience).unwrap_or_else(PoisonError::into_inner);
                waiting = guard;
                if timeout.timed_out() && waiting.jobs.is_empty() {
                    waiting.idle = true;
                    return (!waiting.closed).then(Vec::new);
                }
            } else {
                waiting = self.ready.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(job) = waiting.jobs.front() {
            let full = batch.len() >= limits::MAX_BATCH_COMMITS || bytes + job.size > limits::MAX_BATCH_BYTES;
            if full && !batch.is_empty() {
                break;
            }
            bytes += job.size;
            batch.extend(waiting.jobs.pop_front());
        }
        waiting.bytes -= bytes;
        waiting.idle = false;
        (!batch.is_empty()).then_some(batch)
    }

    fn set_fault(&self, fault: Option<Error>) {
        self.faulted.store(fault.is_some(), Ordering::Relaxed);
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// The writer thread.
struct Run<B> {
    shared: Arc<Shared>,
    hub: Arc<Hub>,
    backend: B,
}

impl<B: Backend> Run<B> {
    fn run(mut self) {
        while let Some(batch) = self.shared.take() {
            if batch.is_empty() && self.shared.faulted.load(Ordering::Relaxed) {
                let fault = self.backend.probe().err();
                self.shared.set_fault(fault);
                continue;
            }
            if batch.is_empty() {
                self.backend.idle();
                continue;
            }
            self.write(batch);
            self.backend.tend();
        }
    }

    fn write(&mut self, batch: Vec<Job>) {
        let (works, dones): (Vec<Work>, Vec<Done>) =
            batch.into_iter().map(|job| (job.work, job.done)).unzip();
        match self.backend.apply(works) {
            Ok(applied) => {
                if self.shared.faulted.load(Ordering::Relaxed) {
                    self.shared.set_fault(None);
                }
                self.hub.publish(applied.commits, applied.revision, applied.oldest_watch);
                dones.into_iter().zip(applied.outcomes).for_each(|(done, outcome)| answer(done, outcome));
            }
            Err(error) => {
                self.shared.set_fault(Some(error.clone()));
                dones.into_iter().for_each(|done| answer(done, Err(error.clone())));
            }
        }
    }
}

impl<B> Drop for Run<B> {
    /// Also after a panic: nobody waits for a writer that is gone.
    fn drop(&mut self) {
        let left = {
            let mut waiting = self.shared.waiting();
            waiting.closed = true;
            std::mem::take(&mut waiting.jobs)
        };
        left.into_iter().for_each(|job| answer(job.done, Err(Error::Closed)));
        self.hub.close();
    }
}

/// One asker's panic is not the store's end.
fn answer(done: Done, outcome: Result<Revision, Error>) {
    if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
        // The panic hook has printed it.
    }
}
