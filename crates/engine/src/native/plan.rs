//! What a container's files say of how to run it: made once, at create, and never changed.

use std::path::PathBuf;

use libcontainer::oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

use super::cgroup::{GroupPath, Limits};
use super::ids::Ids;
use super::proto::Io;

/// All that a runner needs. What depends on the mounted root file system (users, folders) is left to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// 64 hexadecimal digits.
    pub(crate) runtime_id: String,
    /// The manifest digest of the image, which is held while the container is.
    pub(crate) image_digest: String,
    pub(crate) overlay: image::Overlay,
    /// What its task has of the host's ids, where it has a user namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ids: Option<Ids>,
    /// Complete but for the process's user and `HOME`.
    pub(crate) spec: Spec,
    /// `name|uid[:group|gid]`, or empty for root.
    pub(crate) user: String,
    /// Folders that get the image's content where they are still empty.
    pub(crate) copy_up: Vec<CopyUp>,
    pub(crate) group: GroupPath,
    /// Whether it may write to what it sees of its groups.
    pub(crate) groups_writable: bool,
    /// `None`: unconfined.
    pub(crate) confine: Option<Confine>,
    pub(crate) limits: Limits,
    /// Run an init process as PID 1.
    pub(crate) init: bool,
    pub(crate) io: Io,
    /// What asks it to end.
    pub(crate) stop_signal: i32,
    /// Whether it has an attachment to the network.
    pub(crate) attached: bool,
    /// Whether it joins its task's interface.
    #[serde(default)]
    pub(crate) in_task_network: bool,
    /// What this container mounts, for those that mount volumes from it.
    pub(crate) volumes: Vec<BoundVolume>,
    /// For those that link to it.
    pub(crate) shown: Shown,
}

/// What a container shows to those that link to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) ports: Vec<Exposed>,
    /// Which variables of its environment.
    pub(crate) names: Vec<String>,
}

/// A port that an image or a definition declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exposed {
    pub(crate) port: u16,
    /// In small letters.
    pub(crate) protocol: String,
}

/// A seccomp program, and the capabilities (bits) that stay once it is set: to set it takes more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Confine {
    pub(crate) program: PathBuf,
    pub(crate) capabilities: u64,
}

/// A folder of the image to be copied into a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopyUp {
    pub(crate) container_path: PathBuf,
    pub(crate) volume: PathBuf,
}

/// A folder of the host inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BoundVolume {
    /// As the task definition names it; none for one that the image declares.
    pub(crate) name: Option<String>,
    pub(crate) host_path: PathBuf,
    pub(crate) container_path: PathBuf,
    pub(crate) read_only: bool,
}
