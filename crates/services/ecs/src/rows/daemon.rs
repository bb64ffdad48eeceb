//! Daemons: their task definitions, and what each is deployed by.

use serde::{Deserialize, Serialize};
use wire::{Timestamp, string_enum};

use super::{
    BreakerRow, ContainerImage, DaemonName, DaemonRevisionId, ImageDigest, InstanceId, Tag, TaskDefinitionId,
    TaskDefinitionRow,
};

/// A daemon's task definition. Its families and revisions are others than those of task definitions.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-task-definitions.html>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonDefinitionRow {
    /// What its tasks are made of: the task definition that has the same members, and a status that says nothing.
    pub made_of: TaskDefinitionRow,
    pub status: DaemonTaskDefinitionStatus,
    /// As it was given.
    pub pid_mode: Option<DaemonPidMode>,
    /// Likewise.
    pub ipc_mode: Option<DaemonIpcMode>,
    /// When one that is DELETED is forgotten.
    pub forget_at: Option<Timestamp>,
}

impl DaemonDefinitionRow {
    /// Its family and revision.
    pub fn id(&self) -> TaskDefinitionId {
        self.made_of.id()
    }
}

/// A family of them, which outlives them: a revision is never used again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DaemonFamilyRow {
    pub name: String,
    pub last_revision: i32,
}

/// A daemon: a task on each container instance of its capacity providers.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons.html>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonRow {
    pub name: DaemonName,
    pub status: DaemonStatus,
    /// What its tasks shall be of.
    pub target: DaemonRevisionId,
    /// The revision that was deployed last: what one that fails is rolled back to.
    pub completed: Option<DaemonRevisionId>,
    /// The names of its capacity providers.
    pub providers: Vec<String>,
    /// Its deployment failed, and there was nothing to roll back to: no task is started any more.
    pub stalled: bool,
    /// Failures that the circuit breaker of its deployment has counted.
    pub failures: i32,
    /// Failures since the last task that stayed; the exponent of the back-off.
    pub consecutive_failures: u32,
    /// Start no task before this time.
    pub not_before: Option<Timestamp>,
    /// The last time that there was no room for its task.
    pub unplaced: Option<UnplacedRow>,
    /// Look again at this time, whatever happens before.
    pub wake_at: Option<Timestamp>,
    pub tags: Vec<Tag>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// SHA-256 of the request that made it, where that had a client token.
    pub made_by: Option<String>,
    /// When one that is deleted is forgotten.
    pub forget_at: Option<Timestamp>,
}

/// That a container instance had no room for a daemon's task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnplacedRow {
    pub instance: InstanceId,
    pub reason: String,
    pub at: Timestamp,
}

/// All of a daemon that only a deployment changes. It is never changed itself, but for what becomes known of its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonRevisionRow {
    pub daemon: DaemonName,
    pub id: DaemonRevisionId,
    pub created_at: Timestamp,
    /// A daemon's task definition.
    pub task_definition: TaskDefinitionId,
    /// Of its task definition.
    pub images: Vec<ContainerImage>,
    /// What they were resolved to, in the order in which that became known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<ImageDigest>,
    pub propagate_tags: DaemonPropagateTags,
    pub enable_ecs_managed_tags: bool,
    /// A container instance takes no other task before its task runs there.
    pub critical: bool,
}

/// The way of a daemon to a revision, or to none when it is deleted.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-deployments.html>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonDeploymentRow {
    pub daemon: DaemonName,
    /// Counts up by one with each of the daemon.
    pub number: u64,
    /// The last part of its ARN: 21 characters of base64url.
    pub id: String,
    pub status: DaemonDeploymentStatus,
    pub status_reason: Option<String>,
    /// The revisions that had tasks when it began.
    pub sources: Vec<DaemonRevisionId>,
    /// None where the daemon goes.
    pub target: Option<DaemonRevisionId>,
    /// The names of the daemon's capacity providers then.
    pub providers: Vec<String>,
    pub configuration: DaemonDeploymentConfiguration,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// All is deployed, and it waits until then.
    pub bake_until: Option<Timestamp>,
    pub rollback: Option<DaemonRollbackRow>,
    /// What the circuit breaker had counted when it gave up, or was done.
    pub breaker: Option<BreakerRow>,
    /// How it was when it ended: the target's, then the sources'.
    pub end: Vec<DaemonInstances>,
    /// When one that has ended is forgotten.
    pub forget_at: Option<Timestamp>,
}

/// How a deployment goes, with what was not given filled in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonDeploymentConfiguration {
    /// On how many of the container instances the task is replaced at a time.
    pub drain_percent: f64,
    pub bake_time_in_minutes: i32,
}

impl Default for DaemonDeploymentConfiguration {
    fn default() -> Self {
        DaemonDeploymentConfiguration { drain_percent: 25.0, bake_time_in_minutes: 0 }
    }
}

/// That a deployment rolls back, or has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonRollbackRow {
    pub reason: String,
    pub started_at: Timestamp,
    pub to: DaemonRevisionId,
}

/// On how many container instances a revision is, of each capacity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInstances {
    pub revision: DaemonRevisionId,
    pub providers: Vec<DaemonProviderInstances>,
}

/// Likewise, of one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonProviderInstances {
    pub provider: String,
    /// Its task is RUNNING.
    pub running: i32,
    /// There is no task of the daemon, and should be one of this revision, which is not critical.
    pub without: i32,
    /// Its task is stopping.
    pub draining: i32,
}

/// Which daemon made a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfDaemon {
    pub name: DaemonName,
    pub revision: DaemonRevisionId,
}

string_enum! {
    DaemonStatus {
        Active = "ACTIVE",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        Deleted = "DELETED",
    }
}

string_enum! {
    DaemonPropagateTags {
        Daemon = "DAEMON",
        None = "NONE",
    }
}

string_enum! {
    DaemonDeploymentStatus {
        Pending = "PENDING",
        Successful = "SUCCESSFUL",
        Stopped = "STOPPED",
        StopRequested = "STOP_REQUESTED",
        InProgress = "IN_PROGRESS",
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        RollbackSuccessful = "ROLLBACK_SUCCESSFUL",
        RollbackFailed = "ROLLBACK_FAILED",
    }
}

impl DaemonDeploymentStatus {
    /// Whether nothing happens to it any more.
    pub fn has_ended(self) -> bool {
        use DaemonDeploymentStatus::{RollbackFailed, RollbackSuccessful, Stopped, Successful};
        matches!(self, Successful | Stopped | RollbackSuccessful | RollbackFailed)
    }
}

string_enum! {
    DaemonTaskDefinitionStatus {
        Active = "ACTIVE",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        Deleted = "DELETED",
    }
}

string_enum! {
    DaemonPidMode {
        None = "none",
        Shared = "shared",
    }
}

string_enum! {
    DaemonIpcMode {
        None = "none",
        Shared = "shared",
    }
}
