//! What became of a run. A success removes it; a refusal that may pass is retried by the schedule's retry policy; what
//! remains is recorded for people to see.
//! <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html>

use serde_json::Value;
use state::Id128;
use wire::{Error, Timestamp};

use crate::{
    Txn, limits,
    plan::{call, tags},
    rows::{ErrorRow, FailureRow, InvocationRow, ScheduleRow},
    table::Key,
};

/// The limit of a retry policy that was met, as a dead letter names it.
pub const AGE: &str = "MaximumEventAgeInSeconds";
/// Likewise.
pub const ATTEMPTS: &str = "MaximumRetryAttempts";

/// RunTask's reason where no agent is connected. AWS's hosts are, but of ours none is in the first moments of a control
/// plane, when what was missed while it was away is called; so such a run is retried, and not done.
const AWAY: &str = "AGENT";

/// A worker tells what came of a call.
pub fn carried_out(txn: &mut Txn, id: Id128, outcome: Result<Value, Error>) {
    let Some(run) = txn.state.invocation(&id).cloned() else { return };
    let Some(row) = txn.state.schedule_of(&run).cloned() else {
        return txn.delete(Key::Invocation(id));
    };
    let mut run = run.as_ref().clone();
    run.attempts = run.attempts.saturating_add(1);
    match outcome {
        Ok(reply) => match unplaced(&row, &run, &reply) {
            None => txn.delete(Key::Invocation(id)),
            Some((left, why)) if why.code == AWAY || tags::retries_without_capacity(txn.state, &row) => {
                run.left = Some(left);
                run.refused = run.refused.saturating_add(1);
                retry(txn, &row, run, why);
            }
            Some((_, why)) => fail(txn, &row, &run, why, None),
        },
        Err(error) => {
            let why = told(&error);
            // After a refusal nothing was done. After a fault that is not known: the next call has the same
            // token, unless it says another thing.
            if error.is_sender_fault() || call::tells_attempts(&row) {
                run.refused = run.refused.saturating_add(1);
            }
            if passes(&error) { retry(txn, &row, run, why) } else { fail(txn, &row, &run, why, None) }
        }
    }
}

/// Whether a refusal may pass: a fault of the service, or too many calls. Others "are permanent", and AWS does not
/// retry them (guide, dead-letter queues).
fn passes(error: &Error) -> bool {
    const BUSY: [&str; 3] = ["RequestLimitExceeded", "TooManyRequestsException", "SlowDown"];
    error.status() >= 500
        || error.status() == 429
        || error.code().starts_with("Throttl")
        || BUSY.contains(&error.code())
}

/// RunTask answers well though tasks found no room: how many, and why.
fn unplaced(row: &ScheduleRow, run: &InvocationRow, reply: &Value) -> Option<(i32, ErrorRow)> {
    let wanted = run.left.or(row.target.tasks())?;
    let failure = reply.get("failures")?.as_array()?.first()?;
    let text = |name: &str| failure.get(name).and_then(Value::as_str).unwrap_or_default();
    let started = reply.get("tasks").and_then(Value::as_array).map_or(0, Vec::len);
    let left = wanted.saturating_sub(i32::try_from(started).unwrap_or(i32::MAX));
    let message = match text("detail") {
        "" => format!("{left} of {wanted} tasks were not started."),
        detail => format!("{left} of {wanted} tasks were not started: {detail}"),
    };
    (left > 0).then(|| (left, bounded(text("reason"), &message)))
}

fn retry(txn: &mut Txn, row: &ScheduleRow, mut run: InvocationRow, why: ErrorRow) {
    let retries = run.attempts.saturating_sub(1);
    if i64::from(retries) >= i64::from(row.target.max_retries) {
        return fail(txn, row, &run, why, Some(ATTEMPTS));
    }
    let not_before = txn.now().plus_millis(backoff(retries, txn.ids.seed()));
    if not_before > run.ends {
        return fail(txn, row, &run, why, Some(AGE));
    }
    run.not_before = not_before;
    run.error = Some(why);
    txn.put(run);
}

/// The pause before the next retry, in milliseconds, when so many were made: it doubles, and where in its second
/// half it ends is chance, so that those who failed together do not come together again.
fn backoff(retries: u32, seed: u64) -> i64 {
    let longest =
        limits::BACKOFF_FIRST_MS.saturating_mul(1 << retries.min(20)).min(limits::BACKOFF_LONGEST_MS);
    let half = longest / 2;
    half + i64::try_from(seed % half.unsigned_abs().max(1)).unwrap_or(0)
}

/// A run is given up.
pub fn fail(txn: &mut Txn, row: &ScheduleRow, run: &InvocationRow, error: ErrorRow, exhausted: Option<&str>) {
    record(txn, row, run, error, exhausted);
    txn.delete(Key::Invocation(run.id));
}

/// Records a run that failed.
pub fn record(
    txn: &mut Txn,
    row: &ScheduleRow,
    run: &InvocationRow,
    error: ErrorRow,
    exhausted: Option<&str>,
) {
    record_many(txn, row, run, 1, error, exhausted);
}

/// Records runs that failed together; `run` is the last of them.
pub fn record_many(
    txn: &mut Txn,
    row: &ScheduleRow,
    run: &InvocationRow,
    runs: u64,
    error: ErrorRow,
    exhausted: Option<&str>,
) {
    let now: Timestamp = txn.now();
    txn.put(FailureRow {
        id: run.id,
        schedule_arn: row.arn.clone(),
        target_arn: row.target.arn.clone(),
        run: run.run,
        runs,
        failed_at: now,
        attempts: run.attempts,
        error,
        exhausted: exhausted.map(str::to_owned),
        forget_at: now.plus_millis(limits::FAILURE_KEPT_MS),
    });
    for key in txn.state.surplus() {
        txn.delete(key);
    }
}

fn told(error: &Error) -> ErrorRow {
    bounded(error.code(), error.message())
}

fn bounded(code: &str, message: &str) -> ErrorRow {
    ErrorRow { code: limits::cut(code, 128), message: limits::cut(message, limits::MESSAGE) }
}
