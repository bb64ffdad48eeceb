//! What Roadstead does beyond AWS, asked for by tags: of a target's `EcsParameters`, or of the group for all of its
//! schedules. Off unless asked for.

use scheduler_model::errors;
use wire::Error;

use crate::{
    limits,
    rows::{ScheduleRow, TargetRow},
    state::Scheduler,
};

/// How many runs of a schedule may go on at a time. A run that finds no room waits for it, until the next one is due.
pub const CONCURRENCY: &str = "roadstead:concurrency";
/// `true`: a run whose tasks find no room on any host is retried by the retry policy. On AWS it counts as done.
pub const RETRY_WITHOUT_CAPACITY: &str = "roadstead:retry-without-capacity";

/// Whether a tag is meant for Scheduler, and not for the tasks.
pub fn is_own(key: &str) -> bool {
    matches!(key, CONCURRENCY | RETRY_WITHOUT_CAPACITY)
}

/// Checks a tag that is ours.
///
/// # Errors
/// `ValidationException` for a value that it cannot have, or a key of ours that means nothing.
pub fn check(key: &str, value: &str) -> Result<(), Error> {
    let fits = match key {
        CONCURRENCY => limit(value).is_some(),
        RETRY_WITHOUT_CAPACITY => matches!(value, "true" | "false"),
        _ => !key.starts_with("roadstead:"),
    };
    if fits {
        return Ok(());
    }
    Err(errors::validation(match key {
        CONCURRENCY => format!("The tag {CONCURRENCY} is a number from 1 to {}.", limits::CONCURRENCY),
        RETRY_WITHOUT_CAPACITY => format!("The tag {RETRY_WITHOUT_CAPACITY} is true or false."),
        _ => format!("The tag {key} means nothing to Roadstead."),
    }))
}

/// How many runs of the schedule may go on at a time.
pub fn concurrency(state: &Scheduler, row: &ScheduleRow) -> Option<u32> {
    value(state, row, CONCURRENCY).and_then(limit)
}

/// Whether a run is retried whose tasks find no room.
pub fn retries_without_capacity(state: &Scheduler, row: &ScheduleRow) -> bool {
    value(state, row, RETRY_WITHOUT_CAPACITY) == Some("true")
}

/// The target's own tag goes before the group's. Only what starts tasks by `EcsParameters` has either.
fn value<'a>(state: &'a Scheduler, row: &'a ScheduleRow, key: &str) -> Option<&'a str> {
    let target: &TargetRow = &row.target;
    target.tasks()?;
    target.tag(key).or_else(|| state.group(&row.id.group)?.tags.get(key).map(String::as_str))
}

fn limit(value: &str) -> Option<u32> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|most| digits && (1..=limits::CONCURRENCY).contains(most))
}
