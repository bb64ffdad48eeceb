//! The ECS logic as a pure, synchronous state machine. No I/O, no clock, no randomness, no async.

pub mod arn;
pub mod ctx;
#[cfg(test)]
mod testing;

pub use ctx::{Ctx, Ids};
