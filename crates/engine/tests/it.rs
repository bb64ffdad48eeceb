//! The native engine on this host: real containers, as root.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "it/aside.rs"]
mod aside;
#[path = "it/bench.rs"]
mod bench;
#[path = "it/crash.rs"]
mod crash;
#[path = "it/docker.rs"]
mod docker;
#[path = "it/gvisor.rs"]
mod gvisor;
#[path = "it/host.rs"]
mod host;
#[path = "it/native.rs"]
mod native;
#[path = "it/shared.rs"]
mod shared;
#[path = "it/silence.rs"]
mod silence;
#[path = "it/task_network.rs"]
mod task_network;
#[path = "it/walk.rs"]
mod walk;
#[path = "it/walls.rs"]
mod walls;
