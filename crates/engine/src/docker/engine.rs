//! The engine's trait, carried out by the daemon.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::KillContainerOptions;
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast;

use super::daemon::status;
use super::task::AT_ONCE;
use super::{Docker, Inner, attach, blocking, exec, images, log, look, make, purge, resource, task, written};
use crate::error::{Error, Kind, chain};
use crate::native::cgroup::{self, GroupPath};
use crate::native::supervisor::sys;
use crate::spec::{
    ContainerId, ContainerSpec, ExecSpec, OutputPolicy, PullRequest, PulledImage, TaskId, TaskSpec,
};
use crate::state::{
    Capabilities, ContainerState, Created, Event, ExecOutcome, FoundTask, NetworkCounters, OutputChunk,
    Phase, Started, Stats, Written,
};
use crate::{Engine, vpc};

/// What asks a container to end whose image and definition say nothing.
const STOP_SIGNAL: &str = "SIGTERM";

#[async_trait]
impl Engine for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn capabilities(&self) -> Capabilities {
        let daemon = &self.inner.daemon;
        Capabilities {
            version: daemon.version.clone(),
            captures_output: true,
            task_limits: daemon.cgroupfs,
            privileged: true,
            apparmor: daemon.apparmor,
            network_bridge: self.inner.config.network.is_some(),
            task_interfaces: self.inner.task_interfaces,
            shared_namespaces: true,
            port_ranges: self.inner.config.network.is_some(),
        }
    }

    async fn pull(&self, request: &PullRequest) -> Result<PulledImage, Error> {
        images::pull(&self.inner, request).await
    }

    async fn prepare_task(&self, task: &TaskSpec) -> Result<(), Error> {
        let turn = self.inner.turn(&task.id);
        let _turn = turn.lock().await;
        task::prepare(&self.inner, task).await
    }

    async fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Created, Error> {
        let turn = self.inner.turn(&id.task);
        let _turn = turn.lock().await;
        make::create(&self.inner, id, spec).await
    }

    async fn start(&self, id: &ContainerId) -> Result<Started, Error> {
        let turn = self.inner.turn(&id.task);
        let state = self.look(id).await?;
        if let Phase::Running(started) = state.phase {
            return Ok(started);
        }
        {
            let _turn = turn.lock().await;
            stand(&self.inner, id).await?;
        }
        let name = self.inner.name(id);
        let started = self.inner.daemon.api.start_container(&name, None).await;
        started.map_err(|e| self.inner.daemon.failed(Kind::Start, e))?;
        let starts = self.inner.folder.record(id).map_err(resource)?.map(|mut record| {
            record.starts += 1;
            record
        });
        if let Some(record) = starts {
            self.inner.folder.write(id, &record).map_err(resource)?;
        }
        // Who looked for output before had no file to be told of.
        self.inner.send(Event::Output { id: id.clone() });
        match self.look(id).await?.phase {
            Phase::Running(started) => Ok(started),
            // It has ended already, which an event tells.
            Phase::Exited(exit) => Ok(Started { pid: 0, started_at_ms: exit.exited_at_ms }),
            Phase::Created => Err(Error::temporary(Kind::Start, "the Docker daemon did not start it")),
        }
    }

    async fn stop(&self, id: &ContainerId, timeout: Duration) -> Result<(), Error> {
        let name = self.inner.name(id);
        let Some(seen) = self.inner.daemon.inspect(&name).await? else { return Ok(()) };
        let Phase::Running(started) = look::state(id, &seen, &Default::default()).phase else {
            return Ok(());
        };
        let signal = seen.config.and_then(|config| config.stop_signal).filter(|signal| !signal.is_empty());
        signal_to(&self.inner, &name, signal.as_deref().unwrap_or(STOP_SIGNAL)).await?;
        // An engine that was dropped meanwhile must not go on by this.
        let (inner, id) = (Arc::downgrade(&self.inner), id.clone());
        tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            let Some(inner) = inner.upgrade() else { return };
            let runs = inner.look(&id).await.ok().flatten().map(|state| state.phase);
            if runs == Some(Phase::Running(started))
                && let Err(error) = signal_to(&inner, &inner.name(&id), "SIGKILL").await
            {
                tracing::warn!(container = %id, %error, "a container that does not end cannot be killed");
            }
        });
        Ok(())
    }

    async fn release_task(&self, task: &TaskId) -> Result<(), Error> {
        let turn = self.inner.turn(task);
        let _turn = turn.lock().await;
        task::release(&self.inner, task).await
    }

    async fn remove_task(&self, task: &TaskId) -> Result<(), Error> {
        let turn = self.inner.turn(task);
        let removed = {
            let _turn = turn.lock().await;
            task::remove(&self.inner, task).await
        };
        if removed.is_ok() {
            self.inner.turns.lock().remove(task);
        }
        removed
    }

    async fn list(&self) -> Result<Vec<FoundTask>, Error> {
        let inner = &self.inner;
        let mut found: std::collections::BTreeMap<TaskId, Vec<ContainerState>> =
            inner.folder.tasks().map_err(resource)?.into_iter().map(|task| (task, Vec::new())).collect();
        let containers = inner.daemon.containers(&inner.config.instance_id8, None, false).await?;
        for label in containers.iter().filter_map(|container| container.labels.as_ref()) {
            if let Some(task) = label.get(super::TASK) {
                found.entry(task.clone()).or_default();
            }
        }
        let ids = containers.into_iter().filter_map(|container| look::id(&container.labels?));
        let states = stream::iter(ids).map(|id| async move { inner.look(&id).await });
        let states: Vec<_> = states.buffer_unordered(AT_ONCE).collect().await;
        for state in states {
            if let Some(state) = state? {
                found.entry(state.id.task.clone()).or_default().push(state);
            }
        }
        Ok(found.into_iter().map(|(task, containers)| FoundTask { task, containers }).collect())
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, Error> {
        self.inner.look(id).await
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    async fn exec(&self, id: &ContainerId, exec: &ExecSpec) -> Result<ExecOutcome, Error> {
        exec::run(&self.inner, id, exec).await
    }

    async fn stats(&self, id: &ContainerId) -> Result<Stats, Error> {
        let Phase::Running(started) = self.look(id).await?.phase else {
            return Err(Error::fatal(Kind::Inspect, format!("container {} is not running", id.name)));
        };
        let id = id.clone();
        blocking(&self.inner, move |inner| stats(inner, &id, started.pid)).await
    }

    async fn output(&self, id: &ContainerId, cursor: u64, max_bytes: usize) -> Result<OutputChunk, Error> {
        let missing = || Error::fatal(Kind::NoSuchContainer, format!("No such container: {id}"));
        // Before the read: output that was whole at the end is then read as a whole too.
        let seen = self.inner.daemon.inspect(&self.inner.name(id)).await?.ok_or_else(missing)?;
        let record = self.inner.folder.record(id).map_err(resource)?.unwrap_or_default();
        let ended = matches!(look::state(id, &seen, &record).phase, Phase::Exited(_));
        let path = seen.log_path.filter(|path| !path.is_empty()).map(PathBuf::from);
        let captured = matches!(record.output, OutputPolicy::Blocking | OutputPolicy::NonBlocking { .. });
        let Some(path) = path.filter(|_| captured) else {
            return Ok(OutputChunk { cursor, ended, ..OutputChunk::default() });
        };
        let id = id.clone();
        blocking(&self.inner, move |inner| {
            let failed = |e: std::io::Error| {
                let path = path.display();
                Error::temporary(Kind::Inspect, format!("what it wrote cannot be read from {path}: {e}"))
            };
            let mut chunk = log::read(&path, &record.output, cursor, max_bytes).map_err(failed)?;
            if chunk.records.is_empty() {
                chunk.ended = ended;
                if !ended && path.exists() {
                    inner.watch.add(&id, &path, chunk.cursor).map_err(failed)?;
                }
            }
            Ok(chunk)
        })
        .await
    }

    async fn release_output(&self, id: &ContainerId, cursor: u64) -> Result<(), Error> {
        let before = self.inner.punched.lock().get(id).copied().unwrap_or(0);
        if !log::is_worth(before, cursor) {
            return Ok(());
        }
        let Some(seen) = self.inner.daemon.inspect(&self.inner.name(id)).await? else { return Ok(()) };
        let Some(path) = seen.log_path.filter(|path| !path.is_empty()) else { return Ok(()) };
        let id = id.clone();
        blocking(&self.inner, move |inner| {
            // A file system without holes keeps what it has: said once a task.
            let given = log::give_back(path.as_ref(), before, cursor).unwrap_or_else(|error| {
                tracing::warn!(path, %error, "the disk does not take back output that was read");
                u64::MAX
            });
            inner.punched.lock().insert(id, given);
            Ok(())
        })
        .await
    }

    async fn change_network(&self, change: vpc::Change) -> Result<(), Error> {
        blocking(&self.inner, move |inner| {
            let none = || Error::fatal(Kind::Network, "this engine was opened for host networking only");
            inner.network().ok_or_else(none)?.change_rules(change).map_err(|e| match e {
                ::network::Error::Invalid(_) => Error::fatal(Kind::Network, e),
                e => Error::temporary(Kind::Network, chain(&e)),
            })
        })
        .await
    }

    async fn answer_names(&self, resolver: Arc<dyn vpc::Resolver>) -> Result<(), Error> {
        blocking(&self.inner, move |inner| {
            inner.network().into_iter().for_each(|network| network.answer_names(resolver.clone()));
            Ok(())
        })
        .await
    }

    async fn written(&self) -> Result<Vec<Written>, Error> {
        written::measure(&self.inner).await
    }

    /// The daemon's images are not ours to remove: `docker image prune` is its operator's.
    async fn collect_images(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    async fn audit(&self) -> Vec<String> {
        purge::audit(&self.inner).await
    }

    async fn purge(&self) -> Result<(), Error> {
        purge::purge(&self.inner).await
    }
}

impl Docker {
    async fn look(&self, id: &ContainerId) -> Result<ContainerState, Error> {
        let missing = || Error::fatal(Kind::NoSuchContainer, format!("No such container: {id}"));
        self.inner.look(id).await?.ok_or_else(missing)
    }
}

/// Sees to it that what a container joins is there. The caller has the task's turn.
async fn stand(inner: &Arc<Inner>, id: &ContainerId) -> Result<(), Error> {
    let record = inner.folder.record(id).map_err(resource)?.unwrap_or_default();
    let spec = inner.folder.spec(&id.task).map_err(resource)?;
    if let Some(spec) = spec.filter(attach::shares) {
        attach::hold_task(inner, &spec).await?;
    }
    if record.netns.is_some() {
        attach::hold_container(inner, id, record.hostname).await?;
    }
    Ok(())
}

/// Sends a signal; one that has ended needs none.
async fn signal_to(inner: &Inner, name: &str, signal: &str) -> Result<(), Error> {
    let options = KillContainerOptions { signal: signal.to_owned() };
    match inner.daemon.api.kill_container(name, Some(options)).await {
        Err(error) if !matches!(status(&error), Some(404 | 409)) => {
            Err(inner.daemon.failed(Kind::Stop, error))
        }
        _ => Ok(()),
    }
}

/// From the container's control group, as the native engine reads them. Blocks.
fn stats(inner: &Inner, id: &ContainerId, pid: i32) -> Result<Stats, Error> {
    let group = GroupPath::of_process(pid).map_err(|e| Error::temporary(Kind::Inspect, e))?;
    let mut stats = cgroup::usage(&inner.hierarchy, &group);
    stats.at_ms = sys::now_ms();
    // Of the container, or of its task where that has the interface.
    let counted = |id: String| {
        let network = inner.network()?;
        network.counters(&::network::AttachmentId::new(id).ok()?).ok().flatten()
    };
    if let Some(c) = counted(id.to_string()).or_else(|| counted(id.task.clone())) {
        let direction = |bytes, packets, errors, dropped| NetworkCounters { bytes, packets, errors, dropped };
        stats.rx = direction(c.rx_bytes, c.rx_packets, c.rx_errors, c.rx_dropped);
        stats.tx = direction(c.tx_bytes, c.tx_packets, c.tx_errors, c.tx_dropped);
    }
    Ok(stats)
}
