//! The engine's trait, carried out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::link::{ANSWER_WAIT, Failure};
use super::plan::Plan;
use super::proto::{Answer, Op};
use super::supervisor::sys;
use super::task::{self, Task};
use super::{Inner, Native, adopt, cgroup, chain, create, pull, runsc, silence, spool, written};
use crate::error::{Error, Kind};
use crate::spec::{
    ContainerId, ContainerSpec, ExecSpec, Isolation, PullRequest, PulledImage, TaskId, TaskSpec,
};
use crate::state::{
    Capabilities, ContainerState, Created, Event, ExecOutcome, FoundTask, NetworkCounters, OutputChunk,
    Phase, Started, Stats, Written,
};
use crate::{Engine, vpc};

/// How long a container may take to start; the supervisor gives up first.
const START_WAIT: Duration = Duration::from_secs(90);

#[async_trait]
impl Engine for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            version: create::version(&self.inner.hierarchy),
            captures_output: true,
            task_limits: true,
            privileged: true,
            apparmor: self.inner.apparmor.is_enabled(),
            network_bridge: self.inner.network.is_some(),
            task_interfaces: self.inner.task_interfaces,
            shared_namespaces: true,
            port_ranges: self.inner.network.is_some(),
        }
    }

    fn isolation(&self, wanted: Isolation) -> Result<(), String> {
        self.inner.isolation(wanted)
    }

    async fn pull(&self, request: &PullRequest) -> Result<PulledImage, Error> {
        pull::pull(&self.inner, request).await
    }

    async fn prepare_task(&self, task: &TaskSpec) -> Result<(), Error> {
        task::prepare(&self.inner, task).await
    }

    async fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Created, Error> {
        let task = self.task(id, Kind::Create)?;
        self.make_ready();
        let (name, spec) = (id.name.clone(), spec.clone());
        blocking(self.inner.clone(), move |inner| create::create(inner, &task, &name, &spec)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<Started, Error> {
        let task = self.task(id, Kind::Start)?;
        let state = self.state(&task, id)?;
        if let Phase::Running(started) = state.phase {
            return Ok(started);
        }
        let Plan { io, attached, in_task_network, .. } = self.plan(&task, id)?;
        if in_task_network {
            self.mend_network(id.task.clone()).await?;
        } else if attached {
            self.mend_network(id.to_string()).await?;
        }
        let link = task::ensure_supervisor(&self.inner, &task)
            .await
            .map_err(|e| Error::temporary(Kind::Start, e))?;
        match link.call_long(Op::Start { name: id.name.clone(), io }, START_WAIT).await {
            Ok(Answer::Started(started)) => {
                silence::watch(&self.inner, &task, &id.name, &started);
                Ok(started)
            }
            Err(Failure::Silent) => {
                // What it was asked it might do yet, when nobody waits for that any more.
                silence::end(&self.inner, &task, &link).await;
                Err(Error::temporary(Kind::Start, "the task's supervisor did not answer, and was ended"))
            }
            other => Err(unanswered(Kind::Start, other)),
        }
    }

    async fn stop(&self, id: &ContainerId, timeout: Duration) -> Result<(), Error> {
        let Some(task) = self.inner.task(&id.task) else { return Ok(()) };
        let Some(state) = task.state(&id.name).map_err(|e| Error::temporary(Kind::Stop, e))? else {
            return Ok(());
        };
        if matches!(state.phase, Phase::Exited(_)) {
            return Ok(());
        }
        let Some(link) = task.link() else {
            // It took the container with it, unless that could not be cleared up then.
            adopt::supervisor_left(self.inner.clone(), task).await;
            return Ok(());
        };
        // What runs can be stopped, also where nothing says any more how it was begun.
        let signal = task.plan(&id.name).ok().flatten().map_or(libc::SIGTERM, |plan| plan.stop_signal);
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        match link.call(Op::Stop { name: id.name.clone(), signal, timeout_ms }, ANSWER_WAIT).await {
            // A supervisor that is gone took the container with it.
            Ok(_) | Err(Failure::Gone) => Ok(()),
            Err(Failure::Silent) => {
                let stopping = silence::stop(self.inner.clone(), task, link, id.name.clone(), timeout);
                tokio::spawn(stopping);
                Ok(())
            }
            Err(failure) => Err(unanswered(Kind::Stop, Err(failure))),
        }
    }

    async fn release_task(&self, task: &TaskId) -> Result<(), Error> {
        let Some(task) = self.inner.task(task) else { return Ok(()) };
        blocking(self.inner.clone(), move |inner| task::detach(inner, &task).map_err(super::resource)).await
    }

    async fn remove_task(&self, task: &TaskId) -> Result<(), Error> {
        task::remove(&self.inner, task).await
    }

    async fn list(&self) -> Result<Vec<FoundTask>, Error> {
        let tasks: Vec<Arc<Task>> = self.inner.tasks.lock().values().cloned().collect();
        let found = |task: &Arc<Task>| FoundTask { task: task.id.clone(), containers: task.states() };
        Ok(tasks.iter().map(found).collect())
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, Error> {
        match self.inner.task(&id.task) {
            Some(task) => task.state(&id.name).map_err(|e| Error::temporary(Kind::Inspect, e)),
            None => Ok(None),
        }
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    async fn exec(&self, id: &ContainerId, exec: &ExecSpec) -> Result<ExecOutcome, Error> {
        let task = self.task(id, Kind::Inspect)?;
        let link = task.link().ok_or_else(|| Error::fatal(Kind::Inspect, not_running(id)))?;
        let op = Op::Exec {
            name: id.name.clone(),
            command: exec.command.clone(),
            timeout_ms: u64::try_from(exec.timeout.as_millis()).unwrap_or(u64::MAX),
            max_output_bytes: exec.max_output_bytes,
        };
        match link.call(op, exec.timeout.saturating_add(ANSWER_WAIT)).await {
            Ok(Answer::Exec { code, output }) => {
                let output = hex::decode(output).map_err(|e| Error::temporary(Kind::Inspect, e))?;
                Ok(ExecOutcome { code, output })
            }
            other => Err(unanswered(Kind::Inspect, other)),
        }
    }

    async fn stats(&self, id: &ContainerId) -> Result<Stats, Error> {
        let task = self.task(id, Kind::Inspect)?;
        let Phase::Running(_) = self.state(&task, id)?.phase else {
            return Err(Error::fatal(Kind::Inspect, not_running(id)));
        };
        let id = id.clone();
        blocking(self.inner.clone(), move |inner| stats(inner, &task, &id)).await
    }

    async fn output(&self, id: &ContainerId, cursor: u64, max_bytes: usize) -> Result<OutputChunk, Error> {
        let task = self.task(id, Kind::Inspect)?;
        // Before the read: output that was whole at the end is then read as a whole too.
        let state = self.state(&task, id)?;
        let dir = task.dir.container(&id.name).output();
        let read = blocking(self.inner.clone(), move |_| {
            spool::read(&dir, cursor, max_bytes).map_err(|e| Error::temporary(Kind::Inspect, e))
        });
        let mut chunk = read.await?;
        if chunk.records.is_empty() {
            chunk.ended = matches!(state.phase, Phase::Exited(_));
            if let Some(link) = task.link().filter(|_| !chunk.ended) {
                link.tell(Op::Watch { name: id.name.clone(), cursor: chunk.cursor });
            }
        }
        Ok(chunk)
    }

    async fn release_output(&self, id: &ContainerId, cursor: u64) -> Result<(), Error> {
        // Without a supervisor nobody writes, so there is no need for room.
        if let Some(link) = self.inner.task(&id.task).and_then(|task| task.link()) {
            link.tell(Op::Release { name: id.name.clone(), cursor });
        }
        Ok(())
    }

    async fn change_network(&self, change: vpc::Change) -> Result<(), Error> {
        blocking(self.inner.clone(), move |inner| {
            let none = || Error::fatal(Kind::Network, "this engine was opened for host networking only");
            inner.network.as_ref().ok_or_else(none)?.change_rules(change).map_err(|e| match e {
                network::Error::Invalid(_) => Error::fatal(Kind::Network, e),
                e => Error::temporary(Kind::Network, chain(&e)),
            })
        })
        .await
    }

    async fn answer_names(&self, resolver: Arc<dyn vpc::Resolver>) -> Result<(), Error> {
        blocking(self.inner.clone(), move |inner| {
            inner.network.iter().for_each(|network| network.answer_names(resolver.clone()));
            Ok(())
        })
        .await
    }

    async fn written(&self) -> Result<Vec<Written>, Error> {
        blocking(self.inner.clone(), |inner| Ok(written::measure(inner))).await
    }

    async fn discard_written(&self, task: &TaskId) -> Result<(), Error> {
        let Some(task) = self.inner.task(task) else { return Ok(()) };
        let discard =
            move |_: &Inner| written::discard(&task).map_err(|e| Error::temporary(Kind::Resource, e));
        blocking(self.inner.clone(), discard).await
    }

    async fn collect_images(&self) -> Result<Vec<String>, Error> {
        blocking(self.inner.clone(), |inner| {
            let removed = inner.config.images.collect(&inner.config.image_policy, jiff::Timestamp::now());
            let removed = removed.map_err(|e| Error::temporary(Kind::Pull, chain(&e)))?;
            Ok(removed.into_iter().map(|r| format!("{} ({:?})", r.digest, r.reason)).collect())
        })
        .await
    }

    async fn audit(&self) -> Vec<String> {
        Native::audit(self)
    }

    async fn purge(&self) -> Result<(), Error> {
        Native::purge(self).await
    }
}

impl Native {
    /// A container is made to be started soon: what the kernel needs for that can begin now.
    fn make_ready(&self) {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || {
            if let Some(pid) = inner.spawner.pid() {
                let supervisors = inner.instance.child(cgroup::SUPERVISORS);
                cgroup::make_ready(&inner.hierarchy, &supervisors, pid);
            }
        });
    }

    /// Others may have taken away what the container is to join.
    async fn mend_network(&self, id: String) -> Result<(), Error> {
        blocking(self.inner.clone(), move |inner| {
            let Some(network) = &inner.network else { return Ok(()) };
            let id = network::AttachmentId::new(id).map_err(|e| Error::fatal(Kind::Network, e))?;
            network.mend(&id).map_err(|e| match e {
                network::Error::NotFound(_) => {
                    Error::fatal(Kind::Network, "what the container was given of the network is lost")
                }
                e => Error::temporary(Kind::Network, chain(&e)),
            })
        })
        .await
    }

    fn task(&self, id: &ContainerId, kind: Kind) -> Result<Arc<Task>, Error> {
        let task = self.inner.task(&id.task);
        task.ok_or_else(|| Error::fatal(kind, format!("No such task: {}", id.task)))
    }

    fn state(&self, task: &Task, id: &ContainerId) -> Result<ContainerState, Error> {
        let state = task.state(&id.name).map_err(|e| Error::temporary(Kind::Inspect, e))?;
        state.ok_or_else(|| Error::fatal(Kind::NoSuchContainer, format!("No such container: {id}")))
    }

    fn plan(&self, task: &Task, id: &ContainerId) -> Result<Plan, Error> {
        let plan = task.plan(&id.name).map_err(|e| Error::temporary(Kind::Inspect, e))?;
        plan.ok_or_else(|| Error::fatal(Kind::NoSuchContainer, format!("No such container: {id}")))
    }
}

fn not_running(id: &ContainerId) -> String {
    format!("container {} is not running", id.name)
}

fn unanswered(kind: Kind, answer: Result<Answer, Failure>) -> Error {
    match answer {
        Err(Failure::Refused(message)) => Error::fatal(kind, message),
        Err(failure) => Error::temporary(kind, failure),
        Ok(_) => Error::temporary(kind, "the task's supervisor answers something else"),
    }
}

async fn blocking<T: Send + 'static>(
    inner: Arc<Inner>,
    work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(move || work(&inner)).await;
    done.map_err(|e| Error::temporary(Kind::Resource, io::Error::other(e)))?
}

fn stats(inner: &Inner, task: &Task, id: &ContainerId) -> Result<Stats, Error> {
    // Of a sandbox there is one sum for all that is in it.
    let group = match runsc::dir(&task.dir).exists() {
        true => runsc::group(&task.group),
        false => task.group.child(&id.name),
    };
    let mut stats = cgroup::usage(&inner.hierarchy, &group);
    stats.at_ms = sys::now_ms();
    // Of the container, or of its task where that has the interface.
    let counted = |id: String| {
        let host = inner.network.as_ref()?;
        host.counters(&network::AttachmentId::new(id).ok()?).ok().flatten()
    };
    let counters = counted(id.to_string()).or_else(|| counted(id.task.clone()));
    if let Some(c) = counters {
        let direction = |bytes, packets, errors, dropped| NetworkCounters { bytes, packets, errors, dropped };
        stats.rx = direction(c.rx_bytes, c.rx_packets, c.rx_errors, c.rx_dropped);
        stats.tx = direction(c.tx_bytes, c.tx_packets, c.tx_errors, c.tx_dropped);
    }
    Ok(stats)
}
