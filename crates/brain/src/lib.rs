//! The ECS logic as a pure, synchronous state machine. No I/O, no clock, no randomness, no async.
//!
//! A [`Cluster`] is all rows of one ECS cluster with their indexes; [`Cluster::step`] runs one command
//! on it and gives the next state, the rows that changed, and whom to tell. An [`account::Account`] holds
//! what belongs to no cluster: task definitions and settings.

pub mod account;
pub mod arn;
pub mod cluster;
pub mod clusters;
pub mod ctx;
pub mod instance;
pub mod invariants;
pub mod limits;
pub mod paging;
pub mod placement;
pub mod service;
pub mod tags;
pub mod task;
#[cfg(test)]
mod testing;
pub mod tick;

pub use cluster::{Cluster, Step, Txn};
pub use ctx::{Ctx, Ids};
