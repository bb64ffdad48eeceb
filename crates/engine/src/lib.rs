//! The engine: one trait that runs containers, its drivers, and their conformance suite.
