//! The resolver of tasks in VPCs, as Amazon's is at the second address of a VPC: it knows the names of a VPC ([`zone`]), asks others
//! for all that it does not know ([`upstream`], `forward`), and remembers what they said ([`cache`]). [`Service`] answers over UDP
//! and TCP on sockets that it is handed.
//!
//! Who may ask is settled by which sockets those are; this crate opens none to listen on, knows no task, no namespace and no
//! AWS API. What it knows of a VPC it is told ([`View`]), so nothing that it answers from there needs anybody else to be there.

pub mod cache;
mod forward;
pub mod message;
mod service;
pub mod upstream;
pub mod zone;

pub use service::{Config, Service, Timers};
pub use upstream::Upstream;
pub use zone::{Block, View, Vpc, Zone};

/// The port of DNS.
pub const PORT: u16 = 53;
