//! Tasks that wait for the capacity of a provider which grows, or as a tag of their RunTask asks: they are PROVISIONING until
//! there is room, or for too long. Those of a `startedBy` of which only so many may go on wait for their turn before that.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-scaling-behavior.html>

use crate::{
    beyond,
    capacity::distribution,
    cluster::{InstanceId, Mark, TaskId, TaskRow, TaskStatus, Txn, WaitRow, Writes},
    limits, network, placement, task,
};

use super::{
    lifecycle::{self, Happening},
    run,
};

/// Why one ends of which is not known any more what it asks for.
const UNKNOWN: &str = "Task failed to start";

/// Room came on a container instance: what waits for it is placed there, as much of it as fits.
pub fn room(txn: &mut Txn, host: &InstanceId) {
    let unknown: Vec<TaskId> = txn.state.provisioning_unknown().copied().collect();
    for id in unknown {
        if let Some((task, request)) = asks(txn, &id) {
            txn.state.provisions(&task, &request);
        }
    }
    while let Some(id) = txn.state.next_provisioning_for(host) {
        if txn.full() {
            // There is more: the same room is looked at again.
            return txn.mark(Mark::Room(*host, None));
        }
        assign(txn, &id, *host);
    }
}

/// Whether one more task of a `startedBy` may go on, of which so many may: nobody waits for that before it.
pub fn has_turn(txn: &Txn, started_by: Option<&str>, max_concurrent: Option<u32>) -> bool {
    let (Some(started_by), Some(most)) = (started_by, max_concurrent) else { return true };
    let going = u32::try_from(txn.state.going(started_by)).unwrap_or(u32::MAX);
    going < most && txn.state.next_turn(started_by).is_none()
}

/// Those of the tasks of a `startedBy` that wait for their turn have it, the oldest first, as far as they may.
pub fn turn(txn: &mut Txn, started_by: &str) {
    while let Some((id, most)) = txn.state.next_turn(started_by) {
        if txn.state.going(started_by) >= most {
            return;
        }
        if txn.full() {
            return txn.mark(Mark::Turn(started_by.to_owned()));
        }
        admit(txn, &id);
    }
}

/// A task has its turn: it goes on from now, also while there is no room for it.
fn admit(txn: &mut Txn, id: &TaskId) {
    let Some(task) = txn.state.task(id).cloned() else { return };
    let waits = task.waits.as_ref().map(|waits| Box::new(WaitRow { turn: None, ..waits.as_ref().clone() }));
    txn.put_task(TaskRow { waits, ..task.as_ref().clone() });
    let Some((task, request)) = asks(txn, id) else { return fails(txn, id, UNKNOWN) };
    match placement::place(txn.state, &request, txn.ids) {
        Ok(host) => assign(txn, id, host),
        Err(_) => txn.state.provisions(&task, &request),
    }
}

/// A task has waited for as long as one does: it fails, if there is still no room.
pub fn waited(txn: &mut Txn, id: &TaskId) {
    let Some(task) = txn.state.task(id).filter(|task| task.is_provisioning()).cloned() else { return };
    if task.waits.as_ref().is_some_and(|waits| waits.until > txn.now()) {
        // It was set aside, and waits on.
        txn.put_task(task.as_ref().clone());
        if let Some(started_by) = task.started_by.clone().filter(|_| task.awaits_turn()) {
            txn.mark(Mark::Turn(started_by));
        }
        return;
    }
    let found = asks(txn, id).map(|(_, request)| match task.awaits_turn() {
        true => Err(beyond::no_turn(txn.state, task.started_by.as_deref().unwrap_or_default())),
        false => placement::place(txn.state, &request, txn.ids).map_err(|why| why.reason().to_owned()),
    });
    match found {
        Some(Ok(host)) => assign(txn, id, host),
        Some(Err(reason)) => fails(txn, id, &reason),
        None => fails(txn, id, UNKNOWN),
    }
}

/// A task ends without a place.
fn fails(txn: &mut Txn, id: &TaskId, reason: &str) {
    let Some(task) = txn.state.task(id).cloned() else { return };
    let happening = Happening::NotProvisioned { reason: reason.to_owned() };
    let after = txn.put_task(lifecycle::step(&task, &happening, txn.now()));
    task::has_ended(txn, &task, &after);
}

/// How long it waits at the most, in milliseconds.
pub fn longest_ms(queue_seconds: Option<u32>) -> i64 {
    queue_seconds.map_or(limits::PROVISIONING_MS, |seconds| i64::from(seconds) * 1000)
}

/// Whether another task may wait: because a tag has it wait, or for its provider to grow.
pub fn may_wait(txn: &Txn, by_tag: bool) -> bool {
    txn.state.provisioning() < if by_tag { limits::QUEUED_TASKS } else { limits::PROVISIONING_TASKS }
}

/// A task that waits, and what it asks for.
fn asks(txn: &Txn, id: &TaskId) -> Option<(TaskRow, placement::Request)> {
    let task = txn.state.task(id).filter(|task| task.is_provisioning())?.as_ref().clone();
    let definition = txn.ports.account.task_definition(&task.task_definition)?;
    let request = distribution::of_waiting(&task, definition)?;
    Some((task, request))
}

fn assign(txn: &mut Txn, id: &TaskId, host: InstanceId) {
    let Some(task) = txn.state.task(id).filter(|task| task.is_provisioning()).cloned() else { return };
    let mut row = task.as_ref().clone();
    let gpus: u16 = row.containers.iter().map(|container| container.gpus).sum();
    row.needs.gpus = run::free_gpus(txn, &host).iter().take(gpus.into()).cloned().collect();
    row.instance = Some(host);
    row.last = TaskStatus::Pending;
    row.waits = None;
    network::on_host(txn, &mut row);
    txn.put_task(row);
}
