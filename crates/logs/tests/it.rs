//! The store through its public interface, on a real file system.

mod it {
    mod api;
    mod crash;
    mod disk_full;
    mod model;
    mod retention;
    pub mod support;
}
