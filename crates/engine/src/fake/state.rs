//! What the fake engine remembers of a container, and how it reads a command.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Host, Script};
use crate::spec::{ContainerId, ContainerSpec, TaskNetwork, TaskSpec};
use crate::state::{ContainerState, Exit, OutputRecord, Phase, Started, Stream};

/// A task and its containers.
#[derive(Debug, Default)]
pub(super) struct FakeTask {
    pub(super) spec: TaskSpec,
    pub(super) containers: BTreeMap<String, FakeContainer>,
}

/// A container.
#[derive(Debug)]
pub(super) struct FakeContainer {
    pub(super) spec: ContainerSpec,
    pub(super) state: ContainerState,
    pub(super) output: Vec<OutputRecord>,
    pub(super) execs: usize,
}

impl FakeTask {
    /// Whether it has that interface, or an address of it.
    pub(super) fn has(&self, network: &TaskNetwork) -> bool {
        let same = |own: &TaskNetwork| {
            own.interface == network.interface || (own.vpc == network.vpc && own.ipv4 == network.ipv4)
        };
        self.spec.network.as_ref().is_some_and(same)
    }
}

impl Host {
    pub(super) fn container(&mut self, id: &ContainerId) -> Option<&mut FakeContainer> {
        self.tasks.get_mut(&id.task)?.containers.get_mut(&id.name)
    }

    pub(super) fn script_of(&self, id: &ContainerId) -> Script {
        self.scripts.get(&id.name).cloned().unwrap_or_default()
    }
}

impl FakeContainer {
    pub(super) fn write(&mut self, line: &str) {
        let before = self.output.last().map_or(0, |r| r.cursor);
        self.output.push(OutputRecord {
            at_ms: now_ms(),
            stream: Stream::Stdout,
            data: line.as_bytes().to_vec(),
            partial: false,
            cursor: before + line.len() as u64 + 1,
            lines: self.output.len() as u64 + 1,
        });
    }

    pub(super) fn begin(&mut self) -> Started {
        self.state.starts += 1;
        let started = Started { pid: 1000 + self.state.starts.cast_signed(), started_at_ms: now_ms() };
        self.state.phase = Phase::Running(started.clone());
        started
    }

    pub(super) fn end(&mut self, exit: &Exit, run: Option<u32>) -> bool {
        let current = run.is_none_or(|run| run == self.state.starts);
        if !current || !matches!(self.state.phase, Phase::Running(_)) {
            return false;
        }
        self.state.phase = Phase::Exited(exit.clone());
        true
    }
}

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    Exit {
        after: Duration,
        code: i32,
        says: Option<String>,
    },
    Runs,
    /// There is no such program.
    Missing,
}

/// Reads the commands that the conformance suite uses.
pub(super) fn course(command: &[String]) -> Course {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let exit = |code| Course::Exit { after: Duration::ZERO, code, says: None };
    match words.as_slice() {
        ["true"] => exit(0),
        ["false"] => exit(1),
        ["echo", rest @ ..] => Course::Exit { after: Duration::ZERO, code: 0, says: Some(rest.join(" ")) },
        ["sh", "-c", script] => match script.strip_prefix("exit ").and_then(|n| n.parse().ok()) {
            Some(code) => exit(code),
            None => Course::Runs,
        },
        ["sleep", seconds] => {
            match seconds.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()) {
                Some(after) => Course::Exit { after, code: 0, says: None },
                None => exit(1),
            }
        }
        [program, ..] if program.starts_with("/nonexistent") => Course::Missing,
        _ => Course::Runs,
    }
}

pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
