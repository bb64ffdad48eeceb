//! The clock was set back, perhaps while nothing ran here. Set back by a little, it repeats no run; by more than
//! [`SET_BACK_MS`], it was wrong before, and schedules go on from what it says now.
//!
//! [`SET_BACK_MS`]: limits::SET_BACK_MS

use wire::Timestamp;

use crate::{
    Txn, limits,
    plan::timer,
    rows::{FailureRow, InvocationRow, ScheduleRow, TokenRow},
    table::Key,
};

/// A row that waits for longer than one of its kind ever does waits for a time that never was.
pub fn set_back(txn: &mut Txn, key: Key) {
    let now = txn.now();
    match key {
        Key::Schedule(id) => {
            let Some(row) = txn.state.schedule(&id).cloned() else { return };
            if let Some(row) = schedule(&row, now) {
                txn.put(row);
            }
        }
        Key::Invocation(id) => {
            let Some(run) = txn.state.invocation(&id).cloned() else { return };
            let window = txn.state.schedule_of(&run).and_then(|row| row.window).unwrap_or(0);
            let ahead = run.not_before.millis_since(now.plus_millis(longest(&run, window)));
            if ahead > 0 {
                let back = |at: Timestamp| at.plus_millis(-ahead);
                let (at, ends, not_before) = (back(run.at), back(run.ends), back(run.not_before));
                txn.put(InvocationRow { at, ends, not_before, ..run.as_ref().clone() });
            }
        }
        Key::Failure(id) => {
            let Some(row) = txn.state.failure(&id).cloned() else { return };
            let forget_at = row.forget_at.min(now.plus_millis(limits::FAILURE_KEPT_MS));
            if forget_at != row.forget_at {
                txn.put(FailureRow { forget_at, ..row.as_ref().clone() });
            }
        }
        Key::Token(token) => {
            let Some(row) = txn.state.token(&token).cloned() else { return };
            let forget_at = row.forget_at.min(now.plus_millis(limits::TOKEN_KEPT_MS));
            if forget_at != row.forget_at {
                txn.put(TokenRow { forget_at, ..row.as_ref().clone() });
            }
        }
        Key::Group(_) => {}
    }
}

/// The schedule as it goes on; `None` where nothing is wrong with it.
fn schedule(row: &ScheduleRow, now: Timestamp) -> Option<ScheduleRow> {
    let table = row.timetable()?;
    let one_time = table.expression.is_one_time();
    let latest = now.plus_millis(limits::SET_BACK_MS);
    let ran_ahead = row.last.is_some_and(|last| last > latest) && !one_time;
    let begins_ahead = row.anchor > latest && row.start.is_none();
    if !ran_ahead && !begins_ahead {
        return None;
    }
    let mut row = row.clone();
    row.anchor = row.anchor.min(now);
    row.last = row.last.map(|last| last.min(now));
    row.next = if one_time { row.next } else { timer::after_run(&row.timetable()?, now) };
    Some(row)
}

/// The longest that a run waits before it is called or looked at, in milliseconds; `window` is its schedule's, in
/// minutes.
fn longest(run: &InvocationRow, window: u16) -> i64 {
    match (run.waits, run.attempts) {
        (_, 0) if run.not_before == run.at => i64::from(window) * 60_000,
        (true, _) => limits::ROOM_RETRY_MS,
        (false, 0) => 0,
        (false, _) => limits::BACKOFF_LONGEST_MS,
    }
}
