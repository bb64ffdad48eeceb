//! The rows of one account and region: what is stored, and all that is stored. A timer is a time in a row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use state::{Id128, contract::weight_of, outbox::Call};
use wire::Timestamp;

/// An event bus and a rule of it.
pub type RuleKey = (String, String);
/// A rule and a target of it.
pub type TargetKey = (RuleKey, String);
/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

state::rows! {
    /// Rows of one account and region.
    "bus" Bus(BusRow, String): |row| row.name.clone(),
    "policy" Policy(PolicyRow, String): |row| row.bus.clone(),
    "rule" Rule(RuleRow, RuleKey): |row| row.key(),
    "target" Target(TargetRow, TargetKey): |row| row.key(),
    "schedule" Schedule(ScheduleRow, String): |row| row.rule.clone(),
    "arrival" Arrival(ArrivalRow, Id128): |row| row.id,
    "delivery" Delivery(DeliveryRow, Id128): |row| row.id,
    "sender" Sender(SenderRow, String): |row| row.sender.clone(),
    "follow" Follow(FollowRow, ()): |_row| (),
    "passed" Passed(PassedRow, u64): |row| row.number,
    "dead-letter" DeadLetter(DeadLetterRow, u64): |row| row.number,
}

/// A change to one of them.
pub type Change = state::Change<Row>;

/// An event bus. The default one has a row once anything of it was changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BusRow {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// An SQS queue, for events that could not be encrypted; nothing is, so nothing comes to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_detail: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
    /// None of the default event bus, which nobody made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<Timestamp>,
}

/// The resource policy of an event bus, as long as it has a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRow {
    pub bus: String,
    /// `Version` of the policy language.
    pub version: String,
    /// As IAM writes them, in the order in which they came.
    pub statements: Vec<Value>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RuleRow {
    pub bus: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// The AWS service that made it for itself, which alone may change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// The account.
    pub created_by: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
    /// From when a rate counts: its expression came, or the rule was enabled.
    pub anchor: Timestamp,
}

impl RuleRow {
    /// Its key.
    pub fn key(&self) -> RuleKey {
        (self.bus.clone(), self.name.clone())
    }
}

/// A target of a rule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TargetRow {
    pub bus: String,
    pub rule: String,
    pub id: String,
    pub arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transformer: Option<Transformer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecs: Option<EcsTask>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The log stream that a log group's events go to, its name in hexadecimal digits.
    pub stream: Id128,
}

impl TargetRow {
    /// Its key.
    pub fn key(&self) -> TargetKey {
        ((self.bus.clone(), self.rule.clone()), self.id.clone())
    }
}

/// `InputTransformer`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Transformer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<BTreeMap<String, String>>,
    pub template: String,
}

/// `RetryPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Retry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i32>,
}

/// `EcsParameters`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EcsTask {
    pub task_definition: String,
    pub count: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_providers: Option<Vec<CapacityProvider>>,
    pub managed_tags: bool,
    pub execute_command: bool,
    /// Type and expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Vec<Pair>>,
    /// Type and field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Vec<Pair>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<(String, String)>>,
}

/// A placement constraint or strategy: its type, and its expression or field.
pub type Pair = (Option<String>, Option<String>);

/// `awsvpcConfiguration`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    pub subnets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
}

/// One of `CapacityProviderStrategy`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CapacityProvider {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<i32>,
}

/// When a rule of the default event bus runs next. There is none of a rule that is disabled, or never runs again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRow {
    pub rule: String,
    pub next: Timestamp,
}

/// An event that did not reach all its rules' targets in one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArrivalRow {
    pub id: Id128,
    pub bus: String,
    /// JSON.
    pub event: String,
    /// It came from another event bus, and goes to no further one.
    pub forwarded: bool,
    pub ingested_at: Timestamp,
    /// It is a schedule's, for that rule alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// The last rule and target that had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<(String, String)>,
}

/// One event on its way to one target: a call in the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryRow {
    pub id: Id128,
    pub bus: String,
    pub rule: String,
    pub target: String,
    /// What is called, the rendered input in it.
    pub call: Call,
    /// The log stream is not there, and has to be made first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub make_stream: bool,
    /// Calls that failed.
    pub attempts: u32,
    pub made_at: Timestamp,
    /// When it may be called next.
    pub not_before: Timestamp,
    /// When it is given up.
    pub ends: Timestamp,
    /// Retries after which it is given up.
    pub retries: u32,
    /// Where it goes then, were there such queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
}

/// Up to where another domain's events were taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SenderRow {
    pub sender: String,
    pub sequence: u64,
}

/// Somebody follows the events of the default event bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FollowRow {
    /// The number of the first event that is kept for it.
    pub first: u64,
    /// Until when, unless it is said again.
    pub until: Timestamp,
}

/// An event of the default event bus, kept for those who follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassedRow {
    pub number: u64,
    /// JSON.
    pub event: String,
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterRow {
    pub number: u64,
    pub at: Timestamp,
    pub bus: String,
    pub rule: String,
    pub target: String,
    /// None where it did not come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    pub attempts: u32,
    pub code: String,
    pub message: String,
    /// `MaximumRetryAttempts` or `MaximumEventAgeInSeconds`, if that was it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted: Option<String>,
    /// The queue that the target names for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
}

/// A row without its texts.
const ROW: usize = 256;

fn text(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, |text| text.len() + 16)
}

fn tags(tags: &Tags) -> usize {
    tags.iter().map(|(key, value)| key.len() + value.len() + 8).sum()
}

fn call(call: &Call) -> usize {
    call.principal.len() + call.service.len() + call.operation.len() + weight_of(&call.input)
}

impl state::Row for BusRow {
    fn weight(&self) -> usize {
        ROW + self.name.len() + text(&self.description) + text(&self.dead_letter) + tags(&self.tags)
    }
}

impl state::Row for PolicyRow {
    fn weight(&self) -> usize {
        ROW + self.bus.len() + self.statements.iter().map(weight_of).sum::<usize>()
    }
}

impl state::Row for RuleRow {
    fn weight(&self) -> usize {
        let texts = [&self.pattern, &self.schedule, &self.description, &self.role_arn, &self.managed_by];
        ROW + self.bus.len() + self.name.len() + texts.map(text).iter().sum::<usize>() + tags(&self.tags)
    }
}

impl state::Row for TargetRow {
    fn weight(&self) -> usize {
        let texts = [&self.role_arn, &self.input, &self.input_path, &self.dead_letter];
        let transformer = self
            .transformer
            .as_ref()
            .map_or(0, |transformer| transformer.template.len() + transformer.paths.as_ref().map_or(0, tags));
        let names = self.bus.len() + self.rule.len() + self.id.len() + self.arn.len();
        ROW + names + texts.map(text).iter().sum::<usize>() + transformer + self.ecs.as_ref().map_or(0, ecs)
    }
}

fn ecs(task: &EcsTask) -> usize {
    let pairs = |pairs: &Option<Vec<Pair>>| -> usize {
        pairs.iter().flatten().map(|(kind, value)| 8 + text(kind) + text(value)).sum()
    };
    let network = task.network.as_ref().map_or(0, |network| {
        let groups = network.security_groups.iter().flatten();
        network.subnets.iter().chain(groups).map(|id| id.len() + 4).sum::<usize>()
    });
    let providers = task.capacity_providers.iter().flatten().map(|provider| provider.name.len() + 48);
    let tags = task.tags.iter().flatten().map(|(key, value)| key.len() + value.len() + 8);
    ROW + task.task_definition.len()
        + text(&task.platform_version)
        + text(&task.group)
        + text(&task.reference_id)
        + pairs(&task.constraints)
        + pairs(&task.strategy)
        + network
        + providers.chain(tags).sum::<usize>()
}

impl state::Row for ScheduleRow {
    fn weight(&self) -> usize {
        ROW + self.rule.len()
    }
}

impl state::Row for ArrivalRow {
    fn weight(&self) -> usize {
        // A JSON text inside of JSON: its quotes are escaped.
        ROW + self.bus.len() + self.event.len() * 5 / 4
    }
}

impl state::Row for DeliveryRow {
    fn weight(&self) -> usize {
        let names = self.bus.len() + self.rule.len() + self.target.len();
        ROW + names + call(&self.call) + text(&self.dead_letter)
    }
}

impl state::Row for SenderRow {
    fn weight(&self) -> usize {
        ROW + self.sender.len()
    }
}

impl state::Row for FollowRow {
    fn weight(&self) -> usize {
        ROW
    }
}

impl state::Row for PassedRow {
    fn weight(&self) -> usize {
        ROW + self.event.len() * 5 / 4
    }
}

impl state::Row for DeadLetterRow {
    fn weight(&self) -> usize {
        let names = self.bus.len() + self.rule.len() + self.target.len();
        ROW + names + self.code.len() + self.message.len() + self.call.as_ref().map_or(0, call)
    }
}

#[cfg(test)]
mod tests;
