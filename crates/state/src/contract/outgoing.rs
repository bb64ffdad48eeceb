//! The sender's side of [`EventOut`]: events get their numbers, wait until they are taken, and are forgotten. Each
//! number is used once, though all rows of events be gone and the control plane start anew: the last one is a row of
//! its own. When nobody takes events, the oldest are lost beyond a limit, and how many is told.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::Timestamp;

use super::EventOut;
use crate::{Domain, Row, Txn, domain::KeyOf, limits};

/// Numbers between two milliseconds of the clock by which the first one of a shard is chosen.
const PER_MILLI: u64 = 1000;

/// The number of the last event of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRow {
    pub last: u64,
    /// How many events were lost, as nobody took them in time.
    #[serde(default)]
    pub lost: u64,
}

impl Row for SequenceRow {
    fn weight(&self) -> usize {
        128
    }
}

/// What happened, before it has a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// One of [`SOURCES`](super::SOURCES).
    pub source: &'static str,
    pub detail_type: &'static str,
    /// ARNs of what it is about.
    pub resources: Vec<String>,
    /// A JSON object.
    pub detail: Value,
}

/// The events that wait to be taken. A domain keeps them in [`Domain::take`].
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    waiting: OrdMap<u64, Arc<EventOut>>,
    bytes: usize,
    sequence: Option<SequenceRow>,
}

impl Outgoing {
    /// An event waits.
    pub fn put(&mut self, row: &Arc<EventOut>) {
        self.remove(row.sequence);
        self.bytes += row.weight();
        self.waiting.insert(row.sequence, row.clone());
    }

    /// It does no longer.
    pub fn remove(&mut self, sequence: u64) {
        if let Some(old) = self.waiting.remove(&sequence) {
            self.bytes -= old.weight();
        }
    }

    /// The last number is that; none once the row is gone.
    pub fn set_sequence(&mut self, row: Option<SequenceRow>) {
        self.sequence = row;
    }

    /// Events in the order of their numbers.
    pub fn waiting(&self) -> impl DoubleEndedIterator<Item = &Arc<EventOut>> {
        self.waiting.values()
    }

    /// The lowest number of them.
    pub fn oldest(&self) -> Option<u64> {
        self.waiting.get_min().map(|(oldest, _)| *oldest)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The last number, and how many events were lost; none where there never was one.
    pub fn sequence(&self) -> Option<SequenceRow> {
        self.sequence
    }

    /// The number before that of the next event. A shard that begins anew under the name of one that is forgotten
    /// must not begin with a number that was that one's: it begins by the clock. Were the row of the last number
    /// lost, those that wait are known.
    fn last(&self, now: Timestamp) -> u64 {
        let waiting = self.waiting.get_max().map(|(last, _)| *last);
        let known = self.sequence.map(|row| row.last).max(waiting);
        known.unwrap_or_else(|| u64::try_from(now.0).unwrap_or(0).saturating_mul(PER_MILLI))
    }

    fn surplus(&self) -> Option<u64> {
        let many = self.waiting.len() > limits::EVENTS_WAITING || self.bytes > limits::EVENTS_WAITING_BYTES;
        self.oldest().filter(|_| many)
    }
}

/// A domain that says what happened.
pub trait Tells: Domain<Rows: From<EventOut> + From<SequenceRow>> {
    /// What waits to be taken.
    fn outgoing(&self) -> &Outgoing;

    /// The key of one of them.
    fn event_key(sequence: u64) -> KeyOf<Self>;
}

/// Says that these have happened now, in this order.
pub fn tell<D: Tells>(txn: &mut Txn<D>, events: Vec<Event>) {
    if events.is_empty() {
        return;
    }
    let time = txn.now();
    let mut last = txn.state.outgoing().last(time);
    for event in events {
        last = last.saturating_add(1);
        let Event { source, detail_type, resources, detail } = event;
        let (source, detail_type, id) = (source.to_owned(), detail_type.to_owned(), txn.ids.uuid());
        txn.put(EventOut { sequence: last, id, source, detail_type, resources, detail, time });
    }
    let mut lost = txn.state.outgoing().sequence().unwrap_or_default().lost;
    while let Some(oldest) = txn.state.outgoing().surplus() {
        txn.delete(D::event_key(oldest));
        lost = lost.saturating_add(1);
    }
    txn.put(SequenceRow { last, lost });
}

/// Events up to that number are taken, and forgotten: as many as fit into one step. False when some are left.
pub fn forget<D: Tells>(txn: &mut Txn<D>, up_to: u64) -> bool {
    while let Some(oldest) = txn.state.outgoing().oldest() {
        if oldest > up_to {
            return true;
        }
        if txn.full() {
            return false;
        }
        txn.delete(D::event_key(oldest));
    }
    true
}

#[cfg(test)]
mod tests;
