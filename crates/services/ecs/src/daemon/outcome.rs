//! What becomes of a daemon, and of its container instance, when a task of it ends.

use crate::{
    cluster::{DaemonDeploymentStatus, DaemonRow, TaskId, TaskRow, TaskStopCode, Txn, Writes},
    service::{Ended, backoff, ended},
    task,
};

use super::hold;

/// A task of a daemon stopped. One that ended by itself, before or soon after it was RUNNING, counts as failed.
pub fn task_stopped(txn: &mut Txn, before: &TaskRow, after: &TaskRow) {
    let Some(of) = after.daemon.as_ref().filter(|_| before.stopped_at.is_none()) else { return };
    if let Some(ended) = ended(after) {
        count(txn, after, ended);
    }
    let planned = |code| code == TaskStopCode::ServiceSchedulerInitiated;
    if let Some(host) = after.instance.filter(|_| !after.stop.as_ref().is_some_and(|stop| planned(stop.code)))
    {
        hold::failed(txn, &of.name, &host);
    }
}

/// A task of a daemon fails its health checks: it is stopped, and started again.
pub fn unhealthy(txn: &mut Txn, id: &TaskId) {
    let Some(task) = txn.state.task(id).cloned() else { return };
    count(txn, &task, Ended { failed: true, before_healthy: true });
    if let (Some(of), Some(host)) = (&task.daemon, &task.instance) {
        hold::failed(txn, &of.name, host);
    }
    let reason = "Task failed container health checks".to_owned();
    task::stop::want(txn, id, TaskStopCode::ServiceSchedulerInitiated, reason);
}

/// What became of a task of the revision that is wanted. Those of others say nothing of how it starts: least of all
/// of one that is rolled back to.
fn count(txn: &mut Txn, task: &TaskRow, ended: Ended) {
    let Some(of) = &task.daemon else { return };
    let daemon = txn.state.daemon_row(&of.name).filter(|row| row.target == of.revision).cloned();
    let Some(daemon) = daemon else { return };
    let (mut row, now) = (daemon.as_ref().clone(), txn.now());
    if ended.before_healthy {
        counted(txn, &mut row);
    }
    if ended.failed {
        row.consecutive_failures = row.consecutive_failures.saturating_add(1);
        row.not_before = backoff(row.consecutive_failures).map(|ms| now.plus_millis(ms));
    } else {
        row.consecutive_failures = 0;
    }
    if row != *daemon {
        txn.put_daemon(row);
    }
}

/// A start failed, which the circuit breaker of a deployment counts while it watches: not on the way back.
pub(super) fn counted(txn: &Txn, row: &mut DaemonRow) {
    let newest = txn.state.daemon_deployment(&row.name);
    if newest.is_some_and(|newest| newest.status == DaemonDeploymentStatus::InProgress) {
        row.failures = row.failures.saturating_add(1);
    }
}
