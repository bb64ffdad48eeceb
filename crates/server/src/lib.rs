//! The control plane: front door, AWS services, agent link, and the runtime of the domains;
//! the certificates of its listener, and where hosts join.

pub mod agent_link;
pub mod front_door;
pub mod gate;
pub mod join;
mod kept;
pub mod keys;
pub mod peer;
pub mod rights;
pub mod runtime;
pub mod services;
pub mod tls;
pub mod world;
