//! DeleteService, and the draining that follows.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteService.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{deployment, describe, events, view::in_order};
use crate::{
    arn,
    cluster::{Key, ServiceName, ServiceRow, ServiceStatus, TaskSetRow, TaskStopCode, Txn, Writes},
    limits, task,
};

/// Deletes a service: it drains until all of its tasks are STOPPING or STOPPED, then is INACTIVE.
pub fn delete_service(
    txn: &mut Txn,
    request: ecs::DeleteServiceRequest,
) -> Result<ecs::DeleteServiceResponse, Error> {
    let name = ServiceName(arn::service_name(txn.ctx, &txn.state.row.name, &request.service)?);
    let found = txn.state.service(&name).filter(|row| row.status != ServiceStatus::Inactive);
    let mut row = found.ok_or_else(|| errors::service_not_found("Service not found."))?.as_ref().clone();
    let forced = request.force == Some(true) || row.daemon();
    if row.status == ServiceStatus::Active && row.desired_count > 0 && !forced {
        return Err(errors::invalid_parameter("The service cannot be stopped while it is scaled above 0."));
    }
    if txn.state.task_sets(&row.name).next().is_some() && !forced {
        return Err(errors::invalid_parameter("The service cannot be stopped while deployments are active."));
    }
    let sets: Vec<_> = txn.state.task_sets(&row.name).cloned().collect();
    for set in sets {
        txn.put(TaskSetRow { draining: true, scale: 0.0, ..set.as_ref().clone() });
    }
    row.status = ServiceStatus::Draining;
    row.desired_count = 0;
    row.wake_at = None;
    row.unplaced = None;
    for deployment in &mut row.deployments {
        deployment.not_before = None;
    }
    deployment::end(txn, &row);
    txn.put_service(row.clone());
    Ok(ecs::DeleteServiceResponse { service: Some(describe::service(txn.state, txn.ctx, &row, true)) })
}

/// Stops what still shall run; once nothing does, the service is INACTIVE, and another one of its name may be made while the
/// last tasks of this one are STOPPING.
pub fn drain(txn: &mut Txn, mut row: ServiceRow) {
    let tally = txn.state.tally(&row.name);
    let live = in_order(tally.newest(limits::SETTLE_TASKS, |_, _| true));
    let mut stopped = Vec::new();
    for id in live {
        if !stopped.is_empty() && txn.full() {
            break;
        }
        let reason = "Service was deleted.".to_owned();
        task::stop::want(txn, &id, TaskStopCode::ServiceSchedulerInitiated, reason);
        stopped.push(id);
    }
    if !stopped.is_empty() {
        events::add(txn, &row.name, &events::stopped(&stopped));
    } else {
        row.status = ServiceStatus::Inactive;
        row.deployments.clear();
        let sets: Vec<Key> =
            txn.state.task_sets(&row.name).map(|set| Key::TaskSet((set.service.clone(), set.id))).collect();
        sets.into_iter().for_each(|key| txn.delete(key));
        row.forget_at = Some(txn.now().plus_millis(limits::INACTIVE_KEPT_MS));
        txn.put_service(row);
    }
}
