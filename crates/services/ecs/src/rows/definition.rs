//! A task definition as it is stored.

use serde::{Deserialize, Serialize};
use wire::{Timestamp, string_enum};

use super::{Attribute, ContainerDefinition};

/// What was registered, with the defaults filled in, and what follows from it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TaskDefinition {
    pub task_definition_arn: String,
    pub container_definitions: Vec<ContainerDefinition>,
    pub family: String,
    /// Without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    pub revision: i32,
    pub volumes: Vec<Volume>,
    pub status: TaskDefinitionStatus,
    /// What a container instance must be able to do.
    pub requires_attributes: Vec<Attribute>,
    pub placement_constraints: Vec<TaskDefinitionPlacementConstraint>,
    pub compatibilities: Vec<Compatibility>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_platform: Option<RuntimePlatform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires_compatibilities: Option<Vec<Compatibility>>,
    /// CPU units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Whose processes the containers see; without one, each its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_mode: Option<PidMode>,
    /// Whose IPC the containers have; without one, each its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc_mode: Option<IpcMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistered_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_requested_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_execution_configuration: Option<TrustedExecutionConfiguration>,
    /// Not built: `false`, where that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_fault_injection: Option<bool>,
}

/// A directory that containers share.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Volume {
    pub name: String,
    pub host: HostVolumeProperties,
    /// Not built: `false`, where that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured_at_launch: Option<bool>,
}

/// Where a volume is on its host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HostVolumeProperties {
    /// An absolute path; without one the volume is a directory of the task's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_path: Option<String>,
}

/// Where tasks of the definition may be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TaskDefinitionPlacementConstraint {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<TaskDefinitionPlacementConstraintType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

/// What hosts its tasks run on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuntimePlatform {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_architecture: Option<CPUArchitecture>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operating_system_family: Option<OSFamily>,
}

/// The disk of a task on Fargate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EphemeralStorage {
    /// GiB.
    #[serde(rename = "sizeInGiB")]
    pub size_in_gib: i32,
}

/// What stands between a task on Fargate and its host: with `SHARED` the wall that the host has, with `ISOLATED_SANDBOX` a
/// kernel of its own. `CONFIDENTIAL_SANDBOX` is not built.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TrustedExecutionConfiguration {
    pub isolation_mode: IsolationMode,
}

string_enum! {
    IsolationMode {
        Shared = "SHARED",
        IsolatedSandbox = "ISOLATED_SANDBOX",
        ConfidentialSandbox = "CONFIDENTIAL_SANDBOX",
    }
}

string_enum! {
    PidMode {
        Host = "host",
        Task = "task",
    }
}

string_enum! {
    IpcMode {
        Host = "host",
        Task = "task",
        None = "none",
    }
}

string_enum! {
    NetworkMode {
        Bridge = "bridge",
        Host = "host",
        Awsvpc = "awsvpc",
        None = "none",
    }
}

string_enum! {
    TaskDefinitionStatus {
        Active = "ACTIVE",
        Inactive = "INACTIVE",
        DeleteInProgress = "DELETE_IN_PROGRESS",
    }
}

string_enum! {
    Compatibility {
        Ec2 = "EC2",
        Fargate = "FARGATE",
        External = "EXTERNAL",
        ManagedInstances = "MANAGED_INSTANCES",
    }
}

string_enum! {
    CPUArchitecture {
        X8664 = "X86_64",
        Arm64 = "ARM64",
    }
}

string_enum! {
    OSFamily {
        WindowsServer2019Full = "WINDOWS_SERVER_2019_FULL",
        WindowsServer2019Core = "WINDOWS_SERVER_2019_CORE",
        WindowsServer2016Full = "WINDOWS_SERVER_2016_FULL",
        WindowsServer2004Core = "WINDOWS_SERVER_2004_CORE",
        WindowsServer2022Core = "WINDOWS_SERVER_2022_CORE",
        WindowsServer2022Full = "WINDOWS_SERVER_2022_FULL",
        WindowsServer2025Core = "WINDOWS_SERVER_2025_CORE",
        WindowsServer2025Full = "WINDOWS_SERVER_2025_FULL",
        WindowsServer20h2Core = "WINDOWS_SERVER_20H2_CORE",
        Linux = "LINUX",
    }
}

string_enum! {
    TaskDefinitionPlacementConstraintType {
        MemberOf = "memberOf",
    }
}
