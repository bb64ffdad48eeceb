//! What must be true of a cluster after every step. Checked by the simulator, and by tests.

mod daemons;
mod deployments;
mod indexes;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cluster::{
        Cluster, DeploymentControllerType, Desired, InstanceId, InstanceRow, Resources, ServiceEventRow,
        ServiceStatus, TaskStatus,
    },
    limits,
    placement::slots::Slot,
};

/// What is broken, in words; empty when all is well.
pub fn check(state: &Cluster) -> Vec<String> {
    let mut broken = Vec::new();
    hosts(state, &mut broken);
    tasks(state, &mut broken);
    services(state, &mut broken);
    histories(state, &mut broken);
    deployments::check(state, &mut broken);
    daemons::check(state, &mut broken);
    indexes::check(state, &mut broken);
    broken
}

/// No host carries more than it has, no port is held twice, and the index of usage is the sum of the tasks.
fn hosts(state: &Cluster, broken: &mut Vec<String>) {
    let mut used: BTreeMap<&InstanceId, Resources> = BTreeMap::new();
    let (mut ports, mut gpus) = (BTreeSet::new(), BTreeSet::new());
    for task in state.tasks().filter(|task| task.last != TaskStatus::Stopped) {
        let Some(host) = &task.instance else { continue };
        for port in &task.needs.ports_tcp {
            if !ports.insert((host, "tcp", *port)) {
                broken.push(format!("port {port}/tcp is held twice on {host}"));
            }
        }
        for port in &task.needs.ports_udp {
            if !ports.insert((host, "udp", *port)) {
                broken.push(format!("port {port}/udp is held twice on {host}"));
            }
        }
        for gpu in task.needs.gpus.iter() {
            if !gpus.insert((host, gpu)) {
                broken.push(format!("GPU {gpu} is held twice on {host}"));
            }
        }
        used.entry(host).or_default().add(&task.needs);
    }
    for row in state.instances() {
        let sum = used.remove(&row.id).unwrap_or_default();
        if sum.cpu > row.registered.cpu || sum.memory > row.registered.memory {
            broken.push(format!("container instance {} is oversubscribed", row.id));
        }
        let index = state.usage(&row.id).map(|usage| usage.used.clone()).unwrap_or_default();
        if index != sum {
            broken.push(format!("the usage of {} is {index:?}, its tasks sum to {sum:?}", row.id));
        }
        slot(state, row, &sum, broken);
    }
    broken.extend(used.keys().map(|id| format!("tasks are on {id}, which is not there")));
}

/// What placement is told of an instance is what its row and its tasks say.
fn slot(state: &Cluster, row: &InstanceRow, used: &Resources, broken: &mut Vec<String>) {
    let Some(usage) = state.usage(&row.id) else { return };
    let Some(at) = usage.slot.filter(|at| state.slots().id(*at) == Some(&row.id)) else {
        broken.push(format!("container instance {} has no slot", row.id));
        return;
    };
    let (is, shall_be) = (state.slots().get(at), Slot::of(row, used));
    if is != Some(&shall_be) {
        broken.push(format!("the slot of {} is {is:?}, it should be {shall_be:?}", row.id));
    }
    for (group, count) in &usage.groups {
        if state.slots().tasks(at, group) != *count {
            broken.push(format!("the slot of {} has not {count} tasks of {group}", row.id));
        }
    }
}

/// Statuses, times and reasons of a task agree.
fn tasks(state: &Cluster, broken: &mut Vec<String>) {
    for task in state.tasks() {
        let stopped = task.last == TaskStatus::Stopped;
        for (wrong, what) in [
            (task.last == TaskStatus::Running && task.started_at.is_none(), "is RUNNING without startedAt"),
            (task.last == TaskStatus::Running && task.instance.is_none(), "is RUNNING nowhere"),
            (
                task.waits.is_some() != (task.last == TaskStatus::Provisioning && task.instance.is_none()),
                "waits for room, or does not, as its status does not say",
            ),
            (
                task.last == TaskStatus::Deprovisioning && task.attachment.is_none(),
                "is DEPROVISIONING without an interface",
            ),
            (
                task.is_for_agent()
                    && task.attachment.as_ref().is_some_and(|attachment| attachment.interface.is_none()),
                "was assigned without its interface",
            ),
            (stopped && task.stopped_at.is_none(), "is STOPPED without stoppedAt"),
            (stopped && task.stop.is_none(), "is STOPPED without a reason"),
            (stopped && task.desired != Desired::Stopped, "is STOPPED but shall run"),
            (stopped && task.forget_at.is_none(), "is STOPPED and never forgotten"),
        ] {
            if wrong {
                broken.push(format!("task {} {what}", task.id));
            }
        }
    }
}

/// An ACTIVE service has one PRIMARY deployment, or at the most one PRIMARY task set, first.
fn services(state: &Cluster, broken: &mut Vec<String>) {
    for service in state.services().filter(|service| service.status == ServiceStatus::Active) {
        let primaries = service.deployments.iter().filter(|d| d.primary).count();
        let external = service.controller == DeploymentControllerType::External;
        let first = service.deployments.first().is_some_and(|first| first.primary);
        if !(primaries == 1 && first || external && primaries == 0) {
            broken.push(format!("service {} has {primaries} PRIMARY deployments", service.name));
        }
        let names: BTreeSet<_> = service.deployments.iter().map(|d| &d.id).collect();
        // An earlier one of its name may have left some that are STOPPING.
        for task in state.tasks_of_service(&service.name).filter(|task| task.desired == Desired::Running) {
            if task.service.as_ref().is_some_and(|(_, id)| !names.contains(id)) {
                broken.push(format!("task {} is of a deployment that is gone", task.id));
            }
        }
    }
}

/// What a service has said is its newest events, without a gap, and nothing is kept of a service that is not there.
fn histories(state: &Cluster, broken: &mut Vec<String>) {
    let mut last: Option<&ServiceEventRow> = None;
    for event in state.all_service_events() {
        let ServiceEventRow { service, number, .. } = event.as_ref();
        if state.service(service).is_none() {
            broken.push(format!("event {number} is of service {service}, which is not there"));
        }
        if last.is_some_and(|last| last.service == *service && last.number + 1 != *number) {
            broken.push(format!("no event of service {service} comes before its event {number}"));
        }
        last = Some(event);
    }
    for row in state.services() {
        let said = state.service_events(&row.name).count();
        if said > limits::SERVICE_EVENTS {
            broken.push(format!("service {} keeps {said} events", row.name));
        }
    }
    let tokens = state.service_tokens().filter(|row| state.service(&row.service).is_none());
    broken
        .extend(tokens.map(|row| format!("a client token made service {}, which is not there", row.service)));
}
