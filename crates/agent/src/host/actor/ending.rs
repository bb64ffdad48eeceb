//! The end of a task: once all has ended, what it took of the host (CPU, memory, ports) is others' at once,
//! for the scheduler gives it away as soon as it hears of the end. Once all output is shipped too, the task
//! is removed from the host, and once the control plane has heard of everything, it is forgotten.

use std::time::Duration;

use tokio::time::Instant;

use super::{Actor, Message, Release};
use crate::task::{Known, Phase, Prepared};

/// Between attempts to release or remove a task.
const AGAIN: Duration = Duration::from_secs(5);

impl Actor {
    /// Moves an ended task towards its removal.
    pub(super) fn see_off(&mut self, now: Instant) {
        if self.state.known != Known::Stopped || self.removed || self.removing {
            return;
        }
        self.draft.ends();
        if self.again_at.is_some_and(|at| at > now) {
            return;
        }
        // One that was given up on may turn out to run.
        let ended = self.state.containers.iter().all(|container| container.phase == Phase::Stopped);
        if ended && self.cleanup_at.is_none() {
            let wait = self.host.timers.task_cleanup_wait;
            self.cleanup_at = Some(if self.state.filled_disk { now } else { now + wait });
            self.discard_written();
            self.host.admission.lock().stopped(&self.task.id);
            self.host.admit();
        }
        if ended && self.release == Release::Due {
            self.release();
        }
        let waits = self.cleanup_at.is_none_or(|at| at > now) || self.release != Release::Done;
        // What is being prepared would be there again after the removal.
        let preparing = self.state.prepared == Prepared::Busy;
        // Its exit codes must be written down before the engine forgets them.
        if waits || preparing || !self.shippers.is_empty() || !self.draft.has_end() {
            return;
        }
        self.removing = true;
        let (engine, id) = (self.host.engine.clone(), self.task.id.clone());
        self.beside(async move { Some(Message::Removed(engine.remove_task(&id).await)) });
    }

    fn release(&mut self) {
        self.release = Release::Busy;
        let (engine, id) = (self.host.engine.clone(), self.task.id.clone());
        self.beside(async move { Some(Message::Released(engine.release_task(&id).await)) });
    }

    fn released(&mut self) {
        self.release = Release::Done;
        self.host.admission.lock().released(&self.task.id);
        self.host.admit();
    }

    pub(super) fn heard_released(&mut self, outcome: Result<(), engine::Error>) {
        match outcome {
            Ok(()) => self.released(),
            Err(error) => {
                tracing::error!(task = self.task.id, %error, "a task's ports cannot be given back; trying again");
                self.release = Release::Due;
                self.again_at = Some(Instant::now() + AGAIN);
            }
        }
    }

    /// On a full disk what the task wrote must not stay until its output is shipped, which needs room itself.
    fn discard_written(&self) {
        if !self.state.filled_disk && !self.host.space().is_some_and(|space| space.is_tight()) {
            return;
        }
        let (engine, id) = (self.host.engine.clone(), self.task.id.clone());
        self.beside(async move {
            if let Err(error) = engine.discard_written(&id).await {
                tracing::warn!(task = id, %error, "what a task wrote stays until it is removed");
            }
            None
        });
    }

    pub(super) fn heard_removed(&mut self, outcome: Result<(), engine::Error>) {
        self.removing = false;
        match outcome {
            Ok(()) => {
                self.removed = true;
                (self.cleanup_at, self.again_at) = (None, None);
                self.draft.changed();
            }
            Err(error) => {
                tracing::error!(task = self.task.id, %error, "a task cannot be removed; trying again");
                self.again_at = Some(Instant::now() + AGAIN);
            }
        }
    }

    /// Nothing of it is left to do.
    pub(super) fn over(&self) -> bool {
        self.removed && self.reports.is_empty() && !self.draft.is_writing() && *self.written.borrow()
    }

    /// Forgets the task.
    pub(super) async fn leave(self) {
        let id = &self.task.id;
        // Before it is gone from the ledger, so that an old assignment finds it known throughout.
        self.host.finished(id);
        while let Err(error) = self.host.ledger.forget(id).await {
            tracing::error!(task = id, %error, "the ledger cannot be written; trying again");
            tokio::time::sleep(super::SAVE_RETRY).await;
        }
        tracing::debug!(task = id, "task is over");
    }
}
