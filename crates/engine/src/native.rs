//! The native engine: containers on this host with nothing to install, by libcontainer, one small
//! supervisor process for each task, and the `image` and `network` crates.
//!
//! The agent's process holds no state of its own: all is in the tasks' folders (`layout`) and in the
//! supervisors, so opening the engine again finds everything as it stands. Each file has one writer at
//! a time: a container's state belongs to its supervisor while that lives, and to this process when it
//! does not.

mod adopt;
mod apparmor;
pub(crate) mod bundle;
pub(crate) mod cgroup;
mod create;
mod disk;
mod engine;
mod ids;
mod known;
pub(crate) mod layout;
mod link;
pub(crate) mod plan;
mod proto;
mod pull;
mod purge;
mod rootfs;
pub(crate) mod runsc;
mod silence;
mod spawner;
mod spool;
mod strays;
pub mod supervisor;
pub(crate) mod task;
pub(crate) mod tree;
mod userns;
mod wall;
mod written;

pub use disk::is_disk_of_task;
pub use ids::IdPool;
pub use runsc::{find as find_runsc, version as runsc_version};

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::error::{Error, Kind, chain};
use crate::spec::{Isolation, TaskId};
use crate::state::Event;
use apparmor::AppArmor;
use cgroup::{GroupPath, Hierarchy};
use ids::{Ids, Ranges};
use known::Known;
use layout::EngineDir;
use spawner::Spawner;
use task::Task;

/// Most events that a reader may be behind before it is told [`Event::Missed`].
const EVENTS_MAX: usize = 4096;

/// Most tasks that a purge removes at once.
const REMOVED_AT_ONCE: usize = 64;

/// How to open the native engine.
#[derive(Debug, Clone)]
pub struct Config {
    /// D; the engine keeps to `D/engine`.
    pub data_dir: PathBuf,
    /// R, for what means nothing after the host's next boot. The engine makes it a file system in memory,
    /// and keeps to `R/tasks`; others may use the rest of it.
    pub run_dir: PathBuf,
    /// Eight hexadecimal digits that mark every object of this instance on the host.
    pub instance_id8: String,
    /// The program that runs [`supervisor::main`].
    pub supervisor: PathBuf,
    /// What comes before the arguments of [`supervisor::main`], such as `supervise`.
    pub supervisor_args: Vec<OsString>,
    /// Where images are.
    pub images: image::Store,
    /// How to pull, but for credentials.
    pub pull: image::PullOptions,
    /// When images go.
    pub image_policy: image::gc::Policy,
    /// `None`: containers can have the host's network only.
    pub network: Option<network::Config>,
    /// Ids of the host for tasks that have a user namespace.
    pub ids: IdPool,
    /// gVisor's program, by its path or by a name that is looked for on the PATH.
    pub runsc: PathBuf,
}

/// The native engine. Dropping it leaves everything running.
pub struct Native {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    dir: EngineDir,
    hierarchy: Hierarchy,
    instance: GroupPath,
    network: Option<network::Host>,
    /// Whether this host can carry interfaces of tasks.
    task_interfaces: bool,
    spawner: Spawner,
    apparmor: AppArmor,
    ranges: Ranges,
    /// Whether tasks can have user namespaces here; tried when it is first asked.
    user_namespaces: OnceLock<Result<(), String>>,
    /// Where gVisor's program is, or why tasks can have no sandboxes here; likewise.
    sandboxes: OnceLock<Result<PathBuf, String>>,
    tasks: Mutex<BTreeMap<TaskId, Arc<Task>>>,
    events: broadcast::Sender<Event>,
}

impl Native {
    /// Opens the engine and takes up what is there: supervisors that live are adopted, what dead ones
    /// left is cleared away and recorded, and objects of this instance that belong to no task go.
    ///
    /// # Errors
    /// When this host lacks what it needs, or the folder cannot be used.
    pub async fn open(config: Config) -> Result<Native, Error> {
        let inner = tokio::task::spawn_blocking(move || Inner::new(config))
            .await
            .map_err(|e| Error::fatal(Kind::Resource, e))??;
        let inner = Arc::new(inner);
        adopt::adopt_all(&inner).await.map_err(resource)?;
        Ok(Native { inner })
    }

    /// Everything of this instance that exists on this host, one a line, sorted: for leak checks.
    pub fn audit(&self) -> Vec<String> {
        let network = self.inner.config.network.as_ref();
        purge::audit(&self.inner.hierarchy, &self.inner.instance, &self.inner.dir, network)
    }

    /// Stops every task and removes everything this instance made. The engine is of no use afterwards.
    ///
    /// # Errors
    /// When something cannot be removed; the rest is.
    pub async fn purge(&self) -> Result<(), Error> {
        let tasks: Vec<TaskId> = self.inner.tasks.lock().keys().cloned().collect();
        let (mut first, mut removing) = (None, tokio::task::JoinSet::new());
        let removed = |done: Result<Result<(), Error>, tokio::task::JoinError>| {
            done.unwrap_or_else(|e| Err(Error::temporary(Kind::Resource, e))).err()
        };
        // Beside each other: one that takes its time does so alone.
        for task in tasks {
            if removing.len() == REMOVED_AT_ONCE
                && let Some(done) = removing.join_next().await
            {
                first = first.or(removed(done));
            }
            let inner = self.inner.clone();
            removing.spawn(async move { task::remove(&inner, &task).await });
        }
        while let Some(done) = removing.join_next().await {
            first = first.or(removed(done));
        }
        self.inner.spawner.stop();
        let inner = self.inner.clone();
        let rest = tokio::task::spawn_blocking(move || {
            let unlinked = match &inner.network {
                Some(network) => network.purge().map_err(|e| io::Error::other(chain(&e))),
                None => Ok(()),
            };
            if let Err(error) = inner.apparmor.remove() {
                tracing::warn!(%error, "the AppArmor profile cannot be removed");
            }
            let images = &inner.config.images;
            purge::remove_rest(&inner.hierarchy, &inner.instance, &inner.dir, images).and(unlinked)
        });
        let rest = rest.await.map_err(io::Error::other).and_then(|r| r).map_err(resource);
        first.map_or(rest, Err)
    }
}

impl Inner {
    fn new(config: Config) -> Result<Inner, Error> {
        let digits = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if config.instance_id8.len() != 8 || !config.instance_id8.as_bytes().iter().all(digits) {
            return Err(Error::fatal(Kind::Resource, "an instance id is 8 hexadecimal digits"));
        }
        let hierarchy = Hierarchy::detect().map_err(resource)?;
        let dir = EngineDir::new(&config.data_dir, &config.run_dir);
        dir.make().map_err(resource)?;
        let instance = GroupPath::instance(&config.instance_id8);
        let known = Known { dir: dir.clone(), hierarchy: hierarchy.clone(), instance: instance.clone() };
        let open = |network| network::Host::open_with(network, Arc::new(known));
        let network = config.network.clone().map(open).transpose();
        let network = network.map_err(|e| Error::fatal(Kind::Network, chain(&e)))?;
        let task_interfaces = network.is_some() && can_carry_interfaces();
        let id8 = config.instance_id8.clone();
        let spawner = Spawner::new(config.supervisor.clone(), config.supervisor_args.clone(), id8.clone());
        let apparmor = AppArmor::open(&id8);
        let ranges = Ranges::open(dir.ids(), config.ids, &id8).map_err(resource)?;
        let events = broadcast::Sender::new(EVENTS_MAX);
        let tasks = Mutex::default();
        Ok(Inner {
            config,
            dir,
            hierarchy,
            instance,
            network,
            task_interfaces,
            spawner,
            apparmor,
            ranges,
            user_namespaces: OnceLock::new(),
            sandboxes: OnceLock::new(),
            tasks,
            events,
        })
    }

    /// Whether tasks can have this wall here, or why not; blocks.
    fn isolation(&self, wanted: Isolation) -> Result<(), String> {
        match wanted {
            Isolation::Shared => Ok(()),
            Isolation::Namespaces => {
                let ids = Ids { base: self.config.ids.first };
                self.user_namespaces.get_or_init(|| userns::probe(&self.dir, ids)).clone()
            }
            Isolation::Gvisor => self.sandboxes().map(drop),
        }
    }

    /// The program that makes sandboxes here; blocks.
    fn sandboxes(&self) -> Result<PathBuf, String> {
        self.sandboxes.get_or_init(|| runsc::probe(&self.dir, &self.config.runsc)).clone()
    }

    fn task(&self, id: &str) -> Option<Arc<Task>> {
        self.tasks.lock().get(id).cloned()
    }

    fn send(&self, event: Event) {
        // Nobody listens: nobody needs to know.
        let _ = self.events.send(event);
    }
}

/// Whether tasks of this engine are in a data directory.
pub fn has_tasks(data_dir: &Path) -> bool {
    layout::folders(&data_dir.join("engine/tasks")).is_ok_and(|tasks| !tasks.is_empty())
}

/// Tries it, and says in the log what is in the way.
pub(crate) fn can_carry_interfaces() -> bool {
    match network::can_carry_interfaces() {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "this host cannot carry interfaces of tasks (network mode awsvpc)"
            );
            false
        }
    }
}

fn resource(error: io::Error) -> Error {
    Error::temporary(Kind::Resource, error)
}
