//! Amazon EventBridge's rules about events, pure: no I/O, no clock, no randomness, no order of a hash map.
//!
//! [`envelope`] makes an event of an entry of PutEvents, [`pattern`] says which rules it matches, [`transform`] what
//! a target gets of it. Times and ids come in as arguments. An event is JSON text from the first to the last: what
//! a sender wrote reaches a target as it was, but for the space between.

pub mod envelope;
pub mod pattern;
mod text;
pub mod transform;
