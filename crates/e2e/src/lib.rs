//! Test-only crate: e2e.

pub mod leaks;
