//! What a schedule calls: the stored form of the API's `Target`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ELEMENT, ROW, length, tags};

/// What a schedule calls, as whom, and how often it tries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetRow {
    pub arn: String,
    pub role_arn: String,
    /// As the user wrote it.
    pub input: Option<String>,
    /// Seconds.
    pub max_age: i32,
    pub max_retries: i32,
    /// The ARN of a queue.
    pub dead_letter: Option<String>,
    pub action: Action,
}

/// Which operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// RunTask of ECS, in the cluster that the target's ARN names.
    RunTask(Box<RunTaskRow>),
    /// An operation by the universal target's ARN.
    Universal {
        /// The service's name in the models.
        service: String,
        operation: String,
        /// The input with the names of members as the model has them, where the user wrote others.
        fitted: Option<String>,
    },
}

/// `EcsParameters`: of what the API has, each member as it was given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunTaskRow {
    pub task_definition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_providers: Option<Vec<ProviderRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_tags: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execute_command: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Vec<ConstraintRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategies: Option<Vec<StrategyRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<String>,
    /// Each a map with `key` and `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<BTreeMap<String, String>>>,
}

/// `awsvpcConfiguration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkRow {
    pub subnets: Vec<String>,
    pub security_groups: Option<Vec<String>>,
    pub public_ip: Option<String>,
}

/// An item of a capacity provider strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderRow {
    pub provider: String,
    pub weight: Option<i32>,
    pub base: Option<i32>,
}

/// A placement constraint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConstraintRow {
    pub kind: Option<String>,
    pub expression: Option<String>,
}

/// A placement strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrategyRow {
    pub kind: Option<String>,
    pub field: Option<String>,
}

impl TargetRow {
    /// The longest age of a run in milliseconds.
    pub fn max_age_ms(&self) -> i64 {
        i64::from(self.max_age) * 1000
    }

    /// How many tasks a run starts; `None` where it starts none.
    pub fn tasks(&self) -> Option<i32> {
        match &self.action {
            Action::RunTask(run) => Some(run.count.unwrap_or(1)),
            Action::Universal { .. } => None,
        }
    }

    /// A tag that a run's tasks get.
    pub fn tag(&self, key: &str) -> Option<&str> {
        let Action::RunTask(run) = &self.action else { return None };
        let mut tags = run.tags.iter().flatten();
        let tag = tags.find(|tag| tag.get("key").is_some_and(|own| own == key))?;
        tag.get("value").map(String::as_str)
    }

    /// About how many bytes the store takes for it. An input is JSON within JSON.
    pub(super) fn weight(&self) -> usize {
        let texts =
            self.arn.len() + self.role_arn.len() + 2 * length(&self.input) + length(&self.dead_letter);
        let action = match &self.action {
            Action::RunTask(run) => run.weight(),
            Action::Universal { fitted, .. } => 2 * length(fitted),
        };
        ROW + texts + action
    }
}

impl RunTaskRow {
    fn weight(&self) -> usize {
        let words = |list: &[String]| list.iter().map(|word| 8 + word.len()).sum::<usize>();
        let network = self.network.iter();
        let network =
            network.map(|net| words(&net.subnets) + net.security_groups.as_deref().map_or(0, words));
        let providers = self.capacity_providers.iter().flatten().map(|item| ELEMENT + item.provider.len());
        let constraints =
            self.constraints.iter().flatten().map(|item| ELEMENT + 2 * length(&item.expression));
        let strategies = self.strategies.iter().flatten().map(|item| ELEMENT + length(&item.field));
        let texts = [&self.platform_version, &self.group, &self.reference_id, &self.propagate_tags];
        ROW + self.task_definition.len()
            + texts.into_iter().map(length).sum::<usize>()
            + network.sum::<usize>()
            + providers.chain(constraints).chain(strategies).sum::<usize>()
            // A tag may hold nothing but what JSON escapes.
            + self.tags.iter().flatten().map(|tag| 2 * tags(tag)).sum::<usize>()
    }
}
