//! Lambda, pure: no I/O, no clock, no randomness, no async. It runs no function and keeps no state: functions are endpoints that
//! somebody else runs and that the configuration names. [`functions`] is that list, [`api`] the table of operations, [`invoke`]
//! what is asked of an endpoint and what its answer means; whoever holds the sockets carries it there.

pub mod api;
pub mod functions;
pub mod invoke;
pub mod limits;
