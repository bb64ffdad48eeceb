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
use ecs_model::errors;
use store::{Commit, Revision, Store};
use tokio::sync::{mpsc, oneshot};
use wire::Timestamp;

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
pub type Tick<M> = Arc<dyn Fn(&M, (Timestamp, Set)) -> Option<Outcome<M>> + Send + Sync>;

/// Whether the clock was set, after which the times in rows have to be brought into line with it. The writer asks
/// for that until nothing more changes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// It was not.
    No,
    /// Perhaps, while nothing ran here.
    Unseen,
    /// Just now.
    Seen,
}

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
        let writer = Writer { snapshot: snapshot.clone(), store, tick, queue, clock: None };
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
    /// How often the clock had been set when times in the rows were last brought into line with it.
    clock: Option<u64>,
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
            let due = clock::sleep_until(wake, pause.take(), self.clock);
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
        let steps = clock::steps();
        let set = match self.clock {
            None => Set::Unseen,
            Some(seen) if seen == steps => Set::No,
            Some(_) => Set::Seen,
        };
        let ticked = self.tick(&mut batch, (now, set));
        let in_line = ticked && batch.changes.is_empty();
        let mut next = first;
        while let Some(job) = next.take() {
            // A command that breaks one of the brain's own assertions fails alone: it worked on a copy, and its
            // client hears of it as the answer is dropped here.
            let ran = catch_unwind(AssertUnwindSafe(|| job(&batch.state, now)));
            if let Ok((outcome, answer)) = ran {
                match outcome.map_or(Ok(()), |outcome| batch.take(outcome)) {
                    Ok(()) => batch.answers.push(answer),
                    Err(error) => answer(Err(could_not_be_stored(&error))),
                }
            }
            if batch.has_room() {
                next = self.queue.try_recv().ok();
            }
        }
        let done = self.commit(batch).await && ticked;
        if set != Set::No && in_line && done {
            self.clock = Some(steps);
        }
        done
    }

    /// Runs what is due into the batch. False when it could not: the timers stay due and are tried again.
    fn tick(&self, batch: &mut Batch<M>, at: (Timestamp, Set)) -> bool {
        let ran = catch_unwind(AssertUnwindSafe(|| (self.tick)(&batch.state, at)));
        match ran.map(|outcome| outcome.map_or(Ok(()), |outcome| batch.take(outcome))) {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "what the timers changed could not be stored");
                false
            }
            // The panic hook has printed it.
            Err(_) => false,
        }
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
                let refused = could_not_be_stored(&error);
                batch.answers.into_iter().for_each(|answer| answer(Err(refused.clone())));
                false
            }
        }
    }
}

/// What a client hears when its change is not on disk.
pub(super) fn could_not_be_stored(error: &store::Error) -> wire::Error {
    errors::server(format!("The change could not be stored: {error}"))
}

/// What one command may change: half of a commit, so that it fits behind what made up to half of it before.
const MOST_CHANGES: usize = store::limits::MAX_CHANGES / 2;
const MOST_BYTES: usize = store::limits::MAX_COMMIT_BYTES / 2;

impl<M: Machine> Batch<M> {
    /// Whether another command's changes surely fit into the same commit.
    fn has_room(&self) -> bool {
        self.answers.len() < BATCH && self.changes.len() < MOST_CHANGES && self.bytes < MOST_BYTES
    }

    /// Takes in what a command made. What no store takes is refused here, before it spoils the commit of others.
    fn take(&mut self, outcome: Outcome<M>) -> Result<(), store::Error> {
        let changes = outcome.changes.iter().map(|change| outcome.state.encode(change)).collect();
        let commit = Commit { changes, conditions: Vec::new() };
        commit.validate()?;
        let size = commit.size();
        if commit.changes.len() > MOST_CHANGES || size > MOST_BYTES {
            let text = format!("{} changes of {size} bytes are too many for one step", commit.changes.len());
            return Err(store::Error::Invalid(text));
        }
        self.bytes += size;
        self.changes.extend(commit.changes.into_iter().map(|change| (change.key().to_owned(), change)));
        self.state = outcome.state;
        self.effects.extend(outcome.effect);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
