//! What changes the networks. Each runs in a step of its own, and one that is refused has changed nothing.

pub mod acls;
pub mod addresses;
pub mod gateways;
pub mod groups;
pub mod interfaces;
pub mod nats;
pub mod routes;
pub mod rules;
pub mod subnets;
pub mod tables;
pub mod tags;
mod tokens;
pub mod vpcs;
