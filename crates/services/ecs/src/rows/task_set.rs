//! The sets of tasks that somebody else deploys a service by.

use serde::{Deserialize, Serialize};
use wire::Timestamp;

use super::{
    CapacityProviderStrategyItem, DeploymentId, LaunchType, NetworkRow, PlatformRow, ServiceName, Tag,
    TaskDefinitionId,
};

/// A task set of a service. That it is PRIMARY, and what of it fails, stands among the deployments of its service, under
/// its number.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskSet.html>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSetRow {
    pub service: ServiceName,
    /// `ecs-svc/` and its digits are its id.
    pub id: DeploymentId,
    pub external_id: Option<String>,
    pub task_definition: TaskDefinitionId,
    pub launch_type: LaunchType,
    /// None where the launch type counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    /// None where its tasks are not of mode `awsvpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Box<NetworkRow>>,
    /// What its tasks on Fargate run on, as it was given; none where they are not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Box<PlatformRow>>,
    /// In percent of the service's desired count.
    pub scale: f64,
    /// It is deleted, and goes once it has no task any more.
    pub draining: bool,
    /// It has what it wants, and all of it is healthy.
    pub steady: bool,
    /// Since when it has, or has not.
    pub steady_at: Timestamp,
    pub tags: Vec<Tag>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The client token that made it, and the SHA-256 of the request that had it.
    pub token: Option<(String, String)>,
}
