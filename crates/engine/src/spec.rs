//! What the agent asks an engine for. Values are final: overrides are merged, defaults of the image
//! are not (the engine merges those, as it alone holds the image).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::vpc;

/// The last part of a task's ARN: 32 lower-case hexadecimal digits.
pub type TaskId = String;

/// Names one container of one task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerId {
    /// The task's id.
    pub task: TaskId,
    /// The container's name in its task definition.
    pub name: String,
}

impl std::fmt::Display for ContainerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.task, self.name)
    }
}

/// When an image is fetched (`ECS_IMAGE_PULL_BEHAVIOR`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullBehavior {
    /// Fetch; if that fails, use what is here.
    Default,
    /// Fetch; if that fails, fail.
    Always,
    /// Fetch only what is not here.
    PreferCached,
}

/// Asks for an image.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// The reference as the task definition gives it.
    pub image: String,
    /// When to fetch.
    pub behavior: PullBehavior,
    /// Credentials for its registry.
    pub auth: Option<RegistryAuth>,
}

/// User name and password for a registry.
#[derive(Clone)]
pub struct RegistryAuth {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegistryAuth({})", self.username)
    }
}

/// An image that is present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledImage {
    /// The digest that its name was resolved to, `sha256:…`: of its index where it is for several platforms, else of its
    /// manifest.
    pub digest: String,
}

/// What the containers of one task share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    pub id: TaskId,
    /// For the host's own listings: `family:revision`.
    pub family: String,
    /// Hard limit for the whole task, in thousandths of a vCPU.
    pub cpu_millis: Option<u64>,
    /// Hard limit for the whole task, in bytes.
    pub memory_bytes: Option<u64>,
    /// Most processes in the whole task.
    pub pids_limit: Option<u64>,
    /// Volumes that containers may mount, by name.
    pub volumes: BTreeMap<String, Volume>,
    /// Whose processes the containers see.
    #[serde(default)]
    pub pid_mode: PidMode,
    /// Whose IPC the containers have.
    #[serde(default)]
    pub ipc_mode: IpcMode,
    /// The interface that is the task's own, for containers of [`NetworkMode::Task`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<TaskNetwork>,
    /// What stands between the task and the host. An engine that has no such wall refuses the task.
    #[serde(default, skip_serializing_if = "Isolation::is_shared")]
    pub isolation: Isolation,
    /// How many bytes all that the task's containers write may take on the disk, their volumes included; what is beyond
    /// fails as on a full disk. An engine that cannot limit it refuses the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<u64>,
}

/// What stands between a task and its host, beside what is around every container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Isolation {
    /// Nothing more.
    #[default]
    Shared,
    /// A user namespace of the task's own, with a range of ids that nobody else has: its root is nobody on the host.
    /// Nothing of the host's is shared, and nothing in it is privileged.
    Namespaces,
    /// A kernel of the task's own: all its containers are in one sandbox of gVisor's. Nothing of the host's is shared, and
    /// nothing in it is privileged.
    Gvisor,
}

impl Isolation {
    /// Whether it is none at all.
    pub fn is_shared(&self) -> bool {
        *self == Isolation::Shared
    }

    /// As the configuration and the attribute of a host name it.
    pub fn name(self) -> &'static str {
        match self {
            Isolation::Shared => "none",
            Isolation::Namespaces => "namespaces",
            Isolation::Gvisor => "gvisor",
        }
    }
}

impl std::fmt::Display for Isolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Isolation {
    type Err = String;

    fn from_str(name: &str) -> Result<Isolation, String> {
        let all = [Isolation::Shared, Isolation::Namespaces, Isolation::Gvisor];
        all.into_iter()
            .find(|one| one.name() == name)
            .ok_or_else(|| format!("there is no isolation {name:?}"))
    }
}

/// A task's own interface in a VPC, and the names that go with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskNetwork {
    /// `eni-…`.
    pub interface: vpc::Name,
    /// `vpc-…`.
    pub vpc: vpc::Name,
    /// The VPC's blocks.
    pub blocks: Vec<vpc::Block>,
    pub mac: vpc::Mac,
    pub ipv4: Ipv4Addr,
    pub subnet: vpc::Subnet,
    pub gateway: Ipv4Addr,
    pub ipv6: Option<Ipv6Addr>,
    /// As it was when the task was given; [`crate::Engine::change_network`] has it change.
    pub state: vpc::InterfaceState,
    /// What all its containers are called, also in their `/etc/hosts`: the private DNS name.
    pub hostname: String,
    /// Name servers; empty for the host's.
    pub dns_servers: Vec<String>,
    pub dns_search_domains: Vec<String>,
}

/// Whose processes a container sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PidMode {
    /// Its own alone.
    #[default]
    Own,
    /// Those of all containers of its task.
    Task,
    /// All of the host.
    Host,
}

/// With whom a container shares System V and POSIX IPC, and /dev/shm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpcMode {
    /// With nobody.
    #[default]
    Own,
    /// With all containers of its task.
    Task,
    /// With the host.
    Host,
    /// With nobody, and there is no /dev/shm.
    None,
}

/// Where a volume's content lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Volume {
    /// An empty directory that lives as long as the task.
    Empty,
    /// A path of the host, made if absent (as Docker does for a bind mount).
    Host(PathBuf),
}

/// Which network a container joins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// A namespace of its own on the host's bridge, with port mappings.
    #[default]
    Bridge,
    /// The host's own.
    Host,
    /// A namespace with loopback only.
    None,
    /// The namespace of its task, with [`TaskSpec::network`], which it shares with the task's other containers.
    Task,
}

/// Everything about one container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The reference as the task definition gives it; must be present (see `Engine::pull`).
    pub image: String,
    /// The digest that `pull` answered; pins the image against a tag that moved meanwhile.
    pub image_digest: Option<String>,
    /// `None`: the image's.
    pub entry_point: Option<Vec<String>>,
    /// `None`: the image's, unless `entry_point` is given.
    pub command: Option<Vec<String>>,
    /// Laid over the image's.
    pub environment: BTreeMap<String, String>,
    /// `name|uid[:group|gid]`; `None`: the image's.
    pub user: Option<String>,
    pub working_directory: Option<String>,
    pub hostname: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub network: NetworkMode,
    pub port_mappings: Vec<PortMapping>,
    pub extra_hosts: Vec<(String, IpAddr)>,
    /// Containers of the same task to name in /etc/hosts: (container, alias).
    pub links: Vec<(String, String)>,
    pub dns_servers: Vec<String>,
    pub dns_search_domains: Vec<String>,
    /// Relative weight; 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// Hard limit in bytes.
    pub memory_bytes: Option<u64>,
    /// Soft limit in bytes.
    pub memory_reservation_bytes: Option<u64>,
    /// Memory and swap together in bytes; -1 is unlimited.
    pub memory_swap_bytes: Option<i64>,
    /// 0 to 100.
    pub swappiness: Option<u64>,
    pub ulimits: Vec<Ulimit>,
    pub readonly_root: bool,
    pub privileged: bool,
    pub capabilities_add: Vec<String>,
    pub capabilities_drop: Vec<String>,
    pub devices: Vec<Device>,
    pub tmpfs: Vec<Tmpfs>,
    pub shm_bytes: Option<u64>,
    /// Run an init process as PID 1 that forwards signals and reaps.
    pub init_process: bool,
    /// Name or number; `None`: the image's, else SIGTERM.
    pub stop_signal: Option<String>,
    pub interactive: bool,
    pub pseudo_terminal: bool,
    pub mounts: Vec<Mount>,
    /// Mount all volumes of these containers of the same task: (container, read-only).
    pub volumes_from: Vec<(String, bool)>,
    pub sysctls: BTreeMap<String, String>,
    /// As Docker words them: `no-new-privileges`, `seccomp=unconfined`, `apparmor=…`, `label:…`.
    pub security_options: Vec<String>,
    /// How much unread output may wait on disk, and what happens then.
    pub output: OutputPolicy,
}

/// A port of a container and where the host offers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    pub container_port: u16,
    /// `None`: the engine picks one from the dynamic range.
    pub host_port: Option<u16>,
    pub protocol: Protocol,
    /// So many ports after it belong to it, side by side on both sides; then the engine picks those of the host.
    #[serde(default)]
    pub more: u16,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

/// A limit of `setrlimit(2)`, by Docker's names (`nofile`, `nproc`, …).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    pub name: String,
    /// -1 is unlimited.
    pub soft: i64,
    pub hard: i64,
}

/// A device of the host inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub host_path: PathBuf,
    pub container_path: PathBuf,
    /// Any of `r`, `w`, `m`.
    pub permissions: String,
}

/// A tmpfs mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    pub container_path: PathBuf,
    pub size_bytes: u64,
    /// As mount(8) words them.
    pub options: Vec<String>,
}

/// A volume of the task inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub source_volume: String,
    pub container_path: PathBuf,
    pub read_only: bool,
}

/// What happens when output is not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputPolicy {
    /// The container waits in its write once the spool (a fixed size on disk) is full.
    #[default]
    Blocking,
    /// The oldest waiting output is dropped, and counted, beyond this many bytes.
    NonBlocking { max_bytes: u64 },
    /// Goes to the container's own `<runtime id>-json.log`, as Docker's json-file driver writes it, and not
    /// to who reads output. The file is turned over at `max_bytes`; there are `files` at most, with it.
    #[serde(alias = "Rotating")]
    JsonFile { max_bytes: u64, files: u32 },
    /// Nothing is kept (log driver `none`).
    Discard,
}

/// A command to run in a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecSpec {
    pub command: Vec<String>,
    /// The command is killed after this.
    pub timeout: std::time::Duration,
    /// Output kept for the caller is cut after this many bytes.
    pub max_output_bytes: usize,
}
