//! All tasks of this host: takes assignments in, finds again what ran before, hears the engine, and lets
//! tasks in as there is room. Each task is an actor of its own ([`actor`]).

mod actor;
mod adoption;
mod disk;
mod events;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use agent_protocol::acs;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::{Admission, Needs},
    api::Api,
    config::Timers,
    ledger::{self, Ledger},
    lower::{self, lower},
    panics::{caught, caught_now},
    report::Reporter,
    task::{Fact, HealthStatus, Known, Task},
};

/// How long a finished task is remembered, so that an assignment sent before its end was known does not
/// start it again.
const REMEMBER: Duration = Duration::from_secs(600);

/// How many tasks begin at once, for each processor. What is admitted beyond that waits without a process or
/// a folder of its own: hundreds that begin together would only be in each other's way.
const BEGINNING_EACH: usize = 6;

/// Between attempts to write an assignment down.
const WRITE_RETRY: Duration = Duration::from_secs(1);

/// All tasks of this host. Shared by everything in the agent.
pub struct Host {
    pub(crate) engine: Arc<dyn engine::Engine>,
    pub(crate) ledger: Ledger,
    pub(crate) api: Arc<Api>,
    pub(crate) reporter: Reporter,
    pub(crate) timers: Timers,
    pub(crate) image_pull: engine::PullBehavior,
    /// Where other hosts reach this one, where it was set.
    pub(crate) address: Option<Ipv4Addr>,
    lowering: lower::Host,
    admission: Mutex<Admission>,
    /// Places of tasks that begin; see [`BEGINNING_EACH`].
    beginning: Arc<Semaphore>,
    tasks: Mutex<BTreeMap<engine::TaskId, Handle>>,
    /// What a dead agent left of tasks that nobody knows, until it is removed.
    remains: Mutex<BTreeMap<engine::TaskId, CancellationToken>>,
    /// Tasks that wait for an assignment that could not be read.
    held: Mutex<BTreeMap<engine::TaskId, adoption::Held>>,
    /// What ran before may go: an operator says so.
    begins_anew: bool,
    /// Finished tasks and when; see [`REMEMBER`].
    finished: Mutex<BTreeMap<engine::TaskId, Instant>>,
    /// Wakes the shipper of a container's output.
    output: Mutex<BTreeMap<engine::ContainerId, Arc<Notify>>>,
    /// Told when a health check's verdict changes.
    pub(crate) health_changed: Notify,
    /// A folder on the disk that tasks write to.
    disk: Option<PathBuf>,
}

#[derive(Clone)]
struct Handle {
    mailbox: mpsc::UnboundedSender<Message>,
    snapshot: Arc<Mutex<Snapshot>>,
    /// Whether the assignment is on disk.
    written: watch::Receiver<bool>,
}

/// What an actor is told.
#[derive(Debug)]
enum Message {
    Fact(Fact),
    /// The engine may have ended containers unheard.
    Resync(engine::FoundTask),
    /// A write of the record ended; false: it failed.
    Saved(u64, bool),
    Reported,
    OutputShipped(usize),
    Released(Result<(), engine::Error>),
    Removed(Result<(), engine::Error>),
    /// Work of it panicked, and said so.
    Broke(String),
}

/// A task as others in the agent see it.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub arn: String,
    pub cluster_arn: String,
    pub family: String,
    pub version: String,
    pub known: Known,
    pub stop: bool,
    pub containers: Vec<ContainerSnapshot>,
}

/// A container as others in the agent see it.
#[derive(Debug, Clone)]
pub struct ContainerSnapshot {
    pub id: engine::ContainerId,
    pub running: bool,
    pub created_at_ms: Option<i64>,
    pub restarts: u32,
    /// Present when it has a health check.
    pub health: Option<(HealthStatus, i64, String)>,
}

impl Snapshot {
    /// The verdicts of health checks, UNKNOWN where there is none.
    fn verdicts(&self) -> impl Iterator<Item = HealthStatus> {
        self.containers
            .iter()
            .map(|c| c.health.as_ref().map_or(HealthStatus::Unknown, |(status, ..)| *status))
    }
}

/// What a host is made of.
pub struct Parts {
    pub engine: Arc<dyn engine::Engine>,
    pub ledger: Ledger,
    pub api: Arc<Api>,
    pub timers: Timers,
    pub region: String,
    pub resources: crate::config::Resources,
    /// The wall around tasks on Fargate.
    pub isolation: engine::Isolation,
    pub image_pull: engine::PullBehavior,
    pub address: Option<Ipv4Addr>,
    /// A folder on the disk that tasks write to; without it nobody looks after that.
    pub disk: Option<PathBuf>,
    /// What ran before and is not known may go.
    pub begins_anew: bool,
}

impl Host {
    /// A host without tasks.
    pub fn new(parts: Parts) -> Arc<Host> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let admission = Admission::new(parts.resources.cpu, parts.resources.memory_mib);
        Arc::new(Host {
            reporter: Reporter::new(parts.api.clone()),
            engine: parts.engine,
            ledger: parts.ledger,
            api: parts.api,
            timers: parts.timers,
            image_pull: parts.image_pull,
            address: parts.address,
            lowering: lower::Host {
                region: parts.region,
                gpus: parts.resources.gpus,
                isolation: parts.isolation,
            },
            admission: Mutex::new(admission),
            beginning: Arc::new(Semaphore::new(BEGINNING_EACH * processors.max(2))),
            tasks: Mutex::default(),
            remains: Mutex::default(),
            held: Mutex::default(),
            begins_anew: parts.begins_anew,
            finished: Mutex::default(),
            output: Mutex::default(),
            health_changed: Notify::new(),
            disk: parts.disk,
        })
    }

    /// Takes an assignment in; answers once it is on disk, and may be acknowledged. For a task that is
    /// known only its being stopped is news.
    pub async fn assign(self: &Arc<Host>, assignment: acs::Task) -> Result<(), ledger::Error> {
        if self.take_up(&assignment).await? {
            return Ok(());
        }
        let stop = assignment.desired_status.as_deref() == Some("STOPPED");
        let task = match self.lower(&assignment) {
            Ok(task) => task,
            Err(error) => {
                self.reject(assignment, &error);
                return Ok(());
            }
        };
        let id = task.id.clone();
        let known = self.tasks.lock().get(&id).cloned();
        if let Some(handle) = known {
            return self.assign_known(&id, handle, &assignment).await;
        }
        if self.finished.lock().contains_key(&id) {
            return Ok(());
        }
        if let Some(space) = self.space().filter(|space| space.is_tight() && !stop) {
            self.reject(assignment, &disk::full(&space));
            return Ok(());
        }
        // The task begins while this is written: should the agent die before it is, the control plane
        // sends it again, and what was begun is removed as unknown.
        let mut record = ledger::Record { boot_id: self.ledger.boot_id().to_owned(), ..Default::default() };
        record.state.stop = stop;
        let (tell, mut written) = watch::channel(false);
        actor::spawn(self, task, record, written.clone());
        let ledger = self.ledger.clone();
        // Beside, so that a lost connection does not break it off.
        tokio::spawn(async move {
            let write = || caught(ledger.assign(&id, &assignment));
            while let Err(error) = write().await.unwrap_or_else(|why| Err(ledger::Error::Broken(why))) {
                tracing::error!(task = id, %error, "an assignment cannot be written down; trying again");
                tokio::time::sleep(WRITE_RETRY).await;
            }
            tell.send_replace(true);
        });
        // An error only says that the task is over.
        let _ = written.wait_for(|written| *written).await;
        Ok(())
    }

    /// Lowers an assignment. One at which that panics is no task either.
    fn lower(&self, assignment: &acs::Task) -> Result<Task, lower::Error> {
        caught_now(|| lower(assignment, &self.lowering)).unwrap_or_else(|why| Err(lower::Error(why)))
    }

    async fn assign_known(
        &self,
        id: &engine::TaskId,
        mut handle: Handle,
        assignment: &acs::Task,
    ) -> Result<(), ledger::Error> {
        let stop = assignment.desired_status.as_deref() == Some("STOPPED");
        if stop {
            // An actor that has just ended has nothing to stop.
            let _ = handle.mailbox.send(Message::Fact(Fact::StopWanted));
        }
        // As above.
        let _ = handle.written.wait_for(|written| *written).await;
        if stop { self.ledger.reassign(id, assignment).await } else { Ok(()) }
    }

    /// Tells the control plane of an assignment that is no task.
    fn reject(self: &Arc<Host>, assignment: acs::Task, error: &dyn std::fmt::Display) {
        tracing::warn!(arn = ?assignment.arn, %error, "an assignment is not taken");
        let report = ecs_model::SubmitTaskStateChangeRequest {
            cluster: assignment.task_cluster_arn,
            task: assignment.arn,
            status: Some(Known::Stopped.as_str().to_owned()),
            reason: Some(error.to_string()),
            ..Default::default()
        };
        let host = self.clone();
        tokio::spawn(async move { host.reporter.send(&report).await });
    }

    /// Tells a task to stop, if it is here.
    pub fn stop(self: &Arc<Host>, id: &str) {
        self.drop_held(id);
        self.tell(&id.to_owned(), Message::Fact(Fact::StopWanted));
    }

    /// Whether any task runs here that nobody has told to stop.
    pub fn is_busy(&self) -> bool {
        let runs = |task: &Snapshot| task.known < Known::Stopped && !task.stop;
        !self.held.lock().is_empty() || self.snapshots().iter().any(runs)
    }

    /// Every task that is here, in the order of ids.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let handles: Vec<Handle> = self.tasks.lock().values().cloned().collect();
        handles.iter().map(|handle| handle.snapshot.lock().clone()).collect()
    }

    /// Asks for room for a task; it hears of it as [`Fact::Admitted`].
    fn ask_admission(&self, id: &engine::TaskId, needs: Needs) {
        let admitted = self.admission.lock().ask(id, needs);
        if admitted {
            self.tell(id, Message::Fact(Fact::Admitted));
        }
    }

    /// How many tasks wait for room.
    pub fn waiting(&self) -> usize {
        self.admission.lock().waiting()
    }

    /// Lets in whom it can.
    fn admit(&self) {
        let admitted = self.admission.lock().admit();
        for id in admitted {
            self.tell(&id, Message::Fact(Fact::Admitted));
        }
    }

    fn tell(&self, id: &engine::TaskId, message: Message) {
        if let Some(handle) = self.tasks.lock().get(id) {
            // As above: an ended actor needs no news.
            let _ = handle.mailbox.send(message);
        }
    }

    /// Has `shipper` woken when the container writes.
    pub(crate) fn watch_output(&self, id: &engine::ContainerId, shipper: &Arc<Notify>) {
        self.output.lock().insert(id.clone(), shipper.clone());
    }

    /// The shipper is done.
    pub(crate) fn unwatch_output(&self, id: &engine::ContainerId) {
        self.output.lock().remove(id);
    }

    /// Has the engine free images now and then. Never returns.
    pub async fn clean_images(self: Arc<Host>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            match self.engine.collect_images().await {
                Ok(gone) if gone.is_empty() => {}
                Ok(gone) => tracing::info!(?gone, "images were removed"),
                Err(error) => tracing::warn!(%error, "images cannot be removed"),
            }
        }
    }

    /// Nothing of the task takes room any more.
    fn gone(&self, id: &engine::TaskId) {
        self.admission.lock().released(id);
        self.admit();
    }

    /// The task is over and gone.
    fn finished(&self, id: &engine::TaskId) {
        let now = Instant::now();
        {
            let mut finished = self.finished.lock();
            finished.insert(id.clone(), now);
            // A few of the old ones each time keeps it short.
            let old: Vec<_> = finished
                .iter()
                .filter(|(_, at)| now.duration_since(**at) > REMEMBER)
                .map(|(id, _)| id.clone())
                .take(64)
                .collect();
            old.iter().for_each(|id| {
                finished.remove(id);
            });
        }
        self.tasks.lock().remove(id);
    }
}
