//! Where the capacity of a cluster's tasks comes from: which capacity providers it has, how tasks are distributed over
//! them, and which container instances are whose.
//!
//! A container instance belongs to the capacity provider that its attribute [`ATTRIBUTE`] names: its host's configuration
//! says so when the agent registers, and a user may by PutAttributes. There are no Auto Scaling groups here that would.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-capacity-providers.html>

pub mod attach;
pub mod distribution;
pub mod reservation;
pub mod strategy;
pub mod used;
pub mod wanted;

pub use agent_protocol::CAPACITY_PROVIDER as ATTRIBUTE;

use crate::rows::InstanceRow;

/// The capacity provider that a container instance belongs to.
pub fn of_instance(row: &InstanceRow) -> Option<&str> {
    let attribute = row.attributes.iter().find(|attribute| attribute.name == ATTRIBUTE)?;
    attribute.value.as_deref().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
