//! Measures the store; filled in with the store itself.
fn main() {}
