//! The store through its public interface, on a real file system.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as loudly as the tests")]

mod it {
    mod api;
    mod crash;
    mod crowd;
    mod disk_full;
    mod model;
    mod retention;
    pub mod support;
}
