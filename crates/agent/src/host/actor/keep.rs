//! Keeps a task's actor at work. One that panics, or whose work does, is its own task's failure and no other's: it
//! begins anew from what is written down and what the engine has, as a new agent would. What breaks again and again
//! is stopped, and what cannot even be stopped so is removed; either way the control plane hears why.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{Actor, Host, Message, SAVE_RETRY, Snapshot};
use crate::{
    api,
    ledger::Record,
    panics::caught,
    plan, report,
    task::{ContainerState, Known, Phase, Task},
};

/// So often it begins anew in a row; then it is stopped, then removed, then let go.
const ANEW: u32 = 2;
/// What held for so long does not count any more.
const FORGIVEN: Duration = Duration::from_secs(600);
/// Between a fall and the next beginning, longer with each.
const PAUSE: Duration = Duration::from_millis(250);
/// How long what the last one has begun may take to end: more than the engine gives any of it.
const WORK_WAIT: Duration = Duration::from_secs(120);
/// Between attempts to remove a task.
const AGAIN: Duration = Duration::from_secs(5);

/// What outlives an actor.
#[derive(Clone)]
pub(super) struct Kept {
    pub host: Arc<Host>,
    pub task: Arc<Task>,
    pub snapshot: Arc<Mutex<Snapshot>>,
    /// Whether the assignment is on disk.
    pub written: watch::Receiver<bool>,
    /// What actors have begun, and nobody may begin twice at once.
    pub works: TaskTracker,
}

impl Kept {
    /// Has the actor at work until the task is over. The mailbox is the task's, whoever reads it.
    pub(super) async fn run(self, mut actor: Actor, mut mailbox: mpsc::UnboundedReceiver<Message>) {
        let (mut falls, mut stop) = (0, false);
        loop {
            let began = Instant::now();
            let ended = caught(actor.run(&mut mailbox, &mut stop)).await;
            let Err(mut why) = ended.and_then(|ended| ended) else { return };
            if began.elapsed() > FORGIVEN {
                falls = 0;
            }
            actor = loop {
                falls += 1;
                tracing::error!(task = self.task.id, falls, why, "a task breaks an assertion of the agent");
                sleep(PAUSE * falls).await;
                match caught(self.anew(falls, &why, stop)).await {
                    Ok(Some(next)) => break next,
                    Ok(None) => return,
                    Err(next) => why = next,
                }
            };
        }
    }

    /// The next actor; none once there is nothing left that one could do.
    async fn anew(&self, falls: u32, why: &str, stop: bool) -> Option<Actor> {
        self.works.close();
        if timeout(WORK_WAIT, self.works.wait()).await.is_err() {
            tracing::warn!(task = self.task.id, "what was begun for the task does not end");
        }
        self.works.reopen();
        let mut record = self.record().await;
        record.state.containers.resize_with(self.task.containers.len(), ContainerState::default);
        record.state.stop |= stop;
        if falls > ANEW {
            record.state.stop = true;
            record
                .state
                .reason
                .get_or_insert_with(|| format!("InternalError: the agent failed at this task: {why}"));
        }
        match falls.saturating_sub(ANEW) {
            0 | 1 => self.adopt(&mut record).await,
            2 => self.remove(&mut record).await,
            _ => {
                self.forget().await;
                return None;
            }
        }
        let actor = Actor::new(self.clone(), record);
        actor.publish();
        Some(actor)
    }

    async fn record(&self) -> Record {
        loop {
            match self.host.ledger.task(&self.task.id) {
                Ok(record) => return record,
                Err(error) => {
                    tracing::error!(task = self.task.id, %error, "the ledger cannot be read; trying again")
                }
            }
            sleep(SAVE_RETRY).await;
        }
    }

    async fn adopt(&self, record: &mut Record) {
        if record.removed {
            return;
        }
        let found = self.host.found().await;
        let found = found.iter().find(|found| found.task == self.task.id);
        record.stop_if_lost(found);
        plan::adopt(&self.task, &mut record.state, found, true, api::now().as_millis());
    }

    /// Without the planner: all of it goes, and the record says that it has ended.
    async fn remove(&self, record: &mut Record) {
        let id = &self.task.id;
        loop {
            match caught(self.host.engine.remove_task(id)).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => {
                    tracing::error!(task = id, %error, "a task cannot be removed; trying again")
                }
                Err(why) => {
                    tracing::error!(task = id, why, "a task is given up, and may still be on the host");
                    break;
                }
            }
            sleep(AGAIN).await;
        }
        self.host.gone(id);
        record.removed = true;
        if record.state.known < Known::Stopped {
            record.state.known = Known::Stopped;
            record.state.execution_stopped_at_ms.get_or_insert(api::now().as_millis());
            record.state.containers.iter_mut().for_each(|container| container.phase = Phase::Stopped);
            record.reports.push(report::report(&self.task, &record.state, Known::Stopped));
        }
    }

    /// Nobody looks after it any more.
    async fn forget(&self) {
        let id = &self.task.id;
        tracing::error!(task = id, "a task is let go, and its end may not be known to the control plane");
        self.host.gone(id);
        self.host.finished(id);
        if let Err(error) = self.host.ledger.forget(id).await {
            tracing::error!(task = id, %error, "the ledger cannot be written");
        }
    }
}
