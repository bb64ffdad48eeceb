//! The engine's trait over the fake's memory.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::state::{Course, FakeContainer, FakeTask, course, now_ms};
use super::{Fake, Host};
use crate::error::{Error, Kind};
use crate::spec::{
    ContainerId, ContainerSpec, ExecSpec, Isolation, NetworkMode, PullRequest, PulledImage, TaskId, TaskSpec,
};
use crate::state::{
    Binding, Capabilities, ContainerState, Created, Event, ExecOutcome, FoundTask, OutputChunk, Phase,
    Started, Stats,
};
use crate::{Engine, vpc};

/// First host port of dynamic mappings.
const DYNAMIC_PORT: u16 = 49_153;

#[async_trait]
impl Engine for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            version: "fake 1".to_owned(),
            captures_output: true,
            task_limits: true,
            privileged: true,
            apparmor: false,
            network_bridge: true,
            task_interfaces: true,
            shared_namespaces: true,
            port_ranges: true,
        }
    }

    fn isolation(&self, _wanted: Isolation) -> Result<(), String> {
        Ok(())
    }

    async fn pull(&self, request: &PullRequest) -> Result<PulledImage, Error> {
        let host = self.called(format!("pull {}", request.image));
        match host.pull_errors.get(&request.image) {
            Some(error) => Err(error.clone()),
            None => Ok(PulledImage { digest: format!("sha256:{}", "0".repeat(64)) }),
        }
    }

    async fn prepare_task(&self, task: &TaskSpec) -> Result<(), Error> {
        let mut host = self.called(format!("prepare {}", task.id));
        if let Some(network) = &task.network
            && let Some((other, _)) =
                host.tasks.iter().find(|(id, other)| **id != task.id && other.has(network))
        {
            let why = format!("failed to configure ENI: {} is in use by {other}", network.ipv4);
            return Err(Error::fatal(Kind::Resource, why));
        }
        host.tasks.entry(task.id.clone()).or_default().spec = task.clone();
        Ok(())
    }

    async fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Created, Error> {
        let mut host = self.called(format!("create {id}"));
        if let Some(there) = host.container(id) {
            return Ok(there.state.created.clone());
        }
        if let Some(error) = host.script_of(id).create_error {
            return Err(error);
        }
        if spec.image.contains("nonexistent") {
            return Err(Error::fatal(Kind::Create, format!("No such image: {}", spec.image)));
        }
        let task = host
            .tasks
            .get_mut(&id.task)
            .ok_or_else(|| Error::fatal(Kind::Create, format!("No such task: {}", id.task)))?;
        if spec.network == NetworkMode::Task && task.spec.network.is_none() {
            return Err(Error::fatal(Kind::Network, "the task has no interface of its own"));
        }
        let created = created(spec);
        let state =
            ContainerState { id: id.clone(), created: created.clone(), phase: Phase::Created, starts: 0 };
        let made = FakeContainer { spec: spec.clone(), state, output: Vec::new(), execs: 0 };
        task.containers.insert(id.name.clone(), made);
        Ok(created)
    }

    async fn start(&self, id: &ContainerId) -> Result<Started, Error> {
        let mut host = self.called(format!("start {id}"));
        let script = host.script_of(id);
        let container = host.container(id).ok_or_else(|| missing(id))?;
        if let Phase::Running(started) = &container.state.phase {
            return Ok(started.clone());
        }
        if let Some(error) = script.start_error {
            return Err(error);
        }
        let command = [container.spec.entry_point.clone(), container.spec.command.clone()];
        let command: Vec<String> = command.into_iter().flatten().flatten().collect();
        let mut ends = script.exit;
        match course(&command) {
            Course::Missing => {
                let why = format!("exec: {:?}: stat {}: no such file or directory", command[0], command[0]);
                return Err(Error::fatal(Kind::Start, why));
            }
            Course::Exit { after, code, says } => {
                says.iter().for_each(|line| container.write(line));
                ends = ends.or(Some((after, code)));
            }
            Course::Runs => {}
        }
        script.output.iter().for_each(|line| container.write(line));
        let (started, run) = (container.begin(), container.state.starts);
        drop(host);
        if let Some((after, code)) = ends {
            self.inner.end_later(id, after, code, script.oom_killed, run);
        }
        Ok(started)
    }

    async fn stop(&self, id: &ContainerId, timeout: Duration) -> Result<(), Error> {
        let mut host = self.called(format!("stop {id}"));
        let script = host.script_of(id);
        let Some(container) = host.container(id) else { return Ok(()) };
        let run = container.state.starts;
        drop(host);
        // A plain program as PID 1 does not hear SIGTERM.
        let takes = script.stop_takes.unwrap_or(timeout);
        let code = if takes < timeout { script.exit.map_or(0, |(_, code)| code) } else { 137 };
        self.inner.end_later(id, takes.min(timeout), code, script.oom_killed, run);
        Ok(())
    }

    async fn release_task(&self, task: &TaskId) -> Result<(), Error> {
        let mut host = self.called(format!("release {task}"));
        if let Some(task) = host.tasks.get_mut(task) {
            task.spec.network = None;
        }
        Ok(())
    }

    async fn remove_task(&self, task: &TaskId) -> Result<(), Error> {
        self.called(format!("remove {task}")).tasks.remove(task);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<FoundTask>, Error> {
        let host = self.inner.host.lock();
        let found = |(id, task): (&TaskId, &FakeTask)| FoundTask {
            task: id.clone(),
            containers: task.containers.values().map(|c| c.state.clone()).collect(),
        };
        Ok(host.tasks.iter().map(found).collect())
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, Error> {
        Ok(self.inner.host.lock().container(id).map(|c| c.state.clone()))
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    async fn exec(&self, id: &ContainerId, exec: &ExecSpec) -> Result<ExecOutcome, Error> {
        if let Some(answer) = self.scripted_exec(id)? {
            return answer;
        }
        match course(&exec.command) {
            Course::Missing => Err(Error::fatal(Kind::Inspect, "no such file or directory")),
            Course::Exit { after, code, says } if after < exec.timeout => {
                let mut output = says.map(|line| line + "\n").unwrap_or_default().into_bytes();
                output.truncate(exec.max_output_bytes);
                tokio::time::sleep(after).await;
                Ok(ExecOutcome { code: Some(code), output })
            }
            _ => {
                tokio::time::sleep(exec.timeout).await;
                Ok(ExecOutcome { code: None, output: Vec::new() })
            }
        }
    }

    async fn stats(&self, id: &ContainerId) -> Result<Stats, Error> {
        let mut host = self.inner.host.lock();
        let limit = running(&mut host, id)?.spec.memory_bytes;
        Ok(Stats { at_ms: now_ms(), memory_limit_bytes: limit, pids: 1, ..Stats::default() })
    }

    async fn output(&self, id: &ContainerId, cursor: u64, max_bytes: usize) -> Result<OutputChunk, Error> {
        let mut host = self.inner.host.lock();
        let container = host.container(id).ok_or_else(|| missing(id))?;
        let mut chunk = OutputChunk { cursor, ..OutputChunk::default() };
        let mut bytes = 0;
        for record in container.output.iter().filter(|r| r.cursor > cursor) {
            if bytes >= max_bytes.max(1) {
                break;
            }
            bytes += record.data.len();
            chunk.cursor = record.cursor;
            chunk.records.push(record.clone());
        }
        chunk.ended = chunk.records.is_empty() && matches!(container.state.phase, Phase::Exited(_));
        Ok(chunk)
    }

    async fn release_output(&self, _id: &ContainerId, _cursor: u64) -> Result<(), Error> {
        Ok(())
    }

    async fn change_network(&self, change: vpc::Change) -> Result<(), Error> {
        drop(self.called(format!(
            "change network: {} groups, {} sets",
            change.groups.len(),
            change.sets.len()
        )));
        Ok(())
    }

    async fn collect_images(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    async fn audit(&self) -> Vec<String> {
        self.inner.host.lock().tasks.keys().map(|task| format!("task {task}")).collect()
    }

    async fn purge(&self) -> Result<(), Error> {
        self.called("purge".to_owned()).tasks.clear();
        Ok(())
    }
}

impl Fake {
    /// What the script says to a command; `None`: nothing.
    fn scripted_exec(&self, id: &ContainerId) -> Result<Option<Result<ExecOutcome, Error>>, Error> {
        let mut host = self.called(format!("exec {id}"));
        let script = host.script_of(id);
        let container = running(&mut host, id)?;
        let turn = container.execs;
        container.execs += 1;
        Ok(script.exec.get(turn).or(script.exec.last()).cloned())
    }

    fn called(&self, call: String) -> parking_lot::MutexGuard<'_, Host> {
        let mut host = self.inner.host.lock();
        host.calls.push(call);
        host
    }
}

fn missing(id: &ContainerId) -> Error {
    Error::fatal(Kind::NoSuchContainer, format!("No such container: {id}"))
}

fn running<'a>(host: &'a mut Host, id: &ContainerId) -> Result<&'a mut FakeContainer, Error> {
    let container = host.container(id).ok_or_else(|| missing(id))?;
    match container.state.phase {
        Phase::Running(_) => Ok(container),
        _ => Err(Error::fatal(Kind::Inspect, format!("container {} is not running", id.name))),
    }
}

fn created(spec: &ContainerSpec) -> Created {
    let mapped = if spec.network == NetworkMode::Task { &[][..] } else { &spec.port_mappings };
    let ports = mapped.iter().flat_map(|port| (0..=port.more).map(move |n| (port, n)));
    let bindings = ports.zip(DYNAMIC_PORT..).map(|((port, n), dynamic)| Binding {
        bind_ip: "0.0.0.0".to_owned(),
        container_port: port.container_port + n,
        host_port: port.host_port.filter(|p| *p != 0).unwrap_or(dynamic),
        protocol: port.protocol,
    });
    Created {
        runtime_id: format!("{0}{0}", uuid::Uuid::new_v4().simple()),
        created_at_ms: now_ms(),
        bindings: bindings.collect(),
        ipv4: None,
        image_health_check: None,
    }
}
