//! What becomes of a STOPPED task once the API shows it no longer: forgotten, or kept for a while for those who ask why it
//! stopped (`roadstead explain`).

use crate::{
    cluster::{Keeps, KeptTaskRow, Key, TaskId, TaskRow, Txn},
    limits,
};

/// The hour of a STOPPED task is over, or more of them are remembered than may be.
pub fn forget(txn: &mut Txn, id: &TaskId) {
    let Some(task) = txn.state.task(id).cloned() else { return };
    txn.delete(Key::Task(*id));
    let Some(Keeps { ms, count }) = txn.ports.keeps else { return };
    // None has stopped in the future: the clock was set back.
    let forget_at = task.stopped_at.unwrap_or(txn.now()).min(txn.now()).plus_millis(ms);
    if forget_at <= txn.now() || count == 0 {
        return;
    }
    txn.put(KeptTaskRow { task: TaskRow { forget_at: None, ..task.as_ref().clone() }, forget_at });
    for key in txn.state.surplus_kept(count) {
        txn.delete(key);
    }
}

/// The clock was set back: it is kept no longer than one is.
pub fn set_back(txn: &mut Txn, id: &TaskId) {
    let Some(row) = txn.state.kept_task(id).cloned() else { return };
    let most = txn.ports.keeps.map_or(limits::STOPPED_TASK_KEPT_MS, |keeps| keeps.ms);
    let forget_at = row.forget_at.min(txn.now().plus_millis(most));
    if forget_at != row.forget_at {
        txn.put(KeptTaskRow { forget_at, ..row.as_ref().clone() });
    }
}

#[cfg(test)]
mod tests;
