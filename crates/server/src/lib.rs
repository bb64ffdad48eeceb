//! The control plane: front door, AWS services, agent link, and the driver that runs the brain.

pub mod agent_link;
pub mod driver;
pub mod front_door;
pub mod keys;
pub mod peer;
pub mod services;
