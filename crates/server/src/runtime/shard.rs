//! One shard at work: its writer alone changes it. Commands queue up; each runs on the state as the one before left
//! it; what they touched is settled once; the whole batch becomes one commit; only when that is on disk do readers
//! and followers see the new state, and do clients get their answers. If the commit fails, nothing has happened.
//!
//! While a commit is on its way to the disk, the next batch runs on the state that it will leave. That one is stored
//! behind it and never without it: if the first fails, nothing of the second has happened either.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use parking_lot::RwLock;
use state::{Batch, Change, Ctx, Delta, Domain, Set, ShardId, Table, Txn, batch::Sink, domain::KeyOf};
use store::{Commit, Revision, Store};
use tokio::sync::{mpsc, oneshot};
use wire::{Error, Timestamp};

use super::{By, clock, context, ids};
use crate::world;

/// Commands that may wait for a writer; more are answered with an error at once.
const QUEUE: usize = 4096;
/// Commands that become one commit.
const BATCH: usize = 256;
/// After a commit failed by itself (a timer's), the writer tries again after this.
const RETRY: Duration = Duration::from_secs(1);

/// What a writer works by, besides its state.
pub struct Setting<D: Domain> {
    pub id: ShardId,
    /// For example `aws`.
    pub partition: Arc<str>,
    pub store: Arc<dyn Store>,
    /// What it may read of others, as that stands when a step begins: who was answered by one shard is seen by the next.
    pub ports: Arc<dyn Fn() -> D::Ports + Send + Sync>,
}

/// Told of each commit once it is visible. It must be quick: the writer waits for it.
pub type Follow<D> = Box<dyn Fn(&Delta<D>) + Send + Sync>;

/// A state that is on disk, with the revision at which it got there.
pub struct Visible<D> {
    /// Whoever looks at it for longer, or hands it on as a port, keeps it without a copy.
    pub state: Arc<D>,
    pub revision: Revision,
}

/// Reads one shard and sends commands to its writer.
pub struct Shard<D: Domain> {
    shared: Arc<Shared<D>>,
    jobs: mpsc::Sender<Job<D>>,
}

struct Shared<D: Domain> {
    setting: Setting<D>,
    snapshot: ArcSwap<Visible<D>>,
    followers: RwLock<Vec<Follow<D>>>,
}

/// A shard that is not kept at work by this.
pub struct WeakShard<D: Domain> {
    shared: Weak<Shared<D>>,
    jobs: mpsc::WeakSender<Job<D>>,
}

impl<D: Domain> WeakShard<D> {
    /// The shard, as long as anybody holds it.
    pub fn upgrade(&self) -> Option<Shard<D>> {
        Some(Shard { shared: self.shared.upgrade()?, jobs: self.jobs.upgrade()? })
    }
}

type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;
/// Runs a command in the batch; gives whoever waits for the commit, unless its client has heard already.
type Job<D> = Box<dyn FnOnce(&mut Batch<D, Encoded>, Timestamp) -> Option<Answer> + Send>;

impl<D: Domain> Clone for Shard<D> {
    fn clone(&self) -> Self {
        Shard { shared: self.shared.clone(), jobs: self.jobs.clone() }
    }
}

impl<D: Domain> Shard<D> {
    /// Starts a writer on a state as it was read from the store.
    pub fn start(state: D, setting: Setting<D>) -> Shard<D> {
        let visible = Visible { state: Arc::new(state), revision: setting.store.revision() };
        let snapshot = ArcSwap::from_pointee(visible);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared { setting, snapshot, followers: RwLock::default() });
        world::spawn(Writer { shared: shared.clone(), queue, clock: None, storing: None }.run());
        Shard { shared, jobs }
    }

    /// Which shard it is.
    pub fn id(&self) -> &ShardId {
        &self.shared.setting.id
    }

    /// The same, without keeping it at work.
    pub fn downgrade(&self) -> WeakShard<D> {
        WeakShard { shared: Arc::downgrade(&self.shared), jobs: self.jobs.downgrade() }
    }

    /// The state as it stands on disk.
    pub fn read(&self) -> Arc<Visible<D>> {
        self.shared.snapshot.load_full()
    }

    /// The context of a look by `by` at `now`.
    pub fn ctx(&self, by: &By, now: Timestamp) -> Ctx {
        self.shared.ctx(by, now)
    }

    /// Has each commit from now on told.
    pub fn follow(&self, follow: Follow<D>) {
        self.shared.followers.write().push(follow);
    }

    /// Runs a command, and answers when what it changed is durable.
    ///
    /// # Errors
    /// The command's own, or `ServerException` when its changes could not be stored; either way nothing
    /// has changed.
    pub async fn execute<T: Send + 'static>(
        &self,
        by: impl Into<By>,
        command: impl FnOnce(&mut Txn<D>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        let (shared, by) = (self.shared.clone(), by.into());
        let job: Job<D> = Box::new(move |batch, now| {
            let ctx = shared.ctx(&by, now);
            // Where it broke an assertion, its client hears of it as `tell` is dropped.
            match batch.command(&ctx, &mut ids(), command)? {
                Ok(reply) => Some(Box::new(move |stored: Result<(), Error>| {
                    drop(tell.send(stored.map(|()| reply)));
                })),
                Err(error) => {
                    drop(tell.send(Err(error)));
                    None
                }
            }
        });
        self.jobs.try_send(job).map_err(|_| server("The control plane is busy; try again."))?;
        told.await.unwrap_or_else(|_| Err(server("The request could not be carried out.")))
    }
}

impl<D: Domain> Shared<D> {
    fn ctx(&self, by: &By, now: Timestamp) -> Ctx {
        let ShardId { account, region, .. } = &self.setting.id;
        context(&self.setting.partition, (account, region), by, now)
    }
}

struct Writer<D: Domain> {
    shared: Arc<Shared<D>>,
    queue: mpsc::Receiver<Job<D>>,
    /// How often the clock had been set when times in the rows were last brought into line with it.
    clock: Option<u64>,
    /// The batch that is on its way to the disk.
    storing: Option<Storing<D>>,
}

/// A batch that has run.
struct Made<D: Domain> {
    state: Arc<D>,
    keys: BTreeSet<KeyOf<D>>,
    answers: Vec<Answer>,
    /// What [`Writer::clock`] is once it is stored, where that changes.
    clock: Option<u64>,
}

/// A batch on its way to the disk.
struct Storing<D: Domain> {
    made: Made<D>,
    told: oneshot::Receiver<Result<Revision, store::Error>>,
}

/// What has become of the batch that is on its way; never anything where there is none.
async fn stored<D: Domain>(storing: &mut Option<Storing<D>>) -> Result<Revision, store::Error> {
    match storing {
        Some(storing) => (&mut storing.told).await.unwrap_or(Err(store::Error::Closed)),
        None => std::future::pending().await,
    }
}

impl<D: Domain> Writer<D> {
    async fn run(mut self) {
        let mut pause = None;
        loop {
            let wake = self.newest().agenda().wake_at();
            let due = clock::sleep_until(wake, pause.take(), self.clock);
            let done = tokio::select! {
                biased;
                outcome = stored(&mut self.storing) => self.over(outcome).is_ok(),
                job = self.queue.recv() => match job {
                    Some(job) => self.guarded(Some(job)).await.is_some(),
                    None => break,
                },
                () = due => self.guarded(None).await == Some(true),
            };
            if !done {
                pause = Some(RETRY);
            }
        }
        if self.storing.is_some() {
            let outcome = stored(&mut self.storing).await;
            drop(self.over(outcome));
        }
    }

    /// The state that the next batch begins from.
    fn newest(&self) -> Arc<D> {
        match &self.storing {
            Some(storing) => storing.made.state.clone(),
            None => self.shared.snapshot.load().state.clone(),
        }
    }

    /// A batch. One that breaks an assertion outside of its steps, of which each is guarded by itself, leaves nothing,
    /// and those who wait for its answers hear that they could not be carried out; the writer goes on.
    async fn guarded(&mut self, first: Option<Job<D>>) -> Option<bool> {
        let done = AssertUnwindSafe(self.batch(first)).catch_unwind().await;
        if done.is_err() {
            tracing::error!(shard = self.shared.setting.id.prefix(), "a batch breaks an assertion");
        }
        done.ok()
    }

    /// Runs what is due and what waits, settles what that touched, and sends it to the disk. False when it came to
    /// nothing, as the batch before it has failed.
    async fn batch(&mut self, first: Option<Job<D>>) -> bool {
        let newest = self.newest();
        let shared = self.shared.clone();
        let ports = || (shared.setting.ports)();
        let encoded = Encoded::new(&self.shared.setting.id);
        let mut batch = Batch::new(D::clone(&newest), ports(), encoded);
        let (now, steps) = (clock::now(), clock::steps());
        let own = self.shared.ctx(&By::default(), now);
        let set = match self.clock {
            None => Set::Unseen,
            Some(seen) if seen == steps => Set::No,
            Some(_) => Set::Seen,
        };
        if set == Set::No {
            if state::batch::is_due(batch.state(), now) {
                batch.tick(&own, &mut ids());
            }
        } else {
            batch.clock(&own, &mut ids(), set);
        }
        let clock = Some(steps).filter(|_| set != Set::No && batch.changed() == 0);
        let (mut answers, mut next, mut jobs) = (Vec::new(), first, 0);
        loop {
            while let Some(job) = next.take() {
                batch.see(ports());
                answers.extend(job(&mut batch, now));
                jobs += 1;
                if jobs < BATCH && batch.has_room() {
                    next = self.queue.try_recv().ok();
                }
            }
            if self.storing.is_none() {
                break;
            }
            // What comes while the batch before is stored belongs to this one.
            tokio::select! {
                biased;
                outcome = stored(&mut self.storing) => if let Err(refused) = self.over(outcome) {
                    refuse(answers, &refused);
                    return false;
                },
                Some(job) = self.queue.recv(), if jobs < BATCH && batch.has_room() => next = Some(job),
            }
        }
        batch.settle(&own, &mut ids());
        let done = batch.done();
        for key in &done.broken {
            let row = self.shared.setting.id.key(&D::Rows::path(key));
            tracing::error!(
                row,
                "a row breaks an assertion; it is left alone for a minute, the others go on"
            );
        }
        let made = Made { state: Arc::new(done.state), keys: done.keys, answers, clock };
        if made.keys.is_empty() {
            let revision = self.shared.snapshot.load().revision;
            self.publish(made, revision);
        } else {
            self.storing = Some(Storing { made, told: self.store(done.sink) });
        }
        true
    }

    /// What was on its way has come to its end.
    ///
    /// # Errors
    /// It is not on disk: what those hear who wait for it.
    fn over(&mut self, outcome: Result<Revision, store::Error>) -> Result<(), Error> {
        let Some(Storing { made, .. }) = self.storing.take() else { return Ok(()) };
        match outcome {
            Ok(revision) => {
                self.publish(made, revision);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a change could not be stored");
                let refused = could_not_be_stored(&error);
                refuse(made.answers, &refused);
                Err(refused)
            }
        }
    }

    /// Shows what is on disk, and lets the answers go.
    fn publish(&mut self, made: Made<D>, revision: Revision) {
        let before = self.shared.snapshot.load_full();
        self.shared.snapshot.store(Arc::new(Visible { state: made.state.clone(), revision }));
        if !made.keys.is_empty() {
            let keys: Vec<KeyOf<D>> = made.keys.into_iter().collect();
            let delta: Delta<D> = Delta { keys: &keys, before: &before.state, after: &made.state };
            self.tell(&delta);
        }
        made.answers.into_iter().for_each(|answer| answer(Ok(())));
        self.clock = made.clock.or(self.clock);
    }

    /// Tells the followers, each for itself: what one breaks costs neither the others nor the answers.
    fn tell(&self, delta: &Delta<D>) {
        for follow in self.shared.followers.read().iter() {
            if catch_unwind(AssertUnwindSafe(|| follow(delta))).is_err() {
                tracing::error!(shard = self.shared.setting.id.prefix(), "a follower breaks an assertion");
            }
        }
    }

    /// Sends it to the disk.
    fn store(&self, encoded: Encoded) -> oneshot::Receiver<Result<Revision, store::Error>> {
        let changes: Vec<store::Change> = encoded.changes.into_values().collect();
        let (tell, told) = oneshot::channel();
        let commit = Commit { changes, conditions: Vec::new() };
        self.shared.setting.store.submit(commit, Box::new(move |outcome| drop(tell.send(outcome))));
        told
    }
}

fn refuse(answers: Vec<Answer>, refused: &Error) {
    answers.into_iter().for_each(|answer| answer(Err(refused.clone())));
}

fn server(text: impl Into<String>) -> Error {
    Error::new("ServerException", 500, text)
}

/// What a client hears when its change is not on disk.
pub(crate) fn could_not_be_stored(error: &store::Error) -> Error {
    server(format!("The change could not be stored: {error}"))
}

/// What one step may change: half of a commit, so that it fits behind what made up to half of it before.
const MOST_CHANGES: usize = store::limits::MAX_CHANGES / 2;
const MOST_BYTES: usize = store::limits::MAX_COMMIT_BYTES / 2;

/// The changes of a batch as the store takes them.
pub(super) struct Encoded {
    prefix: String,
    changes: BTreeMap<String, store::Change>,
}

impl Encoded {
    fn new(id: &ShardId) -> Encoded {
        Encoded { prefix: id.prefix(), changes: BTreeMap::new() }
    }
}

impl<T: Table> Sink<T> for Encoded {
    /// What no store takes is refused here, before it spoils the commit of others.
    fn take(&mut self, changes: &mut dyn Iterator<Item = &Change<T>>) -> Result<(), Error> {
        let encoded = changes.map(|change| {
            let key = format!("{}{}", self.prefix, T::path(&change.key()));
            match change {
                Change::Put(row) => store::Change::Put { key, value: row.encode().into() },
                Change::Delete(_) => store::Change::Delete { key },
            }
        });
        let commit = Commit { changes: encoded.collect(), conditions: Vec::new() };
        commit.validate().map_err(|error| could_not_be_stored(&error))?;
        let size = commit.size();
        if commit.changes.len() > MOST_CHANGES || size > MOST_BYTES {
            let text = format!("{} changes of {size} bytes are too many for one step", commit.changes.len());
            return Err(could_not_be_stored(&store::Error::Invalid(text)));
        }
        self.changes.extend(commit.changes.into_iter().map(|change| (change.key().to_owned(), change)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
