//! The rows of an account: task definitions, their families, settings, the keys of agents.

use serde::{Deserialize, Serialize};
use wire::Timestamp;

use super::{
    ContainerDefinition, InstanceId, SettingName, Tag, TaskDefinition, TaskDefinitionId, TaskDefinitionStatus,
};

/// A task definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskDefinitionRow {
    pub registered: TaskDefinition,
    pub tags: Vec<Tag>,
    /// The account setting `defaultLogDriverMode` at the time of registration: the mode of an `awslogs`
    /// driver that names none. Kept here so that a task never changes its mode when it is sent again.
    #[serde(default)]
    pub log_mode: String,
}

impl TaskDefinitionRow {
    /// Its family and revision.
    pub fn id(&self) -> TaskDefinitionId {
        TaskDefinitionId { family: self.registered.family.clone(), revision: self.registered.revision }
    }

    /// Its status.
    pub fn status(&self) -> TaskDefinitionStatus {
        self.registered.status
    }

    /// Its containers, in the order of registration.
    pub fn containers(&self) -> &[ContainerDefinition] {
        &self.registered.container_definitions
    }
}

/// A family, which outlives its task definitions: a revision is never used again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FamilyRow {
    pub name: String,
    pub last_revision: i32,
}

/// An account setting that somebody has put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettingRow {
    /// The ARN of the user or role; empty for the account's default.
    pub principal: String,
    pub name: SettingName,
    pub value: String,
}

/// A key pair and the container instance that it is bound to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentKeyRow {
    pub access_key: String,
    /// As its agent made it; none for a pair of an operator, whose secret follows from the access key.
    pub secret: Option<String>,
    pub cluster: String,
    pub instance: InstanceId,
    pub bound_at: Timestamp,
}
