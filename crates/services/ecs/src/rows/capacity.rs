//! Capacity providers: where the capacity comes from that tasks run on.

use serde::{Deserialize, Serialize};
use wire::{Timestamp, string_enum};

use super::Tag;

/// A capacity provider. FARGATE and FARGATE_SPOT are there without a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityProviderRow {
    pub name: String,
    pub created_at: Timestamp,
    pub status: CapacityProviderStatus,
    /// How far the last change of it is.
    pub update: CapacityProviderUpdateStatus,
    /// Why that failed.
    pub update_reason: Option<String>,
    /// Of one that is an Auto Scaling group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<AutoScalingGroupProvider>,
    /// Of one of managed instances, which belongs to a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedInstancesProvider>,
    pub tags: Vec<Tag>,
    /// When an INACTIVE one is forgotten.
    pub forget_at: Option<Timestamp>,
}

/// What a capacity provider says of its Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AutoScalingGroupProvider {
    /// The ARN or the name, as it was given.
    pub auto_scaling_group_arn: String,
    pub managed_scaling: ManagedScaling,
    pub managed_termination_protection: ManagedTerminationProtection,
    pub managed_draining: ManagedDraining,
}

/// How a group grows and shrinks with what its tasks need.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ManagedScaling.html>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedScaling {
    pub status: ManagedScalingStatus,
    /// The part of the instances that is to be in use, in percent.
    pub target_capacity: i32,
    pub minimum_scaling_step_size: i32,
    pub maximum_scaling_step_size: i32,
    /// In seconds.
    pub instance_warmup_period: i32,
}

impl Default for ManagedScaling {
    fn default() -> ManagedScaling {
        ManagedScaling {
            status: ManagedScalingStatus::Disabled,
            target_capacity: 100,
            minimum_scaling_step_size: 1,
            maximum_scaling_step_size: 10_000,
            instance_warmup_period: 300,
        }
    }
}

/// A capacity provider of managed instances.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedInstancesProvider {
    /// The name of the cluster that it belongs to.
    pub cluster: String,
    /// The API's ManagedInstancesProvider as JSON: nothing here launches instances, so nothing reads it but whoever
    /// shows it.
    pub settings: String,
}

string_enum! {
    CapacityProviderStatus {
        Provisioning = "PROVISIONING",
        Active = "ACTIVE",
        Deprovisioning = "DEPROVISIONING",
        Inactive = "INACTIVE",
    }
}

string_enum! {
    CapacityProviderUpdateStatus {
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateComplete = "CREATE_COMPLETE",
        CreateFailed = "CREATE_FAILED",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteComplete = "DELETE_COMPLETE",
        DeleteFailed = "DELETE_FAILED",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        UpdateComplete = "UPDATE_COMPLETE",
        UpdateFailed = "UPDATE_FAILED",
    }
}

string_enum! {
    ManagedScalingStatus {
        Disabled = "DISABLED",
        Enabled = "ENABLED",
    }
}

string_enum! {
    ManagedTerminationProtection {
        Disabled = "DISABLED",
        Enabled = "ENABLED",
    }
}

string_enum! {
    ManagedDraining {
        Enabled = "ENABLED",
        Disabled = "DISABLED",
    }
}

impl CapacityProviderRow {
    /// Whether tasks can be placed by it, and clusters may take it up.
    pub fn is_usable(&self) -> bool {
        self.status == CapacityProviderStatus::Active
            && self.update != CapacityProviderUpdateStatus::DeleteInProgress
    }

    /// Whether something is begun and not carried out: making one that belongs to a cluster, or deleting one.
    pub fn is_unsettled(&self) -> bool {
        use CapacityProviderUpdateStatus::{CreateInProgress, DeleteInProgress};
        matches!(self.update, CreateInProgress | DeleteInProgress)
    }
}
