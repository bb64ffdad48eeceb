//! The default event bus as other services see it.

use std::sync::Arc;

use events_model::errors;
use state::contract::{Bus, EventOut, Filter};
use wire::{Error, Timestamp};

use crate::{
    pattern::{Matcher, Pattern},
    plan,
    state::{Events, Txn},
};

impl Bus for Events {
    fn accept(txn: &mut Txn, sender: &str, events: &[Arc<EventOut>]) -> Option<u64> {
        plan::accept::accept(txn, sender, events)
    }

    fn forget(txn: &mut Txn, sender: &str) {
        plan::accept::forget(txn, sender);
    }

    fn listens(&self, source: &str, now: Timestamp) -> bool {
        Events::listens(self, source, now)
    }

    fn follow(txn: &mut Txn) {
        plan::follow::follow(txn);
    }

    fn passed_after(&self, after: u64) -> impl DoubleEndedIterator<Item = (u64, &str)> {
        Events::passed_after(self, after).map(|row| (row.number, row.event.as_str()))
    }

    fn filter(pattern: &str) -> Result<Filter, Error> {
        let pattern =
            Pattern::parse(pattern).map_err(|error| errors::invalid_event_pattern(error.to_string()))?;
        let mut matcher = Matcher::new();
        matcher.insert((), Arc::new(pattern));
        Ok(Box::new(move |event| matcher.find(event).is_ok_and(|found| !found.rules.is_empty())))
    }
}
