//! What comes of a delivery: it is done, tried again with growing delays, or given up and remembered.
//!
//! "By default, EventBridge retries sending the event for 24 hours and up to 185 times with an exponential back off
//! and jitter", <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>. Some errors
//! are not retried: no permission, or the target is gone,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>.

use serde_json::Value;
use state::Id128;
use wire::{Error, Timestamp};

use crate::{
    limits,
    rows::{DeadLetterRow, DeliveryRow, Key, TargetRow},
    state::Txn,
};

/// Why a call did not do what it should.
struct Failure {
    code: String,
    message: String,
    /// Whether it may succeed later.
    passes: bool,
}

/// A delivery was called with that outcome.
pub fn carried_out(txn: &mut Txn, id: Id128, outcome: Result<Value, Error>) {
    let Some(row) = txn.state.delivery(id).cloned() else { return };
    let operation = row.call.operation.as_str();
    let code = outcome.as_ref().err().map(|error| error.code().to_owned());
    match (operation, row.make_stream, code.as_deref()) {
        // Made now, or by an attempt whose answer was lost.
        ("PutLogEvents", true, None | Some("ResourceAlreadyExistsException")) => {
            let now = txn.now();
            return txn.put(DeliveryRow { make_stream: false, not_before: now, ..row.as_ref().clone() });
        }
        // The group is there or not: making the stream will tell.
        ("PutLogEvents", false, Some("ResourceNotFoundException")) if row.attempts < row.retries.max(1) => {
            let (now, attempts) = (txn.now(), row.attempts + 1);
            let next = DeliveryRow { make_stream: true, not_before: now, attempts, ..row.as_ref().clone() };
            return txn.put(next);
        }
        _ => {}
    }
    match failure(operation, outcome) {
        None => txn.delete(Key::Delivery(id)),
        Some(failure) => failed(txn, &row, failure),
    }
}

fn failure(operation: &str, outcome: Result<Value, Error>) -> Option<Failure> {
    let output = match outcome {
        Ok(output) => output,
        Err(error) => {
            let throttled = error.status() == 429
                || error.code().contains("Throttl")
                || error.code().contains("TooManyRequests")
                || error.code() == "LimitExceededException";
            let passes = throttled || !error.is_sender_fault();
            let (code, message) = (error.code().to_owned(), error.message().to_owned());
            return Some(Failure { code, message, passes });
        }
    };
    match operation {
        "RunTask" => unplaced(&output),
        "PutLogEvents" => output.get("rejectedLogEventsInfo").filter(|info| info.is_object()).map(|info| {
            let message = format!("The log event was rejected: {info}");
            Failure { code: "RejectedLogEvents".to_owned(), message, passes: false }
        }),
        _ => None,
    }
}

/// RunTask answers what it could not place as `failures`. Where it placed some, that was the event's.
fn unplaced(output: &Value) -> Option<Failure> {
    let none = |name: &str| output.get(name).and_then(Value::as_array).is_none_or(Vec::is_empty);
    if !none("tasks") || none("failures") {
        return None;
    }
    let failure = output["failures"].get(0)?;
    let code = failure["reason"].as_str().unwrap_or("Unknown").to_owned();
    let message = failure["detail"].as_str().unwrap_or("No task could be placed.").to_owned();
    // What is short, a task that ends or a host that comes may give.
    let passes = code != "MISSING";
    Some(Failure { code, message, passes })
}

fn failed(txn: &mut Txn, row: &DeliveryRow, failure: Failure) {
    if !failure.passes {
        return give_up(txn, row, failure, None);
    }
    if row.attempts >= row.retries {
        return give_up(txn, row, failure, Some("MaximumRetryAttempts"));
    }
    let not_before = txn.now().plus_millis(backoff(row.attempts, txn));
    if not_before > row.ends {
        return give_up(txn, row, failure, Some("MaximumEventAgeInSeconds"));
    }
    txn.put(DeliveryRow { attempts: row.attempts + 1, not_before, ..row.clone() });
}

/// Between half of the delay and all of it.
fn backoff(attempts: u32, txn: &mut Txn) -> i64 {
    let longest = (limits::BACKOFF_MS << attempts.min(20)).min(limits::BACKOFF_LONGEST_MS);
    let half = longest / 2;
    half + txn.ids.below(usize::try_from(half).unwrap_or(0) + 1) as i64
}

/// A delivery waited for as long as it may.
pub fn expire(txn: &mut Txn, id: Id128) {
    let Some(row) = txn.state.delivery(id).cloned() else { return };
    if row.ends > txn.now() {
        return;
    }
    let failure = Failure {
        code: "EventAgeExceeded".to_owned(),
        message: "The target was not called in time.".to_owned(),
        passes: false,
    };
    give_up(txn, &row, failure, Some("MaximumEventAgeInSeconds"));
}

/// The clock was set back: it waits no longer than any delivery does.
pub fn set_back(txn: &mut Txn, id: Id128) {
    let Some(row) = txn.state.delivery(id).cloned() else { return };
    let latest = |at: Timestamp, most: i64| at.min(txn.ctx.now.plus_millis(most));
    let not_before = latest(row.not_before, limits::BACKOFF_LONGEST_MS);
    let ends = latest(row.ends, limits::AGE_SECONDS * 1000);
    if (not_before, ends) != (row.not_before, row.ends) {
        txn.put(DeliveryRow { not_before, ends, ..row.as_ref().clone() });
    }
}

fn give_up(txn: &mut Txn, row: &DeliveryRow, failure: Failure, exhausted: Option<&str>) {
    txn.delete(Key::Delivery(row.id));
    let letter = DeadLetterRow {
        number: next_number(txn),
        at: txn.now(),
        bus: row.bus.clone(),
        rule: row.rule.clone(),
        target: row.target.clone(),
        call: Some(row.call.clone()),
        attempts: row.attempts.saturating_add(1),
        code: failure.code,
        message: failure.message,
        exhausted: exhausted.map(str::to_owned),
        dead_letter: row.dead_letter.clone(),
    };
    remember(txn, letter);
}

/// An event never got on its way to a target.
pub fn refuse(txn: &mut Txn, row: &TargetRow, code: &str, message: &str) {
    let letter = DeadLetterRow {
        number: next_number(txn),
        at: txn.now(),
        bus: row.bus.clone(),
        rule: row.rule.clone(),
        target: row.id.clone(),
        call: None,
        attempts: 0,
        code: code.to_owned(),
        message: message.to_owned(),
        exhausted: None,
        dead_letter: row.dead_letter.clone(),
    };
    remember(txn, letter);
}

fn next_number(txn: &Txn) -> u64 {
    txn.state.dead_letters().next_back().map_or(1, |last| last.number.saturating_add(1))
}

fn remember(txn: &mut Txn, letter: DeadLetterRow) {
    txn.put(letter);
    while let Some(oldest) = txn.state.surplus() {
        txn.delete(Key::DeadLetter(oldest));
    }
}
