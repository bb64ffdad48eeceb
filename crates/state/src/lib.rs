//! What all services of the control plane share, pure: no I/O, no clock, no randomness, no async.
//!
//! A [`Domain`] is one service's logic on the rows of one [`ShardId`]. Commands, timers and settling run in a
//! [`Txn`] on a private copy; a [`Batch`] gathers what many of them change into one commit. Time and chance come
//! in through [`Ctx`] and [`Ids`].

pub mod agenda;
pub mod api;
pub mod batch;
pub mod contract;
pub mod ctx;
pub mod delta;
pub mod domain;
pub mod id;
pub mod limits;
pub mod outbox;
pub mod paging;
pub mod port;
pub mod row;
pub mod schedule;
pub mod shard;
pub mod txn;

pub use agenda::Agenda;
pub use batch::{Batch, Set};
pub use ctx::{Ctx, Ids};
pub use delta::Delta;
pub use domain::Domain;
pub use id::Id128;
pub use row::{Change, Row, Table, Unreadable};
pub use shard::ShardId;
pub use txn::Txn;
