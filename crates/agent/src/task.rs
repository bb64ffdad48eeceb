//! A task as the agent holds it: what it shall be ([`Task`]), and how far it is ([`TaskState`]).
//! Plain values; [`crate::plan`] moves them. Times are milliseconds since the epoch.

mod state;

pub use state::{ContainerState, Fact, Health, HealthStatus, Known, Phase, Prepared, TaskState};

use crate::admission::Needs;

/// One task, lowered from the assignment: final, never changed while the task lives.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    pub arn: String,
    /// As [`id_in`] the ARN.
    pub id: engine::TaskId,
    pub cluster_arn: String,
    pub family: String,
    /// The revision of the task definition.
    pub version: String,
    pub spec: engine::TaskSpec,
    /// The ARN by which the control plane knows the attachment of its interface.
    pub attachment: Option<String>,
    /// In the order of the task definition.
    pub containers: Vec<Container>,
    /// What it takes of this host.
    pub needs: Needs,
    /// Why this agent cannot run it at all; such a task is only ever reported as STOPPED.
    pub refusal: Option<String>,
}

/// One container of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Container {
    pub name: String,
    pub spec: engine::ContainerSpec,
    pub essential: bool,
    pub depends_on: Vec<Dependency>,
    /// Containers (by index) that must be made before this one: its links and volumesFrom.
    pub made_after: Vec<usize>,
    /// How long a dependent waits for this one, from its start.
    pub start_timeout_ms: Option<i64>,
    /// From its stop signal to SIGKILL.
    pub stop_timeout_ms: i64,
    pub restart: Option<RestartPolicy>,
    pub health_check: Option<HealthCheck>,
    pub log: LogDriver,
    /// Why its configuration cannot be used, as `reason` words it; it is never made then.
    pub refusal: Option<String>,
}

/// `dependsOn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// Index of the container depended on.
    pub on: usize,
    pub condition: Condition,
}

/// What a dependency waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Start,
    Complete,
    Success,
    Healthy,
}

impl Condition {
    /// The word that ECS has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Start => "START",
            Condition::Complete => "COMPLETE",
            Condition::Success => "SUCCESS",
            Condition::Healthy => "HEALTHY",
        }
    }
}

/// `restartPolicy`, when enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// It is not restarted after an end with one of these.
    pub ignored_exit_codes: Vec<i32>,
    /// It must have run this long to be restarted.
    pub attempt_period_ms: i64,
}

/// A container's health check, by Docker's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    pub command: Vec<String>,
    /// From the start, or the end of the last probe, to the next.
    pub interval_ms: i64,
    pub timeout_ms: i64,
    /// Failures in a row that make it UNHEALTHY.
    pub retries: u32,
    /// Failures this soon after the start do not count.
    pub start_period_ms: i64,
}

/// Where a container's output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogDriver {
    /// A file of the container's own, which the engine writes.
    #[default]
    JsonFile,
    /// Nowhere.
    None,
    /// CloudWatch Logs.
    AwsLogs(AwsLogs),
}

/// The options of the driver `awslogs`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsLogs {
    pub group: String,
    /// `None`: the runtime id, which is only known once the container is made.
    pub stream: Option<String>,
    pub create_group: bool,
    /// `awslogs-datetime-format` and `awslogs-multiline-pattern`: a line that matches starts a new event.
    pub event_start: [Option<String>; 2],
}

/// A task's name towards the engine: the last part of its ARN.
pub fn id_in(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

impl Task {
    /// The index of the container of this name.
    pub fn container(&self, name: &str) -> Option<usize> {
        self.containers.iter().position(|c| c.name == name)
    }

    /// The container's name towards the engine.
    pub fn container_id(&self, index: usize) -> engine::ContainerId {
        engine::ContainerId { task: self.id.clone(), name: self.containers[index].name.clone() }
    }

    /// Whether `dependent` must have ended before `index` may be stopped.
    pub fn holds(&self, dependent: usize, index: usize) -> bool {
        let dependent = &self.containers[dependent];
        dependent.depends_on.iter().any(|d| d.on == index) || dependent.made_after.contains(&index)
    }
}
