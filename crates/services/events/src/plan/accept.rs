//! Events that other domains say happened, taken once each.

use std::borrow::Borrow;

use state::contract::EventOut;

use super::deliver;
use crate::{
    arn::DEFAULT,
    envelope::Envelope,
    rows::{ArrivalRow, Key, SenderRow},
    state::Txn,
};

/// Takes events of a sender, [`EventOut::sender`], in the order of their numbers. Gives the highest number that is
/// taken, now or before: the sender forgets its rows up to it, and sends what is left again. It is left where
/// there is no room for more, and taken once there is.
pub fn accept<E: Borrow<EventOut>>(txn: &mut Txn, sender: &str, events: &[E]) -> Option<u64> {
    let before = txn.state.taken(sender);
    let mut taken = before;
    for event in events.iter().map(E::borrow) {
        if taken.is_some_and(|taken| event.sequence <= taken) {
            continue;
        }
        if txn.full() || !txn.state.takes_events() {
            break;
        }
        taken = Some(event.sequence);
        deliver_one(txn, event);
    }
    if let Some(sequence) = taken.filter(|_| taken != before) {
        txn.put(SenderRow { sender: sender.to_owned(), sequence });
    }
    taken
}

/// A sender is gone for good: nothing is remembered of it.
pub fn forget(txn: &mut Txn, sender: &str) {
    if txn.state.taken(sender).is_some() {
        txn.delete(Key::Sender(sender.to_owned()));
    }
}

fn deliver_one(txn: &mut Txn, event: &EventOut) {
    let envelope = Envelope {
        id: &event.id,
        detail_type: &event.detail_type,
        source: &event.source,
        account: &txn.ctx.account,
        time: event.time.as_seconds(),
        region: &txn.ctx.region,
        resources: &event.resources,
        detail: &event.detail.to_string(),
    };
    // A time out of the calendar: no event can be made of it, now or later.
    let Ok(json) = envelope.to_json() else { return };
    let arrival = ArrivalRow {
        id: txn.ids.id(),
        bus: DEFAULT.to_owned(),
        event: json,
        forwarded: false,
        // It may have waited with its sender: a log has it in its place.
        ingested_at: event.time,
        only: None,
        after: None,
    };
    deliver::deliver(txn, arrival);
}
