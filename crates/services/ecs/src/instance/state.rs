//! What becomes of a container instance: connected or not, draining, deregistered.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use ecs_model::{self as ecs, ContainerInstanceStatus, errors};
use state::contract::InterfaceWanted;
use wire::{Error, Timestamp};

use super::{describe, find};
use crate::{
    arn,
    cluster::{
        Desired, InstanceId, InstanceRow, InstanceStatus, Key, Mark, ServiceName, TaskId, TaskRow,
        TaskStopCode, Txn, Writes,
    },
    convert::Stored,
    daemon, limits, service,
    task::{
        self,
        describe::missing,
        lifecycle::{self, Happening},
    },
};

/// Why the tasks of a container instance whose agent is away are stopped.
pub(super) const LOST: &str = "The agent of the container instance was not connected for too long";
/// Manifests of one session, at most.
const MANIFESTS: i64 = 1000;

/// The agent of an instance opened its connection, or its last one ended.
pub fn connection(txn: &mut Txn, id: &InstanceId, connected: Option<ecs::VersionInfo>) {
    let Some(known) = txn.state.instance(id) else { return };
    let mut row = known.as_ref().clone();
    if row.agent_connected && connected.is_none() {
        row.lost_at = lost_at(txn);
    }
    row.agent_connected = connected.is_some();
    if connected.is_some() {
        row.lost_at = None;
        // Not the revision, which falls when a backup is restored; nor the time alone, which a clock may have been
        // ahead of. There are fewer manifests in a session than milliseconds between two.
        row.timeline = txn.now().0.max(row.timeline + MANIFESTS);
    }
    row.version_info = connected.stored().unwrap_or(row.version_info);
    if row != *known.as_ref() {
        let came = row.agent_connected;
        txn.put_instance(row);
        if came {
            txn.room_came(id);
        }
    }
}

/// Where other hosts reach this one, as its agent says: its tasks' interfaces are there from now on.
pub fn reached_at(txn: &mut Txn, id: &InstanceId, address: Option<Ipv4Addr>) {
    let Some(known) = txn.state.instance(id) else { return };
    if known.address != address {
        let row = InstanceRow { address, ..known.as_ref().clone() };
        txn.put_instance(row);
    }
    txn.mark(Mark::Moved(*id));
}

/// Says of the interfaces that tasks of a container instance want where it is: of all of them, or of as many as this step can
/// take and of the others in the next ones.
pub fn place(txn: &mut Txn, id: &InstanceId) {
    let Some(at) = txn.state.instance(id).map(|row| row.address) else { return };
    let tasks: Vec<TaskId> = txn.state.tasks_on(id).map(|task| task.id).collect();
    for task in tasks {
        let wanted = txn.state.interface_wanted(&task).filter(|wanted| wanted.at != at).cloned();
        let Some(wanted) = wanted else { continue };
        if txn.full() {
            txn.mark(Mark::Moved(*id));
            return;
        }
        txn.put(InterfaceWanted { at, ..wanted.as_ref().clone() });
    }
}

/// The control plane has started: no agent is connected yet, whatever the rows say, and what an unfinished
/// step may have left is looked at. True when this step had no room for all of it: then call it again.
pub fn disconnect_all(txn: &mut Txn) -> bool {
    let connected = txn.state.instances().filter(|row| row.agent_connected);
    let connected: Vec<InstanceId> = connected.map(|row| row.id).collect();
    for id in &connected {
        if txn.full() {
            return true;
        }
        connection(txn, id, None);
    }
    // Whether they are given up at all may be otherwise than when it was set.
    let away = |row: &&Arc<InstanceRow>| row.status != InstanceStatus::Inactive && !row.agent_connected;
    let is_other = |row: &&Arc<InstanceRow>| row.lost_at.is_some() != txn.ports.lost_after_ms.is_some();
    let others: Vec<_> = txn.state.instances().filter(away).filter(is_other).cloned().collect();
    for row in others {
        if txn.full() {
            return true;
        }
        let lost_at = lost_at(txn);
        txn.put_instance(InstanceRow { lost_at, ..row.as_ref().clone() });
    }
    let inactive = txn.state.instances().filter(|row| row.status == InstanceStatus::Inactive);
    let inactive: Vec<InstanceId> = inactive.map(|row| row.id).collect();
    for id in inactive.iter().filter(|id| txn.state.tasks_on(id).next().is_some()).collect::<Vec<_>>() {
        txn.mark(Mark::Instance(*id));
    }
    let draining = txn.state.instances().filter(|row| row.status == InstanceStatus::Draining);
    for id in draining.map(|row| row.id).collect::<Vec<_>>() {
        txn.mark(Mark::Drained(id));
    }
    daemon::hold::release(txn);
    txn.touch_all();
    false
}

/// UpdateContainerInstancesState: ACTIVE or DRAINING.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-draining.html>
pub fn update_container_instances_state(
    txn: &mut Txn,
    request: ecs::UpdateContainerInstancesStateRequest,
) -> Result<ecs::UpdateContainerInstancesStateResponse, Error> {
    let status = match request.status {
        ContainerInstanceStatus::Active => InstanceStatus::Active,
        ContainerInstanceStatus::Draining => InstanceStatus::Draining,
        _ => {
            return Err(errors::invalid_parameter(
                "Container instance status should be one of [ACTIVE,DRAINING]",
            ));
        }
    };
    if request.container_instances.is_empty() {
        return Err(errors::invalid_parameter("Container instances cannot be empty."));
    }
    if request.container_instances.len() > limits::UPDATE_INSTANCES {
        return Err(errors::invalid_parameter("instanceIds can have at most 10 items."));
    }
    let (mut shown, mut failures) = (Vec::new(), Vec::new());
    for named in &request.container_instances {
        let cluster = txn.state.row.name.clone();
        let text = arn::container_instance_id(txn.ctx, &cluster, named)?;
        let found = InstanceId::parse(&text).and_then(|id| txn.state.instance(&id));
        let found = found.filter(|row| row.status != InstanceStatus::Inactive);
        let Some(row) = found.cloned() else {
            failures.push(missing(arn::container_instance(txn.ctx, &cluster, text)));
            continue;
        };
        // What waits for a critical daemon goes on to do so.
        let status = match status {
            InstanceStatus::Active => daemon::hold::status(txn.state, &row),
            other => other,
        };
        if row.status != status || row.repair {
            txn.put_instance(InstanceRow { status, repair: false, ..row.as_ref().clone() });
            touch_services_on(txn, &row.id);
            txn.mark(Mark::Drained(row.id));
            txn.room_came(&row.id);
        }
        let row = txn.state.instance(&row.id).cloned().unwrap_or(row);
        shown.push(describe::instance(txn.state, txn.ctx, &row, true));
    }
    Ok(ecs::UpdateContainerInstancesStateResponse {
        container_instances: Some(shown),
        failures: Some(failures),
    })
}

/// Has the services that have tasks on a container instance settled.
pub fn touch_services_on(txn: &mut Txn, id: &InstanceId) {
    let services: Vec<ServiceName> = txn
        .state
        .tasks_on(id)
        .filter_map(|task| task.service.as_ref().map(|(name, _)| name.clone()))
        .collect();
    for name in &services {
        txn.touch(name);
    }
}

/// DeregisterContainerInstance. With `force`, what still runs there is no longer accounted for.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeregisterContainerInstance.html>
pub fn deregister_container_instance(
    txn: &mut Txn,
    request: ecs::DeregisterContainerInstanceRequest,
) -> Result<ecs::DeregisterContainerInstanceResponse, Error> {
    let mut row = find(txn, &request.container_instance)?;
    let running = txn.state.tasks_on(&row.id).any(|task| task.desired == Desired::Running);
    if running && request.force != Some(true) {
        return Err(errors::invalid_parameter("Found running tasks on the instance."));
    }
    row.status = InstanceStatus::Inactive;
    // No daemon is waited for there any more.
    row.repair = false;
    row.agent_connected = false;
    row.lost_at = None;
    row.forget_at = Some(txn.now().plus_millis(limits::INACTIVE_KEPT_MS));
    txn.put_instance(row.clone());
    give_up(txn, &row.id);
    let shown = describe::instance(txn.state, txn.ctx, &row, true);
    Ok(ecs::DeregisterContainerInstanceResponse { container_instance: Some(shown) })
}

/// The tasks of a deregistered container instance are lost: all of them, or as many as this step can take and
/// the others in the next ones.
pub fn give_up(txn: &mut Txn, id: &InstanceId) {
    let tasks: Vec<TaskId> = txn.state.tasks_on(id).map(|task| task.id).collect();
    for task in tasks {
        if txn.full() {
            txn.mark(Mark::Instance(*id));
            return;
        }
        let Some(task) = txn.state.task(&task).cloned() else { continue };
        let reason = "Container Instance Deregistration Forced by User".to_owned();
        let after = lifecycle::step(&task, &Happening::HostLost { reason }, txn.now());
        if after != *task {
            txn.put_task(after.clone());
            task::is_stopped(txn, &task, &after);
        }
    }
}

/// When the tasks of services are given up on a container instance whose agent goes away now.
fn lost_at(txn: &Txn) -> Option<Timestamp> {
    txn.ports.lost_after_ms.map(|after| txn.now().plus_millis(after))
}

/// The time of an instance has come: it is INACTIVE long enough to be forgotten, or its agent is away for so long that it
/// is lost to services.
pub fn due(txn: &mut Txn, id: &InstanceId) {
    match txn.state.instance(id) {
        Some(row) if row.forget_at.is_none() => lost(txn, id),
        // What it had of a network is not gone yet: no row of a task names a host that is not there.
        Some(row) if txn.state.tasks_on(id).next().is_some() => {
            let forget_at = Some(txn.now().plus_millis(limits::INACTIVE_KEPT_MS));
            txn.put_instance(InstanceRow { forget_at, ..row.as_ref().clone() });
        }
        _ => txn.delete(Key::Instance(*id)),
    }
}

/// The tasks of services on an instance whose agent is away shall be stopped, and so are replaced elsewhere; its agent
/// hears of it as soon as it is back. Those of daemons belong there, and stay. What this step has no room for has its turn
/// in the next one.
fn lost(txn: &mut Txn, id: &InstanceId) {
    let Some(row) = txn.state.instance(id).cloned() else { return };
    let may_go = |task: &&Arc<TaskRow>| task.desired == Desired::Running;
    let mut of_services: BTreeMap<ServiceName, Vec<TaskId>> = BTreeMap::new();
    for task in txn.state.tasks_on(id).filter(|_| txn.ports.lost_after_ms.is_some()).filter(may_go) {
        let Some((name, _)) = &task.service else { continue };
        if txn.state.service(name).is_some_and(|service| !service.daemon()) {
            of_services.entry(name.clone()).or_default().push(task.id);
        }
    }
    for (name, tasks) in of_services {
        let mut stopped = Vec::new();
        for task in tasks {
            if txn.full() {
                break;
            }
            let code = TaskStopCode::ServiceSchedulerInitiated;
            stopped.extend(task::stop::want(txn, &task, code, LOST.to_owned()).map(|row| row.id));
        }
        if !stopped.is_empty() {
            service::events::add(txn, &name, &service::events::stopped(&stopped));
        }
        if txn.full() {
            return;
        }
    }
    txn.put_instance(InstanceRow { lost_at: None, ..row.as_ref().clone() });
}
