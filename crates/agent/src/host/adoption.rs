//! After a restart of the agent: the ledger says what shall be here, the engine what is. What both know
//! goes on; what only the engine knows is removed.

use std::{sync::Arc, time::Duration};

use engine::FoundTask;
use tokio_util::sync::CancellationToken;

use super::{Host, actor};
use crate::{api, ledger, lower::lower, plan};

impl Host {
    /// Finds everything again. Call it once, before assignments come in.
    pub async fn adopt(self: &Arc<Host>) -> Result<(), ledger::Error> {
        let found = self.found().await;
        let written = self.ledger.tasks()?;
        for task in &found {
            if !written.iter().any(|(id, _)| *id == task.task) {
                tracing::warn!(task = task.task, "removing a task that the ledger does not know");
                self.remove_unknown(task.task.clone());
            }
        }
        for (id, written) in written {
            let found = found.iter().find(|found| found.task == id);
            self.adopt_task(&id, written, found);
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

    fn adopt_task(self: &Arc<Host>, id: &str, written: ledger::Written, found: Option<&FoundTask>) {
        let task = match lower(&written.assignment, &self.lowering) {
            Ok(task) => task,
            Err(error) => {
                // It was lowered when it was written, so only another version of the agent comes here.
                tracing::error!(task = id, %error, "an assignment in the ledger cannot be read; skipped");
                return;
            }
        };
        let mut record = written.record;
        record.state.stop |= written.assignment.desired_status.as_deref() == Some("STOPPED");
        let same_boot = record.boot_id == self.ledger.boot_id();
        if !record.removed {
            plan::adopt(&task, &mut record.state, found, same_boot, api::now().as_millis());
            if record.state.admitted {
                self.admission.lock().readmit(&task.id, task.needs.clone());
            }
        }
        record.boot_id = self.ledger.boot_id().to_owned();
        let known = record.state.known.as_str();
        tracing::info!(task = id, known, in_engine = found.is_some(), same_boot, "adopted a task");
        actor::spawn(self, task, record, tokio::sync::watch::channel(true).1);
    }
}
