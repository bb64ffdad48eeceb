//! Who listens to the default event bus, and the events that are kept for those who follow it.

use std::sync::Arc;

use state::{Row as _, contract::SOURCES};
use wire::Timestamp;

use super::{Events, after_key};
use crate::{
    arn::DEFAULT,
    limits,
    pattern::Pattern,
    rows::{FollowRow, PassedRow},
};

impl Events {
    /// Whether anybody may want events of a source, one of [`SOURCES`], on the default event bus: a rule that may match
    /// them, or who follows all.
    pub fn listens(&self, source: &str, now: Timestamp) -> bool {
        self.is_followed(now) || self.listeners.get(source).is_some_and(|rules| !rules.is_empty())
    }

    /// Whether somebody follows the events of the default event bus.
    pub fn is_followed(&self, now: Timestamp) -> bool {
        self.follow.as_ref().is_some_and(|row| row.until > now)
    }

    /// Until when somebody does, or did.
    pub fn follow(&self) -> Option<&Arc<FollowRow>> {
        self.follow.as_ref()
    }

    /// The events that are kept for those who follow whose numbers are greater than `after`, in order.
    pub fn passed_after(&self, after: u64) -> impl DoubleEndedIterator<Item = &Arc<PassedRow>> {
        after_key(&self.passed, after).map(|(_, row)| row)
    }

    /// The oldest of them, if there are more than are kept.
    pub fn passed_surplus(&self) -> Option<u64> {
        let many = self.passed.len() > limits::PASSED
            || (self.passed_bytes > limits::PASSED_BYTES && self.passed.len() > 1);
        self.passed.get_min().filter(|_| many).map(|(number, _)| *number)
    }

    /// A rule of a bus is there with this pattern, or has none that is enabled.
    pub(super) fn set_listener(&mut self, bus: &str, rule: &str, pattern: Option<&Pattern>) {
        if bus != DEFAULT {
            return;
        }
        for source in SOURCES {
            let rules = self.listeners.entry(source).or_default();
            match pattern.is_some_and(|pattern| pattern.may_match("source", source)) {
                true => rules.insert(rule.to_owned()),
                false => rules.remove(rule),
            };
        }
    }

    pub(super) fn put_passed(&mut self, row: &Arc<PassedRow>) {
        self.delete_passed(row.number);
        self.passed_bytes += row.weight();
        self.passed.insert(row.number, row.clone());
    }

    pub(super) fn delete_passed(&mut self, number: u64) {
        if let Some(old) = self.passed.remove(&number) {
            self.passed_bytes -= old.weight();
        }
    }
}
