//! An engine in memory that the test drives: containers run until it says otherwise. It outlives the
//! agent, as real containers do.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use engine::*;
use parking_lot::Mutex;
use tokio::sync::broadcast;

pub struct FakeEngine {
    /// Held by a test, these keep what is under way from coming to an end.
    pub preparations: tokio::sync::RwLock<()>,
    pub removals: tokio::sync::RwLock<()>,
    pub releases: tokio::sync::RwLock<()>,
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<TaskId, BTreeMap<String, Container>>,
    removing: Vec<TaskId>,
    /// What was done, in order.
    log: Vec<String>,
    /// Images that cannot be pulled.
    missing: Vec<String>,
    /// Tasks whose health checks fail.
    sick: Vec<TaskId>,
    /// What it panics at, and how often yet.
    breaks: BTreeMap<String, usize>,
}

impl State {
    /// Something is asked for.
    fn asked(&mut self, what: String) {
        self.log.push(what.clone());
        if let Some(left) = self.breaks.get_mut(&what).filter(|left| **left > 0) {
            *left -= 1;
            panic!("{what}");
        }
    }
}

struct Container {
    state: ContainerState,
    output: Vec<OutputRecord>,
    released: u64,
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

impl FakeEngine {
    pub fn new() -> Arc<FakeEngine> {
        Arc::new(FakeEngine {
            preparations: Default::default(),
            removals: Default::default(),
            releases: Default::default(),
            state: Mutex::default(),
            events: broadcast::channel(1024).0,
        })
    }

    /// The container ends by itself. Nobody hears of it if no agent is there.
    pub fn exit(&self, task: &str, name: &str, code: i32) {
        let id = ContainerId { task: task.into(), name: name.into() };
        self.end(&id, code);
    }

    fn end(&self, id: &ContainerId, code: i32) {
        let exit = Exit { code: Some(code), oom_killed: false, exited_at_ms: now_ms(), reason: None };
        {
            let mut state = self.state.lock();
            let Some(container) = state.tasks.get_mut(&id.task).and_then(|t| t.get_mut(&id.name)) else {
                return;
            };
            if !matches!(container.state.phase, Phase::Running(_)) {
                return;
            }
            container.state.phase = Phase::Exited(exit.clone());
        }
        let _ = self.events.send(Event::Exited { id: id.clone(), exit });
    }

    /// The container writes lines.
    pub fn write(&self, task: &str, name: &str, lines: &[&str]) {
        let id = ContainerId { task: task.into(), name: name.into() };
        {
            let mut state = self.state.lock();
            let container = state.tasks.get_mut(task).unwrap().get_mut(name).unwrap();
            for line in lines {
                let cursor =
                    container.output.last().map_or(0, |record| record.cursor) + line.len() as u64 + 1;
                container.output.push(OutputRecord {
                    at_ms: now_ms(),
                    stream: Stream::Stdout,
                    data: line.as_bytes().to_vec(),
                    partial: false,
                    cursor,
                    lines: container.output.len() as u64 + 1,
                });
            }
        }
        let _ = self.events.send(Event::Output { id });
    }

    pub fn released(&self, task: &str, name: &str) -> u64 {
        self.state.lock().tasks[task][name].released
    }

    pub fn running(&self, task: &str, name: &str) -> bool {
        let state = self.state.lock();
        let container = state.tasks.get(task).and_then(|t| t.get(name));
        container.is_some_and(|c| matches!(c.state.phase, Phase::Running(_)))
    }

    pub fn tasks(&self) -> Vec<TaskId> {
        self.state.lock().tasks.keys().cloned().collect()
    }

    pub fn log(&self) -> Vec<String> {
        self.state.lock().log.clone()
    }

    /// The engine panics at what `log` would call so, that many times.
    pub fn breaks(&self, what: &str, times: usize) {
        self.state.lock().breaks.insert(what.into(), times);
    }

    /// Its health checks fail from now on.
    pub fn sicken(&self, task: &str) {
        self.state.lock().sick.push(task.into());
    }

    pub fn missing(&self, image: &str) {
        self.state.lock().missing.push(image.into());
    }

    /// The host restarts: everything is gone.
    pub fn reboot(&self) {
        self.state.lock().tasks.clear();
    }
}

fn gone(id: &ContainerId) -> Error {
    Error::fatal(Kind::NoSuchContainer, id)
}

#[async_trait]
impl Engine for FakeEngine {
    fn name(&self) -> &'static str {
        "test"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            version: "1".into(),
            captures_output: true,
            task_interfaces: true,
            ..Capabilities::default()
        }
    }

    async fn pull(&self, request: &PullRequest) -> Result<PulledImage, Error> {
        let mut state = self.state.lock();
        state.asked(format!("pull {}", request.image));
        if state.missing.contains(&request.image) {
            return Err(Error::fatal(Kind::Pull, "no such image"));
        }
        Ok(PulledImage { digest: format!("sha256:{}", request.image) })
    }

    async fn change_network(&self, change: vpc::Change) -> Result<(), Error> {
        let groups: Vec<&str> = change.groups.iter().map(|(name, _)| name.as_str()).collect();
        self.state.lock().asked(format!("network whole={} {}", change.whole, groups.join(" ")));
        match change.gone.iter().any(|name| name.as_str() == "sg-unbearable") {
            true => Err(Error::temporary(Kind::Network, "the kernel does not take it")),
            false => Ok(()),
        }
    }

    async fn prepare_task(&self, task: &TaskSpec) -> Result<(), Error> {
        self.state.lock().asked(format!("prepare {}", task.id));
        let _may_end = self.preparations.read().await;
        let mut state = self.state.lock();
        state.log.push(format!("prepared {}", task.id));
        if state.removing.contains(&task.id) {
            return Err(Error::temporary(Kind::Resource, "the task is being removed"));
        }
        state.tasks.entry(task.id.clone()).or_default();
        Ok(())
    }

    async fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Created, Error> {
        let mut state = self.state.lock();
        state.asked(format!("create {}", id.name));
        let bindings = spec.port_mappings.iter().map(|port| Binding {
            bind_ip: "0.0.0.0".into(),
            container_port: port.container_port,
            host_port: port.host_port.unwrap_or(32768),
            protocol: port.protocol,
        });
        let created = Created {
            runtime_id: format!("{:0>64}", id.name.len()),
            created_at_ms: now_ms(),
            bindings: bindings.collect(),
            ipv4: None,
            image_health_check: None,
        };
        let task = state.tasks.get_mut(&id.task).ok_or_else(|| gone(id))?;
        let container = task.entry(id.name.clone()).or_insert_with(|| Container {
            state: ContainerState { id: id.clone(), created, phase: Phase::Created, starts: 0 },
            output: Vec::new(),
            released: 0,
        });
        Ok(container.state.created.clone())
    }

    async fn start(&self, id: &ContainerId) -> Result<Started, Error> {
        let mut state = self.state.lock();
        state.asked(format!("start {}", id.name));
        let task = state.tasks.get_mut(&id.task).ok_or_else(|| gone(id))?;
        let container = task.get_mut(&id.name).ok_or_else(|| gone(id))?;
        let started = Started { pid: 1, started_at_ms: now_ms() };
        container.state.phase = Phase::Running(started.clone());
        container.state.starts += 1;
        Ok(started)
    }

    async fn stop(&self, id: &ContainerId, _timeout: Duration) -> Result<(), Error> {
        self.state.lock().asked(format!("stop {}", id.name));
        self.end(id, 143);
        Ok(())
    }

    async fn release_task(&self, task: &TaskId) -> Result<(), Error> {
        self.state.lock().asked(format!("release {task}"));
        let _may_end = self.releases.read().await;
        Ok(())
    }

    async fn remove_task(&self, task: &TaskId) -> Result<(), Error> {
        {
            let mut state = self.state.lock();
            state.asked(format!("remove {task}"));
            state.removing.push(task.clone());
        }
        let _may_end = self.removals.read().await;
        let mut state = self.state.lock();
        state.removing.retain(|removing| removing != task);
        state.tasks.remove(task);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<FoundTask>, Error> {
        let state = self.state.lock();
        let found = |(task, containers): (&TaskId, &BTreeMap<String, Container>)| FoundTask {
            task: task.clone(),
            containers: containers.values().map(|c| c.state.clone()).collect(),
        };
        Ok(state.tasks.iter().map(found).collect())
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, Error> {
        let state = self.state.lock();
        Ok(state.tasks.get(&id.task).and_then(|t| t.get(&id.name)).map(|c| c.state.clone()))
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    async fn exec(&self, id: &ContainerId, exec: &ExecSpec) -> Result<ExecOutcome, Error> {
        let mut state = self.state.lock();
        state.asked(format!("exec {}", id.name));
        let healthy = exec.command == ["healthy"] && !state.sick.contains(&id.task);
        Ok(ExecOutcome { code: Some(i32::from(!healthy)), output: b"probed".to_vec() })
    }

    async fn stats(&self, _: &ContainerId) -> Result<Stats, Error> {
        Ok(Stats { at_ms: now_ms(), memory_bytes: 1 << 20, ..Stats::default() })
    }

    async fn output(&self, id: &ContainerId, cursor: u64, _: usize) -> Result<OutputChunk, Error> {
        let state = self.state.lock();
        let container = state.tasks.get(&id.task).and_then(|t| t.get(&id.name)).ok_or_else(|| gone(id))?;
        let records: Vec<_> =
            container.output.iter().filter(|record| record.cursor > cursor).cloned().collect();
        Ok(OutputChunk {
            cursor: records.last().map_or(cursor, |record| record.cursor),
            records,
            dropped_bytes: 0,
            ended: matches!(container.state.phase, Phase::Exited(_)),
        })
    }

    async fn release_output(&self, id: &ContainerId, cursor: u64) -> Result<(), Error> {
        let mut state = self.state.lock();
        let container =
            state.tasks.get_mut(&id.task).and_then(|t| t.get_mut(&id.name)).ok_or_else(|| gone(id))?;
        container.released = cursor;
        Ok(())
    }

    async fn collect_images(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    async fn audit(&self) -> Vec<String> {
        Vec::new()
    }

    async fn purge(&self) -> Result<(), Error> {
        Ok(())
    }
}
