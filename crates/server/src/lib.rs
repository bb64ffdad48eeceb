//! The control plane: front door, AWS services, agent link, and the driver that runs the brain.

pub mod front_door;
pub mod services;
