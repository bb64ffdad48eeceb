//! STS, pure: no I/O, no clock, no randomness, no async. It has no state: all that it tells comes from the key.
//!
//! [`api`] is what it offers, [`describe`] what it shows.

pub mod api;
pub mod describe;
