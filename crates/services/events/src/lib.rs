//! Amazon EventBridge's rules about events, pure: no I/O, no clock, no randomness, no order of a hash map.
//!
//! [`pattern`] says which rules an event matches. Times and ids come in as arguments.

pub mod pattern;
