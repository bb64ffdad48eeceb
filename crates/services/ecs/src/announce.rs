//! What a cluster says happened: events of ECS for the default event bus. They are made in this one place, of the rows
//! that a step has changed, and only while somebody may want them.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html>
//!
//! | detail type | when |
//! |---|---|
//! | `ECS Task State Change` | a task is made; its `lastStatus`, its `desiredStatus` or a container's `lastStatus` changes |
//! | `ECS Container Instance State Change` | one is registered; its status, agent, attributes or resources change, those that tasks leave included |
//! | `ECS Deployment State Change` | a deployment begins, is completed, or has failed |
//! | `ECS Hook State Change` | a deployment comes to a hook; somebody, or its timeout, says how it goes on |
//! | `ECS Service Action` | a service says so among its events, or the desired count of one of strategy DAEMON changes |
//! | `ECS Daemon Deployment State Change` | the status of a daemon's deployment changes |
//! | `ECS Daemon Service Action` | a daemon's task does not reach RUNNING, or there is no room for it |
//!
//! One step that changes a resource several times makes one event of it. Of one resource they are in order; of a service its
//! deployments come first, then what it says, the oldest first.

mod daemons;
mod detail;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;
use state::{
    Row as _,
    contract::{self, Event, Tells},
};

use crate::{
    arn,
    cluster::{
        Change, Cluster, ContainerRow, DeploymentControllerType, DeploymentRow, InstanceId, InstanceRow, Row,
        ServiceDeploymentRow, ServiceEventRow, ServiceRow, ServiceStatus, TaskRow, Txn,
    },
    placement::Refused,
    rows::DeploymentRolloutState as Rollout,
    service::events::{Said, said},
};

const TASK: &str = "ECS Task State Change";
const INSTANCE: &str = "ECS Container Instance State Change";
const DEPLOYMENT: &str = "ECS Deployment State Change";
const ACTION: &str = "ECS Service Action";
const HOOK: &str = "ECS Hook State Change";

/// How many rows, and how many bytes of them, announcing a change takes at the most: the event, that of a task's
/// container instance with its row, those of a service's deployment and desired count, and as many events that are lost
/// for them.
pub fn room(state: &Cluster, change: &Change) -> (usize, usize) {
    match change {
        Change::Put(Row::Task(row)) => {
            let host = row.instance.as_ref().and_then(|id| state.instance(id));
            let impaired = if row.daemon.is_some() { (1, 2 * 1024) } else { (0, 0) };
            (5 + impaired.0, 2 * row.weight() + 3 * host.map_or(0, |host| host.weight()) + impaired.1)
        }
        Change::Put(Row::Instance(row)) => (3, 3 * row.weight()),
        Change::Put(Row::Service(_)) => (4, 4 * 1024),
        Change::Put(Row::ServiceEvent(_) | Row::Daemon(_) | Row::DaemonDeployment(_)) => (2, 2 * 1024),
        Change::Put(Row::ServiceDeployment(row)) => {
            let hooks = row.stage.as_ref().map_or(0, |stage| stage.hooks.len());
            (2 * hooks, 2 * 1024 * hooks)
        }
        _ => (0, 0),
    }
}

/// Says what the rows that a step has changed since `before` make worth saying.
pub fn announce(txn: &mut Txn, before: &Cluster) {
    let (mut tasks, mut hosts, mut services) = (Vec::new(), BTreeSet::new(), Vec::new());
    let (mut fresh, mut hooked) = (Vec::new(), Vec::new());
    let mut of_daemons = daemons::Changed::default();
    for change in txn.changes() {
        match change {
            Change::Put(Row::Task(row)) => {
                hosts.extend(row.instance);
                if before.task(&row.id).is_none_or(|old| task_differs(old, row)) {
                    tasks.push(row.clone());
                }
                of_daemons.task(before, row);
            }
            Change::Put(Row::Instance(row)) => drop(hosts.insert(row.id)),
            Change::Put(Row::Service(row)) => services.push(row.clone()),
            Change::Put(Row::ServiceDeployment(row)) => {
                hooked.extend(row.stage.as_ref().map(|_| row.clone()));
            }
            Change::Put(Row::ServiceEvent(row)) => {
                let known = before.service_event(&row.service, row.number);
                if known.is_none_or(|known| known.id != row.id) {
                    fresh.push(row.clone());
                }
            }
            Change::Put(Row::Daemon(row)) => of_daemons.daemon(before, row),
            Change::Put(Row::DaemonDeployment(row)) => of_daemons.deployment(before, row),
            _ => {}
        }
    }
    let mut events: Vec<Event> = tasks.iter().map(|row| of_task(txn, row)).collect();
    for id in hosts {
        events.extend(of_instance(txn, before, &id));
    }
    for row in services {
        of_service(txn, before.service(&row.name).map(AsRef::as_ref), &row, &mut events);
    }
    for row in hooked {
        of_hooks(txn, before, &row, &mut events);
    }
    events.extend(fresh.iter().filter_map(|row| of_what_was_said(txn, row)));
    events.extend(of_daemons.events(txn));
    contract::tell(txn, events);
}

fn event(detail_type: &'static str, about: String, detail: Value) -> Event {
    Event { source: contract::ECS, detail_type, resources: vec![about], detail }
}

fn task_differs(old: &TaskRow, new: &TaskRow) -> bool {
    let statuses = |row: &TaskRow| (row.last, row.desired);
    let of = |container: &ContainerRow| container.status;
    statuses(old) != statuses(new) || !old.containers.iter().map(of).eq(new.containers.iter().map(of))
}

fn of_task(txn: &Txn, row: &TaskRow) -> Event {
    let about = arn::task(txn.ctx, &txn.state.row.name, row.id);
    event(TASK, about, detail::task(txn.state, txn.ctx, row))
}

/// A container instance that is another one by its row, or by what tasks leave of it. Its version tells events apart,
/// so it rises in both cases.
fn of_instance(txn: &mut Txn, before: &Cluster, id: &InstanceId) -> Option<Event> {
    let row = txn.state.instance(id)?.clone();
    let old = before.instance(id);
    let used = |state: &Cluster| state.usage(id).map(|usage| usage.used.clone()).unwrap_or_default();
    if old.is_some_and(|old| !instance_differs(old, &row)) && used(before) == used(txn.state) {
        return None;
    }
    let row = match old.is_some_and(|old| old.version == row.version) {
        true => {
            let row = Arc::new(InstanceRow { version: row.version + 1, ..row.as_ref().clone() });
            txn.record(Change::Put(Row::Instance(row.clone())));
            row
        }
        false => row,
    };
    let about = arn::container_instance(txn.ctx, &txn.state.row.name, id);
    Some(event(INSTANCE, about, detail::instance(txn.state, txn.ctx, &row)))
}

fn instance_differs(old: &InstanceRow, new: &InstanceRow) -> bool {
    (old.status, old.agent_connected) != (new.status, new.agent_connected)
        || old.registered != new.registered
        || old.attributes != new.attributes
        || old.version_info != new.version_info
        || old.ec2_instance_id != new.ec2_instance_id
}

/// Its deployments, and what a daemon wants.
fn of_service(txn: &Txn, old: Option<&ServiceRow>, new: &ServiceRow, events: &mut Vec<Event>) {
    let about = || arn::service(txn.ctx, &txn.state.row.name, &new.name.0);
    // Task sets are no deployments of ours.
    let ours = new.deployments.iter().filter(|_| new.controller == DeploymentControllerType::Ecs);
    for deployment in ours.rev() {
        let known = old.and_then(|old| old.deployments.iter().find(|known| known.id == deployment.id));
        let detail = of_rollout(known, deployment).map(|said| detail::deployment(txn, said, deployment));
        events.extend(detail.map(|detail| event(DEPLOYMENT, about(), detail)));
    }
    let counted = |old: &ServiceRow| new.daemon() && old.desired_count != new.desired_count;
    if new.status == ServiceStatus::Active && old.is_some_and(counted) {
        let said = ("INFO", "SERVICE_DESIRED_COUNT_UPDATED", None);
        events.push(event(ACTION, about(), detail::action(txn, said, txn.now())));
    }
}

/// The hooks of a deployment.
fn of_hooks(txn: &Txn, before: &Cluster, row: &ServiceDeploymentRow, events: &mut Vec<Event>) {
    let old = before.service_deployment_by_number(&(row.service.clone(), row.number));
    let old = old.and_then(|old| old.stage.as_ref()).map(|stage| stage.hooks.as_slice()).unwrap_or_default();
    let about = arn::service_deployment(txn.ctx, &txn.state.row.name, &row.service.0, &row.id);
    for hook in row.stage.iter().flat_map(|stage| &stage.hooks) {
        if !old.iter().any(|old| old.id == hook.id && old.status == hook.status) {
            events.push(event(HOOK, about.clone(), detail::hook(txn, row, hook)));
        }
    }
}

fn of_what_was_said(txn: &Txn, row: &ServiceEventRow) -> Option<Event> {
    let said = said(row)?;
    let action = match said {
        Said::Steady => ("INFO", "SERVICE_STEADY_STATE", None),
        Said::TaskSetSteady(_) => ("INFO", "TASKSET_STEADY_STATE", None),
        Said::Stopped => ("INFO", "TASKS_STOPPED", None),
        Said::StartedInZone => ("INFO", "TASKS_STARTED", None),
        Said::OutOfBalance => ("INFO", "SERVICE_REBALANCING_STARTED", None),
        Said::InBalance => ("INFO", "SERVICE_REBALANCING_COMPLETED", None),
        Said::UnplacedInZone => ("ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", None),
        Said::Impaired => ("WARN", "SERVICE_TASK_START_IMPAIRED", None),
        Said::Unplaced(why) => ("ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", Some(Refused::reason_in(why))),
    };
    let (cluster, service) = (&txn.state.row.name, &row.service.0);
    let mut detail = detail::action(txn, action, row.at);
    if let Said::TaskSetSteady(set) = said {
        detail["taskSetArns"] = vec![arn::task_set(txn.ctx, cluster, service, set)].into();
    }
    Some(event(ACTION, arn::service(txn.ctx, cluster, service), detail))
}

/// The type and name of the event of a deployment.
fn of_rollout(old: Option<&DeploymentRow>, new: &DeploymentRow) -> Option<(&'static str, &'static str)> {
    if old.is_some_and(|old| old.rollout == new.rollout) {
        return None;
    }
    match new.rollout {
        Rollout::InProgress => Some(("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS")),
        Rollout::Completed => Some(("INFO", "SERVICE_DEPLOYMENT_COMPLETED")),
        Rollout::Failed => Some(("ERROR", "SERVICE_DEPLOYMENT_FAILED")),
    }
}

/// How many events of a cluster wait, and how many were lost as nobody took them.
pub fn waiting(state: &Cluster) -> (usize, u64) {
    let outgoing = state.outgoing();
    (outgoing.len(), outgoing.sequence().unwrap_or_default().lost)
}
