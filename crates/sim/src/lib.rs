//! The simulator: a whole control plane, its agents and its users on one thread, on a clock that passes when nothing else
//! is left to do, with faults drawn from a seed. The runtime, its domains, the gate and the agent link are the program's
//! own, and so are the agent's planner and its ledger; simulated are the disks below store and ledgers, the network, the
//! engines, and whoever calls.
//!
//! After every step the promises are checked, and when the faults end everything must come to rest where it was asked to.
//! One seed is one history, to the last bit. [`Break`] has deliberate bugs, each of which must be found.

// Domains are deep.
#![recursion_limit = "256"]

mod actor;
mod agent;
mod alarm;
mod breaks;
mod bus;
mod checks;
mod disk;
mod fate;
mod history;
mod interfaces;
mod logs;
mod machine;
mod many;
mod network;
mod process;
mod random;
mod record;
mod restart;
pub mod scenario;
mod server;
mod store;
mod users;
mod world;

pub use breaks::Break;
pub use history::{Failure, Options, Outcome, run};
pub use interfaces::subnets;
pub use many::{Amount, jobs, many};
