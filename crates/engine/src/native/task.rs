//! One task as the engine's process knows it: its folder, its group, and the link to its supervisor.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::cgroup::{self, GroupPath};
use super::layout::{self, Durable, TaskDir};
use super::link::Link;
use super::plan::Plan;
use super::proto::{Message, Op};
use super::runsc::{self, Sandbox};
use super::{Inner, adopt, bundle, chain, create, disk, tree, wall};
use crate::error::{Error, Kind};
use crate::net;
use crate::spec::{ContainerId, Isolation, TaskSpec, Volume};
use crate::state::{ContainerState, Event};

/// How long a supervisor may take to end its containers, which it kills.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(10);

/// One task.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) dir: TaskDir,
    pub(super) group: GroupPath,
    link: Mutex<Option<Arc<Link>>>,
    /// Taken by whoever makes or ends the supervisor.
    pub(super) supervising: tokio::sync::Mutex<()>,
    /// Set by a removal: a supervisor that goes now is no surprise.
    pub(super) removing: AtomicBool,
    /// What a dead supervisor left is not cleared up yet.
    pub(super) unsettled: AtomicBool,
    /// How many containers are being stopped without their supervisor, which does not answer.
    pub(super) unanswered_stops: AtomicUsize,
}

impl Task {
    pub(super) fn new(inner: &Inner, id: &str) -> Task {
        Task {
            id: id.to_owned(),
            dir: inner.dir.task(id),
            group: inner.instance.child(id),
            link: Mutex::new(None),
            supervising: tokio::sync::Mutex::new(()),
            removing: AtomicBool::new(false),
            unsettled: AtomicBool::new(false),
            unanswered_stops: AtomicUsize::new(0),
        }
    }

    /// The link, while the supervisor lives.
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.lock().clone().filter(|link| link.is_open())
    }

    pub(super) fn set_link(&self, link: Option<Arc<Link>>) {
        *self.link.lock() = link;
    }

    pub(super) fn container_names(&self) -> Vec<String> {
        self.dir.containers()
    }

    pub(super) fn state(&self, name: &str) -> io::Result<Option<ContainerState>> {
        if !layout::is_safe_name(name) {
            return Ok(None);
        }
        layout::last_json(&self.dir.container(name).state())
    }

    pub(super) fn states(&self) -> Vec<ContainerState> {
        self.container_names().iter().filter_map(|name| self.state(name).ok().flatten()).collect()
    }

    pub(super) fn plan(&self, name: &str) -> io::Result<Option<Plan>> {
        layout::read_json(&self.dir.container(name).plan())
    }

    pub(super) fn container_id(&self, name: &str) -> ContainerId {
        ContainerId { task: self.id.clone(), name: name.to_owned() }
    }
}

/// Whether a task may be called so: its control group is beside those that begin with a line.
pub(crate) fn is_id(text: &str) -> bool {
    layout::is_safe_name(text) && !text.starts_with('_')
}

/// Makes what a task's containers share. Repeating it mends what is missing.
pub(super) async fn prepare(inner: &Arc<Inner>, spec: &TaskSpec) -> Result<(), Error> {
    if !is_id(&spec.id) {
        return Err(Error::fatal(Kind::Resource, format!("{:?} is no task id", spec.id)));
    }
    let task = {
        let mut tasks = inner.tasks.lock();
        tasks.entry(spec.id.clone()).or_insert_with(|| Arc::new(Task::new(inner, &spec.id))).clone()
    };
    if task.removing.load(Ordering::Acquire) {
        return Err(Error::temporary(Kind::Resource, "the task is being removed"));
    }
    wall(inner, spec).await?;
    let (making, host) = (task.clone(), inner.clone());
    let (made_of, spec_of_interface) = (spec.clone(), spec.clone());
    let made = tokio::task::spawn_blocking(move || make(&host, &making, &made_of)).await;
    let failed = |what: &str, e: io::Error| Error::temporary(Kind::Resource, format!("{what}: {e}"));
    made.map_err(io::Error::other)
        .and_then(|r| r)
        .map_err(|e| failed("the task's folders and control groups cannot be made", e))?;
    if spec.network.is_some() {
        let (host, spec) = (inner.clone(), spec_of_interface);
        let given = tokio::task::spawn_blocking(move || interface(&host, &spec)).await;
        given.map_err(|e| Error::temporary(Kind::Resource, e))??;
    }
    if spec.isolation == Isolation::Gvisor {
        let (host, of, spec) = (inner.clone(), task.clone(), spec.clone());
        let written = tokio::task::spawn_blocking(move || sandbox(&host, &of, &spec)).await;
        written.map_err(|e| Error::temporary(Kind::Resource, e))??;
    }
    let supervised = ensure_supervisor(inner, &task).await;
    supervised.map(|_| ()).map_err(|e| failed("the task's supervisor cannot be started", e))
}

/// Refuses a task whose wall this host does not have, or that asks for what leads through it.
async fn wall(inner: &Arc<Inner>, spec: &TaskSpec) -> Result<(), Error> {
    let (host, isolation) = (inner.clone(), spec.isolation);
    let has = tokio::task::spawn_blocking(move || host.isolation(isolation)).await;
    let has = has.map_err(|e| Error::temporary(Kind::Resource, e))?;
    let disk = || match spec.storage_bytes {
        Some(_) => disk::check().map_err(|why| format!("storage cannot be limited on this host: {why}")),
        None => Ok(()),
    };
    has.map_err(|why| format!("isolation {isolation} is not possible on this host: {why}"))
        .and_then(|()| wall::check_task(spec))
        .and_then(|()| disk())
        .map_err(|why| Error::fatal(Kind::Resource, why))
}

fn make(inner: &Inner, task: &Task, spec: &TaskSpec) -> io::Result<()> {
    std::fs::create_dir_all(task.dir.path())?;
    std::fs::create_dir_all(task.dir.run())?;
    let ids = match spec.isolation {
        Isolation::Shared | Isolation::Gvisor => None,
        Isolation::Namespaces => Some(inner.ranges.give(&task.id)?),
    };
    if let Some(bytes) = spec.storage_bytes {
        disk::make(&task.dir, bytes)?;
    }
    for (name, volume) in &spec.volumes {
        let folder = task.dir.volume(name);
        if matches!(volume, Volume::Empty) && layout::is_safe_name(name) && !folder.exists() {
            std::fs::create_dir_all(&folder)?;
            create::give_over(&folder, ids)?;
        }
    }
    if layout::read_json::<TaskSpec>(&task.dir.spec())?.as_ref() != Some(spec) {
        layout::write_json(&task.dir.spec(), spec, Durable::No)?;
    }
    cgroup::make(&inner.hierarchy, &task.group, &bundle::task_limits(spec))
}

/// Writes down what a task's sandbox is to be; blocks.
fn sandbox(inner: &Inner, task: &Task, spec: &TaskSpec) -> Result<(), Error> {
    let refused = |why: String| Error::fatal(Kind::Resource, why);
    let interface = match net::interface_spec(spec).map_err(|e| refused(chain(&e)))? {
        Some(wanted) => {
            let given = inner.network.as_ref().and_then(|host| host.interface(&wanted.id));
            let given = given.ok_or_else(|| refused("the task has no interface of its own".to_owned()))?;
            Some((given.netns_path, wanted))
        }
        None => None,
    };
    let hostname = spec.network.as_ref().map_or(task.id.as_str(), |network| network.hostname.as_str());
    let program = inner.sandboxes().map_err(refused)?;
    let sandbox = Sandbox { program, dir: runsc::dir(&task.dir), interface };
    let written = match Sandbox::read(&sandbox.dir) {
        Ok(Some(there)) if there == sandbox => Ok(()),
        _ => sandbox.write(hostname),
    };
    written.map_err(|e| Error::temporary(Kind::Resource, format!("the task's sandbox cannot be made: {e}")))
}

/// Gives a task its interface; blocks.
fn interface(inner: &Inner, spec: &TaskSpec) -> Result<(), Error> {
    let host = inner.network.as_ref().filter(|_| inner.task_interfaces);
    let host = host.ok_or_else(|| {
        Error::fatal(Kind::Resource, "failed to configure ENI: this host cannot carry interfaces of tasks")
    })?;
    net::attach_interface(host, spec)
}

/// The link to the task's supervisor, which is made if it is not there.
pub(super) async fn ensure_supervisor(inner: &Arc<Inner>, task: &Arc<Task>) -> io::Result<Arc<Link>> {
    let _turn = task.supervising.lock().await;
    if let Some(link) = task.link() {
        return Ok(link);
    }
    if task.removing.load(Ordering::Acquire) {
        return Err(io::Error::other("the task is being removed"));
    }
    adopt::clear_before(inner, task).await?;
    let ids = inner.ranges.of(&task.id);
    let (stream, spawner) = inner.spawner.spawn(&task.dir, &task.group, ids)?;
    match attach(inner, task, stream).await {
        // The spawner stands still, or what it made does.
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            tracing::warn!(
                task = task.id,
                spawner,
                "no supervisor came about in time; trying another spawner"
            );
            let (host, late) = (inner.clone(), task.clone());
            let ended = tokio::task::spawn_blocking(move || {
                host.spawner.give_up(spawner);
                adopt::kill_supervisor(&host.hierarchy, &late);
            });
            ended.await.map_err(io::Error::other)?;
            let (stream, _) = inner.spawner.spawn(&task.dir, &task.group, ids)?;
            attach(inner, task, stream).await
        }
        other => other,
    }
}

/// Takes a fresh connection to a task's supervisor into use.
pub(super) async fn attach(
    inner: &Arc<Inner>,
    task: &Arc<Task>,
    stream: std::os::unix::net::UnixStream,
) -> io::Result<Arc<Link>> {
    // Weak: an engine that was dropped must not go on by what its supervisors say, or by their end.
    let (hears, heard) = (Arc::downgrade(inner), task.clone());
    let told = move |message| {
        let event = match message {
            Message::Exited { name, exit } => Event::Exited { id: heard.container_id(&name), exit },
            Message::Output { name } => Event::Output { id: heard.container_id(&name) },
            Message::Hello { .. } | Message::Reply { .. } => return,
        };
        if let Some(inner) = hears.upgrade() {
            inner.send(event);
        }
    };
    let (watch, watched) = (Arc::downgrade(inner), Arc::downgrade(task));
    let ended = move || {
        if let (Some(inner), Some(task)) = (watch.upgrade(), watched.upgrade()) {
            tokio::spawn(adopt::supervisor_left(inner, task));
        }
    };
    let link = Link::open(stream, told, ended).await?;
    task.set_link(Some(link.clone()));
    Ok(link)
}

/// Removes a task with all that was made for it.
pub(super) async fn remove(inner: &Arc<Inner>, id: &str) -> Result<(), Error> {
    let Some(task) = inner.task(id) else { return Ok(()) };
    task.removing.store(true, Ordering::Release);
    let _turn = task.supervising.lock().await;
    if let Some(link) = task.link() {
        // Whatever it answers, its group is cleared below.
        let _ = link.call(Op::Shutdown, SHUTDOWN_WAIT).await;
    }
    let (host, going) = (inner.clone(), task.clone());
    let removed = tokio::task::spawn_blocking(move || clear(&host, &going)).await;
    let trash = removed.map_err(io::Error::other).and_then(|r| r).map_err(super::resource)?;
    tokio::task::spawn_blocking(move || tree::remove(&trash));
    task.set_link(None);
    inner.tasks.lock().remove(id);
    Ok(())
}

/// Takes a task and its containers off the network, if they are on it: their ports, and its address, are free then.
pub(super) fn detach(inner: &Inner, task: &Task) -> io::Result<()> {
    let Some(network) = &inner.network else { return Ok(()) };
    let names = task.container_names();
    let containers = names.iter().map(|name| task.container_id(name).to_string());
    for id in containers.chain([task.id.clone()]) {
        let id = network::AttachmentId::new(id).map_err(io::Error::other)?;
        network.detach(&id).map_err(|e| io::Error::other(chain(&e)))?;
    }
    Ok(())
}

/// Takes away everything of a task whose supervisor was told to leave: what it has of the host first, then what
/// is on the disk, all of it that can be. What is slow and hurts nobody is put into the folder that is
/// answered, for the background.
pub(super) fn clear(inner: &Inner, task: &Task) -> io::Result<PathBuf> {
    adopt::kill_supervisor(&inner.hierarchy, task);
    cgroup::remove(&inner.hierarchy, &task.group)?;
    detach(inner, task)?;
    let released = release_images(inner, task);
    disk::remove(&task.dir)?;
    let trash = inner.dir.trash().join(format!("{}-{}", task.id, uuid::Uuid::new_v4().simple()));
    let moved = match std::fs::rename(task.dir.path(), &trash) {
        // A full disk may have no room for one more name.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => tree::remove(task.dir.path()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io::Error::new(
            error.kind(),
            format!("the folder {} cannot be removed: {error}", task.dir.path().display()),
        )),
        _ => Ok(()),
    };
    tree::remove(task.dir.run())?;
    released.and(moved)?;
    // Last: nothing of the task is anybody's any more who has these ids.
    inner.ranges.take_back(&task.id)?;
    Ok(trash)
}

/// Lets go of the images of a task's containers.
fn release_images(inner: &Inner, task: &Task) -> io::Result<()> {
    let mut released = Ok(());
    for name in &task.container_names() {
        if let Ok(Some(plan)) = task.plan(name)
            && let Ok(digest) = plan.image_digest.parse()
            && let Err(error) = inner.config.images.release(&digest, &plan.runtime_id)
        {
            released = released.and(Err(io::Error::other(chain(&error))));
        }
    }
    released
}
