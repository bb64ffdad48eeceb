//! Small parts of several rows.

use serde::{Deserialize, Serialize};
use wire::string_enum;

/// A tag of a resource.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tag {
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// An attribute: of a container instance, or asked of one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Attribute {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VersionInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_version: Option<String>,
}

/// A setting of a cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterSetting {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ClusterSettingName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What a cluster was configured with: there is nothing so far that it could be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterConfiguration {}

/// A share of tasks that a capacity provider has. Both numbers are there once a request has been checked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CapacityProviderStrategyItem {
    pub capacity_provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<i32>,
}

/// Where services meet. Nobody gives one yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterServiceConnectDefaults {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

string_enum! {
    ClusterSettingName {
        ContainerInsights = "containerInsights",
    }
}

string_enum! {
    SettingName {
        ServiceLongArnFormat = "serviceLongArnFormat",
        TaskLongArnFormat = "taskLongArnFormat",
        ContainerInstanceLongArnFormat = "containerInstanceLongArnFormat",
        AwsvpcTrunking = "awsvpcTrunking",
        ContainerInsights = "containerInsights",
        FargateFIPSMode = "fargateFIPSMode",
        TagResourceAuthorization = "tagResourceAuthorization",
        FargateTaskRetirementWaitPeriod = "fargateTaskRetirementWaitPeriod",
        GuardDutyActivate = "guardDutyActivate",
        DefaultLogDriverMode = "defaultLogDriverMode",
        FargateEventWindows = "fargateEventWindows",
    }
}
