//! The commands, one module each.

pub mod agent;
pub mod agent_key;
pub mod backup;
pub mod bench;
pub mod capacity;
mod client;
pub mod doctor;
pub mod down;
pub mod env;
pub mod events;
pub mod explain;
pub mod failures;
pub mod fargate;
pub mod image;
pub mod repair;
pub mod service;
pub mod simulate;
pub mod tls;
pub mod token;
pub mod up;
