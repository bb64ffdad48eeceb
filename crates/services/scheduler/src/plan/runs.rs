//! Runs begin: what is due becomes a row that waits in the outbox, in one step with the time of the next run. So no
//! run is lost and none begins twice, whenever the process dies.
//!
//! What came due while nothing ran here runs late, each run for itself, as long as it is not older than the
//! schedule's `MaximumEventAgeInSeconds`; what is older is recorded as failed.

use state::Id128;
use wire::Timestamp;

use crate::{
    Txn, limits,
    plan::{call, outcome, tags, timer},
    rows::{ErrorRow, InvocationRow, NextRun, ScheduleId, ScheduleRow},
    table::Key,
};

/// When a run has to be looked at: for room, or long after its end, if nobody tells what came of it.
pub fn looked_at(run: &InvocationRow) -> Timestamp {
    if run.waits { run.not_before } else { run.ends.plus_millis(limits::LATE_MS) }
}

/// The time of a schedule has come.
pub fn due(txn: &mut Txn, id: &ScheduleId) {
    let Some(row) = txn.state.schedule(id).cloned() else { return };
    let mut row = row.as_ref().clone();
    let now = txn.now();
    let Some(table) = row.timetable() else {
        // Only a row of another program's making; it is left alone.
        row.next = None;
        return txn.put(row);
    };
    let oldest = now.plus_millis(-row.target.max_age_ms());
    let mut begun = 0;
    while let Some(next) = row.next.filter(|next| next.at <= now)
        && begun < limits::RUNS_A_STEP
        && !txn.full()
    {
        begun += 1;
        if next.at < oldest {
            let until = oldest.plus_millis(-1);
            let missed = table.runs_between(next.run.plus_millis(-1), until);
            let last = missed.map_or(next.run, |missed| missed.last);
            record_missed(txn, &row, last, missed.map_or(1, |missed| missed.count));
            row.last = Some(last);
            row.next = timer::after_run(&table, last.max(until));
        } else {
            let at = table.invocation(next.at, txn.ids.seed());
            begin(txn, &row, next, at);
            row.last = Some(next.run);
            row.next = timer::after_run(&table, next.run);
        }
    }
    txn.put(row);
}

fn begin(txn: &mut Txn, row: &ScheduleRow, next: NextRun, at: Timestamp) {
    let run = InvocationRow {
        id: txn.ids.id(),
        schedule: row.id.clone(),
        uid: row.uid,
        run: next.run,
        at,
        ends: at.plus_millis(row.target.max_age_ms()),
        not_before: at,
        waits: tags::concurrency(txn.state, row).is_some(),
        attempts: 0,
        refused: 0,
        left: None,
        error: None,
    };
    if txn.state.invocation_count() >= limits::INVOCATIONS {
        let error =
            error("Roadstead.TooManyInvocations", "Too many invocations of schedules wait or are retried.");
        return outcome::record(txn, row, &run, error, None);
    }
    txn.put(run);
}

fn record_missed(txn: &mut Txn, row: &ScheduleRow, last: Timestamp, runs: u64) {
    let run = InvocationRow {
        id: txn.ids.id(),
        schedule: row.id.clone(),
        uid: row.uid,
        run: last,
        at: last,
        ends: last,
        not_before: last,
        waits: false,
        attempts: 0,
        refused: 0,
        left: None,
        error: None,
    };
    let missed = error("Roadstead.Missed", "The control plane did not run at the scheduled time.");
    outcome::record_many(txn, row, &run, runs, missed, Some(outcome::AGE));
}

/// A run that waits for room looks for it, or one is over whose outcome nobody told.
pub fn look(txn: &mut Txn, id: Id128) {
    let Some(run) = txn.state.invocation(&id).cloned() else { return };
    let Some(row) = txn.state.schedule_of(&run).cloned() else {
        return txn.delete(Key::Invocation(id));
    };
    let now = txn.now();
    if now > run.ends || !run.waits {
        let none = || error("Roadstead.NoRoom", "As many earlier runs went on as may run at a time.");
        let untold = || error("Roadstead.NotCarriedOut", "The invocation was not carried out in time.");
        let error = run.error.clone().unwrap_or_else(if run.waits { none } else { untold });
        return outcome::fail(txn, &row, &run, error, Some(outcome::AGE));
    }
    let room = tags::concurrency(txn.state, &row).is_none_or(|most| going_on(txn, &row) < most as usize);
    if !room {
        overtake(txn, &row, &run);
    }
    let not_before = if room { now } else { now.plus_millis(limits::ROOM_RETRY_MS) };
    txn.put(InvocationRow { waits: !room, not_before, ..run.as_ref().clone() });
}

/// How many runs of a schedule go on: by their tasks, and those whose call is on its way.
fn going_on(txn: &Txn, row: &ScheduleRow) -> usize {
    let tasks = usize::try_from(row.target.tasks().unwrap_or(1)).unwrap_or(1).max(1);
    let running = txn.ports.running(&row.target.arn, &call::started_by(&row.id.name));
    let called = txn.state.invocations_of(&row.id).filter(|run| run.uid == row.uid && !run.waits);
    running.div_ceil(tasks) + called.count()
}

/// One run at most waits for room: a later one takes the place of an earlier.
fn overtake(txn: &mut Txn, row: &ScheduleRow, run: &InvocationRow) {
    let earlier = |other: &&std::sync::Arc<InvocationRow>| {
        other.waits && other.uid == run.uid && (other.at, other.id) < (run.at, run.id)
    };
    let earlier: Vec<_> = txn.state.invocations_of(&row.id).filter(earlier).cloned().collect();
    for other in earlier {
        let text = "The next run was due before an earlier one had ended.";
        outcome::fail(txn, row, &other, error("Roadstead.NoRoom", text), None);
    }
}

fn error(code: &str, message: &str) -> ErrorRow {
    ErrorRow { code: code.to_owned(), message: message.to_owned() }
}
