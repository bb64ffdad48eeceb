//! From what is asked (`ContainerSpec`) to what Docker's API takes. Pure.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
    ResourcesUlimits,
};

use super::{CONTAINER, INSTANCE, TASK};
use crate::native::bundle;
use crate::native::cgroup::GroupPath;
use crate::native::layout::ETC_FILES;
use crate::spec::{
    ContainerId, ContainerSpec, IpcMode, NetworkMode, OutputPolicy, PidMode, TaskSpec, Volume,
};

/// The largest file that json-file takes for a limit: output waits there until it was read, and is given back by us.
const NO_LIMIT: &str = "1000000t";

/// What is settled before a container is made.
pub(super) struct Given<'a> {
    pub(super) id8: &'a str,
    pub(super) id: &'a ContainerId,
    pub(super) task: &'a TaskSpec,
    /// The image's id in Docker.
    pub(super) image: String,
    /// Where the files for its /etc are.
    pub(super) folder: &'a Path,
    pub(super) group: GroupPath,
    pub(super) cgroupfs: bool,
    /// The holder of the task, where there is one.
    pub(super) task_holder: Option<String>,
    /// The holder of its place on the bridge.
    pub(super) own_holder: Option<String>,
    pub(super) hostname: Option<String>,
    /// What its links put into its environment.
    pub(super) linked: Vec<String>,
    pub(super) volume_name: &'a (dyn Fn(&str) -> String + Sync),
    pub(super) container_name: &'a (dyn Fn(&str) -> String + Sync),
}

/// The whole request. Errors are words for the user.
pub(super) fn container(given: &Given<'_>, spec: &ContainerSpec) -> Result<ContainerCreateBody, String> {
    let environment = spec.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let mut labels: HashMap<String, String> = spec.labels.clone().into_iter().collect();
    let own = [(INSTANCE, given.id8), (TASK, &given.id.task), (CONTAINER, &given.id.name)];
    labels.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(ContainerCreateBody {
        image: Some(given.image.clone()),
        entrypoint: spec.entry_point.clone(),
        cmd: spec.command.clone(),
        env: Some(given.linked.iter().cloned().chain(environment).collect()),
        user: spec.user.clone(),
        working_dir: spec.working_directory.clone(),
        hostname: given.hostname.clone().filter(|_| given.own_holder.is_none() && !in_task(spec)),
        labels: Some(labels),
        tty: Some(spec.pseudo_terminal),
        open_stdin: Some(spec.interactive),
        stop_signal: spec.stop_signal.clone(),
        healthcheck: Some(no_health_check()),
        host_config: Some(host_config(given, spec)?),
        ..Default::default()
    })
}

fn in_task(spec: &ContainerSpec) -> bool {
    spec.network == NetworkMode::Task
}

fn host_config(given: &Given<'_>, spec: &ContainerSpec) -> Result<HostConfig, String> {
    let number = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    let all = |list: &[String]| Some(list.to_vec()).filter(|list| !list.is_empty());
    let devices = spec.devices.iter().map(|device| DeviceMapping {
        path_on_host: Some(text(&device.host_path)),
        path_in_container: Some(text(&device.container_path)),
        cgroup_permissions: Some(device.permissions.clone()),
    });
    let ulimits = spec.ulimits.iter().map(|limit| ResourcesUlimits {
        name: Some(limit.name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    });
    let from = |(container, read_only): &(String, bool)| {
        (given.container_name)(container) + if *read_only { ":ro" } else { "" }
    };
    let tmpfs = spec.tmpfs.iter().map(|mount| {
        let options = std::iter::once(format!("size={}", mount.size_bytes)).chain(mount.options.clone());
        (text(&mount.container_path), options.collect::<Vec<_>>().join(","))
    });
    Ok(HostConfig {
        network_mode: Some(network_mode(given, spec)?),
        pid_mode: match given.task.pid_mode {
            PidMode::Own => None,
            PidMode::Host => Some("host".to_owned()),
            PidMode::Task => Some(joined(given)?),
        },
        ipc_mode: Some(match given.task.ipc_mode {
            IpcMode::Own => "private".to_owned(),
            IpcMode::Host => "host".to_owned(),
            IpcMode::None => "none".to_owned(),
            IpcMode::Task => joined(given)?,
        }),
        cgroup_parent: parent(given.cgroupfs, &given.group),
        cpu_shares: number(spec.cpu_shares),
        memory: number(spec.memory_bytes),
        memory_reservation: number(spec.memory_reservation_bytes),
        memory_swap: spec.memory_swap_bytes,
        memory_swappiness: number(spec.swappiness),
        ulimits: Some(ulimits.collect()),
        readonly_rootfs: Some(spec.readonly_root),
        privileged: Some(spec.privileged),
        cap_add: all(&spec.capabilities_add),
        cap_drop: all(&spec.capabilities_drop),
        devices: Some(devices.collect()),
        tmpfs: Some(tmpfs.collect()),
        shm_size: number(spec.shm_bytes),
        init: Some(spec.init_process),
        mounts: Some(mounts(given, spec)?),
        volumes_from: Some(spec.volumes_from.iter().map(from).collect()),
        sysctls: Some(sysctls(spec)),
        security_opt: Some(security(spec)?),
        log_config: Some(log(&spec.output)),
        ..Default::default()
    })
}

fn joined(given: &Given<'_>) -> Result<String, String> {
    let holder = given.task_holder.as_deref();
    holder.map(|id| format!("container:{id}")).ok_or_else(|| "the task has nothing to share".to_owned())
}

fn network_mode(given: &Given<'_>, spec: &ContainerSpec) -> Result<String, String> {
    match spec.network {
        NetworkMode::Host => Ok("host".to_owned()),
        NetworkMode::None => Ok("none".to_owned()),
        NetworkMode::Task => joined(given),
        NetworkMode::Bridge => match &given.own_holder {
            Some(id) => Ok(format!("container:{id}")),
            None => Err("the container is not on the network".to_owned()),
        },
    }
}

/// Those of the network are set where the namespace is made, but for the one that Docker makes.
fn sysctls(spec: &ContainerSpec) -> HashMap<String, String> {
    let ours = matches!(spec.network, NetworkMode::Bridge | NetworkMode::Task);
    let asked = spec.sysctls.iter().filter(|(name, _)| !(ours && name.starts_with("net.")));
    asked.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// As the native engine reads them: what it refuses is refused here too.
fn security(spec: &ContainerSpec) -> Result<Vec<String>, String> {
    let asked = bundle::parse_security(&spec.security_options)?;
    let mut options = Vec::new();
    options.extend(asked.no_new_privileges.then(|| "no-new-privileges".to_owned()));
    options.extend(asked.seccomp_unconfined.then(|| "seccomp=unconfined".to_owned()));
    options.extend(asked.apparmor.map(|profile| format!("apparmor={profile}")));
    Ok(options)
}

/// Where output goes. All options are given, so that none of the daemon's own defaults counts.
fn log(output: &OutputPolicy) -> HostConfigLogConfig {
    let (kind, size, files) = match output {
        OutputPolicy::Discard => return HostConfigLogConfig { typ: Some("none".to_owned()), config: None },
        OutputPolicy::Blocking | OutputPolicy::NonBlocking { .. } => ("json-file", NO_LIMIT.to_owned(), 1),
        OutputPolicy::JsonFile { max_bytes, files } if *max_bytes >= i64::MAX.unsigned_abs() => {
            ("json-file", NO_LIMIT.to_owned(), *files)
        }
        OutputPolicy::JsonFile { max_bytes, files } => ("json-file", max_bytes.to_string(), *files),
    };
    let options = [
        ("max-size", size),
        ("max-file", files.to_string()),
        ("compress", "false".to_owned()),
        ("mode", "blocking".to_owned()),
    ];
    let options = options.map(|(name, value)| (name.to_owned(), value));
    HostConfigLogConfig { typ: Some(kind.to_owned()), config: Some(options.into()) }
}

fn mounts(given: &Given<'_>, spec: &ContainerSpec) -> Result<Vec<Mount>, String> {
    let mut all = Vec::new();
    for asked in &spec.mounts {
        let target = text(&asked.container_path);
        let name = &asked.source_volume;
        all.push(match given.task.volumes.get(name) {
            Some(Volume::Empty) => {
                mount(MountType::VOLUME, &(given.volume_name)(name), &target, asked.read_only)
            }
            Some(Volume::Host(path)) => mount(MountType::BIND, &text(path), &target, asked.read_only),
            None => return Err(format!("the task has no volume {name:?}")),
        });
    }
    for file in ETC_FILES {
        let target = format!("/etc/{file}");
        if !all.iter().any(|mount| mount.target.as_deref() == Some(&target)) {
            all.push(mount(MountType::BIND, &text(&given.folder.join(file)), &target, false));
        }
    }
    Ok(all)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

pub(super) fn mount(kind: MountType, source: &str, target: &str, read_only: bool) -> Mount {
    Mount {
        typ: Some(kind),
        source: Some(source.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Default::default()
    }
}

/// Health is watched by the agent, by commands.
pub(super) fn no_health_check() -> HealthConfig {
    HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() }
}

/// The control group that a container's is made in. systemd takes slices of its own only.
pub(super) fn parent(cgroupfs: bool, group: &GroupPath) -> Option<String> {
    cgroupfs.then(|| text(&group.absolute()))
}

#[cfg(test)]
mod tests;
