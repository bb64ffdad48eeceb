//! An engine in memory with scripted failures, for tests of whoever drives an engine.
//!
//! It understands a handful of commands (`true`, `false`, `echo …`, `sleep N`, `sh -c "exit N"`;
//! everything else runs until it is stopped), so that the conformance suite can run against it too. What
//! a real engine decides by itself it is told by a [`Script`].

mod engine;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::error::Error;
use crate::spec::{ContainerId, TaskId};
use crate::state::{Event, ExecOutcome, Exit};
use state::FakeTask;

/// What is to happen to containers of one name. What is `None` happens as the command says.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// `create` answers this.
    pub create_error: Option<Error>,
    /// `start` answers this.
    pub start_error: Option<Error>,
    /// It ends so long after its start, with this code.
    pub exit: Option<(Duration, i32)>,
    /// Its end is told as one for want of memory.
    pub oom_killed: bool,
    /// It takes so long to end when asked to; `None`: at once. Longer than the time-out is a kill.
    pub stop_takes: Option<Duration>,
    /// Answers of `exec`, in turn; the last stands for all after it.
    pub exec: Vec<Result<ExecOutcome, Error>>,
    /// Lines on standard output, written at every start.
    pub output: Vec<String>,
}

/// The fake engine. Clones share it, as agents share a host: what one leaves, the next finds.
#[derive(Clone, Default)]
pub struct Fake {
    inner: Arc<Inner>,
}

struct Inner {
    host: Mutex<Host>,
    events: broadcast::Sender<Event>,
}

#[derive(Default)]
struct Host {
    tasks: BTreeMap<TaskId, FakeTask>,
    scripts: BTreeMap<String, Script>,
    /// Images that cannot be pulled, with the error.
    pull_errors: BTreeMap<String, Error>,
    /// What was asked, in order, for tests to look at.
    calls: Vec<String>,
}

/// Most events that a reader may be behind.
const EVENTS_MAX: usize = 1024;

impl Default for Inner {
    fn default() -> Inner {
        Inner { host: Mutex::default(), events: broadcast::Sender::new(EVENTS_MAX) }
    }
}

impl Fake {
    /// An empty host, on which every image can be pulled.
    pub fn new() -> Fake {
        Fake::default()
    }

    /// Sets what happens to containers named `container` from now on, in any task.
    pub fn script(&self, container: &str, script: Script) {
        self.inner.host.lock().scripts.insert(container.to_owned(), script);
    }

    /// Lets pulls of `image` fail.
    pub fn fail_pull(&self, image: &str, error: Error) {
        self.inner.host.lock().pull_errors.insert(image.to_owned(), error);
    }

    /// Ends a running container from outside, as `kill` on the host would.
    pub fn exit(&self, id: &ContainerId, code: Option<i32>, oom_killed: bool) {
        self.inner.end(id, Exit { code, oom_killed, exited_at_ms: state::now_ms(), reason: None }, None);
    }

    /// Writes a line to a container's standard output.
    pub fn write(&self, id: &ContainerId, line: &str) {
        let wrote = self.inner.host.lock().container(id).map(|c| c.write(line)).is_some();
        if wrote {
            self.inner.send(Event::Output { id: id.clone() });
        }
    }

    /// What was asked so far: `create task/name` and so on.
    pub fn calls(&self) -> Vec<String> {
        self.inner.host.lock().calls.clone()
    }
}

impl Inner {
    fn send(&self, event: Event) {
        // Nobody listens: nobody needs to know.
        let _ = self.events.send(event);
    }

    /// Ends a container, if it runs and, where `run` is given, is still in that run.
    fn end(&self, id: &ContainerId, exit: Exit, run: Option<u32>) {
        let ended = self.host.lock().container(id).is_some_and(|c| c.end(&exit, run));
        if ended {
            self.send(Event::Exited { id: id.clone(), exit });
        }
    }

    /// [`Inner::end`] after a while.
    fn end_later(
        self: &Arc<Inner>,
        id: &ContainerId,
        after: Duration,
        code: i32,
        oom_killed: bool,
        run: u32,
    ) {
        let (inner, id) = (self.clone(), id.clone());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let exit = Exit { code: Some(code), oom_killed, exited_at_ms: state::now_ms(), reason: None };
            inner.end(&id, exit, Some(run));
        });
    }
}

#[cfg(test)]
mod tests;
