//! When a schedule runs next.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>

use state::schedule::Timetable;
use wire::Timestamp;

use crate::rows::{NextRun, ScheduleRow};

/// The first run of a schedule that is made or enabled at `now`. A one-time schedule whose time has passed runs at
/// once, if it has not run yet: "the schedule may immediately invoke its target" (guide, troubleshooting).
pub fn first(row: &ScheduleRow, now: Timestamp) -> Option<NextRun> {
    let table = row.timetable().filter(|_| row.enabled)?;
    if !table.expression.is_one_time() {
        let after = now.plus_millis(-1);
        return after_run(&table, row.last.map_or(after, |last| last.max(after)));
    }
    let run = table.next_after(Timestamp(i64::MIN))?;
    row.last.is_none_or(|last| last < run).then(|| NextRun { run, at: run.max(now) })
}

/// The first run after one.
pub fn after_run(table: &Timetable, run: Timestamp) -> Option<NextRun> {
    table.next_after(run).map(|run| NextRun { run, at: run })
}

/// The next run of a schedule that was updated at `now`. What has run does not run again because a description was
/// changed; a rate begins anew where its expression has changed.
pub fn updated(old: &ScheduleRow, new: &mut ScheduleRow, now: Timestamp) {
    let same =
        (&old.expression, &old.zone, old.start, old.end) == (&new.expression, &new.zone, new.start, new.end);
    if (&old.expression, old.start) != (&new.expression, new.start) {
        new.anchor = now;
    }
    if (&old.expression, &old.zone) != (&new.expression, &new.zone) {
        new.last = None;
    }
    new.next = match (same && old.enabled, new.enabled) {
        (_, false) => None,
        // What is due and was not looked at yet stays due.
        (true, true) => old.next,
        (false, true) => first(new, now),
    };
}
