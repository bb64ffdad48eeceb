//! The simulator: one cluster, many fake agents and users on a virtual clock, and faults drawn from
//! a seed. After every step the invariants are checked; when the faults end, everything must come to rest
//! where it was asked to. One seed is one history: `ROADSTEAD_SIM_SEED=n cargo test -p sim` replays it.

mod agents;
mod carrier;
mod checks;
mod random;
mod restart;
mod users;
mod world;

pub use world::{Failure, Outcome, run};
