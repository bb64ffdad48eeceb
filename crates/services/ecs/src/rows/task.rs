//! Rows of tasks, and what they are made of. There can be a million of them: what is not there is not written.

use serde::{Deserialize, Serialize};
use wire::{Timestamp, string_enum};

use super::{
    AttachmentRow, DeploymentId, Desired, EphemeralStorage, FargateRow, InstanceId, KeyValuePair, OfDaemon,
    PlacementConstraint, PlacementStrategy, Resources, ServiceName, Tag, TaskDefinitionId, TaskId,
    TaskStatus, TransportProtocol, is_none, is_not,
};

/// A container of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerRow {
    pub name: String,
    /// The last part of its ARN.
    pub id: String,
    pub image: String,
    pub essential: bool,
    /// Whether its health is tracked.
    pub health_checked: bool,
    pub cpu: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<i64>,
    /// How many of its task's GPUs are its own: each container has the next ones in their order.
    #[serde(default, skip_serializing_if = "is_none")]
    pub gpus: u16,
    /// PENDING, RUNNING or STOPPED.
    pub status: TaskStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_bindings: Vec<NetworkBinding>,
    pub health: HealthStatus,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    pub id: TaskId,
    pub task_definition: TaskDefinitionId,
    /// `family:NAME`, `service:NAME`, or what RunTask gave.
    pub group: String,
    /// The service that made it, with its deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<(ServiceName, DeploymentId)>,
    /// The daemon that made it; its task definition is a daemon's then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<Box<OfDaemon>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Of one that is PROVISIONING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Box<WaitRow>>,
    /// Its network interface, if it is of mode `awsvpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Box<AttachmentRow>>,
    pub launch_type: LaunchType,
    /// Whose container instances alone it may be on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_provider: Option<Box<str>>,
    /// Where the launch type is FARGATE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fargate: Option<Box<FargateRow>>,
    pub desired: Desired,
    pub last: TaskStatus,
    pub overrides: TaskOverride,
    pub containers: Vec<ContainerRow>,
    /// What it holds on its host until it is STOPPED.
    pub needs: Resources,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    pub enable_execute_command: bool,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connectivity_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopping_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Until then its service does not choose it to be stopped; none once it shall be stopped for another reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected_until: Option<Timestamp>,
    /// Its health checks failed when it had no more time to become healthy, and it has not since: its service replaces it.
    #[serde(default, skip_serializing_if = "is_not")]
    pub failed_health: bool,
    /// When a STOPPED task is forgotten: an hour after it stopped, as in ECS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_at: Option<Timestamp>,
    /// Rises with each change.
    pub version: i64,
}

/// A task that stopped longer ago than the API shows, for those who ask why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptTaskRow {
    /// As it was last.
    pub task: TaskRow,
    /// When it is forgotten for good.
    pub forget_at: Timestamp,
}

/// What one task has otherwise than its definition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TaskOverride {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_overrides: Option<Vec<ContainerOverride>>,
    /// CPU units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_role_arn: Option<String>,
    /// MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Of a task on Fargate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
}

/// For what a task waits that has no container instance yet, beside what its definition says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitRow {
    /// It fails then.
    pub until: Timestamp,
    pub placement_constraints: Vec<PlacementConstraint>,
    pub placement_strategy: Vec<PlacementStrategy>,
    /// It waits as a tag of its RunTask asks, for so long at the most; without one, for its capacity provider to grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_seconds: Option<u32>,
    /// It waits for its turn before that: until fewer tasks of its `startedBy` go on than these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<u32>,
}

/// What one container has otherwise than its definition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerOverride {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Vec<KeyValuePair>>,
    /// CPU units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<i32>,
    /// MiB: no more than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i32>,
    /// MiB: at least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<i32>,
}

/// A port that a container has on its host, as its agent reports it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkBinding {
    #[serde(rename = "bindIP", skip_serializing_if = "Option::is_none")]
    pub bind_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_port: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_port: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<TransportProtocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_port_range: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_port_range: Option<String>,
}

/// Why a task stops or stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    pub code: TaskStopCode,
    pub reason: String,
    /// When stopping was decided or seen first.
    pub at: Timestamp,
}

impl TaskRow {
    /// The GPUs of a container, by its place in the task.
    pub fn gpus_of(&self, container: usize) -> impl Iterator<Item = &String> {
        let before: usize = self.containers.iter().take(container).map(|row| usize::from(row.gpus)).sum();
        let own = self.containers.get(container).map_or(0, |row| usize::from(row.gpus));
        self.needs.gpus.iter().skip(before).take(own)
    }
}

/// A RunTask client token and what it made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRow {
    pub token: String,
    /// SHA-256 of the request without the token.
    pub request: String,
    pub tasks: Vec<TaskId>,
    pub forget_at: Timestamp,
}

string_enum! {
    LaunchType {
        Ec2 = "EC2",
        Fargate = "FARGATE",
        External = "EXTERNAL",
        ManagedInstances = "MANAGED_INSTANCES",
    }
}

string_enum! {
    HealthStatus {
        Healthy = "HEALTHY",
        Unhealthy = "UNHEALTHY",
        Unknown = "UNKNOWN",
    }
}

string_enum! {
    TaskStopCode {
        TaskFailedToStart = "TaskFailedToStart",
        EssentialContainerExited = "EssentialContainerExited",
        UserInitiated = "UserInitiated",
        ServiceSchedulerInitiated = "ServiceSchedulerInitiated",
        SpotInterruption = "SpotInterruption",
        TerminationNotice = "TerminationNotice",
        InfrastructureHealth = "InfrastructureHealth",
    }
}
