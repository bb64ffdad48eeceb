//! Chores of the repository: `cargo xtask codegen | tidy | ci`.

fn main() {}
