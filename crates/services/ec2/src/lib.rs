//! The networks of Amazon EC2, pure: no I/O, no clock, no randomness, no async.
//!
//! [`api`] is what it offers, [`rows`] what it stores, [`Ec2`] the state of one account and region. [`commands`] change it;
//! [`describe`] shows it; [`seed`] is the default VPC, which is there from the start. What has an effect on packets is
//! decided by these rows and carried out elsewhere.

pub mod api;
pub mod arn;
pub mod commands;
pub mod describe;
pub mod limits;
mod refuse;
pub mod rows;
pub mod seed;
mod state;
pub mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod zones;

pub use self::state::{Ec2, Mark};
pub use ::state::{Ctx, Ids};
pub use table::{Change, Key, Row};

/// A command at work on the networks of one account and region.
pub type Txn<'a> = ::state::Txn<'a, Ec2>;
