//! The native engine on this host: real containers, as root.

#[path = "it/bench.rs"]
mod bench;
#[path = "it/crash.rs"]
mod crash;
#[path = "it/host.rs"]
mod host;
#[path = "it/native.rs"]
mod native;
#[path = "it/walk.rs"]
mod walk;
