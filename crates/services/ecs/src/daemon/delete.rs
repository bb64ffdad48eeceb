//! DeleteDaemon, and what follows until the last task has stopped.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteDaemon.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{change, deployment, hold, life::Happening};
use crate::{
    cluster::{DaemonDeploymentStatus, DaemonRow, DaemonStatus, TaskStopCode, Txn, Writes},
    convert::Shown,
    limits, task,
};

/// Deletes a daemon: a deployment to nothing stops its tasks, and then it is gone.
///
/// # Errors
/// `DaemonNotFoundException`; `InvalidParameterException` for one that is being deleted.
pub fn delete_daemon(
    txn: &mut Txn,
    request: ecs::DeleteDaemonRequest,
) -> Result<ecs::DeleteDaemonResponse, Error> {
    let mut row = change::find(txn, &request.daemon_arn)?;
    if row.status != DaemonStatus::Active {
        // Tools look for these words.
        return Err(errors::invalid_parameter("The daemon's deployment deletion is ongoing."));
    }
    row.status = DaemonStatus::DeleteInProgress;
    row.updated_at = txn.now();
    row.wake_at = None;
    let configuration = txn.state.daemon_deployment(&row.name).map(|newest| newest.configuration);
    deployment::begin(txn, &mut row, None, configuration.unwrap_or_default());
    txn.put_daemon(row.clone());
    Ok(ecs::DeleteDaemonResponse {
        daemon_arn: Some(request.daemon_arn),
        status: row.status.shown(),
        created_at: Some(row.created_at),
        updated_at: Some(row.updated_at),
        deployment_arn: change::newest(txn, &row.name),
    })
}

/// Stops what still runs; once nothing does, the daemon is deleted.
pub fn drain(txn: &mut Txn, mut row: DaemonRow) {
    let newest = txn.state.daemon_deployment(&row.name);
    if newest.is_some_and(|newest| newest.status == DaemonDeploymentStatus::Pending) {
        deployment::happens(txn, &row, &Happening::Started);
    }
    let crew = txn.state.crew(&row.name);
    let live = crew.newest(limits::SETTLE_TASKS, |_, _| true);
    for (at, (_, id)) in live.iter().enumerate() {
        if at > 0 && txn.full() {
            return;
        }
        let reason = "Daemon was deleted.".to_owned();
        task::stop::want(txn, id, TaskStopCode::ServiceSchedulerInitiated, reason);
    }
    if crew.live() == 0 {
        deployment::happens(txn, &row, &Happening::Completed);
        row.status = DaemonStatus::Deleted;
        row.forget_at = Some(txn.now().plus_millis(limits::INACTIVE_KEPT_MS));
        txn.put_daemon(row);
        hold::release(txn);
    }
}
