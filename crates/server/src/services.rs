//! The AWS services behind the front door, one module each.

pub mod ecs;
