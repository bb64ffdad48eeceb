//! The agent link, server side: the ECS agent protocol's two web sockets, ACS (assignments to an
//! agent) and TCS (telemetry from it). It carries; it decides nothing. What an instance shall run
//! comes from [`Assignments`], which the driver implements over the brain. It must not read the
//! store, and the API operations of agents (`RegisterContainerInstance`, `Submit*`) are not here.

use async_trait::async_trait;
use wire::{acs, tcs};

/// Path of the ACS socket; `DiscoverPollEndpoint.endpoint` is this without `/ws`.
pub const ACS_PATH: &str = "/acs/ws";
/// Path of the TCS socket; `DiscoverPollEndpoint.telemetryEndpoint` is this without `/ws`.
pub const TCS_PATH: &str = "/tcs/ws";

/// What the agents' instances shall run, and who hears what they measure.
#[async_trait]
pub trait Assignments: Send + Sync + 'static {
    /// Opens the ACS session of an instance: it now counts as connected (`agentConnected`), with the
    /// versions that the agent names. Dropping the session says that it no longer is.
    ///
    /// The link calls this only after the instance's previous session was dropped: one at a time, the
    /// newer wins.
    async fn connect(&self, hello: acs::Connect) -> Result<Box<dyn Session>, Refusal>;

    /// Opens the TCS session of an instance.
    async fn telemetry(&self, hello: acs::Connect) -> Result<Box<dyn Telemetry>, Refusal>;
}

/// One connected instance, as the source of its assignments.
#[async_trait]
pub trait Session: Send {
    /// The full ARN of the cluster (the agent may have named it shortly).
    fn cluster_arn(&self) -> &str;

    /// The full ARN of the container instance.
    fn instance_arn(&self) -> &str;

    /// Waits for the next assignment: first every task of this instance that is not yet reported
    /// STOPPED, then each change as it comes. Sending one again is harmless. `None` ends the session
    /// (deregistered, or the server stops). Must be safe to drop while waiting, losing nothing.
    async fn next(&mut self) -> Option<Assignment>;

    /// Every task that this instance should know, for a `TaskManifestMessage`. Asked for once at the
    /// start of each session and at each [`Assignment::Manifest`].
    async fn manifest(&mut self) -> Option<Manifest>;

    /// Tasks that the agent runs but the manifest does not want: which shall it really stop? Decided
    /// against the newest state, since assignments may have been made after the manifest.
    async fn verify_stop(&mut self, candidates: Vec<acs::TaskIdentifier>) -> Vec<acs::TaskIdentifier>;
}

/// One connected instance, as a source of telemetry.
#[async_trait]
pub trait Telemetry: Send {
    /// Use of resources over the last 20 s.
    async fn metrics(&mut self, metrics: tcs::PublishMetricsRequest) -> Result<(), Refusal>;

    /// Verdicts of containers' health checks.
    async fn health(&mut self, health: tcs::PublishHealthRequest) -> Result<(), Refusal>;

    /// Verdicts of the instance's own health checks.
    async fn instance_status(&mut self, status: tcs::PublishInstanceStatusRequest) -> Result<(), Refusal>;
}

/// Something for the agent to know.
#[derive(Debug, Clone)]
pub enum Assignment {
    /// Run this task or, by its `desiredStatus`, stop it. One `PayloadMessage`, repeated in the next
    /// session unless the driver says otherwise.
    Task {
        task: Box<acs::Task>,
        /// Rises with every change of this instance's assignments; a store revision will do.
        seq_num: i64,
    },
    /// Fresh keys for a running task.
    Credentials { task_arn: String, role: Role, credentials: Box<acs::IAMRoleCredentials> },
    /// Compare all tasks now: sends what [`Session::manifest`] answers.
    Manifest,
}

/// Whose keys they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The task's own (`TaskApplication`).
    Task,
    /// The agent's, to start the task (`TaskExecution`).
    Execution,
}

/// All tasks of an instance.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// Must be higher than in any manifest before it, also after a restart; agents ignore others.
    pub timeline: i64,
    pub tasks: Vec<acs::TaskIdentifier>,
}

/// Why a socket is refused, by the names that agents understand (agent protocol, section b.3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?}: {message}")]
pub struct Refusal {
    pub kind: RefusalKind,
    pub message: String,
}

/// The names of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    Server,
    BadRequest,
    InvalidCluster,
    InvalidInstance,
    AccessDenied,
    /// Truly deregistered. The stock agent waits an hour before it tries again.
    InactiveInstance,
}
