//! The engine `docker`: containers by a Docker daemon of this host, through its API.
//!
//! Docker makes containers and keeps their output; what is a task's and not a container's is made here as the native
//! engine makes it: its control group, and its network, by the `network` crate. A namespace of the network is joined
//! through a *holder*: a small container of ours whose one process has entered the namespace, and which the others
//! join as Docker joins a container (`container:<id>`).
//!
//! Every object of ours carries the label `roadstead.instance=<id8>`, and nothing without it is ever changed. Docker
//! knows what runs and how it ended; what it does not (addresses, ports, how often it started) is in a container's
//! record in `D/engine/docker/<task>/<container>/` (`record`), written before the container is made.

mod attach;
mod body;
mod daemon;
mod engine;
mod events;
mod exec;
mod holder;
mod images;
mod local;
mod log;
mod look;
mod make;
mod purge;
mod record;
mod task;
mod watch;
mod written;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::error::{Error, Kind, chain};
use crate::native::cgroup::{GroupPath, Hierarchy};
use crate::spec::{ContainerId, TaskId};
use crate::state::{ContainerState, Event};
use attach::Holders;
use daemon::Daemon;
use record::Folder;
use watch::Watch;

pub use daemon::{Finding, examine};
pub(crate) use holder::hold;
pub use local::{Images, Listed};
pub use record::{has_tasks, was_here};

/// Where Docker listens unless it is told otherwise.
pub const SOCKET: &str = "/var/run/docker.sock";

/// Most events that a reader may be behind before it is told [`Event::Missed`].
const EVENTS_MAX: usize = 4096;

/// The labels of our objects: whose they are, of which task, and which container of it.
pub(crate) const INSTANCE: &str = "roadstead.instance";
pub(crate) const TASK: &str = "roadstead.task";
pub(crate) const CONTAINER: &str = "roadstead.container";

/// How to open the engine.
#[derive(Debug, Clone)]
pub struct Config {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// D; the engine keeps to `D/engine`.
    pub data_dir: PathBuf,
    /// R, what other parts keep there until the host's next boot goes with a purge.
    pub run_dir: PathBuf,
    /// Eight hexadecimal digits that mark every object of this instance on the host.
    pub instance_id8: String,
    /// The program that runs [`crate::native::supervisor::main`], which is what holders run too.
    pub holder: PathBuf,
    /// What comes before the arguments of [`crate::native::supervisor::main`], such as `supervise`.
    pub holder_args: Vec<OsString>,
    /// `None`: containers can have the host's network, or none.
    pub network: Option<::network::Config>,
}

/// The engine. Dropping it leaves everything running.
pub struct Docker {
    inner: Arc<Inner>,
    listener: tokio::task::JoinHandle<()>,
}

struct Inner {
    config: Config,
    daemon: Daemon,
    folder: Folder,
    hierarchy: Hierarchy,
    instance: GroupPath,
    /// Gone once the engine is dropped, whatever still goes on: what others do to the network is theirs then.
    network: Mutex<Option<Arc<::network::Host>>>,
    /// Whether this host can carry interfaces of tasks.
    task_interfaces: bool,
    holders: Arc<Holders>,
    /// Taken by whoever makes or removes something of a task.
    turns: Mutex<BTreeMap<TaskId, Arc<tokio::sync::Mutex<()>>>>,
    watch: Watch,
    /// Up to where the output on disk was given back.
    punched: Mutex<HashMap<ContainerId, u64>>,
    events: broadcast::Sender<Event>,
}

impl Docker {
    /// Opens the engine and takes up what is there.
    ///
    /// # Errors
    /// When the daemon does not answer or is not fit (see [`examine`]), when this host lacks what tasks need, or the
    /// folder cannot be used.
    pub async fn open(config: Config) -> Result<Docker, Error> {
        let digits = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if config.instance_id8.len() != 8 || !config.instance_id8.as_bytes().iter().all(digits) {
            return Err(Error::fatal(Kind::Resource, "an instance id is 8 hexadecimal digits"));
        }
        let daemon = Daemon::connect(&config.socket).await?;
        let since = daemon.now().await?;
        let folder = Folder::open(&config.data_dir).map_err(resource)?;
        let holders = Arc::new(Holders::find(&daemon, &config.instance_id8).await?);
        let hierarchy = Hierarchy::detect().map_err(resource)?;
        let instance = GroupPath::instance(&config.instance_id8);
        let network = attach::open(&config, &folder, &holders).await?;
        let task_interfaces = network.is_some() && crate::native::can_carry_interfaces();
        let events = broadcast::Sender::new(EVENTS_MAX);
        let watch = Watch::open(events.clone()).map_err(resource)?;
        let inner = Arc::new(Inner {
            config,
            daemon,
            folder,
            hierarchy,
            instance,
            network: Mutex::new(network.map(Arc::new)),
            task_interfaces,
            holders,
            turns: Mutex::default(),
            watch,
            punched: Mutex::default(),
            events,
        });
        task::clear_strays(&inner).await;
        let listener = tokio::spawn(events::listen(Arc::downgrade(&inner), since));
        Ok(Docker { inner, listener })
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.listener.abort();
        drop(self.inner.network.lock().take());
    }
}

impl Inner {
    fn network(&self) -> Option<Arc<::network::Host>> {
        self.network.lock().clone()
    }

    /// A container's name in Docker. Containers of ECS have no dot in theirs, holders have.
    fn name(&self, id: &ContainerId) -> String {
        format!("{}-{}", self.task_name(&id.task), id.name)
    }

    fn task_name(&self, task: &str) -> String {
        format!("roadstead-{}-{task}", self.config.instance_id8)
    }

    /// What Docker and its record say of a container.
    async fn look(&self, id: &ContainerId) -> Result<Option<ContainerState>, Error> {
        let Some(seen) = self.daemon.inspect(&self.name(id)).await? else { return Ok(None) };
        let record = self.folder.record(id).map_err(resource)?.unwrap_or_default();
        Ok(Some(look::state(id, &seen, &record)))
    }

    fn turn(&self, task: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.turns.lock().entry(task.to_owned()).or_default().clone()
    }

    fn group(&self, task: &str) -> GroupPath {
        self.instance.child(task)
    }

    fn send(&self, event: Event) {
        // Nobody listens: nobody needs to know.
        let _ = self.events.send(event);
    }
}

fn resource(error: std::io::Error) -> Error {
    Error::temporary(Kind::Resource, error)
}

/// Work that waits for the disk or the kernel, off the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    inner: &Arc<Inner>,
    work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let inner = inner.clone();
    let done = tokio::task::spawn_blocking(move || work(&inner)).await;
    done.map_err(|e| Error::temporary(Kind::Resource, chain(&e)))?
}
