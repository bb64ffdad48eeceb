//! Test-only crate: e2e.
