//! Service events in ECS's words.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>

use std::collections::BTreeMap;

use wire::Timestamp;

use crate::{
    cluster::{
        DeploymentId, InstanceId, ServiceEventRow, ServiceName, ServiceRow, TaskId, Txn, Writes, tally::Zone,
    },
    limits,
    placement::NO_CAPACITY,
};

/// What is said once a service has what it wants.
pub const STEADY: &str = "has reached a steady state.";
/// What is said of a back-off.
pub const IMPAIRED: &str = "is unable to consistently start tasks successfully.";
const UNPLACED: &str = "was unable to place a task because ";
const UNPLACED_ON_FARGATE: &str = "was unable to place a task. Reason: ";
const STOPPED: &str = "has stopped ";
const STARTED: &str = "has started ";
const IN_BALANCE: &str = "is AZ balanced with ";
const OUT_OF_BALANCE: &str = "is not AZ balanced with ";
const NOT_IN_ZONE: &str = "is unable to place a task in ";
const NO_INSTANCE: &str = " because no container instance met all of its requirements.";
const TASK_SET: &str = ", taskSet ";

/// What an event says, where it is one that services send to the event bus too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    Steady,
    /// A task set is.
    TaskSetSteady(DeploymentId),
    Impaired,
    /// For this reason.
    Unplaced(&'a str),
    /// In a zone that has room for none.
    UnplacedInZone,
    Stopped,
    /// For its balance over zones.
    StartedInZone,
    InBalance,
    OutOfBalance,
}

/// What an event of a service says.
pub fn said(event: &ServiceEventRow) -> Option<Said<'_>> {
    let rest = event.message.strip_prefix("(service ")?.strip_prefix(&*event.service.0)?;
    let (of, text) = rest.split_once(") ")?;
    let set = of.strip_prefix(TASK_SET).and_then(|id| id.parse().ok());
    match text {
        _ if set.is_none() && !of.is_empty() => None,
        STEADY => Some(set.map_or(Said::Steady, Said::TaskSetSteady)),
        text if text.starts_with(IMPAIRED) => Some(Said::Impaired),
        text if text.starts_with(STOPPED) => Some(Said::Stopped),
        text if text.starts_with(STARTED) && text.contains(" to AZ Rebalance: ") => Some(Said::StartedInZone),
        text if text.starts_with(IN_BALANCE) => Some(Said::InBalance),
        text if text.starts_with(OUT_OF_BALANCE) => Some(Said::OutOfBalance),
        text if text.starts_with(NOT_IN_ZONE) && text.ends_with(NO_INSTANCE) => Some(Said::UnplacedInZone),
        text if text.starts_with(UNPLACED_ON_FARGATE) => Some(Said::Unplaced(NO_CAPACITY)),
        text => text.strip_prefix(UNPLACED).map(Said::Unplaced),
    }
}

/// Adds an event to what a service has said; the oldest one goes for it once there are 100.
pub fn add(txn: &mut Txn, service: &ServiceName, text: &str) {
    add_of(txn, service, None, text);
}

/// Likewise, of a task set where one is named.
pub fn add_of(txn: &mut Txn, service: &ServiceName, set: Option<DeploymentId>, text: &str) {
    let message = message(service, set, text);
    put(txn, service, message);
}

fn put(txn: &mut Txn, service: &ServiceName, message: String) {
    txn.take_over(service);
    let (id, at) = (txn.ids.uuid(), txn.now());
    let number = txn.state.next_service_event(service);
    txn.put(ServiceEventRow { service: service.clone(), number, id, at, message });
    while let Some(oldest) = txn.state.surplus_service_event(service) {
        txn.delete(oldest);
    }
}

/// Adds an event, of a task set where one is named, unless the same one was the last of its kind within six hours.
pub fn add_once(txn: &mut Txn, service: &ServiceName, set: Option<DeploymentId>, text: &str) {
    let since = txn.ctx.now.plus_millis(-limits::EVENT_REPEATED_MS);
    add_once_since(txn, service, set, since, text);
}

/// Says once of the PRIMARY deployment that the percentages leave no way to replace tasks.
pub fn add_blocked(txn: &mut Txn, service: &ServiceRow) {
    let text = "was unable to stop or start tasks during a deployment because of the service deployment configuration. \
                Update the minimumHealthyPercent or maximumPercent value and try again.";
    // Was the clock set back since it was made, what is said now is not later than that: all that is remembered counts.
    let made = service.deployments.first().map_or(txn.ctx.now, |primary| primary.created_at);
    let since = if made <= txn.ctx.now { made } else { Timestamp(i64::MIN) };
    add_once_since(txn, &service.name, None, since, text);
}

/// Adds an event unless the same one is there since then and since the last steady state: no other is looked at.
fn add_once_since(
    txn: &mut Txn,
    service: &ServiceName,
    set: Option<DeploymentId>,
    since: Timestamp,
    text: &str,
) {
    let message = message(service, set, text);
    let steady = |event: &ServiceEventRow| event.message.ends_with(STEADY);
    let events = txn.state.service_events(service);
    let is_said =
        events.take_while(|event| event.at >= since && !steady(event)).any(|event| event.message == message);
    if !is_said {
        put(txn, service, message);
    }
}

fn message(service: &ServiceName, set: Option<DeploymentId>, text: &str) -> String {
    match set {
        Some(set) => format!("(service {service}{TASK_SET}{set}) {text}"),
        None => format!("(service {service}) {text}"),
    }
}

/// `was unable to place a task because …`
pub fn unplaced(why: &str) -> String {
    match why {
        NO_CAPACITY => format!("{UNPLACED_ON_FARGATE}{why}."),
        _ => format!("{UNPLACED}{why}"),
    }
}

/// `has started 2 tasks: (task a) (task b).`
pub fn started(tasks: &[TaskId]) -> String {
    format!("{STARTED}{} tasks: {}.", tasks.len(), names(tasks))
}

/// `has stopped 2 running tasks: (task a) (task b).`
pub fn stopped(tasks: &[TaskId]) -> String {
    format!("{STOPPED}{} running tasks: {}.", tasks.len(), names(tasks))
}

/// `is not AZ balanced with 3 tasks in a and 1 tasks in b. AZ Rebalancing in progress.`
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing-event-messages-list.html>
pub fn out_of_balance(zones: &BTreeMap<Zone, usize>) -> String {
    format!("{OUT_OF_BALANCE}{}. AZ Rebalancing in progress.", counts(zones))
}

/// `is AZ balanced with 2 tasks in a, 2 tasks in b, and 1 tasks in c.`
pub fn in_balance(zones: &BTreeMap<Zone, usize>) -> String {
    format!("{IN_BALANCE}{}.", counts(zones))
}

/// `has started 2 tasks in a to AZ Rebalance: (task x) (task y).`
pub fn started_in(zone: &str, tasks: &[TaskId]) -> String {
    format!("{STARTED}{} tasks in {zone} to AZ Rebalance: {}.", tasks.len(), names(tasks))
}

/// `has stopped 2 running tasks in a due to AZ rebalancing: (task x) (task y).`
pub fn stopped_in(zone: &str, tasks: &[TaskId]) -> String {
    format!("{STOPPED}{} running tasks in {zone} due to AZ rebalancing: {}.", tasks.len(), names(tasks))
}

/// `is unable to place a task in a because no container instance met all of its requirements.`
pub fn unplaced_in(zone: &str) -> String {
    format!("{NOT_IN_ZONE}{zone}{NO_INSTANCE}")
}

/// The same of several zones.
pub fn unplaced_in_all(zones: &[Zone]) -> String {
    let named: Vec<&str> = zones.iter().take(limits::REFUSED_NAMED).map(|zone| &**zone).collect();
    let more = if named.len() < zones.len() { " and others" } else { "" };
    unplaced_in(&(named.join(", ") + more))
}

/// Whether it is said of zones, and not of the service.
pub fn is_of_zones(why: &str) -> bool {
    why.starts_with(NOT_IN_ZONE)
}

/// `has started 1 tasks to empty (container-instance a): (task x).`
pub fn started_to_empty(host: &InstanceId, task: &TaskId) -> String {
    format!("{STARTED}1 tasks to empty (container-instance {host}): (task {task}).")
}

/// `has stopped 1 running tasks to empty (container-instance a): (task x).`
pub fn stopped_to_empty(host: &InstanceId, task: &TaskId) -> String {
    format!("{STOPPED}1 running tasks to empty (container-instance {host}): (task {task}).")
}

fn counts(zones: &BTreeMap<Zone, usize>) -> String {
    let mut each: Vec<String> =
        zones.iter().map(|(zone, tasks)| format!("{tasks} tasks in {zone}")).collect();
    match each.len() {
        0..=2 => each.join(" and "),
        more => {
            each[more - 1].insert_str(0, "and ");
            each.join(", ")
        }
    }
}

fn names(tasks: &[TaskId]) -> String {
    tasks.iter().map(|id| format!("(task {id})")).collect::<Vec<_>>().join(" ")
}
