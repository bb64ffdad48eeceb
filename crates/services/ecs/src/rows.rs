//! What is stored, and all that is stored: here the rows of a cluster, in `account` those of an account, beside
//! them what both are made of. All of it is our own, whatever a new model of the API brings: no file of this room
//! names a type of the model. `crate::convert` is where the two meet.
//!
//! Times are [`Timestamp`]s; a timer is a time in a row, so a restart forgets nothing. Who writes which field
//! stands in ARCHITECTURE.md.

mod account;
mod capacity;
mod common;
mod container;
mod daemon;
mod definition;
mod deployment;
mod fargate;
mod gpus;
mod instance;
mod linux;
mod network;
mod service;
mod task;
mod task_set;

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde::{Deserialize, Serialize};
use state::{Id128, row::KeyPart};
use wire::Timestamp;

pub use self::{
    account::*, capacity::*, common::*, container::*, daemon::*, definition::*, deployment::*, fargate::*,
    gpus::*, instance::*, linux::*, network::*, service::*, task::*, task_set::*,
};

/// Declares an identifier that is a string of its own type.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.to_owned())
            }
        }

        impl KeyPart for $name {
            fn write(&self, out: &mut String) {
                out.push_str(&self.0);
            }
        }
    };
}

/// Declares an identifier of 128 bits that is a type of its own; so many of the last bits come first where they are in order,
/// and in keys.
macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident, $first:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Id128);

        impl $name {
            /// Reads it as an ARN has it; `None` for what no such identifier is.
            pub fn parse(text: &str) -> Option<$name> {
                text.parse().ok().map($name)
            }

            /// The one behind it, where they are in order.
            pub fn behind(&self) -> Option<$name> {
                let next = self.0.0.rotate_right($first).checked_add(1)?;
                Some($name(Id128(next.rotate_left($first))))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.0.0.rotate_right($first).cmp(&other.0.0.rotate_right($first))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl KeyPart for $name {
            /// What comes first is set apart, which tells it from keys of earlier versions.
            fn write(&self, out: &mut String) {
                let text = self.0.to_string();
                let (rest, first) = text.split_at(text.len() - $first / 4);
                out.push_str(first);
                out.push_str(if first.is_empty() { "" } else { "-" });
                out.push_str(rest);
            }

            fn earlier(&self) -> Option<String> {
                ($first > 0).then(|| self.0.to_string())
            }
        }
    };
}

id128!(
    /// The last part of a task's ARN: 32 hexadecimal digits. They are in the order of time (`Ids::id_at`), so that what is
    /// new, and changes most, stands side by side in every index and on disk: among a million it costs what it costs among few.
    TaskId,
    48
);
id128!(
    /// The last part of a container instance's ARN: 32 hexadecimal digits.
    InstanceId,
    0
);
id!(
    /// A service's name, unique in its cluster among services that are not INACTIVE.
    ServiceName
);

id!(
    /// A daemon's name, unique in its cluster.
    DaemonName
);
id128!(
    /// Names a revision of a daemon; the last part of its ARN has the same digits as a UUID.
    DaemonRevisionId,
    0
);

/// A task definition's family and revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskDefinitionId {
    pub family: String,
    pub revision: i32,
}

impl KeyPart for TaskDefinitionId {
    /// Sorts by family, then by revision.
    fn write(&self, out: &mut String) {
        out.push_str(&format!("{}/{:010}", self.family, self.revision));
    }
}

impl std::fmt::Display for TaskDefinitionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.family, self.revision)
    }
}

/// What a task takes from its host, or a host has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU units: 1024 to a vCPU.
    pub cpu: i64,
    /// MiB.
    pub memory: i64,
    /// Host ports, tcp.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ports_tcp: BTreeSet<u16>,
    /// Host ports, udp.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ports_udp: BTreeSet<u16>,
    /// A task's are those that it was given.
    #[serde(default, skip_serializing_if = "Gpus::is_empty")]
    pub gpus: Gpus,
}

/// A cluster's own row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterRow {
    pub name: String,
    /// ACTIVE, or INACTIVE once deleted.
    pub active: bool,
    pub created_at: Timestamp,
    pub settings: Vec<ClusterSetting>,
    pub configuration: Option<ClusterConfiguration>,
    pub capacity_providers: Vec<String>,
    pub default_capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    pub service_connect_defaults: Option<ClusterServiceConnectDefaults>,
    pub tags: Vec<Tag>,
    /// When an INACTIVE cluster is forgotten.
    #[serde(default)]
    pub forget_at: Option<Timestamp>,
}

impl ClusterRow {
    /// A cluster of which there is only the name.
    pub fn plain(name: &str) -> ClusterRow {
        ClusterRow {
            name: name.to_owned(),
            active: false,
            created_at: Timestamp(0),
            settings: Vec::new(),
            configuration: None,
            capacity_providers: Vec::new(),
            default_capacity_provider_strategy: Vec::new(),
            service_connect_defaults: None,
            tags: Vec::new(),
            forget_at: None,
        }
    }
}

/// A container instance's status, as the API words it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum InstanceStatus {
    Active,
    Draining,
    Inactive,
    /// A daemon that is critical does not run there yet: it takes no other task, and those that it has stay.
    Registering,
}

impl InstanceStatus {
    /// Whether its tasks are to go.
    pub fn is_to_be_emptied(self) -> bool {
        matches!(self, InstanceStatus::Draining | InstanceStatus::Inactive)
    }

    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            InstanceStatus::Active => "ACTIVE",
            InstanceStatus::Draining => "DRAINING",
            InstanceStatus::Inactive => "INACTIVE",
            InstanceStatus::Registering => "REGISTERING",
        }
    }
}

/// Who speaks for a container instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// Nobody yet: it was registered before agents had keys of their own. The first that comes has it.
    #[default]
    Unclaimed,
    /// Users: one registered it by hand.
    User,
    /// Its agent alone, by the key that is bound to it.
    Agent,
}

/// A container instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceRow {
    pub id: InstanceId,
    #[serde(default)]
    pub owner: Owner,
    pub status: InstanceStatus,
    /// It is DRAINING as a critical daemon has failed there: its task is started anew, and then it is ACTIVE again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repair: bool,
    pub registered_at: Timestamp,
    /// What the agent registered; PORTS are the reserved ones.
    pub registered: Resources,
    /// The agent's and the user's attributes, by name.
    pub attributes: Vec<Attribute>,
    pub tags: Vec<Tag>,
    pub agent_connected: bool,
    /// Where the manifests of its session begin to count; agents take none that counts less than one before.
    #[serde(default)]
    pub timeline: i64,
    pub version_info: VersionInfo,
    /// By which tools know the machine: of the identity document of EC2, or made of this row's own id. Rows
    /// from before there was one have it once their agent registers again.
    #[serde(default)]
    pub ec2_instance_id: Option<String>,
    /// Where other hosts reach it, as its agent says. Packets between tasks of two hosts go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// While its agent is away: when the tasks of services on it are given up, if they ever are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// What its agent says of its host's health, by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<InstanceHealth>,
    /// Rises with each change.
    pub version: i64,
    /// When an INACTIVE instance is forgotten.
    pub forget_at: Option<Timestamp>,
}

/// A task's status, in the order of its life; it only ever rises.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaskStatus {
    Provisioning,
    Pending,
    Activating,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

impl TaskStatus {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Provisioning => "PROVISIONING",
            TaskStatus::Pending => "PENDING",
            TaskStatus::Activating => "ACTIVATING",
            TaskStatus::Running => "RUNNING",
            TaskStatus::Deactivating => "DEACTIVATING",
            TaskStatus::Stopping => "STOPPING",
            TaskStatus::Deprovisioning => "DEPROVISIONING",
            TaskStatus::Stopped => "STOPPED",
        }
    }
}

/// What a task shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Desired {
    Running,
    Stopped,
}

impl Desired {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Desired::Running => "RUNNING",
            Desired::Stopped => "STOPPED",
        }
    }
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    pub name: ServiceName,
    pub status: ServiceStatus,
    pub scheduling: Scheduling,
    /// Who deploys it. Of EXTERNAL each task set stands among `deployments`, the PRIMARY one first where there is one.
    #[serde(default, skip_serializing_if = "is_ecs")]
    pub controller: DeploymentControllerType,
    pub desired_count: i32,
    /// That of the PRIMARY deployment; without a family where there is none.
    pub task_definition: TaskDefinitionId,
    /// Likewise.
    pub launch_type: LaunchType,
    /// Likewise: over which capacity providers its tasks are distributed; none where the launch type counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    /// Likewise: where its tasks of mode `awsvpc` are. The zones of the subnets are the last of `placement_constraints`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Box<NetworkRow>>,
    /// Likewise: what its tasks on Fargate run on, as it was given; none where they are not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Box<PlatformRow>>,
    /// It was created with a strategy, so there is no launch type to go back to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_no_launch_type: bool,
    pub minimum_healthy_percent: i32,
    pub maximum_percent: i32,
    /// As given, for the echo; percents above are the effective ones.
    pub deployment_configuration: Option<DeploymentConfiguration>,
    /// For so long after a task has started, what its health checks find does not count.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub health_check_grace_period_seconds: i32,
    pub placement_constraints: Vec<PlacementConstraint>,
    pub placement_strategy: Vec<PlacementStrategy>,
    #[serde(default = "disabled")]
    pub availability_zone_rebalancing: AvailabilityZoneRebalancing,
    pub propagate_tags: Option<PropagateTags>,
    pub enable_ecs_managed_tags: bool,
    pub enable_execute_command: bool,
    pub tags: Vec<Tag>,
    pub role_arn: Option<String>,
    pub created_at: Timestamp,
    pub created_by: Option<String>,
    /// The PRIMARY one first.
    pub deployments: Vec<DeploymentRow>,
    /// The revision that was COMPLETED last: what one that fails is rolled back to. None while that goes on.
    #[serde(default)]
    pub completed: Option<DeploymentId>,
    /// Whether the last event said that it has reached a steady state.
    pub steady: bool,
    /// The last reason given for a task that could not be placed; the same one is not repeated at once.
    pub unplaced: Option<(String, Timestamp)>,
    /// Look again at this time, whatever happens before.
    pub wake_at: Option<Timestamp>,
    /// While it is rebalanced, over zones or onto fewer container instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalancing: Option<RebalancingRow>,
    /// When an INACTIVE service is forgotten.
    pub forget_at: Option<Timestamp>,
    /// What the row of an earlier version held that has rows of its own; only while it is read.
    #[serde(skip)]
    pub held: Option<Box<Held>>,
}

/// Whether a count is nought.
fn is_none(count: &u16) -> bool {
    *count == 0
}

/// Whether it is nought.
fn is_nought(number: &i32) -> bool {
    *number == 0
}

/// Whether it is not so.
fn is_not(so: &bool) -> bool {
    !*so
}

/// Whether Amazon ECS itself deploys.
fn is_ecs(controller: &DeploymentControllerType) -> bool {
    *controller == DeploymentControllerType::Ecs
}

/// ECS treats a service that never had a value so.
fn disabled() -> AvailabilityZoneRebalancing {
    AvailabilityZoneRebalancing::Disabled
}

#[cfg(test)]
mod tests;
