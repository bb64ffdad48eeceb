//! One task's actor: feeds what happens into the planner, has the engine do what it says, writes down how
//! far the task is, and sees it off the host. Everything slow runs beside it and comes back as a message.

mod ending;
mod keep;
#[cfg(test)]
mod tests;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use ecs_model::{ContainerStateChange, SubmitTaskStateChangeRequest};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{ContainerSnapshot, Handle, Host, Message, Snapshot};
use crate::{
    api,
    ledger::{Draft, Record},
    plan::{self, Action},
    report,
    task::{ContainerState, Fact, Known, Phase, Prepared, Task, TaskState},
};

/// How long PENDING waits for RUNNING to overtake it: most tasks start within it, and need not say both.
const PENDING_DELAY: Duration = Duration::from_millis(150);
/// Between attempts to write the record.
const SAVE_RETRY: Duration = Duration::from_secs(1);

struct Actor {
    host: Arc<Host>,
    task: Arc<Task>,
    state: TaskState,
    clock: plan::Clock,
    /// Cancelled once it runs, or is over: its place among those that begin is free then.
    begun: CancellationToken,
    /// Cancelled once it is STOPPED.
    stopped: CancellationToken,
    /// Cancelled once this actor is gone: what can be begun again at any time does not outlive it.
    here: CancellationToken,
    _gone: DropGuard,
    works: TaskTracker,
    /// What came of its work.
    outcomes: mpsc::UnboundedReceiver<Message>,
    to_self: mpsc::UnboundedSender<Message>,
    snapshot: Arc<Mutex<Snapshot>>,
    /// Written down: state, reports, removed.
    reports: VecDeque<SubmitTaskStateChangeRequest>,
    removed: bool,
    /// Whether the assignment is on disk.
    written: watch::Receiver<bool>,
    /// What of it is on disk.
    draft: Draft,
    reporting: bool,
    /// The status of the newest report.
    reported: Known,
    /// The containers as the newest report has them.
    told: Vec<ContainerStateChange>,
    /// When the newest change of containers is to be told.
    flush_at: Option<Instant>,
    pending_at: Option<Instant>,
    /// Shippers of output at work: container to the token that says no more will be written.
    shippers: BTreeMap<usize, CancellationToken>,
    shipped: BTreeSet<usize>,
    cleanup_at: Option<Instant>,
    release: Release,
    removing: bool,
    /// Release or remove again then, after a failure.
    again_at: Option<Instant>,
}

/// Whether the engine has given back what a task that is over took of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    Due,
    Busy,
    Done,
}

/// Starts the actor of a task.
pub(super) fn spawn(host: &Arc<Host>, task: Task, record: Record, written: watch::Receiver<bool>) {
    let (mailbox, letters) = mpsc::unbounded_channel();
    let kept = keep::Kept {
        host: host.clone(),
        task: Arc::new(task),
        snapshot: Arc::default(),
        written: written.clone(),
        works: TaskTracker::new(),
    };
    let (id, snapshot) = (kept.task.id.clone(), kept.snapshot.clone());
    let actor = Actor::new(kept.clone(), record);
    actor.publish();
    host.tasks.lock().insert(id, Handle { mailbox, snapshot, written });
    tokio::spawn(kept.run(actor, letters));
}

impl Actor {
    fn new(kept: keep::Kept, record: Record) -> Actor {
        let keep::Kept { host, task, snapshot, written, works } = kept;
        let (to_self, outcomes) = mpsc::unbounded_channel();
        let mut state = record.state;
        state.containers.resize_with(task.containers.len(), ContainerState::default);
        // State and reports are written together: what was reached is reported, or waits in the queue.
        let reported = state.known;
        let here = CancellationToken::new();
        let stopped = here.child_token();
        Actor {
            host,
            task,
            state,
            clock: plan::Clock::new(Instant::now(), api::now().as_millis()),
            begun: stopped.child_token(),
            stopped,
            _gone: here.clone().drop_guard(),
            here,
            works,
            outcomes,
            to_self,
            snapshot,
            reports: record.reports.into(),
            removed: record.removed,
            written,
            draft: Draft::default(),
            reporting: false,
            reported,
            told: Vec::new(),
            flush_at: None,
            pending_at: None,
            shippers: BTreeMap::new(),
            shipped: BTreeSet::new(),
            cleanup_at: None,
            release: Release::Due,
            removing: false,
            again_at: None,
        }
    }

    /// Until the task is over, or work of it has panicked, with what that said. `stop`: whether it was ever told to
    /// stop.
    async fn run(
        mut self,
        mailbox: &mut mpsc::UnboundedReceiver<Message>,
        stop: &mut bool,
    ) -> Result<(), String> {
        loop {
            let wake = self.turn();
            if self.over() {
                self.leave().await;
                return Ok(());
            }
            let sleep = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let mut next = tokio::select! {
                Some(message) = self.outcomes.recv() => Some(message),
                Some(message) = mailbox.recv() => Some(message),
                // What a start waits for, and a task which is over.
                Ok(()) = self.written.changed() => {
                    self.start_waiting();
                    None
                }
                () = sleep => None,
            };
            // All that has come meanwhile, so that it is written down once.
            loop {
                next = next.or_else(|| self.outcomes.try_recv().or_else(|_| mailbox.try_recv()).ok());
                let Some(message) = next.take() else { break };
                *stop |= matches!(message, Message::Fact(Fact::StopWanted));
                self.hear(message)?;
            }
        }
    }

    /// Moves everything on; answers when to look again if nothing happens.
    fn turn(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let mut wake = None;
        if !self.removed {
            let now_ms = self.now_ms();
            let step = self.draft.step(&self.task, &mut self.state, now_ms);
            if let Some(at_ms) = step.wake_at_ms {
                let wait_ms = at_ms.saturating_sub(now_ms).max(0);
                wake = Some(now + Duration::from_millis(wait_ms.unsigned_abs()));
            }
            for action in step.actions {
                self.act(action);
            }
            self.ship_output();
        }
        match self.state.known {
            Known::None | Known::Pending => {}
            Known::Running => self.begun.cancel(),
            Known::Stopped => self.stopped.cancel(),
        }
        self.queue_reports(now);
        self.see_off(now);
        self.send_report();
        self.save(now);
        self.publish();
        // Those that are due wait for something else by now.
        let timers = [self.flush_at, self.pending_at, self.draft.write_at(), self.cleanup_at, self.again_at];
        timers.into_iter().flatten().filter(|at| *at > now).chain(wake).min()
    }

    /// The wall clock, with which the task's times have moved if it was set.
    fn now_ms(&mut self) -> i64 {
        let now_ms = api::now().as_millis();
        let step = self.clock.step(Instant::now(), now_ms);
        if step != 0 {
            tracing::debug!(task = self.task.id, step, "the clock was set");
            plan::shift(&mut self.state, step);
        }
        now_ms
    }

    fn hear(&mut self, message: Message) -> Result<(), String> {
        let now_ms = self.now_ms();
        match message {
            Message::Broke(why) => return Err(why),
            // Nothing is left that it could happen to.
            Message::Fact(_) | Message::Resync(_) if self.removed => {}
            Message::Fact(fact) => {
                tracing::trace!(task = self.task.id, ?fact, "fact");
                self.draft.apply(&self.task, &mut self.state, fact, now_ms);
            }
            Message::Resync(found) => self.resync(&found, now_ms),
            Message::Saved(version, is_written) => {
                self.draft.wrote(version, is_written);
                self.start_waiting();
            }
            Message::Reported => {
                self.reporting = false;
                self.reports.pop_front();
                self.draft.changed();
            }
            Message::OutputShipped(index) => {
                self.shippers.remove(&index);
                self.shipped.insert(index);
            }
            Message::Released(outcome) => self.heard_released(outcome),
            Message::Removed(outcome) => self.heard_removed(outcome),
        }
        Ok(())
    }

    fn resync(&mut self, found: &engine::FoundTask, now_ms: i64) {
        for seen in &found.containers {
            let Some(index) = self.task.container(&seen.id.name) else { continue };
            if let engine::Phase::Exited(exit) = &seen.phase {
                let fact = Fact::Exited(index, exit.clone());
                self.draft.apply(&self.task, &mut self.state, fact, now_ms);
            }
        }
    }

    /// Queues what the control plane must hear: every new status at once (PENDING after a moment),
    /// changes of containers alone after a while.
    fn queue_reports(&mut self, now: Instant) {
        self.queue_attachment();
        let known = self.state.known;
        if known > self.reported {
            if known == Known::Pending {
                let at = *self.pending_at.get_or_insert(now + PENDING_DELAY);
                if at > now {
                    return;
                }
            }
            (self.pending_at, self.flush_at) = (None, None);
            self.reported = known;
            self.queue(known);
            return;
        }
        let over = known == Known::None || known == Known::Stopped;
        if over || self.told == report::containers(&self.task, &self.state) {
            self.flush_at = None;
            return;
        }
        let at = *self.flush_at.get_or_insert(now + self.host.timers.container_report_delay);
        if at <= now {
            self.flush_at = None;
            self.queue(known);
        }
    }

    /// Queues that the task's interface is attached, once it is.
    fn queue_attachment(&mut self) {
        let Some(attachment) = &self.task.attachment else { return };
        if self.state.prepared == Prepared::Yes && !self.state.attachment_told {
            self.reports.push_back(report::attached(&self.task, attachment));
            self.state.attachment_told = true;
            self.draft.changed();
        }
    }

    fn queue(&mut self, known: Known) {
        let report = report::report(&self.task, &self.state, known);
        self.told = report.containers.clone().unwrap_or_default();
        // One that waits behind another, for the same status, is out of date.
        if self.reports.len() > 1 && self.reports.back().is_some_and(|last| last.status == report.status) {
            self.reports.pop_back();
        }
        self.reports.push_back(report);
        self.draft.changed();
    }

    fn send_report(&mut self) {
        let (false, Some(report)) = (self.reporting, self.reports.front().cloned()) else { return };
        self.reporting = true;
        let host = self.host.clone();
        self.while_here(async move {
            host.reporter.send(&report).await;
            Message::Reported
        });
    }

    /// Writes the record down when its time has come.
    fn save(&mut self, now: Instant) {
        if self.over() {
            return;
        }
        let Some(version) = self.draft.begin_write(now) else { return };
        let record = Record {
            boot_id: self.host.ledger.boot_id().to_owned(),
            state: self.state.clone(),
            reports: self.reports.iter().cloned().collect(),
            removed: self.removed,
            is_lost: false,
        };
        let (host, id) = (self.host.clone(), self.task.id.clone());
        self.beside(async move {
            let written = host.ledger.record(&id, &record).await;
            if let Err(error) = &written {
                tracing::error!(task = id, %error, "the ledger cannot be written; trying again");
                tokio::time::sleep(SAVE_RETRY).await;
            }
            Some(Message::Saved(version, written.is_ok()))
        });
    }

    fn publish(&self) {
        let containers = self.task.containers.iter().zip(&self.state.containers).enumerate();
        let container = |(index, (container, state)): (usize, (&crate::task::Container, &ContainerState))| {
            let health = &state.health;
            ContainerSnapshot {
                id: self.task.container_id(index),
                running: state.phase == Phase::Running,
                created_at_ms: state.created.as_ref().map(|created| created.created_at_ms),
                restarts: state.restarts,
                health: container
                    .health_check
                    .is_some()
                    .then(|| (health.status, health.since_ms, health.output.clone())),
            }
        };
        let next = Snapshot {
            arn: self.task.arn.clone(),
            cluster_arn: self.task.cluster_arn.clone(),
            family: self.task.family.clone(),
            version: self.task.version.clone(),
            known: self.state.known,
            stop: self.state.stop,
            containers: containers.map(container).collect(),
        };
        let before = std::mem::replace(&mut *self.snapshot.lock(), next.clone());
        if before.containers.len() == next.containers.len() && before.verdicts().ne(next.verdicts()) {
            self.host.health_changed.notify_one();
        }
    }
}
