//! Lowers an assignment of the agent protocol to what the planner and the engine take. Pure. What this
//! agent cannot do becomes a refusal that names it: nothing that the user asked for is silently left out.

mod container;
mod docker;
mod log;
mod network;
#[cfg(test)]
mod tests;
pub(crate) mod vpc;

use std::{collections::BTreeMap, path::PathBuf};

use agent_protocol::acs;

use crate::{
    admission::Needs,
    task::{Task, id_in},
};

/// What lowering needs to know of the host.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// For `AWS_REGION`, and as the default of the driver `awslogs`.
    pub region: String,
    /// The devices of each GPU, by its id.
    pub gpus: BTreeMap<String, Vec<PathBuf>>,
    /// The wall around tasks on Fargate that ask for none in particular.
    pub isolation: engine::Isolation,
}

/// An assignment that is not even a task; the stock agent's word for it goes into the report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("UnrecogniedTaskError: Error loading task - {0}")]
pub struct Error(pub String);

/// Most containers in a task; ECS allows 10.
const MAX_CONTAINERS: usize = 64;

/// Most processes and threads of a task on Fargate: a host has some ten thousand numbers for all.
const FARGATE_PIDS: u64 = 8192;

/// Lowers one task.
pub fn lower(task: &acs::Task, host: &Host) -> Result<Task, Error> {
    let arn = task.arn.clone().filter(|arn| !arn.is_empty()).ok_or_else(|| Error("no ARN".into()))?;
    let id = id_in(&arn).to_owned();
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(Error(format!("the ARN {arn} does not end in a task id")));
    }
    let names = names(task)?;
    let (volumes, mut refusal) = volumes(task);
    refusal = refusal.or_else(|| unsupported(task));
    let (network, attachment) = match network::lower(task) {
        Ok(lowered) => lowered.unzip(),
        Err(why) => {
            refusal.get_or_insert(format!("ResourceInitializationError: failed to configure ENI: {why}"));
            (None, None)
        }
    };
    let (pid_mode, ipc_mode) = namespaces(task).unwrap_or_else(|why| {
        refusal.get_or_insert(why);
        Default::default()
    });
    let isolation = isolation(task, host).unwrap_or_else(|why| {
        refusal.get_or_insert(why);
        engine::Isolation::default()
    });
    let mut lowered = Task {
        cluster_arn: task.task_cluster_arn.clone().unwrap_or_default(),
        family: task.family.clone().unwrap_or_default(),
        version: task.version.clone().unwrap_or_default(),
        spec: engine::TaskSpec {
            id: id.clone(),
            family: [task.family.as_deref(), task.version.as_deref()]
                .map(Option::unwrap_or_default)
                .join(":"),
            cpu_millis: task.cpu.filter(|cpu| *cpu > 0.0).map(|cpu| (cpu * 1000.0).round() as u64),
            memory_bytes: positive(task.memory).map(mib),
            pids_limit: task.fargate.as_ref().map(|_| FARGATE_PIDS),
            volumes,
            pid_mode,
            ipc_mode,
            network,
            isolation,
            storage_bytes: task
                .fargate
                .as_ref()
                .map(|fargate| u64::from(fargate.ephemeral_storage_gib) << 30)
                .filter(|bytes| *bytes > 0),
        },
        attachment: attachment.flatten(),
        arn,
        id,
        containers: Vec::new(),
        needs: Needs::default(),
        refusal: None,
    };
    for index in 0..task.containers.len() {
        let context = container::Context { task, id: &lowered.id, names: &names, host };
        let mut container = container::lower(&context, index)?;
        if lowered.spec.network.is_some() {
            network::name_neighbours(&mut container.spec, &names);
        }
        lowered.containers.push(container);
    }
    lowered.refusal = refusal.or_else(|| cycle(&lowered));
    lowered.needs = needs(task, &lowered);
    Ok(lowered)
}

/// The names of its containers, of which each has one of its own.
fn names(task: &acs::Task) -> Result<Vec<&str>, Error> {
    if task.containers.is_empty() || task.containers.len() > MAX_CONTAINERS {
        return Err(Error(format!("{} containers", task.containers.len())));
    }
    let names: Vec<&str> = task.containers.iter().map(|c| c.name.as_deref().unwrap_or_default()).collect();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() || names[..index].contains(name) {
            return Err(Error(format!("container {} has no name of its own", index + 1)));
        }
    }
    Ok(names)
}

fn volumes(task: &acs::Task) -> (BTreeMap<String, engine::Volume>, Option<String>) {
    let mut volumes = BTreeMap::new();
    for volume in &task.volumes {
        let name = volume.name.clone().unwrap_or_default();
        let source = match volume.r#type.as_deref().unwrap_or("host") {
            "host" => match volume.host.as_ref().and_then(|host| host.source_path.as_deref()) {
                None | Some("") => Ok(engine::Volume::Empty),
                Some(path) if path.starts_with('/') => Ok(engine::Volume::Host(PathBuf::from(path))),
                Some(path) => Err(format!("sourcePath {path} is not absolute")),
            },
            "docker" => docker_volume(volume.docker_volume_configuration.as_ref()),
            other => Err(format!("volumes of type {other} are not supported by this agent")),
        };
        match source {
            Ok(source) => volumes.insert(name, source),
            Err(why) => return (volumes, Some(format!("InvalidVolumeError: volume {name}: {why}"))),
        };
    }
    (volumes, None)
}

/// A Docker volume that lives as long as its task is an empty volume; any other would outlive it.
fn docker_volume(config: Option<&acs::DockerVolumeConfiguration>) -> Result<engine::Volume, String> {
    let Some(config) = config else { return Ok(engine::Volume::Empty) };
    if config.scope.as_deref() == Some("shared") {
        return Err("Docker volumes of scope shared are not supported by this agent".into());
    }
    if config.driver.as_deref().is_some_and(|driver| driver != "local") || !config.driver_opts.is_empty() {
        return Err("Docker volume drivers are not supported by this agent".into());
    }
    Ok(engine::Volume::Empty)
}

/// Members of a task that this agent does not carry out.
fn unsupported(task: &acs::Task) -> Option<String> {
    let mode = |mode: &Option<String>| mode.clone().filter(|mode| !mode.is_empty());
    let refused = [
        ("associations", task.associations.iter().any(|one| one.r#type.as_deref() != Some("gpu"))),
        ("proxyConfiguration", task.proxy_configuration.is_some()),
        ("attachments", !task.attachments.is_empty()),
        ("roleCredentials", task.role_credentials.is_some()),
        ("enableFaultInjection", task.enable_fault_injection == Some(true)),
        // On Fargate it says which wall is wanted.
        (
            "trustedExecutionConfiguration",
            task.trusted_execution_configuration.is_some() && task.fargate.is_none(),
        ),
    ];
    let member = refused.iter().find(|(_, present)| *present).map(|(member, _)| *member);
    let network = mode(&task.network_mode)
        .filter(|mode| !matches!(mode.as_str(), "bridge" | "host" | "none" | "awsvpc"));
    member
        .map(|member| format!("ResourceInitializationError: {member} is not supported by this agent"))
        .or_else(|| {
            network.map(|mode| {
                format!("ResourceInitializationError: networkMode {mode} is not supported by this agent")
            })
        })
}

/// The wall around a task: on Fargate there is one, as it is asked for or as this host has it.
fn isolation(task: &acs::Task, host: &Host) -> Result<engine::Isolation, String> {
    let Some(fargate) = &task.fargate else { return Ok(engine::Isolation::Shared) };
    let mode = task.trusted_execution_configuration.as_ref().and_then(|c| c.isolation_mode.as_deref());
    match mode {
        None | Some("" | "SHARED") => {}
        // A kernel of its own, whatever the host's wall is: the best that is built, or the engine refuses the task.
        Some("ISOLATED_SANDBOX") => return Ok(engine::Isolation::Gvisor),
        Some(mode) => {
            return Err(format!(
                "ResourceInitializationError: isolationMode {mode} is not supported by this agent"
            ));
        }
    }
    match fargate.isolation.as_deref() {
        None | Some("") => Ok(host.isolation),
        Some(name) => name.parse().map_err(|why| format!("ResourceInitializationError: {why}")),
    }
}

/// Whose processes and IPC the containers have.
fn namespaces(task: &acs::Task) -> Result<(engine::PidMode, engine::IpcMode), String> {
    let unknown = |member: &str, mode: &str| {
        format!("ResourceInitializationError: {member} {mode} is not supported by this agent")
    };
    let pid_mode = match task.pid_mode.as_deref() {
        None | Some("") => engine::PidMode::Own,
        Some("task") => engine::PidMode::Task,
        Some("host") => engine::PidMode::Host,
        Some(other) => return Err(unknown("pidMode", other)),
    };
    let ipc_mode = match task.ipc_mode.as_deref() {
        None | Some("") => engine::IpcMode::Own,
        Some("task") => engine::IpcMode::Task,
        Some("host") => engine::IpcMode::Host,
        Some("none") => engine::IpcMode::None,
        Some(other) => return Err(unknown("ipcMode", other)),
    };
    Ok((pid_mode, ipc_mode))
}

/// Names a container that waits for itself, if there is one.
fn cycle(task: &Task) -> Option<String> {
    let before = |index: usize| {
        let container = &task.containers[index];
        container.depends_on.iter().map(|d| d.on).chain(container.made_after.iter().copied())
    };
    let mut done = vec![false; task.containers.len()];
    loop {
        let ready: Vec<usize> =
            (0..done.len()).filter(|i| !done[*i] && before(*i).all(|b| done[b])).collect();
        if ready.is_empty() {
            break;
        }
        ready.into_iter().for_each(|index| done[index] = true);
    }
    let stuck = done.iter().position(|done| !done)?;
    Some(format!("TaskDependencyError: container {} depends on itself", task.containers[stuck].name))
}

/// What the scheduler says that it has counted. A control plane that does not say it counts as Amazon's: the
/// task's own size, else what its containers reserve as it was given, without the least that an engine takes.
fn needs(task: &acs::Task, lowered: &Task) -> Needs {
    if let Some(counted) = &task.needs {
        return Needs {
            cpu: counted.cpu,
            memory_mib: counted.memory,
            ports_tcp: counted.ports_tcp.iter().copied().collect(),
            ports_udp: counted.ports_udp.iter().copied().collect(),
            gpus: counted.gpus.iter().cloned().collect(),
        };
    }
    let mut needs = Needs::default();
    for (container, lowered) in task.containers.iter().zip(&lowered.containers) {
        needs.cpu += positive(container.cpu).unwrap_or(0);
        let reserved = lowered.spec.memory_reservation_bytes.map(|bytes| bytes >> 20);
        needs.memory_mib += reserved.or(positive(container.memory)).unwrap_or(0);
        for port in &lowered.spec.port_mappings {
            let host_port = match lowered.spec.network {
                engine::NetworkMode::Bridge => port.host_port,
                engine::NetworkMode::Host => Some(port.container_port),
                // Ports of a task's own interface are none of the host's.
                engine::NetworkMode::None | engine::NetworkMode::Task => None,
            };
            match port.protocol {
                engine::Protocol::Tcp => needs.ports_tcp.extend(host_port),
                engine::Protocol::Udp => needs.ports_udp.extend(host_port),
            }
        }
    }
    needs.gpus.extend(task.associations.iter().filter_map(|gpu| gpu.name.clone()));
    if let Some(cpu) = task.cpu.filter(|cpu| *cpu > 0.0) {
        needs.cpu = (cpu * 1024.0).round() as u64;
    }
    if let Some(memory) = positive(task.memory) {
        needs.memory_mib = memory;
    }
    needs
}

fn positive(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0)
}

fn mib(mib: u64) -> u64 {
    mib.saturating_mul(1 << 20)
}
