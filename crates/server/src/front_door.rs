//! The front door: one listener for every service. It authenticates, finds the service and the operation,
//! checks the input against the model, refuses what is not built, and hands the rest to a [`Service`].
//! It knows no operation and keeps no state of its own.

mod service;
mod support;

pub use service::{Call, Caller, Key, Keys, Service, Upgrade, UpgradeCall};
pub use support::{Built, Support};
