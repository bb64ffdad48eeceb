//! What daemons say: of their deployments, and of tasks that do not start.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-events.html>

use std::sync::Arc;

use serde_json::{Value, json};
use state::contract::{self, Event};

use crate::{
    arn,
    cluster::{
        Cluster, DaemonDeploymentRow, DaemonDeploymentStatus, DaemonName, DaemonRevisionId, DaemonRow,
        InstanceId, TaskRow, TaskStatus, TaskStopCode, Txn,
    },
    placement::Reason,
};

const DEPLOYMENT: &str = "ECS Daemon Deployment State Change";
const ACTION: &str = "ECS Daemon Service Action";

/// The rows of daemons that a step has changed in a way that is worth saying.
#[derive(Debug, Default)]
pub(super) struct Changed {
    deployments: Vec<Arc<DaemonDeploymentRow>>,
    /// Tasks that did not reach RUNNING.
    failed: Vec<Arc<TaskRow>>,
    /// Daemons whose task has no room.
    unplaced: Vec<Arc<DaemonRow>>,
}

impl Changed {
    pub(super) fn deployment(&mut self, before: &Cluster, row: &Arc<DaemonDeploymentRow>) {
        let known = before.daemon_deployment_by_number(&(row.daemon.clone(), row.number));
        if known.is_none_or(|known| known.status != row.status) {
            self.deployments.push(row.clone());
        }
    }

    pub(super) fn task(&mut self, before: &Cluster, row: &Arc<TaskRow>) {
        let ends = row.last == TaskStatus::Stopped && row.daemon.is_some() && row.started_at.is_none();
        let wanted =
            row.stop.as_ref().is_some_and(|stop| stop.code == TaskStopCode::ServiceSchedulerInitiated);
        if ends && !wanted && before.task(&row.id).is_some_and(|old| old.last != TaskStatus::Stopped) {
            self.failed.push(row.clone());
        }
    }

    pub(super) fn daemon(&mut self, before: &Cluster, row: &Arc<DaemonRow>) {
        let known = before.daemon_row(&row.name).and_then(|known| known.unplaced.as_ref());
        if row.unplaced.is_some() && known != row.unplaced.as_ref() {
            self.unplaced.push(row.clone());
        }
    }

    /// The events of it.
    pub(super) fn events(self, txn: &Txn) -> Vec<Event> {
        let deployments = self.deployments.iter().map(|row| of_deployment(txn, row));
        let failed = self.failed.iter().filter_map(|row| of_failed(txn, row));
        let unplaced = self.unplaced.iter().filter_map(|row| of_unplaced(txn, row));
        deployments.chain(failed).chain(unplaced).collect()
    }
}

fn event(detail_type: &'static str, resources: Vec<String>, detail: Value) -> Event {
    Event { source: contract::ECS, detail_type, resources, detail }
}

fn of_deployment(txn: &Txn, row: &DaemonDeploymentRow) -> Event {
    let (cluster, daemon) = (&txn.state.row.name, &row.daemon.0);
    let about = arn::daemon(txn.ctx, cluster, daemon);
    let failed = row.status == DaemonDeploymentStatus::RollbackFailed;
    let mut detail = json!({
        "eventType": if failed { "ERROR" } else { "INFO" },
        "eventName": format!("DAEMON_DEPLOYMENT_{}", row.status.as_str()),
        "clusterArn": arn::cluster(txn.ctx, cluster),
        "daemonArn": about,
        "daemonDeploymentArn": arn::daemon_deployment(txn.ctx, cluster, daemon, &row.id),
        "updatedAt": txn.now().to_iso8601(),
    });
    if let Some(target) = row.target {
        detail["targetDaemonRevisionArn"] = arn::daemon_revision(txn.ctx, cluster, daemon, target).into();
    }
    if let Some(reason) = &row.status_reason {
        detail["reason"] = reason.as_str().into();
    }
    event(DEPLOYMENT, vec![about], detail)
}

fn of_failed(txn: &Txn, row: &TaskRow) -> Option<Event> {
    let (daemon, host) = (row.daemon.as_ref()?, row.instance?);
    let about = arn::task(txn.ctx, &txn.state.row.name, row.id);
    let why = row.stop.as_ref().map(|stop| stop.reason.as_str()).unwrap_or_default();
    let mut detail = impaired(txn, (&daemon.name, daemon.revision), &host, "TASK_FAILED_TO_RUN");
    detail["taskArn"] = about.as_str().into();
    detail["reason"] = format!("Task failed to reach RUNNING status: {why}").into();
    Some(event(ACTION, vec![about], detail))
}

fn of_unplaced(txn: &Txn, row: &DaemonRow) -> Option<Event> {
    let unplaced = row.unplaced.as_ref()?;
    let lacks = Reason::of_failure(&unplaced.reason).map_or("", Reason::lacks);
    let mut detail = impaired(txn, (&row.name, row.target), &unplaced.instance, "TASK_CREATION_FAILED");
    let reason = &unplaced.reason;
    detail["reason"] =
        format!("{reason} - Unable to place daemon task on container instance: {lacks}").into();
    Some(event(ACTION, Vec::new(), detail))
}

/// That a task of a daemon does not start on a container instance.
fn impaired(
    txn: &Txn,
    (daemon, revision): (&DaemonName, DaemonRevisionId),
    host: &InstanceId,
    failure: &str,
) -> Value {
    let cluster = &txn.state.row.name;
    let mut detail = json!({
        "eventType": "WARNING",
        "eventName": "DAEMON_TASK_START_IMPAIRED",
        "failureType": failure,
        "clusterArn": arn::cluster(txn.ctx, cluster),
        "containerInstanceArn": arn::container_instance(txn.ctx, cluster, host),
        "daemonArn": arn::daemon(txn.ctx, cluster, &daemon.0),
        "daemonRevisionArn": arn::daemon_revision(txn.ctx, cluster, &daemon.0, revision),
        "createdAt": txn.now().to_iso8601(),
    });
    if let Some(provider) = txn.state.instance(host).and_then(|row| crate::capacity::of_instance(row)) {
        detail["capacityProviderName"] = provider.into();
    }
    if let Some(revision) = txn.state.daemon_revision(daemon, &revision) {
        let of = &revision.task_definition;
        detail["daemonTaskDefinitionArn"] =
            arn::daemon_task_definition(txn.ctx, &of.family, of.revision).into();
    }
    detail
}
