//! Service events in ECS's words.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>

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
    let message = format!("(service {}) {text}", service.name);
    let since = txn.ctx.now.plus_millis(-limits::EVENT_REPEATED_MS);
    let steady = |event: &&EventRow| event.message.ends_with("has reached a steady state.");
    let recent = service.events.iter().take_while(|event| event.at > since && !steady(event));
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
