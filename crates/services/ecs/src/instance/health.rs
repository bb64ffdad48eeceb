//! The health of container instances: what their agents say of it, and how it is shown.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-health.html>

use ecs_model as ecs;

use crate::{
    cluster::{
        InstanceHealth, InstanceHealthCheckState, InstanceId, InstanceRow, InstanceStatus, Txn, Writes,
    },
    convert::Shown,
    limits,
};

/// The agent of a container instance says how its host is. What says nothing new is not written: an agent repeats it.
pub fn report(txn: &mut Txn, id: &InstanceId, found: Vec<InstanceHealth>) {
    let Some(known) = txn.state.instance(id).filter(|row| row.status != InstanceStatus::Inactive).cloned()
    else {
        return;
    };
    let mut row = known.as_ref().clone();
    for mut check in found {
        check.status_reason = check.status_reason.map(|why| limits::cut(&why, limits::REASON_LENGTH));
        let says = |check: &InstanceHealth| (check.status, check.status_reason.clone());
        match row.health.iter_mut().find(|have| have.r#type == check.r#type) {
            Some(have) if says(have) == says(&check) => {}
            Some(have) => *have = check,
            None => row.health.push(check),
        }
    }
    if row != *known {
        row.health.sort_by_key(|check| check.r#type);
        txn.put_instance(row);
    }
}

/// What DescribeContainerInstances shows of it. Of a host whose agent is not connected nothing is known.
pub fn shown(row: &InstanceRow) -> ecs::ContainerInstanceHealthStatus {
    use InstanceHealthCheckState::{Impaired, Initializing, InsufficientData, Ok};
    let status = |check: &InstanceHealth| if row.agent_connected { check.status } else { InsufficientData };
    let worst = [Impaired, InsufficientData, Initializing, Ok];
    let overall = worst.into_iter().find(|of| row.health.iter().any(|check| status(check) == *of));
    let details = row
        .health
        .iter()
        .map(|check| ecs::InstanceHealthCheckResult { status: Some(status(check).shown()), ..check.shown() });
    ecs::ContainerInstanceHealthStatus {
        overall_status: Some(overall.unwrap_or(InsufficientData).shown()),
        details: Some(details.collect()),
    }
}
