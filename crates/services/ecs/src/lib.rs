//! The ECS logic as a pure, synchronous state machine. No I/O, no clock, no randomness, no async.
//!
//! Two domains: a [`Cluster`] is all rows of one ECS cluster with their indexes, an [`Account`] what belongs to no
//! cluster: task definitions, settings, agents' keys.

pub mod account;
pub mod announce;
pub mod api;
pub mod arn;
pub mod beyond;
pub mod capacity;
pub mod cluster;
pub mod clusters;
pub mod convert;
pub mod daemon;
mod digest;
pub mod explain;
pub mod fargate;
pub mod instance;
pub mod invariants;
pub mod limits;
pub mod network;
pub mod paging;
pub mod placement;
pub mod rows;
pub mod service;
pub mod tags;
pub mod task;
#[cfg(test)]
mod testing;
pub mod tick;

pub use account::Account;
pub use cluster::{Cluster, Txn};
pub use state::{Ctx, Ids};
