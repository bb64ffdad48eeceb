//! Tasks that wait for the capacity of a provider which grows: they are PROVISIONING until there is room, or for too long.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-scaling-behavior.html>

use crate::{
    capacity::distribution,
    cluster::{InstanceId, Mark, TaskId, TaskRow, TaskStatus, Txn, Writes},
    limits, placement, service,
};

use super::{
    lifecycle::{self, Happening},
    run,
};

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

/// A task has waited for as long as one does: it fails, if there is still no room.
pub fn waited(txn: &mut Txn, id: &TaskId) {
    let Some(task) = txn.state.task(id).filter(|task| task.is_provisioning()).cloned() else { return };
    let found = asks(txn, id).map(|(_, request)| placement::place(&mut txn.state, &request, txn.ids));
    let reason = match found {
        Some(Ok(host)) => return assign(txn, id, host),
        Some(Err(refused)) => refused.reason(),
        // What it asks for is not known any more.
        None => "Task failed to start",
    };
    let happening = Happening::NotProvisioned { reason: reason.to_owned() };
    let after = txn.put_task(lifecycle::step(&task, &happening, txn.now()));
    service::task_stopped(txn, &task, &after);
    txn.trim();
}

/// Whether another task may wait.
pub fn may_wait(txn: &Txn) -> bool {
    txn.state.provisioning() < limits::PROVISIONING_TASKS
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
    txn.put_task(row);
}
