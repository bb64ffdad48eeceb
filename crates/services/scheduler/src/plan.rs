//! What is decided: whether a request can be a schedule ([`accept`], [`target`]), when it runs ([`timer`], [`runs`]),
//! what a run calls ([`call`]), what becomes of it ([`outcome`]), and how it ends ([`ends`]).

pub mod accept;
pub mod call;
pub mod clock;
pub mod ends;
pub mod names;
pub mod outcome;
pub mod runs;
pub mod tags;
pub mod target;
pub mod timer;
