//! What changes schedules and groups. Each runs in a step of its own, and one that is refused has changed nothing.

pub mod groups;
pub mod schedules;
pub mod tags;
mod tokens;
