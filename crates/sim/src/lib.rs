//! Test-only crate: sim.
