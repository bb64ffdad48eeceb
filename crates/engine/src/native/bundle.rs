//! From what is asked (`ContainerSpec`), what the image says and what the host gave, to the plan that a
//! runner follows: Docker's rules, written as an OCI runtime specification. Does no writing; of the host
//! it reads device nodes only.

mod capabilities;
mod devices;
mod guest;
mod links;
mod mounts;
mod process;
mod security;
mod signals;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::Spec;
use serde_json::{Value, json};

use super::apparmor::AppArmor;
use super::cgroup::{self, GroupPath, Hierarchy, Limits};
use super::ids::Ids;
use super::layout::{ContainerDir, TaskDir};
use super::plan::{BoundVolume, Confine, Plan};
use super::proto::Io;
use crate::spec::{ContainerSpec, IpcMode, Isolation, NetworkMode, PidMode, TaskSpec};

pub(crate) use capabilities::bits as capability_bits;
pub(crate) use links::{Source as LinkSource, shown_by, variables as link_variables};
pub(crate) use mounts::SHM_BYTES;
pub(crate) use security::parse as parse_security;
pub(crate) use signals::parse as parse_signal;

/// What the host gave a container before its plan is made.
pub(crate) struct Given<'a> {
    pub(crate) task: &'a TaskSpec,
    pub(crate) task_dir: &'a TaskDir,
    pub(crate) dir: &'a ContainerDir,
    pub(crate) runtime_id: String,
    pub(crate) image_digest: String,
    pub(crate) image: &'a image::Config,
    pub(crate) overlay: image::Overlay,
    /// What the task has of the host's ids, where it has a user namespace.
    pub(crate) ids: Option<Ids>,
    pub(crate) hierarchy: &'a Hierarchy,
    pub(crate) group: GroupPath,
    /// `None` in host mode.
    pub(crate) netns: Option<PathBuf>,
    pub(crate) attached: bool,
    pub(crate) hostname: String,
    pub(crate) apparmor: &'a AppArmor,
    /// What its links put into its environment.
    pub(crate) linked: Vec<String>,
    /// Where seccomp programs are kept.
    pub(crate) seccomp_dir: &'a Path,
    /// What other containers of the task mount, by name.
    pub(crate) volumes_of: &'a dyn Fn(&str) -> Option<Vec<BoundVolume>>,
}

/// Makes the plan. Errors are words for the user.
pub(crate) fn plan(given: Given<'_>, spec: &ContainerSpec) -> Result<Plan, String> {
    let mut security = security::parse(&spec.security_options)?;
    security.apparmor = given.apparmor.profile(security.apparmor.as_deref(), spec.privileged)?;
    let volumes = mounts::volumes(&given, spec)?;
    let devices = devices::of(spec)?;
    let capabilities = capabilities::of(spec)?;
    let in_sandbox = given.task.isolation == Isolation::Gvisor;
    let confine = match spec.privileged || security.seccomp_unconfined || in_sandbox {
        true => None,
        false => {
            let capabilities = capability_bits(capabilities.iter().map(String::as_str));
            let program = security::seccomp(given.seccomp_dir, capabilities)
                .map_err(|e| format!("cannot make the seccomp program: {e}"))?;
            Some(Confine { program, capabilities })
        }
    };
    let process = process::of(&given, spec, &process::wide(&capabilities, confine.is_some()), &security)?;
    let document = match in_sandbox {
        true => guest::document(&given, spec, process, &volumes)?,
        false => document(&given, spec, process, &volumes, &devices.nodes)?,
    };
    let spec_oci: Spec = serde_json::from_value(document).map_err(|e| format!("invalid container: {e}"))?;
    let user = spec.user.clone().filter(|u| !u.is_empty()).unwrap_or_else(|| given.image.user.clone());
    let stop_signal = [spec.stop_signal.as_deref(), Some(given.image.stop_signal.as_str())]
        .into_iter()
        .flatten()
        .find(|s| !s.is_empty())
        .map_or(Ok(libc::SIGTERM), parse_signal)?;
    let shown = links::shown(&given, spec);
    Ok(Plan {
        shown,
        runtime_id: given.runtime_id,
        image_digest: given.image_digest,
        overlay: given.overlay,
        ids: given.ids,
        spec: spec_oci,
        user,
        copy_up: volumes.copy_up,
        group: given.group,
        groups_writable: spec.privileged,
        confine,
        limits: if in_sandbox { Limits::default() } else { limits(spec, devices.rules) },
        init: spec.init_process,
        io: Io { terminal: spec.pseudo_terminal, interactive: spec.interactive, output: spec.output.clone() },
        stop_signal,
        attached: given.attached,
        in_task_network: spec.network == NetworkMode::Task,
        volumes: volumes.bound,
    })
}

/// The specification for a container of this kernel.
fn document(
    given: &Given<'_>,
    spec: &ContainerSpec,
    process: Value,
    volumes: &mounts::Volumes,
    nodes: &[Value],
) -> Result<Value, String> {
    let mut linux = json!({
        "namespaces": namespaces(given),
        "cgroupsPath": given.group.absolute(),
        "devices": nodes,
        "sysctl": sysctls(spec)?,
    });
    if !spec.privileged {
        linux["maskedPaths"] = json!(security::MASKED);
        linux["readonlyPaths"] = json!(security::READONLY);
    }
    Ok(json!({
        "ociVersion": "1.0.2",
        "hostname": given.hostname,
        "root": { "path": given.overlay.target, "readonly": spec.readonly_root },
        "process": process,
        "mounts": mounts::all(given, spec, volumes)?,
        "annotations": spec.labels,
        "linux": linux,
    }))
}

fn limits(spec: &ContainerSpec, devices: Option<Vec<cgroup::DeviceRule>>) -> Limits {
    Limits {
        cpu_shares: spec.cpu_shares,
        cpu_millis: None,
        memory_bytes: spec.memory_bytes,
        memory_reservation_bytes: spec.memory_reservation_bytes,
        memory_swap_bytes: spec.memory_swap_bytes,
        swappiness: spec.swappiness,
        pids: None,
        devices,
    }
}

/// The limits of all of a task's containers together.
pub(crate) fn task_limits(task: &TaskSpec) -> Limits {
    Limits {
        cpu_millis: task.cpu_millis,
        memory_bytes: task.memory_bytes,
        pids: task.pids_limit,
        ..Limits::default()
    }
}

fn namespaces(given: &Given<'_>) -> Vec<Value> {
    // The runner says which PID namespace is the task's. Without IPC of its own a container is born in its
    // supervisor's, which is the task's where that is asked for.
    let own = [
        ("pid", given.task.pid_mode != PidMode::Host),
        ("mount", true),
        ("ipc", matches!(given.task.ipc_mode, IpcMode::Own | IpcMode::None)),
        ("uts", true),
        // The task's, as the runner knows.
        ("user", given.ids.is_some()),
    ];
    let own = own.into_iter().filter(|(_, own)| *own);
    let mut all: Vec<Value> = own.map(|(kind, _)| json!({ "type": kind })).collect();
    if let Some(path) = &given.netns {
        all.push(json!({ "type": "network", "path": path }));
    }
    // Docker's default: private with v2, the host's with v1.
    if matches!(given.hierarchy, Hierarchy::V2(_)) {
        all.push(json!({ "type": "cgroup" }));
    }
    all
}

/// System controls outside the network, which has its own: see [`network_sysctls`].
fn sysctls(spec: &ContainerSpec) -> Result<Value, String> {
    let mut out = serde_json::Map::new();
    for (name, value) in spec.sysctls.iter().filter(|(name, _)| !name.starts_with("net.")) {
        let namespaced = name.starts_with("fs.mqueue.")
            || matches!(
                name.as_str(),
                "kernel.msgmax"
                    | "kernel.msgmnb"
                    | "kernel.msgmni"
                    | "kernel.sem"
                    | "kernel.shmall"
                    | "kernel.shmmax"
                    | "kernel.shmmni"
                    | "kernel.shm_rmid_forced"
            );
        if !namespaced {
            return Err(format!(
                "sysctl \"{name}\" is not allowed: it is not in a namespace of the container's"
            ));
        }
        out.insert(name.clone(), json!(value));
    }
    Ok(Value::Object(out))
}

/// The `net.*` system controls that are asked for; the network has Docker's defaults for the others.
pub(crate) fn network_sysctls(spec: &ContainerSpec) -> Vec<(String, String)> {
    let asked = spec.sysctls.iter().filter(|(name, _)| name.starts_with("net."));
    asked.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A container's name for itself: that of its task's interface where it shares that, what was asked, the host's where
/// it shares its network, or the start of its id.
pub(crate) fn hostname(spec: &ContainerSpec, task: &TaskSpec, runtime_id: &str, host: &str) -> String {
    match (&spec.hostname, spec.network) {
        (_, NetworkMode::Task) if task.network.is_some() => {
            task.network.as_ref().map(|network| network.hostname.clone()).unwrap_or_default()
        }
        (Some(name), _) if !name.is_empty() => name.clone(),
        (_, NetworkMode::Host) => host.to_owned(),
        _ => runtime_id.chars().take(12).collect(),
    }
}

/// Where a linked container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Linked {
    pub(crate) hostname: Option<String>,
    pub(crate) ipv4: Ipv4Addr,
}

#[cfg(test)]
mod tests;
