//! What all services of the control plane share, pure.
//!
//! No I/O, no clock, no randomness, no async: time and chance come in as arguments.

pub mod schedule;
