//! Ports: what a domain may look at of the rest of the control plane while it works. Snapshots, and never a write.

use wire::schema;

/// The rest of the control plane, as the shards of one account and region see it.
pub trait Others: Send + Sync {
    /// An operation that can be called, by the names of a universal target of EventBridge Scheduler: a service as SDKs
    /// name it, in lower case without blanks and hyphens (`ecs`, `cloudwatchlogs`), and an operation with a small first
    /// letter. `None` if there is no such service, or the operation is not built.
    fn operation(&self, service: &str, action: &str) -> Option<Known>;

    /// How many tasks of the cluster (an ARN) that have this `startedBy` are not STOPPED.
    fn running(&self, cluster: &str, started_by: &str) -> usize;

    /// Whether a service may act as this role for the account.
    fn may_assume(&self, role_arn: &str) -> bool;
}

/// An operation that can be called.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The service's name in the models.
    pub service: &'static str,
    pub operation: &'static schema::Operation,
}
