//! How schedules and groups end: by their own wish when they are complete, or with their group.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-delete.html>

use crate::{Txn, rows::ScheduleId, state::Mark, table::Key};

/// A schedule that is complete and deletes itself goes once no run of it is on its way; runs of one that is gone go.
pub fn schedule(txn: &mut Txn, id: ScheduleId) {
    let row = txn.state.schedule(&id).cloned();
    let current = row.as_ref().map(|row| row.uid);
    let void = txn.state.invocations_of(&id).filter(|run| Some(run.uid) != current);
    let void: Vec<_> = void.take(state::limits::STEP_CHANGES + 1).map(|run| run.id).collect();
    for run in void {
        if txn.full() {
            return txn.mark(Mark::Schedule(id));
        }
        txn.delete(Key::Invocation(run));
    }
    let Some(row) = row.filter(|row| row.delete_after && row.is_complete()) else { return };
    if !txn.state.invocations_of(&id).any(|run| run.uid == row.uid) {
        txn.delete(Key::Schedule(id));
    }
}

/// The schedules of a group that is DELETING go, and then it goes itself.
pub fn group(txn: &mut Txn, name: String) {
    if !txn.state.group(&name).is_some_and(|row| row.deleting) {
        return;
    }
    let schedules = txn.state.schedules_of(&name, "", "");
    let schedules: Vec<_> = schedules.take(state::limits::STEP_CHANGES).map(|row| row.id.clone()).collect();
    for id in schedules {
        txn.delete(Key::Schedule(id));
        if txn.full() {
            return txn.mark(Mark::Group(name));
        }
    }
    txn.delete(Key::Group(name));
}
