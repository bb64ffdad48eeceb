//! What is decided: where an event goes, when a schedule runs, what a target is called with, and what becomes of it.

pub mod accept;
pub mod call;
pub mod deliver;
pub mod follow;
pub mod outcome;
pub mod schedule;

#[cfg(test)]
mod tests;
