//! The network of Docker's containers: that of the `network` crate, which they join through holders.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::daemon::Daemon;
use super::holder::{self, Wanted, held};
use super::record::{Folder, Record};
use super::{Config, Inner, blocking, look};
use crate::error::{Error, Kind, chain};
use crate::net;
use crate::spec::{ContainerId, ContainerSpec, IpcMode, NetworkMode, PidMode, TaskSpec};

/// The first processes of holders, by the attachment that each holds: the network finds lost namespaces by them.
#[derive(Default)]
pub(super) struct Holders(Mutex<BTreeMap<String, (i32, String)>>);

impl Holders {
    /// Those that run.
    pub(super) async fn find(daemon: &Daemon, id8: &str) -> Result<Holders, Error> {
        let holders = Holders::default();
        for container in daemon.containers(id8, None, false).await? {
            let Some((holds, id)) = held(container.labels.as_ref()).zip(container.id.as_deref()) else {
                continue;
            };
            let seen = daemon.inspect(id).await?;
            if let Some(pid) = seen.and_then(|seen| look::pid(&seen.state?)) {
                holders.set(holds, pid, id);
            }
        }
        Ok(holders)
    }

    pub(super) fn set(&self, holds: &str, pid: i32, id: &str) {
        self.0.lock().insert(holds.to_owned(), (pid, id.to_owned()));
    }

    pub(super) fn forget(&self, task: &str) {
        let of_task = |holds: &String| holds.split('/').next() == Some(task);
        self.0.lock().retain(|holds, _| !of_task(holds));
    }

    /// The process of a holder, if it is still that.
    fn process(&self, holds: &str) -> Option<i32> {
        let (pid, id) = self.0.lock().get(holds)?.clone();
        let group = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        group.contains(&id).then_some(pid)
    }
}

/// What the network cannot know of itself.
struct Known {
    folder: Folder,
    holders: Arc<Holders>,
}

impl ::network::Containers for Known {
    fn processes(&self, id: &::network::AttachmentId) -> Vec<i32> {
        self.holders.process(id.as_str()).into_iter().collect()
    }

    fn remembered(&self, known: &dyn Fn(&::network::AttachmentId) -> bool) -> Vec<::network::Remembered> {
        let all = attached(&self.folder).into_iter().filter(|(id, _)| !known(id));
        let remembered = all.map(|(id, record)| ::network::Remembered {
            id,
            netns_path: record.netns,
            ipv4: record.ipv4,
            bindings: record.bindings.iter().filter_map(net::given).collect(),
        });
        remembered.collect()
    }

    fn interfaces(&self) -> Vec<(::network::InterfaceSpec, Option<PathBuf>)> {
        let tasks = self.folder.tasks().unwrap_or_default();
        let specs = tasks.iter().filter_map(|task| self.folder.spec(task).ok().flatten());
        specs.filter_map(|spec| Some((net::interface_spec(&spec).ok()??, None))).collect()
    }
}

/// The attachments of containers, by what is on record.
fn attached(folder: &Folder) -> Vec<(::network::AttachmentId, Record)> {
    let mut all = Vec::new();
    for task in folder.tasks().unwrap_or_default() {
        for name in folder.containers(&task) {
            let id = ContainerId { task: task.clone(), name };
            let record = folder.record(&id).ok().flatten().filter(|record| record.netns.is_some());
            if let (Ok(attachment), Some(record)) = (::network::AttachmentId::new(id.to_string()), record) {
                all.push((attachment, record));
            }
        }
    }
    all
}

/// Opens the network, if there is to be one.
pub(super) async fn open(
    config: &Config,
    folder: &Folder,
    holders: &Arc<Holders>,
) -> Result<Option<::network::Host>, Error> {
    let Some(network) = config.network.clone() else { return Ok(None) };
    let known = Known { folder: folder.clone(), holders: holders.clone() };
    let opened =
        tokio::task::spawn_blocking(move || ::network::Host::open_with(network, Arc::new(known))).await;
    let opened = opened.map_err(|e| Error::temporary(Kind::Network, chain(&e)))?;
    opened.map(Some).map_err(|e| Error::fatal(Kind::Network, chain(&e)))
}

/// Takes everything off the network that belongs to no task and no container.
pub(super) fn clear_strays(inner: &Inner) {
    let Some(network) = inner.network() else { return };
    let tasks = inner.folder.tasks().unwrap_or_default().into_iter();
    let names = tasks.flat_map(|task| {
        let containers = inner.folder.containers(&task).into_iter().map({
            let task = task.clone();
            move |name| ContainerId { task: task.clone(), name }.to_string()
        });
        containers.chain([task]).collect::<Vec<_>>()
    });
    let keep: Vec<_> = names.filter_map(|id| ::network::AttachmentId::new(id).ok()).collect();
    if let Err(error) = network.reconcile(&keep) {
        let error = chain(&error);
        tracing::error!(error, "what is left on the network of tasks that are gone cannot be removed");
    }
}

fn attachment_id(id: &str) -> Result<::network::AttachmentId, Error> {
    ::network::AttachmentId::new(id).map_err(|e| Error::fatal(Kind::Network, e))
}

/// Puts a container on the network by what it asks for; none for one that needs nothing of it. Blocks.
pub(super) fn attach(
    inner: &Inner,
    id: &ContainerId,
    spec: &ContainerSpec,
) -> Result<Option<::network::Attachment>, Error> {
    match (inner.network(), spec.network) {
        (_, NetworkMode::Task | NetworkMode::None) | (None, NetworkMode::Host) => Ok(None),
        (None, NetworkMode::Bridge) => {
            Err(Error::fatal(Kind::Network, "this engine was opened for host networking only"))
        }
        (Some(network), NetworkMode::Bridge | NetworkMode::Host) => {
            let wanted = net::attach_spec(attachment_id(&id.to_string())?, spec);
            let attached = match network.attach(&wanted) {
                // A try that was cut short asked for something else.
                Err(::network::Error::Exists(id)) => {
                    network.detach(&id).and_then(|()| network.attach(&wanted))
                }
                other => other,
            };
            attached.map(Some).map_err(|e| net::error(&e))
        }
    }
}

/// What of the network's parameters a container asks for that joins its task's interface: they are the task's. Blocks.
pub(super) fn join_task(inner: &Inner, id: &ContainerId, spec: &ContainerSpec) -> Result<(), Error> {
    let none = || Error::fatal(Kind::Network, "the task has no interface of its own");
    let network = inner.network().ok_or_else(none)?;
    let task = attachment_id(&id.task)?;
    network.interface(&task).ok_or_else(none)?;
    let parameters = crate::native::bundle::network_sysctls(spec);
    if parameters.is_empty() {
        return Ok(());
    }
    network.set_parameters(&task, &parameters).map_err(|e| net::error(&e))
}

/// Whether the containers of a task share more than their control group.
pub(super) fn shares(spec: &TaskSpec) -> bool {
    spec.network.is_some() || spec.pid_mode == PidMode::Task || spec.ipc_mode == IpcMode::Task
}

/// The holder of what a task's containers share, made or mended.
pub(super) async fn hold_task(inner: &Arc<Inner>, spec: &TaskSpec) -> Result<String, Error> {
    let netns = match &spec.network {
        Some(_) => Some(mend(inner, spec.id.clone()).await?),
        None => None,
    };
    let wanted = Wanted {
        task: spec.id.clone(),
        name: format!("{}.task", inner.task_name(&spec.id)),
        holds: spec.id.clone(),
        netns,
        hostname: spec.network.as_ref().map(|network| network.hostname.clone()),
    };
    holder::ensure(inner, &wanted).await
}

/// The holder of a container's place on the bridge, made or mended.
pub(super) async fn hold_container(
    inner: &Arc<Inner>,
    id: &ContainerId,
    hostname: Option<String>,
) -> Result<String, Error> {
    let wanted = Wanted {
        task: id.task.clone(),
        name: format!("{}.network", inner.name(id)),
        holds: id.to_string(),
        netns: Some(mend(inner, id.to_string()).await?),
        hostname,
    };
    holder::ensure(inner, &wanted).await
}

/// Makes what somebody took away of an attachment, and answers the file of its namespace.
async fn mend(inner: &Arc<Inner>, id: String) -> Result<PathBuf, Error> {
    blocking(inner, move |inner| {
        let gone = || Error::fatal(Kind::Network, "it is not on the network any more");
        let network = inner.network().ok_or_else(gone)?;
        let id = attachment_id(&id)?;
        network.mend(&id).map_err(|e| Error::temporary(Kind::Network, chain(&e)))?;
        let path = match network.interface(&id) {
            Some(interface) => Some(interface.netns_path),
            None => network.get(&id).and_then(|attachment| attachment.netns_path),
        };
        path.ok_or_else(gone)
    })
    .await
}

/// Takes a task and its containers off the network: their ports, and its address, are free then. Blocks.
pub(super) fn detach(inner: &Inner, task: &str) -> Result<(), Error> {
    let Some(network) = inner.network() else { return Ok(()) };
    let names = inner.folder.containers(task).into_iter();
    let containers = names.map(|name| ContainerId { task: task.to_owned(), name }.to_string());
    for id in containers.chain([task.to_owned()]) {
        network.detach(&attachment_id(&id)?).map_err(|e| Error::temporary(Kind::Resource, chain(&e)))?;
    }
    Ok(())
}
