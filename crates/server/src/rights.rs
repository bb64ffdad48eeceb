//! Who may what, for the [gate](crate::gate): those who are no administrators. There are no policies yet, so these are the
//! agents alone.

mod agents;

pub use agents::Agents;
