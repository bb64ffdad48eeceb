//! What the agent is told at its start. Values only; the command line reads files and environment.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use wire::sigv4::Credentials;

use crate::trust::Trust;

/// Hears the ARN of this host's container instance.
pub type OnRegistered = Arc<dyn Fn(&str) + Send + Sync>;

/// Everything the agent needs.
#[derive(Clone)]
pub struct Config {
    /// The control plane, `http://127.0.0.1:4566`, or with `https`.
    pub endpoint: String,
    /// Who may vouch for the control plane, where it is `https`.
    pub trust: Arc<Trust>,
    /// Name or ARN.
    pub cluster: String,
    pub region: String,
    /// Brings this host in: what it does then is signed with a key of its own, which it makes itself, unless an
    /// operator has made this one for it alone.
    pub credentials: Credentials,
    /// Holds `ledger.db`; made if absent.
    pub data_dir: PathBuf,
    pub engine: Arc<dyn engine::Engine>,
    /// The zone that this host is in, sent with each registration; where there is none the control plane names one.
    pub availability_zone: Option<String>,
    /// Where other hosts reach this one; where there is none, the address by which it reaches the control plane.
    pub address: Option<Ipv4Addr>,
    /// Who is asked for names that are none of a VPC's; empty for the name servers of the host.
    pub dns_upstream: Vec<SocketAddr>,
    /// The user's own attributes; sent when the instance is first registered.
    pub attributes: BTreeMap<String, String>,
    /// The capacity provider that this host belongs to: said at each registration.
    pub capacity_provider: Option<String>,
    /// This host is given to Fargate, which it says at each registration.
    pub fargate: bool,
    pub resources: Resources,
    /// The wall around tasks on Fargate that ask for none in particular.
    pub isolation: engine::Isolation,
    pub timers: Timers,
    /// `ECS_IMAGE_PULL_BEHAVIOR`.
    pub image_pull: engine::PullBehavior,
    /// The ledger, or the control plane's state, is gone for good: what ran before may go too.
    pub begins_anew: bool,
    /// Called once this host is registered, with its container instance's ARN, and again should the
    /// control plane give it a new one.
    pub on_registered: Option<OnRegistered>,
}

impl Config {
    /// Whether an operator made the key for this host alone.
    pub(crate) fn has_operator_key(&self) -> bool {
        self.credentials.access_key.starts_with(agent_protocol::agent_key::OF_OPERATOR)
    }
}

/// What this host offers to tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// 1024 a core.
    pub cpu: u64,
    pub memory_mib: u64,
    /// Host ports that no task gets.
    pub reserved_ports_tcp: Vec<u16>,
    pub reserved_ports_udp: Vec<u16>,
    /// GPUs by their ids, each with the devices that a container has for it.
    pub gpus: BTreeMap<String, Vec<PathBuf>>,
}

impl Resources {
    /// What the host has, less `reserved_memory_mib`. The reserved ports are those of the ECS agent.
    pub fn detect(reserved_memory_mib: u64) -> Resources {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total_kib = meminfo
            .lines()
            .find_map(|line| {
                line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
            })
            .unwrap_or(0);
        Resources {
            cpu: cores * 1024,
            memory_mib: (total_kib >> 10).saturating_sub(reserved_memory_mib),
            reserved_ports_tcp: vec![22, 2375, 2376, 51678, 51679],
            reserved_ports_udp: Vec::new(),
            gpus: BTreeMap::new(),
        }
    }
}

/// Times that are the agent's own to choose. The defaults are the stock agent's, but where said.
#[derive(Debug, Clone)]
pub struct Timers {
    /// From a task's end, with everything of it told and shipped, to its removal from the host. The stock
    /// agent waits 3 h so that people can look at the remains; here it is nought, so that the host is
    /// clean at once.
    pub task_cleanup_wait: Duration,
    /// Changes of containers that do not change their task's status are told after this. (Stock: 10-30 s.)
    pub container_report_delay: Duration,
    /// How long the output of an ended container may stay unshipped before its task is removed all the
    /// same. The one case in which a line that a container wrote can be lost.
    pub output_patience: Duration,
    /// How long output waits for a log group that is not there, or may not be written to, and is not the
    /// agent's to make. What comes after is dropped and counted until it is, as Docker's driver drops it:
    /// such a group holds up neither a container that waits for its output, nor the end of a task.
    pub log_group_patience: Duration,
    /// Longest wait of a line for company before it is shipped.
    pub output_flush: Duration,
    /// Between looks at which images may go.
    pub image_cleanup_interval: Duration,
    /// Between publications of metrics. Health is told when it changes; what was not taken, at the next of these.
    pub publish_interval: Duration,
    /// A connection without a word from the server this long is closed, and made again.
    pub heartbeat_timeout: Duration,
    /// Connections are made anew after this.
    pub reconnect_after: Duration,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            task_cleanup_wait: Duration::ZERO,
            container_report_delay: Duration::from_secs(1),
            output_patience: Duration::from_secs(24 * 3600),
            log_group_patience: Duration::from_secs(10),
            output_flush: Duration::from_millis(200),
            image_cleanup_interval: Duration::from_secs(30 * 60),
            publish_interval: Duration::from_secs(20),
            heartbeat_timeout: Duration::from_secs(90),
            reconnect_after: Duration::from_secs(30 * 60),
        }
    }
}
