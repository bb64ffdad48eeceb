//! What carries our mark and belongs to no task, as a crash in the midst of making or removing one leaves it: goes
//! when the engine opens. What cannot be removed then is said and tried again later, and keeps nothing else from it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::layout;
use super::task::Task;
use super::{Inner, cgroup, chain, tree};

/// Between attempts: the first, and the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// Of a task that is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Stray {
    Group(String),
    /// In R.
    Folder(String),
    /// Of the host. After the group, whose processes have them.
    Ids(String),
    Attachment(String, network::AttachmentId),
}

impl Stray {
    fn task(&self) -> &str {
        match self {
            Stray::Group(task) | Stray::Folder(task) | Stray::Ids(task) | Stray::Attachment(task, _) => task,
        }
    }
}

/// Clears away what belongs to none of the tasks. To be called before anything new is made.
pub(super) async fn clear(inner: &Arc<Inner>) {
    let host = inner.clone();
    let left = tokio::task::spawn_blocking(move || clear_blocking(&host)).await;
    let left = left.unwrap_or_else(|error| {
        tracing::error!(%error, "remains of tasks that are gone cannot be looked for");
        Vec::new()
    });
    if left.is_empty() {
        return;
    }
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        let (mut left, mut wait) = (left, RETRY_FIRST);
        while !left.is_empty() {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_LONGEST);
            let Some(host) = inner.upgrade() else { return };
            let tried = tokio::task::spawn_blocking(move || {
                left.retain(|stray| again(&host, stray).is_err());
                left
            });
            let Ok(rest) = tried.await else { return };
            left = rest;
        }
    });
}

/// Answers what could not be removed.
fn clear_blocking(inner: &Inner) -> Vec<Stray> {
    let tasks: Vec<Arc<Task>> = inner.tasks.lock().values().cloned().collect();
    let is_stray = |id: &String| !tasks.iter().any(|task| task.id == *id);
    let mut strays: Vec<Stray> = cgroup::tasks(&inner.hierarchy, &inner.instance)
        .into_iter()
        .filter(is_stray)
        .map(Stray::Group)
        .collect();
    let folders = layout::folders(&inner.dir.run()).unwrap_or_else(|error| {
        tracing::error!(%error, "folders of tasks that are gone cannot be looked for");
        Vec::new()
    });
    strays.extend(folders.into_iter().filter(is_stray).map(Stray::Folder));
    strays.extend(inner.ranges.tasks().into_iter().filter(is_stray).map(Stray::Ids));
    strays.retain(|stray| {
        let removed = match stray {
            Stray::Group(task) => cgroup::remove(&inner.hierarchy, &inner.instance.child(task)),
            other => remove(inner, other),
        };
        removed.inspect_err(|error| say(stray, error)).is_err()
    });
    strays.extend(clear_network(inner, &tasks));
    release_images(inner, &tasks);
    empty_trash(inner);
    strays
}

fn say(stray: &Stray, error: &io::Error) {
    tracing::error!(?stray, %error, "what is left of a task that is gone cannot be removed; it is tried again");
}

/// Takes all off the network that is neither a task nor a container of one. One whose plan cannot be read is one all the same.
fn clear_network(inner: &Inner, tasks: &[Arc<Task>]) -> Vec<Stray> {
    let Some(network) = &inner.network else { return Vec::new() };
    let of_task = |task: &Arc<Task>| {
        let names = task.container_names();
        let containers = names.iter().map(|name| task.container_id(name).to_string());
        containers.chain([task.id.clone()]).collect::<Vec<String>>()
    };
    let ids = tasks.iter().flat_map(of_task);
    let keep: BTreeSet<network::AttachmentId> =
        ids.filter_map(|id| network::AttachmentId::new(id).ok()).collect();
    let all: Vec<_> = keep.iter().cloned().collect();
    let Err(error) = network.reconcile(&all) else { return Vec::new() };
    let error = chain(&error);
    tracing::error!(
        error,
        "what is left on the network of tasks that are gone cannot be removed; it is tried again"
    );
    let strays = network.ids().into_iter().filter(|id| !keep.contains(id));
    strays.map(|id| Stray::Attachment(task_of(&id), id)).collect()
}

fn task_of(id: &network::AttachmentId) -> String {
    id.as_str().split('/').next().unwrap_or_default().to_owned()
}

/// Lets go of images that no container holds any more. Where it cannot be told whose a hold is, none goes: the
/// next start looks again.
fn release_images(inner: &Inner, tasks: &[Arc<Task>]) {
    let mut holders = BTreeSet::new();
    for task in tasks {
        for name in task.container_names() {
            match task.plan(&name) {
                Ok(Some(plan)) => drop(holders.insert(plan.runtime_id)),
                // As after a boot.
                Ok(None) if !task.dir.container(&name).plan().exists() => {}
                _ => {
                    tracing::error!(
                        task = task.id,
                        name,
                        "a container's plan cannot be read; no image is let go"
                    );
                    return;
                }
            }
        }
    }
    let holds = inner.config.images.holds().unwrap_or_else(|error| {
        tracing::error!(error = chain(&error), "it cannot be read which images are held; none is let go");
        Vec::new()
    });
    for (digest, holder) in holds {
        if !holders.contains(&holder) {
            let _ = inner.config.images.release(&digest, &holder);
        }
    }
}

/// [`remove`] while others make tasks: nothing of one that has come since.
fn again(inner: &Inner, stray: &Stray) -> io::Result<()> {
    // Held meanwhile: whoever makes a task enters it first.
    let tasks = inner.tasks.lock();
    if tasks.contains_key(stray.task()) {
        return Ok(());
    }
    remove(inner, stray).inspect_err(|error| tracing::debug!(?stray, %error, "still not removed"))
}

/// Blocks for a moment at most.
fn remove(inner: &Inner, stray: &Stray) -> io::Result<()> {
    match stray {
        Stray::Group(task) => {
            let group = inner.instance.child(task);
            cgroup::kill(&inner.hierarchy, &group);
            let gone = cgroup::try_remove(&inner.hierarchy, &group);
            if gone { Ok(()) } else { Err(io::ErrorKind::ResourceBusy.into()) }
        }
        Stray::Folder(task) => tree::remove(&inner.dir.run().join(task)),
        Stray::Ids(task) if cgroup::processes(&inner.hierarchy, &inner.instance.child(task)).is_empty() => {
            inner.ranges.take_back(task)
        }
        Stray::Ids(_) => Err(io::ErrorKind::ResourceBusy.into()),
        Stray::Attachment(_, id) => match &inner.network {
            Some(network) => network.detach(id).map_err(|e| io::Error::other(chain(&e))),
            None => Ok(()),
        },
    }
}

fn empty_trash(inner: &Inner) {
    let trash = inner.dir.trash();
    std::thread::spawn(move || {
        for name in layout::folders(&trash).unwrap_or_default() {
            let _ = tree::remove(&trash.join(name));
            // Others of this process need the disk too.
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}
