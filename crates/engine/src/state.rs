//! What an engine answers. Times are milliseconds since the epoch.

use serde::{Deserialize, Serialize};

use crate::spec::{ContainerId, Protocol, TaskId};

/// What an engine offers on this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Name and version for the agent link's `dockerVersion`.
    pub version: String,
    /// Output can be captured, so every log driver of the agent works.
    pub captures_output: bool,
    pub task_limits: bool,
    pub privileged: bool,
    /// The kernel can confine containers by AppArmor profiles.
    pub apparmor: bool,
    pub network_bridge: bool,
    /// Tasks can have interfaces of their own, with security groups that are enforced.
    pub task_interfaces: bool,
    /// Containers can share processes and IPC, with each other or with the host.
    pub shared_namespaces: bool,
    /// Ranges of ports can be published.
    pub port_ranges: bool,
}

/// A container that is ready to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The engine's own id of it: 64 hexadecimal digits (ECS `runtimeId`).
    pub runtime_id: String,
    pub created_at_ms: i64,
    /// The port mappings with host ports picked.
    pub bindings: Vec<Binding>,
    /// Its address on the bridge, if it has one.
    pub ipv4: Option<std::net::Ipv4Addr>,
    /// The image's own health check, stop time-out and such are the agent's to read from here.
    pub image_health_check: Option<Vec<String>>,
}

/// Where a container's port is offered (ECS `NetworkBinding`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Binding {
    pub bind_ip: String,
    pub container_port: u16,
    pub host_port: u16,
    pub protocol: Protocol,
}

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// In the host's PID namespace.
    pub pid: i32,
    pub started_at_ms: i64,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0 to 255; 128 + signal for one that a signal ended. `None` when nobody saw it, as after a reboot.
    pub code: Option<i32>,
    pub oom_killed: bool,
    pub exited_at_ms: i64,
    /// Why the engine ended it by itself: `Name: text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Created,
    Running(Started),
    Exited(Exit),
}

/// One container as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    pub id: ContainerId,
    pub created: Created,
    pub phase: Phase,
    /// How often it was started.
    pub starts: u32,
}

/// A task of ours found on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTask {
    pub task: TaskId,
    pub containers: Vec<ContainerState>,
}

/// What a container has written to disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub task: TaskId,
    /// The container; `None` for the volumes that a task's containers share.
    pub container: Option<String>,
    pub bytes: u64,
    pub inodes: u64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A container ended.
    Exited { id: ContainerId, exit: Exit },
    /// A container wrote output (at most one until it is read again; only a hint to read).
    Output { id: ContainerId },
    /// The reader fell behind.
    Missed,
}

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutcome {
    /// `None`: killed by the time-out.
    pub code: Option<i32>,
    pub output: Vec<u8>,
}

/// Which stream a record came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Bytes that a container wrote. A line may span records; `partial` says its end is not in this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRecord {
    pub at_ms: i64,
    pub stream: Stream,
    /// Without the line's end.
    pub data: Vec<u8>,
    pub partial: bool,
    /// The cursor just after this record.
    pub cursor: u64,
    /// How many lines have ended, this one included, on both streams and whether they were kept or not.
    /// 0 where that is not known.
    pub lines: u64,
}

/// Captured output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputChunk {
    pub records: Vec<OutputRecord>,
    /// Pass this next time.
    pub cursor: u64,
    /// Bytes that were dropped before the first record, by the output policy.
    pub dropped_bytes: u64,
    /// The container has ended (and will write no more until started again) and all is read.
    pub ended: bool,
}

/// Use of resources since the container started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    pub at_ms: i64,
    pub cpu_ns: u64,
    pub memory_bytes: u64,
    pub memory_limit_bytes: Option<u64>,
    pub pids: u64,
    pub rx: NetworkCounters,
    pub tx: NetworkCounters,
    pub block_read_bytes: u64,
    pub block_write_bytes: u64,
}

/// Counters of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    pub bytes: u64,
    pub packets: u64,
    pub errors: u64,
    pub dropped: u64,
}
