//! The agent: one per host; drives tasks through their life on an engine.
//!
//! It receives assignments over the ECS agent protocol, writes them down before it acknowledges them,
//! decides for each task what comes next ([`plan`], pure), has the engine do it, and reports what became
//! of it. It never decides what shall run, and it knows no other agent.

pub mod admission;
pub mod lower;
pub mod plan;
pub mod task;
