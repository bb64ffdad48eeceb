//! Container instances: registration by agents, and the operations on them.

pub mod agent;
pub mod attributes;
pub mod describe;
pub mod health;
pub mod register;
pub mod state;
#[cfg(test)]
mod tests;

use ecs_model::{self as ecs, errors};
use wire::Error;

use crate::{
    Cluster, Ctx, arn,
    cluster::{InstanceId, InstanceRow, InstanceStatus, Owner, Txn},
    convert::Shown,
};

/// The attribute that names a container instance's zone.
pub const ZONE: &str = "ecs.availability-zone";
/// The attribute that names a container instance's processor architecture.
pub const ARCHITECTURE: &str = "ecs.cpu-architecture";

/// The value of a container instance's attribute.
pub fn attribute(row: &InstanceRow, name: &str) -> Option<String> {
    row.attributes.iter().find(|a| a.name == name).and_then(|a| a.value.clone())
}

/// The attributes that a task shows of its host: the architecture alone.
pub fn architecture(row: &InstanceRow) -> Vec<ecs::Attribute> {
    row.attributes.iter().filter(|a| a.name == ARCHITECTURE).map(Shown::shown).collect()
}

/// Whether the caller may speak for a container instance, or for a task on it: its own agent may, and users
/// may for those that they have registered by hand.
///
/// # Errors
/// `AccessDeniedException`.
pub fn may_speak(state: &Cluster, ctx: &Ctx, id: Option<&InstanceId>) -> Result<(), Error> {
    let may = match &ctx.agent {
        Some(agent) => id.is_some_and(|id| id.0 == *agent),
        None => id.and_then(|id| state.instance(id)).is_none_or(|row| row.owner != Owner::Agent),
    };
    if may { Ok(()) } else { Err(not_yours(ctx)) }
}

/// What is said to a caller who speaks for another's container instance.
fn not_yours(ctx: &Ctx) -> Error {
    errors::access_denied(format!(
        "User: {} is not the agent of the container instance: each agent speaks for its own.",
        ctx.caller_arn
    ))
}

/// The container instance that a request names by id or ARN, if it is not INACTIVE.
///
/// # Errors
/// `InvalidParameterException` as ECS words it.
fn find(txn: &Txn, named: &str) -> Result<InstanceRow, Error> {
    let id = arn::container_instance_id(txn.ctx, &txn.state.row.name, named)?;
    let found = InstanceId::parse(&id).and_then(|id| txn.state.instance(&id));
    let found = found.filter(|row| row.status != InstanceStatus::Inactive);
    let found =
        found.ok_or_else(|| errors::invalid_parameter("The referenced container instance was not found."))?;
    Ok(found.as_ref().clone())
}
