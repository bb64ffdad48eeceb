//! What the scheduler may look at of others while it works: snapshots, and never a write.

use std::sync::Arc;

use wire::schema;

/// What a domain of schedules gets of the others.
pub type Ports = Arc<dyn Others>;

/// The rest of the control plane, as the scheduler sees it.
pub trait Others: Send + Sync {
    /// An operation that can be called, by the names of a universal target: a service as SDKs name it, in lower case
    /// without blanks and hyphens (`ecs`, `cognitoidentityprovider`), and an operation with a small first letter.
    /// `None` if there is no such service, or the operation is not built.
    fn operation(&self, service: &str, action: &str) -> Option<Known>;

    /// How many tasks of the cluster (an ARN) that have this `startedBy` are not STOPPED.
    fn running(&self, cluster: &str, started_by: &str) -> usize;

    /// Whether `scheduler.amazonaws.com` may assume the role.
    fn may_assume(&self, role_arn: &str) -> bool;
}

/// An operation that can be called.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The service's name in the models.
    pub service: &'static str,
    pub operation: &'static schema::Operation,
}
