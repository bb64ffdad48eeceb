//! EventBridge Scheduler, pure: no I/O, no clock, no randomness, no async.
//!
//! [`api`] is what it offers, [`rows`] what it stores, [`Scheduler`] the state of one account and region. [`commands`]
//! change it; [`plan`] says when a schedule runs, what a run calls and what becomes of it; [`describe`] shows it.
//! A run is one row that waits in an outbox: who carries it out is not known here.

pub mod api;
pub mod arn;
pub mod commands;
pub mod describe;
pub mod limits;
pub mod plan;
pub mod rows;
mod state;
pub mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use self::state::{Mark, Scheduler};
pub use ::state::{
    Ctx, Ids,
    port::{Known, Others},
};
pub use table::{Change, Key, Row};

/// What a domain of schedules may look at of others.
pub type Ports = std::sync::Arc<dyn Others>;

/// A command at work on the schedules of one account and region.
pub type Txn<'a> = ::state::Txn<'a, Scheduler>;
