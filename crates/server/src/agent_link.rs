//! The agent link, server side: the ECS agent protocol's two web sockets, ACS (assignments to an
//! agent) and TCS (telemetry from it). It carries; it decides nothing. What an instance shall run
//! comes from [`Assignments`], which the runtime implements over the clusters. It must not read the
//! store, and the API operations of agents (`RegisterContainerInstance`, `Submit*`) are not here.

mod acs_session;
mod handshake;
mod registry;
mod tcs_session;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use agent_protocol::{acs, tcs};
use async_trait::async_trait;
use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite::{self, Message, protocol::WebSocketConfig};
use tokio_util::task::TaskTracker;

pub use agent_protocol::acs::Connect as Hello;

use registry::Registry;

use crate::{gate::Caller, runtime::Place, tls::Tls};

/// Path of the ACS socket; `DiscoverPollEndpoint.endpoint` is this without `/ws`.
pub const ACS_PATH: &str = "/acs/ws";
/// Path of the TCS socket; `DiscoverPollEndpoint.telemetryEndpoint` is this without `/ws`.
pub const TCS_PATH: &str = "/tcs/ws";

/// Serves both sockets; the front door hands it the upgrades of [`ACS_PATH`] and [`TCS_PATH`].
pub struct AgentLink {
    assignments: Arc<dyn Assignments>,
    limits: Limits,
    /// Whose CAs agents are told.
    tls: Option<Arc<Tls>>,
    acs: Arc<Registry>,
    tcs: Arc<Registry>,
    sessions: TaskTracker,
}

impl AgentLink {
    /// A link over `assignments`.
    pub fn new(assignments: Arc<dyn Assignments>, limits: Limits) -> AgentLink {
        let registry = || Arc::new(Registry::new(limits.max_links));
        let (acs, tcs, sessions) = (registry(), registry(), TaskTracker::new());
        AgentLink { acs, tcs, assignments, limits, tls: None, sessions }
    }

    /// The same, which tells each agent that connects by which CAs this control plane is known.
    pub fn telling(self, tls: Option<Arc<Tls>>) -> AgentLink {
        AgentLink { tls, ..self }
    }
}

/// A web socket, as its frames. What there is of it without HTTP and without bytes.
pub trait Frames:
    Stream<Item = Result<Message, tungstenite::Error>>
    + Sink<Message, Error = tungstenite::Error>
    + Unpin
    + Send
    + 'static
{
}

impl<T> Frames for T where
    T: Stream<Item = Result<Message, tungstenite::Error>>
        + Sink<Message, Error = tungstenite::Error>
        + Unpin
        + Send
        + 'static
{
}

/// Times and sizes of the link.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Agents give up on a silent server after a minute at the least.
    pub heartbeat: Duration,
    /// A socket whose agent leaves a message unacknowledged this long is closed.
    pub ack_timeout: Duration,
    /// A socket that says nothing at all this long is closed; agents answer each heartbeat.
    pub silence: Duration,
    /// The longest that one frame may take to send.
    pub send_timeout: Duration,
    /// Assignments sent and not yet acknowledged; the next waits.
    pub max_unacked: usize,
    /// Longest frame from an agent, in bytes.
    pub max_frame: usize,
    /// Open sockets of each kind.
    pub max_links: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            heartbeat: Duration::from_secs(40),
            ack_timeout: Duration::from_secs(60),
            silence: Duration::from_secs(180),
            send_timeout: Duration::from_secs(30),
            max_unacked: 256,
            max_frame: 2 << 20,
            max_links: 50_000,
        }
    }
}

impl Limits {
    /// How the agents' sockets are made: with small buffers, as there are thousands of these, nearly always idle.
    pub fn sockets(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_message_size(Some(self.max_frame))
            .max_frame_size(Some(self.max_frame))
    }
}

/// What the agents' instances shall run, and who hears what they measure.
#[async_trait]
pub trait Assignments: Send + Sync + 'static {
    /// The full ARN of the instance that an agent names, by id or ARN, if the caller may speak for it; `place` is
    /// the account and region that the call is for.
    fn identify(&self, hello: &Hello, caller: &Caller, place: &Place) -> Result<String, Refusal>;

    /// Opens the ACS session of an instance: it now counts as connected (`agentConnected`), with the
    /// versions that the agent names. Dropping the session says that it no longer is. `origin` is the
    /// URL by which the agent reached this server, without a path.
    ///
    /// The link calls this only after the instance's previous session was dropped: one at a time, the
    /// newer wins.
    async fn connect(&self, hello: Hello, place: &Place, origin: &str) -> Result<Box<dyn Session>, Refusal>;

    /// Opens the TCS session of an instance.
    async fn telemetry(&self, hello: Hello, place: &Place) -> Result<Box<dyn Telemetry>, Refusal>;
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
    /// against the newest state, since assignments may have been made after the manifest. Those that have an
    /// assignment to stop are not among them.
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
    /// What holds for the network interfaces of this instance's tasks. Those of a session go out in their order, and before the
    /// tasks that need them.
    Vpc(Box<acs::VpcMessage>),
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
    /// Must be higher than in any manifest before it, also after a restart or a restored backup; agents
    /// ignore others, and do not acknowledge them.
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

impl RefusalKind {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalKind::Server => "ServerException",
            RefusalKind::BadRequest => "BadRequestException",
            RefusalKind::InvalidCluster => "InvalidClusterException",
            RefusalKind::InvalidInstance => "InvalidInstanceException",
            RefusalKind::AccessDenied => "AccessDeniedException",
            RefusalKind::InactiveInstance => "InactiveInstanceException",
        }
    }

    fn status(self) -> http::StatusCode {
        match self {
            RefusalKind::Server => http::StatusCode::INTERNAL_SERVER_ERROR,
            RefusalKind::AccessDenied => http::StatusCode::FORBIDDEN,
            _ => http::StatusCode::BAD_REQUEST,
        }
    }
}
