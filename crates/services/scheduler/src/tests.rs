//! Operations as clients meet them, runs as targets meet them, and properties over clocks, faults and restarts.

mod beyond;
mod groups;
mod outcomes;
mod properties;
mod runs;
mod schedules;
mod targets;
