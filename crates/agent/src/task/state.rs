//! How far a task is. Written to the ledger as JSON, so members are only ever added.

use serde::{Deserialize, Serialize};

/// How far a task is, with all its containers (same order as in [`super::Task`]).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskState {
    /// The control plane wants it stopped, or it can go on no more.
    pub stop: bool,
    /// The host has room for it (see [`crate::admission`]).
    pub admitted: bool,
    /// Asked for room; not kept across a restart of the agent.
    #[serde(skip)]
    pub admission_asked: bool,
    pub prepared: Prepared,
    /// It was said that its interface is attached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attachment_told: bool,
    pub containers: Vec<ContainerState>,
    /// The farthest status the task has reached.
    pub known: Known,
    /// The task's own failure, as opposed to a container's.
    pub reason: Option<String>,
    /// It filled the host's disk: its containers are killed, and what it wrote goes at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filled_disk: bool,
    pub pull_started_at_ms: Option<i64>,
    pub pull_stopped_at_ms: Option<i64>,
    pub execution_stopped_at_ms: Option<i64>,
}

impl TaskState {
    /// Whether a restart of the agent would go on from here as from `other`: they differ at the most in when the next
    /// probes are due, in what the last ones wrote, and in what is never kept. Probes come all the time, and what is
    /// kept of them is the verdict and how many have failed.
    pub fn is_kept_as(&self, other: &TaskState) -> bool {
        let kept = |state: &TaskState| {
            let mut state = state.clone();
            state.admission_asked = false;
            for container in &mut state.containers {
                let Health { status, since_ms, failures, .. } = container.health;
                container.health = Health { status, since_ms, failures, ..Health::default() };
            }
            state
        };
        kept(self) == kept(other)
    }
}

/// Whether the engine has made what the containers share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prepared {
    #[default]
    No,
    Busy,
    Yes,
}

/// What the control plane is told of a task; only ever rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Known {
    #[default]
    None,
    /// Every image is known by its digest.
    Pending,
    Running,
    Stopped,
}

impl Known {
    /// The word that ECS has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Known::None | Known::Pending => "PENDING",
            Known::Running => "RUNNING",
            Known::Stopped => "STOPPED",
        }
    }
}

/// Where a container is. Only ever rises, but for a restart (`Running` to `Starting`) and for a step
/// that a restart of the agent cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    #[default]
    Waiting,
    Pulling,
    Pulled,
    Creating,
    Created,
    Starting,
    Running,
    Stopped,
}

/// How far one container is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerState {
    pub phase: Phase,
    pub image_digest: Option<String>,
    pub created: Option<engine::Created>,
    /// Of its last start.
    pub started: Option<engine::Started>,
    pub exit: Option<engine::Exit>,
    /// An exit heard of before the answer to the start.
    pub early_exit: Option<engine::Exit>,
    /// The exit of the run before the last start, which may be heard again.
    #[serde(default)]
    pub last_exit: Option<engine::Exit>,
    /// The exit code to report when it never ran but ECS reports one all the same.
    pub exit_code_without_run: Option<i32>,
    /// Why it could not go on: `Name: text`.
    pub reason: Option<String>,
    /// Restarts by its restart policy.
    pub restarts: u32,
    pub pull_attempts: u32,
    /// Not before this, for a repeated pull.
    pub retry_at_ms: Option<i64>,
    pub stop_sent_at_ms: Option<i64>,
    pub health: Health,
}

impl ContainerState {
    /// Whether it ran at any time.
    pub fn has_run(&self) -> bool {
        self.started.is_some()
    }

    /// The exit code to report.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit.as_ref().and_then(|exit| exit.code).or(self.exit_code_without_run)
    }
}

/// The verdict of a container's health check, and what leads to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    pub status: HealthStatus,
    pub since_ms: i64,
    /// Failures in a row that count.
    pub failures: u32,
    /// What the last probe wrote, cut.
    pub output: String,
    #[serde(skip)]
    pub probing: bool,
    pub next_probe_at_ms: Option<i64>,
}

/// ECS's `healthStatus`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthStatus {
    #[default]
    Unknown,
    Healthy,
    Unhealthy,
}

impl HealthStatus {
    /// The word that ECS has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthStatus::Unknown => "UNKNOWN",
            HealthStatus::Healthy => "HEALTHY",
            HealthStatus::Unhealthy => "UNHEALTHY",
        }
    }
}

/// Something that became known about a task. `usize` is the container's index.
#[derive(Debug, Clone)]
pub enum Fact {
    /// The control plane wants it stopped.
    StopWanted,
    /// The host has room.
    Admitted,
    Prepared(Result<(), engine::Error>),
    Pulled(usize, Result<engine::PulledImage, engine::Error>),
    Created(usize, Result<engine::Created, engine::Error>),
    Started(usize, Result<engine::Started, engine::Error>),
    Exited(usize, engine::Exit),
    /// The engine knows no such container, though it should run.
    Vanished(usize, String),
    /// It is the one that fills the host's disk, by the container that wrote most.
    FilledDisk {
        container: Option<usize>,
        reason: String,
    },
    /// A probe of the health check ended.
    Probed {
        container: usize,
        healthy: bool,
        output: String,
    },
}
