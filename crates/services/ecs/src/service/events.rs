//! Service events in ECS's words.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>

use wire::Timestamp;

use crate::{
    cluster::{EventRow, ServiceRow, TaskId, Txn},
    limits,
};

/// Adds an event to a service's list, newest first.
pub fn add(txn: &mut Txn, service: &mut ServiceRow, text: &str) {
    let message = format!("(service {}) {text}", service.name);
    service.events.insert(0, EventRow { id: txn.ids.uuid(), at: txn.ctx.now, message });
    service.events.truncate(limits::SERVICE_EVENTS);
}

/// Adds an event unless the same one was the last of its kind within six hours.
pub fn add_once(txn: &mut Txn, service: &mut ServiceRow, text: &str) {
    let since = txn.ctx.now.plus_millis(-limits::EVENT_REPEATED_MS);
    add_once_since(txn, service, since, text);
}

/// Says once of the PRIMARY deployment that the percentages leave no way to replace tasks.
pub fn add_blocked(txn: &mut Txn, service: &mut ServiceRow) {
    let text = "was unable to stop or start tasks during a deployment because of the service deployment configuration. \
                Update the minimumHealthyPercent or maximumPercent value and try again.";
    let since = service.deployments.first().map_or(txn.ctx.now, |primary| primary.created_at);
    add_once_since(txn, service, since, text);
}

/// Adds an event unless the same one is there since then and since the last steady state.
fn add_once_since(txn: &mut Txn, service: &mut ServiceRow, since: Timestamp, text: &str) {
    let message = format!("(service {}) {text}", service.name);
    let steady = |event: &&EventRow| event.message.ends_with("has reached a steady state.");
    let recent = service.events.iter().take_while(|event| event.at >= since && !steady(event));
    if !recent.into_iter().any(|event| event.message == message) {
        add(txn, service, text);
    }
}

/// `has started 2 tasks: (task a) (task b).`
pub fn started(tasks: &[TaskId]) -> String {
    format!("has started {} tasks: {}.", tasks.len(), names(tasks))
}

/// `has stopped 2 running tasks: (task a) (task b).`
pub fn stopped(tasks: &[TaskId]) -> String {
    format!("has stopped {} running tasks: {}.", tasks.len(), names(tasks))
}

fn names(tasks: &[TaskId]) -> String {
    tasks.iter().map(|id| format!("(task {id})")).collect::<Vec<_>>().join(" ")
}
