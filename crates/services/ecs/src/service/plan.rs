//! What a service does next, as its controller says: a pure function of a view of it. `carry` carries plans out.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html>

pub mod daemon;
pub mod external;
pub mod fleet;
pub mod packing;
pub mod percents;
pub mod rolling;
pub mod stages;
pub mod upkeep;
pub mod zones;

pub use percents::Want;

use crate::cluster::TaskId;

/// What is to be done of a service, no more of it than one step can take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// How many tasks of the PRIMARY deployment to start, wherever there is room.
    pub start: usize,
    /// Tasks to stop.
    pub stop: Vec<TaskId>,
    /// Tasks are to be replaced, and the percentages leave no way to.
    pub blocked: bool,
}
