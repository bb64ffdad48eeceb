//! Host networking against the real kernel. Every test runs on a thread in network and mount
//! namespaces of its own, so the host is not touched and nothing can stay behind.
//! Needs root, `nft` and `ip`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "it/bridge.rs"]
mod bridge;
#[path = "it/doors.rs"]
mod doors;
#[path = "it/far.rs"]
mod far;
#[path = "it/keep.rs"]
mod keep;
#[path = "it/lab.rs"]
mod lab;
#[path = "it/ports.rs"]
mod ports;
#[path = "it/recovery.rs"]
mod recovery;
#[path = "it/speed.rs"]
mod speed;
#[path = "it/vpc.rs"]
mod vpc;
