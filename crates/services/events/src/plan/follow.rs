//! Those who look on: while somebody follows the default event bus, its newest events are kept, whether a rule matches them
//! or not. Who follows says so again from time to time, so nothing is to be done when one is gone.

use crate::{
    arn::DEFAULT,
    limits,
    rows::{ArrivalRow, FollowRow, Key, PassedRow},
    state::Txn,
};

/// Numbers between two milliseconds of the clock by which the first one is chosen.
const PER_MILLI: u64 = 1000;

/// Somebody follows, for [`limits::FOLLOWED_MS`] from now on.
pub fn follow(txn: &mut Txn) {
    let now = txn.now();
    let first = match txn.state.follow() {
        // Most that say so change nothing.
        Some(row) if row.until > now.plus_millis(limits::FOLLOWED_MS / 2) => return,
        Some(row) if row.until > now => row.first,
        // What came meanwhile is not there: a number is left out, by which one who comes back sees it.
        Some(_) => next(txn).saturating_add(1),
        None => u64::try_from(now.0).unwrap_or(0).saturating_mul(PER_MILLI),
    };
    txn.put(FollowRow { first, until: now.plus_millis(limits::FOLLOWED_MS) });
}

/// An event came to a bus.
pub fn pass(txn: &mut Txn, arrival: &ArrivalRow) {
    // A schedule's is for its own rule.
    if arrival.bus != DEFAULT || arrival.only.is_some() || !txn.state.is_followed(txn.now()) {
        return;
    }
    txn.put(PassedRow { number: next(txn), event: arrival.event.clone() });
    while let Some(oldest) = txn.state.passed_surplus() {
        txn.delete(Key::Passed(oldest));
    }
}

/// The number of the next event.
fn next(txn: &Txn) -> u64 {
    let last = txn.state.passed_after(0).next_back().map(|row| row.number.saturating_add(1));
    last.max(txn.state.follow().map(|row| row.first)).unwrap_or(1)
}

/// Nobody follows any more, and none has for a while.
pub fn expire(txn: &mut Txn) {
    let kept =
        txn.state.follow().is_some_and(|row| row.until.plus_millis(limits::PASSED_KEPT_MS) > txn.now());
    if kept {
        return;
    }
    let passed: Vec<u64> = txn.state.passed_after(0).map(|row| row.number).collect();
    for number in passed {
        if txn.full() {
            // The rest is due still.
            return;
        }
        txn.delete(Key::Passed(number));
    }
    txn.delete(Key::Follow(()));
}

/// The clock was set back: nobody follows for longer than one may.
pub fn set_back(txn: &mut Txn) {
    let Some(row) = txn.state.follow().cloned() else { return };
    let until = row.until.min(txn.now().plus_millis(limits::FOLLOWED_MS));
    if until != row.until {
        txn.put(FollowRow { until, ..row.as_ref().clone() });
    }
}

#[cfg(test)]
mod tests;
