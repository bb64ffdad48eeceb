//! From an entry of PutEvents to an event: what is refused, and the JSON that rules and targets see.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>.

mod entry;
mod event;

#[cfg(test)]
mod tests;

pub use entry::{ENTRIES_MAX, Entry, EntryError, REQUEST_MAX, TooBig, check_size};
pub use event::{Envelope, OutOfRange, is_event};
