//! A view of a service: all that its next step is planned from, and how its tasks are counted where it is shown.

use crate::cluster::{
    DeploymentId, DeploymentRolloutState, DeploymentRow, RevisionTasks, ServiceRow, Tally, TaskId,
    tally::Place,
};

/// A service as its controller sees it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub service: &'a ServiceRow,
    /// What it wants, or that of its revisions that is planned for.
    pub primary: &'a DeploymentRow,
    pub tally: &'a Tally,
    /// A task can be started now: its task definition is known, no back-off holds it up, and there may be room.
    pub may_start: bool,
    /// There was no room for one, and nothing of the service is being stopped that may give some back.
    pub full: bool,
    /// What comes of the revision that serves makes up for some of its tasks that were lost.
    pub upheld: Option<DeploymentId>,
    /// What is left of other revisions goes, though not all of the PRIMARY one is there.
    pub cleans: bool,
    /// Other revisions are as good: none of them is replaced.
    pub keeps: bool,
}

impl View<'_> {
    /// Whether the PRIMARY deployment has failed: no task of it is started any more.
    pub fn has_failed(&self) -> bool {
        self.primary.rollout == DeploymentRolloutState::Failed
    }
}

/// Tasks as events name them, the oldest first.
pub fn in_order(mut places: Vec<Place>) -> Vec<TaskId> {
    places.sort_unstable();
    places.into_iter().map(|(_, id)| id).collect()
}

/// How many tasks of a revision there are, and how many are wanted: of one that is being replaced, those that shall
/// still run.
pub fn revision_tasks(service: &ServiceRow, tally: &Tally, revision: DeploymentId) -> RevisionTasks {
    let share = tally.share(&revision);
    let is_wanted =
        service.deployments.iter().any(|deployment| deployment.primary && deployment.id == revision);
    let requested = match is_wanted {
        true => service.desired_count,
        false => i32::try_from(share.count(|_| true)).unwrap_or(i32::MAX),
    };
    RevisionTasks { revision, requested, running: share.running, pending: share.pending }
}
