//! Interruption of tasks of FARGATE_SPOT: an operator asks for it, or drains their host. Everybody hears at once that such a task
//! is to stop, and why, so that its service replaces it; its agent hears of it once the time of the warning is over.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::SPOT;
use crate::{
    cluster::{Desired, InstanceId, InstanceStatus, Mark, TaskId, TaskRow, TaskStatus, Txn, Writes},
    limits,
    task::{
        self, describe,
        lifecycle::{self, Happening},
    },
};

/// Interrupts a task, of which its agent hears after so many seconds: as ECS has it where nothing is said.
///
/// # Errors
/// `InvalidParameterException` for a task that cannot be interrupted, and a warning that is too long.
pub fn interrupt(txn: &mut Txn, named: &str, warning: Option<u32>) -> Result<ecs::Task, Error> {
    let warning = warning.unwrap_or(limits::SPOT_WARNING);
    if warning > limits::SPOT_WARNING_MOST {
        let most = limits::SPOT_WARNING_MOST;
        return Err(errors::invalid_parameter(format!("The warning is at most {most} seconds.")));
    }
    let row = task::find(txn, named)?;
    if !is_of_spot(row) {
        return Err(errors::invalid_parameter("The task is not of the capacity provider FARGATE_SPOT."));
    }
    if row.desired == Desired::Stopped {
        return Err(errors::invalid_parameter("The task is stopped already, or is to stop."));
    }
    let id = row.id;
    warn(txn, &id, warning);
    let row = txn.state.task(&id).cloned().ok_or_else(|| errors::server("The task is gone."))?;
    Ok(describe::task(txn.state, txn.ctx, &row))
}

/// A host is being drained: its tasks of FARGATE_SPOT are interrupted, as many as this step can take and the others in the
/// next ones.
pub fn drained(txn: &mut Txn, host: &InstanceId) {
    let drains =
        |txn: &Txn| txn.state.instance(host).is_some_and(|row| row.status == InstanceStatus::Draining);
    if !drains(txn) {
        return;
    }
    let may = |task: &&std::sync::Arc<TaskRow>| is_of_spot(task) && task.desired == Desired::Running;
    let tasks: Vec<TaskId> = txn.state.tasks_on(host).filter(may).map(|task| task.id).collect();
    for id in tasks {
        if txn.full() {
            return txn.mark(Mark::Drained(*host));
        }
        warn(txn, &id, limits::SPOT_WARNING);
    }
}

/// The time of its warning is over: its agent is to stop it.
pub fn due(txn: &mut Txn, id: &TaskId) {
    let Some(row) = txn.state.task(id).cloned() else { return };
    let stop_at = row.fargate.as_ref().and_then(|of| of.stop_at);
    if stop_at.is_some_and(|at| at <= txn.now()) {
        txn.put_task(lifecycle::step(&row, &Happening::WarningOver, txn.now()));
    }
}

fn warn(txn: &mut Txn, id: &TaskId, seconds: u32) {
    let Some(before) = txn.state.task(id).cloned() else { return };
    let stop_at = txn.now().plus_millis(i64::from(seconds) * 1000);
    let after = lifecycle::step(&before, &Happening::Interrupted { stop_at }, txn.now());
    let after = txn.put_task(after);
    task::has_ended(txn, &before, &after);
}

fn is_of_spot(row: &TaskRow) -> bool {
    row.capacity_provider.as_deref() == Some(SPOT)
}

impl TaskRow {
    /// What its agent is to know of what it shall be: of an interruption nothing before its warning is over.
    pub fn desired_for_agent(&self) -> Desired {
        match &self.fargate {
            Some(of) if of.stop_at.is_some() && self.last <= TaskStatus::Running => Desired::Running,
            _ => self.desired,
        }
    }

    /// When its warning is over, where it has one.
    pub(crate) fn stop_at(&self) -> Option<wire::Timestamp> {
        self.fargate.as_ref().and_then(|of| of.stop_at)
    }
}
