//! What rows of tasks are made of.

use serde::{Deserialize, Serialize};
use wire::{Timestamp, string_enum};

use super::{KeyValuePair, PlacementConstraint, PlacementStrategy, TaskId, TaskRow, TransportProtocol};

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
