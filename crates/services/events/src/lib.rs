//! Amazon EventBridge, pure: no I/O, no clock, no randomness, no async, no order of a hash map.
//!
//! [`api`] is what is offered, [`rows`] what is stored, [`state`] that with its indexes (the domain [`Events`]),
//! [`plan`] what is decided, [`describe`] what is shown. Below them, what EventBridge says of events: [`envelope`]
//! makes an event of an entry of PutEvents, [`pattern`] says which rules it matches, [`transform`] what a target gets
//! of it. An event is JSON text from the first to the last: what a sender wrote reaches a target as it was, but for
//! the space between.
//!
//! An event that matches becomes deliveries, each a call in the outbox; the runtime makes it and says what came of it.

pub mod api;
pub mod arn;
mod bus;
pub mod describe;
pub mod envelope;
pub mod limits;
pub mod pattern;
pub mod plan;
pub mod refuse;
pub mod rows;
pub mod state;
#[cfg(test)]
mod testing;
mod text;
pub mod transform;

pub use plan::accept::accept;
pub use state::Events;
