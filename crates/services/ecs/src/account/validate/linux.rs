//! linuxParameters, ulimits, systemControls and dockerSecurityOptions.

use std::collections::BTreeSet;

use ecs_model::{self as ecs, IpcMode, NetworkMode, errors};
use wire::go;

use super::{Outcome, Task, container::within, is_path, require, require_of};

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_KernelCapabilities.html>
const CAPABILITIES: &[&str] = &[
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tmpfs.html>
const MOUNT_OPTIONS: &[&str] = &[
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "remount",
    "mand",
    "nomand",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "bind",
    "rbind",
    "unbindable",
    "runbindable",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
];

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_SystemControl.html>
const IPC_CONTROLS: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

pub(super) fn check(name: &str, container: &ecs::ContainerDefinition, task: &Task<'_>) -> Outcome {
    if let Some(parameters) = &container.linux_parameters {
        memory(name, container, parameters)?;
        mounts(name, parameters, task)?;
        capabilities(name, parameters)?;
    }
    ulimits(name, container.ulimits.as_deref().unwrap_or_default())?;
    controls(name, container.system_controls.as_deref().unwrap_or_default(), task)?;
    security(name, container.docker_security_options.as_deref().unwrap_or_default())
}

fn memory(name: &str, container: &ecs::ContainerDefinition, parameters: &ecs::LinuxParameters) -> Outcome {
    within(name, "linuxParameters.sharedMemorySize", parameters.shared_memory_size, 1, i32::MAX)?;
    within(name, "linuxParameters.maxSwap", parameters.max_swap, 0, i32::MAX)?;
    within(name, "linuxParameters.swappiness", parameters.swappiness, 0, 100)?;
    require_of(name, parameters.max_swap.is_none() || container.memory.is_some_and(|n| n > 0), || {
        "'linuxParameters.maxSwap' needs 'memory'.".to_owned()
    })
}

fn mounts(name: &str, parameters: &ecs::LinuxParameters, task: &Task<'_>) -> Outcome {
    let mut paths = BTreeSet::new();
    for tmpfs in parameters.tmpfs.iter().flatten() {
        let path = tmpfs.container_path.as_str();
        require_of(name, is_path(path, task) && paths.insert(path), || {
            "'linuxParameters.tmpfs.containerPath' must be an absolute path, each once.".to_owned()
        })?;
        require(tmpfs.size > 0, || {
            "The container has an invalid tmpfs size value specified. It must be a non-zero, non-negative integer."
                .to_owned()
        })?;
        for option in tmpfs.mount_options.iter().flatten() {
            let word = option.split('=').next().unwrap_or_default();
            require_of(name, MOUNT_OPTIONS.contains(&word) && !option.contains(','), || {
                format!("Unknown 'linuxParameters.tmpfs.mountOptions': '{option}'.")
            })?;
        }
    }
    for device in parameters.devices.iter().flatten() {
        let inside =
            device.container_path.as_deref().filter(|path| !path.is_empty()).unwrap_or(&device.host_path);
        require_of(name, is_path(&device.host_path, task) && is_path(inside, task), || {
            "Paths of 'linuxParameters.devices' must be absolute.".to_owned()
        })?;
    }
    Ok(())
}

fn capabilities(name: &str, parameters: &ecs::LinuxParameters) -> Outcome {
    let Some(given) = &parameters.capabilities else { return Ok(()) };
    for capability in given.add.iter().chain(&given.drop).flatten() {
        require_of(name, CAPABILITIES.contains(&capability.as_str()), || {
            format!("Unknown 'linuxParameters.capabilities': '{capability}'.")
        })?;
    }
    Ok(())
}

fn ulimits(name: &str, ulimits: &[ecs::Ulimit]) -> Outcome {
    let mut seen = BTreeSet::new();
    for ulimit in ulimits {
        let what = ulimit.name.as_str();
        require_of(name, seen.insert(what), || format!("Duplicate 'ulimits.name': '{what}'."))?;
        let (soft, hard) = (ulimit.soft_limit, ulimit.hard_limit);
        let ordered = hard == -1 || (soft != -1 && soft <= hard);
        require_of(name, soft >= -1 && hard >= -1, || {
            format!("Limits of ulimit '{what}' must be at least -1.")
        })?;
        require(ordered, || format!("Soft limit exceeds hard limit for ulimit {what}"))?;
    }
    Ok(())
}

/// Controls need a network, or an IPC namespace, that is not the host's.
fn controls(name: &str, controls: &[ecs::SystemControl], task: &Task<'_>) -> Outcome {
    let mut seen = BTreeSet::new();
    for control in controls {
        let what = control.namespace.as_deref().unwrap_or_default();
        let network = what.starts_with("net.");
        let known = network || IPC_CONTROLS.contains(&what) || what.starts_with("fs.mqueue.");
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
        require_of(name, known && what.bytes().all(plain) && !what.contains(".."), || {
            format!("Unknown 'systemControls.namespace': '{what}'.")
        })?;
        require_of(name, !(network && task.mode == NetworkMode::Host), || {
            format!("'systemControls' of namespace '{what}' are not supported when networkMode=host.")
        })?;
        let shared = task.request.ipc_mode == Some(IpcMode::Host);
        require_of(name, network || !shared, || {
            format!("'systemControls' of namespace '{what}' are not supported when ipcMode=host.")
        })?;
        require_of(name, control.value.as_deref().is_some_and(|value| !value.is_empty()), || {
            format!("'systemControls.value' of '{what}' must be specified.")
        })?;
        require_of(name, seen.insert(what), || format!("Duplicate 'systemControls.namespace': '{what}'."))?;
    }
    Ok(())
}

fn security(name: &str, options: &[String]) -> Outcome {
    for option in options {
        if option.starts_with("credentialspec:") {
            return Err(errors::unsupported_feature(
                "containerDefinitions.dockerSecurityOptions credentialspec is not supported: Active Directory credentials \
                 are not built yet. See docs/support.md.",
            ));
        }
        let known = no_new_privileges(option).is_some()
            || ["apparmor:", "label:"]
                .iter()
                .any(|start| option.strip_prefix(start).is_some_and(|v| !v.is_empty()));
        require_of(name, known, || {
            format!(
                "Unknown 'dockerSecurityOptions': '{option}'. Valid are no-new-privileges, apparmor:PROFILE and label:VALUE."
            )
        })?;
    }
    Ok(())
}

/// `no-new-privileges`, alone or with a truth value behind `:` or `=`, as Docker reads it.
pub fn no_new_privileges(option: &str) -> Option<bool> {
    match option.strip_prefix("no-new-privileges")? {
        "" => Some(true),
        value => go::parse_bool(value.strip_prefix([':', '='])?),
    }
}
