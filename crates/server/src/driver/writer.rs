//! One writer: it alone changes one part of the state. Commands queue up; each runs on the state as the
//! one before left it; a whole batch becomes one commit; only when that is on disk do readers see the new
//! state and do clients get their answers. If the commit fails, nothing has happened.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use store::{Commit, Revision, Store};
use tokio::sync::{mpsc, oneshot};
use wire::{Timestamp, ecs::errors};

use super::clock;

/// Commands that may wait for a writer; more are answered with an error at once.
const QUEUE: usize = 4096;
/// Commands that become one commit.
const BATCH: usize = 256;
/// After a commit failed by itself (a timer's), the writer tries again after this.
const RETRY: Duration = Duration::from_secs(1);

/// A part of the state that has a writer of its own.
pub trait Machine: Clone + Send + Sync + 'static {
    /// A change to one row.
    type Change: Send;

    /// The change as the store takes it.
    fn encode(&self, change: &Self::Change) -> store::Change;

    /// When something waits for its time.
    fn wake_at(&self) -> Option<Timestamp>;
}

/// What a command makes of the state.
pub struct Outcome<M: Machine> {
    pub state: M,
    pub changes: Vec<M::Change>,
    /// Runs once the changes are durable and visible.
    pub effect: Option<Box<dyn FnOnce() + Send>>,
}

/// Runs what is due; the writer calls it when the state's time has come.
pub type Tick<M> = Arc<dyn Fn(&M, Timestamp) -> Option<Outcome<M>> + Send + Sync>;

type Answer = Box<dyn FnOnce(Result<(), wire::Error>) + Send>;
type Job<M> = Box<dyn FnOnce(&M, Timestamp) -> (Option<Outcome<M>>, Answer) + Send>;

/// Reads the state and sends commands to its writer.
pub struct Handle<M: Machine> {
    snapshot: Arc<ArcSwap<Visible<M>>>,
    jobs: mpsc::Sender<Job<M>>,
}

/// A state that is on disk, with the revision at which it got there.
pub struct Visible<M> {
    pub state: M,
    pub revision: Revision,
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Handle { snapshot: self.snapshot.clone(), jobs: self.jobs.clone() }
    }
}

impl<M: Machine> Handle<M> {
    /// Starts a writer on a state as it was read from the store.
    pub fn start(state: M, store: Arc<dyn Store>, tick: Tick<M>) -> Handle<M> {
        let visible = Visible { state, revision: store.revision() };
        let snapshot = Arc::new(ArcSwap::from_pointee(visible));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer { snapshot: snapshot.clone(), store, tick, queue };
        tokio::spawn(writer.run());
        Handle { snapshot, jobs }
    }

    /// The state as it stands on disk.
    pub fn read(&self) -> Arc<Visible<M>> {
        self.snapshot.load_full()
    }

    /// Runs a command, and answers when what it changed is durable.
    ///
    /// # Errors
    /// The command's own, or `ServerException` when its changes could not be stored; either way nothing
    /// has changed.
    pub async fn execute<T: Send + 'static>(
        &self,
        command: impl FnOnce(&M, Timestamp) -> Result<(Outcome<M>, T), wire::Error> + Send + 'static,
    ) -> Result<T, wire::Error> {
        let (tell, told) = oneshot::channel();
        let job: Job<M> = Box::new(move |state, now| match command(state, now) {
            Ok((outcome, reply)) => {
                let answer: Answer = Box::new(move |stored| drop(tell.send(stored.map(|()| reply))));
                (Some(outcome), answer)
            }
            Err(error) => (None, Box::new(move |_| drop(tell.send(Err(error))))),
        });
        let full = || errors::server("The control plane is busy; try again.");
        self.jobs.try_send(job).map_err(|_| full())?;
        told.await.unwrap_or_else(|_| Err(errors::server("The request could not be carried out.")))
    }
}

struct Writer<M: Machine> {
    snapshot: Arc<ArcSwap<Visible<M>>>,
    store: Arc<dyn Store>,
    tick: Tick<M>,
    queue: mpsc::Receiver<Job<M>>,
}

/// A batch at work.
struct Batch<M: Machine> {
    state: M,
    changes: BTreeMap<String, store::Change>,
    /// Of all changes, those that a later one replaced too.
    bytes: usize,
    answers: Vec<Answer>,
    effects: Vec<Box<dyn FnOnce() + Send>>,
}

impl<M: Machine> Writer<M> {
    async fn run(mut self) {
        let mut pause = None;
        loop {
            let wake = self.snapshot.load().state.wake_at();
            let due = clock::sleep_until(wake, pause.take());
            tokio::select! {
                job = self.queue.recv() => match job {
                    Some(job) => drop(self.batch(Some(job)).await),
                    None => return,
                },
                () = due => if !self.batch(None).await { pause = Some(RETRY) },
            };
        }
    }

    /// Runs what waits, or what is due. False when the commit failed.
    async fn batch(&mut self, first: Option<Job<M>>) -> bool {
        let state = self.snapshot.load().state.clone();
        let (answers, effects) = (Vec::new(), Vec::new());
        let mut batch = Batch { state, changes: BTreeMap::new(), bytes: 0, answers, effects };
        let now = clock::now();
        if let Some(outcome) = (self.tick)(&batch.state, now) {
            batch.take(outcome);
        }
        let mut next = first;
        while let Some(job) = next.take() {
            // A command that breaks one of the brain's own assertions fails alone: it worked on a copy, and its
            // client hears of it as the answer is dropped here.
            let ran = catch_unwind(AssertUnwindSafe(|| job(&batch.state, now)));
            if let Ok((outcome, answer)) = ran {
                if let Some(outcome) = outcome {
                    batch.take(outcome);
                }
                batch.answers.push(answer);
            }
            if batch.has_room() {
                next = self.queue.try_recv().ok();
            }
        }
        self.commit(batch).await
    }

    async fn commit(&self, batch: Batch<M>) -> bool {
        let stored = if batch.changes.is_empty() {
            Ok(self.snapshot.load().revision)
        } else {
            let changes: Vec<store::Change> = batch.changes.into_values().collect();
            let (tell, told) = oneshot::channel();
            let commit = Commit { changes, conditions: Vec::new() };
            self.store.submit(commit, Box::new(move |outcome| drop(tell.send(outcome))));
            told.await.unwrap_or(Err(store::Error::Closed))
        };
        match stored {
            Ok(revision) => {
                self.snapshot.store(Arc::new(Visible { state: batch.state, revision }));
                batch.effects.into_iter().for_each(|effect| effect());
                batch.answers.into_iter().for_each(|answer| answer(Ok(())));
                true
            }
            Err(error) => {
                tracing::error!(%error, "a change could not be stored");
                let refused = errors::server(format!("The change could not be stored: {error}"));
                batch.answers.into_iter().for_each(|answer| answer(Err(refused.clone())));
                false
            }
        }
    }
}

impl<M: Machine> Batch<M> {
    /// Whether another command's changes surely fit into the same commit.
    fn has_room(&self) -> bool {
        let (changes, bytes) = (store::limits::MAX_CHANGES / 2, store::limits::MAX_COMMIT_BYTES / 2);
        self.answers.len() < BATCH && self.changes.len() < changes && self.bytes < bytes
    }

    fn take(&mut self, outcome: Outcome<M>) {
        for change in &outcome.changes {
            let change = outcome.state.encode(change);
            self.bytes += change.size();
            self.changes.insert(change.key().to_owned(), change);
        }
        self.state = outcome.state;
        self.effects.extend(outcome.effect);
    }
}
