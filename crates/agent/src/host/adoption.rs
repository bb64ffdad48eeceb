//! After a restart of the agent: the ledger says what shall be here, the engine what is. What both know
//! goes on; what only the engine knows is removed.

use std::{sync::Arc, time::Duration};

use agent_protocol::acs;
use engine::FoundTask;
use tokio_util::sync::CancellationToken;

use super::{Host, actor};
use crate::{
    api, ledger, lower,
    panics::caught_now,
    plan,
    task::{Task, id_in},
};

/// A task whose assignment cannot be read.
pub(super) struct Held {
    record: ledger::Record,
    found: Option<FoundTask>,
}

impl Host {
    /// Finds everything again. Call it once, before assignments come in.
    pub async fn adopt(self: &Arc<Host>) -> Result<(), ledger::Error> {
        let found = self.found().await;
        if self.ledger.is_new() && !found.is_empty() && !self.begins_anew {
            return Err(ledger::Error::Gone(found.len()));
        }
        let ledger::Tasks { written, unreadable } = self.ledger.tasks()?;
        for (id, record) in unreadable {
            let found = found.iter().find(|found| found.task == id).cloned();
            tracing::error!(task = id, in_engine = found.is_some(), "kept until its assignment comes again");
            self.held.lock().insert(id, Held { record, found });
        }
        for task in &found {
            let is_held = self.held.lock().contains_key(&task.task);
            if !is_held && !written.iter().any(|(id, _)| *id == task.task) {
                tracing::warn!(task = task.task, "removing a task that the ledger does not know");
                self.remove_unknown(task.task.clone());
            }
        }
        for (id, written) in written {
            let found = found.iter().find(|found| found.task == id);
            let Err((error, record)) = self.adopt_task(&id, written, found) else { continue };
            // It was lowered when it was written, so only another version of the agent comes here.
            tracing::error!(task = id, %error, "what is written down is no task; kept until its assignment comes again");
            self.held.lock().insert(id, Held { record: *record, found: found.cloned() });
        }
        Ok(())
    }

    /// What the engine has; asked for until it answers.
    pub(super) async fn found(&self) -> Vec<FoundTask> {
        loop {
            match self.engine.list().await {
                Ok(found) => return found,
                Err(error) => tracing::error!(%error, "the engine cannot say what runs here; asking again"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn remove_unknown(self: &Arc<Host>, id: engine::TaskId) {
        let gone = CancellationToken::new();
        self.remains.lock().insert(id.clone(), gone.clone());
        let host = self.clone();
        tokio::spawn(async move {
            while let Err(error) = host.engine.remove_task(&id).await {
                tracing::error!(task = id, %error, "an unknown task cannot be removed; trying again");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            host.remains.lock().remove(&id);
            gone.cancel();
        });
    }

    /// Waits until nothing is left of a task of this id that was not known when this agent began. It may be
    /// assigned again by then: an agent that dies before it has written an assignment down leaves just that.
    pub(super) async fn remains_removed(&self, id: &engine::TaskId) {
        let gone = self.remains.lock().get(id).cloned();
        if let Some(gone) = gone {
            gone.cancelled().await;
        }
    }

    /// Takes up a task whose assignment could not be read, now that it has come again. False when there is none.
    pub(super) async fn take_up(self: &Arc<Host>, assignment: &acs::Task) -> Result<bool, ledger::Error> {
        let id = assignment.arn.as_deref().map(id_in).unwrap_or_default();
        let Some(Held { record, found }) = self.held.lock().remove(id) else { return Ok(false) };
        let written = ledger::Written { assignment: assignment.clone(), record };
        if let Err((error, _)) = self.adopt_task(id, written, found.as_ref()) {
            // This agent cannot look after it: nothing may stay that nobody knows of.
            self.reject(assignment.clone(), &error);
            self.give_up(id.to_owned());
            return Ok(true);
        }
        self.ledger.assign(id, assignment).await?;
        Ok(true)
    }

    /// Tasks that wait for their assignment.
    pub fn held(&self) -> Vec<String> {
        self.held.lock().keys().cloned().collect()
    }

    /// Nobody wants a task that waits for its assignment.
    pub(super) fn drop_held(self: &Arc<Host>, id: &str) {
        if self.held.lock().remove(id).is_some() {
            self.give_up(id.to_owned());
        }
    }

    /// Removes a task that has no actor.
    fn give_up(self: &Arc<Host>, id: String) {
        self.remove_unknown(id.clone());
        let ledger = self.ledger.clone();
        tokio::spawn(async move { ledger.forget(&id).await });
    }

    /// Gives the record back where the assignment is no task for this agent.
    fn adopt_task(
        self: &Arc<Host>,
        id: &str,
        written: ledger::Written,
        found: Option<&FoundTask>,
    ) -> Result<(), (lower::Error, Box<ledger::Record>)> {
        let given = written.record.clone();
        let adopted = caught_now(|| self.bring_into_line(written, found));
        let (task, mut record) = match adopted.unwrap_or_else(|why| Err(lower::Error(why))) {
            Ok(adopted) => adopted,
            Err(error) => return Err((error, Box::new(given))),
        };
        let same_boot = record.boot_id == self.ledger.boot_id();
        if record.state.admitted && !record.removed {
            self.admission.lock().readmit(&task.id, task.needs.clone());
        }
        record.boot_id = self.ledger.boot_id().to_owned();
        let known = record.state.known.as_str();
        tracing::info!(task = id, known, in_engine = found.is_some(), same_boot, "adopted a task");
        actor::spawn(self, task, record, tokio::sync::watch::channel(true).1);
        Ok(())
    }

    /// The task, and how far it is by the ledger and by what the engine has.
    fn bring_into_line(
        &self,
        written: ledger::Written,
        found: Option<&FoundTask>,
    ) -> Result<(Task, ledger::Record), lower::Error> {
        let ledger::Written { assignment, mut record } = written;
        let task = self.lower(&assignment)?;
        record.stop_if_lost(found);
        record.state.stop |= assignment.desired_status.as_deref() == Some("STOPPED");
        if !record.removed {
            let same_boot = record.boot_id == self.ledger.boot_id();
            plan::adopt(&task, &mut record.state, found, same_boot, api::now().as_millis());
        }
        Ok((task, record))
    }
}
