//! The receiver's side of [`EventOut`]: the one domain that takes what all others say happened.

use std::sync::Arc;

use wire::{Error, Timestamp};

use super::EventOut;
use crate::{Domain, Txn};

/// Whether an event, as JSON, is one that is asked for.
pub type Filter = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The domain that takes others' events: EventBridge.
pub trait Bus: Domain {
    /// Takes events of a sender, [`EventOut::sender`], in the order of their numbers, each number once. Gives the highest
    /// number that is taken, now or before: the sender forgets its rows up to it, and sends what is left again.
    fn accept(txn: &mut Txn<Self>, sender: &str, events: &[Arc<EventOut>]) -> Option<u64>;

    /// A sender is gone for good: nothing is remembered of it.
    fn forget(txn: &mut Txn<Self>, sender: &str);

    /// Whether anybody may want events of a source, one of [`SOURCES`](super::SOURCES).
    fn listens(&self, source: &str, now: Timestamp) -> bool;

    /// Somebody looks on, and says so again within half a minute: the newest events are kept for it.
    fn follow(txn: &mut Txn<Self>);

    /// What is kept behind a number, in order. Numbers rise by one but where something is missing.
    fn passed_after(&self, after: u64) -> impl DoubleEndedIterator<Item = (u64, &str)>;

    /// Reads an event pattern.
    ///
    /// # Errors
    /// What PutRule says of it.
    fn filter(pattern: &str) -> Result<Filter, Error>;
}
