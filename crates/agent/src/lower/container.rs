//! Lowers one container: the protocol's own members first, then the two Docker texts over them.

use agent_protocol::acs;

use super::{Error, Host, docker, log, mib, positive};
use crate::task::{Condition, Container, Dependency, RestartPolicy};

/// The agent's default, `ECS_CONTAINER_STOP_TIMEOUT`.
const STOP_TIMEOUT_S: i64 = 30;
/// ECS's default for `restartAttemptPeriod`.
const RESTART_PERIOD_S: i64 = 300;
/// The kernel's own bounds of CPU shares.
const CPU_SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;
/// The least memory that an engine takes.
const MIN_MEMORY_MIB: u64 = 6;

/// What a container is lowered within.
pub(super) struct Context<'a> {
    pub task: &'a acs::Task,
    pub id: &'a str,
    pub names: &'a [&'a str],
    pub host: &'a Host,
}

/// Lowers the container at `index`. Errors are those that make the whole task unreadable; what is wrong
/// with this container alone becomes its refusal.
pub(super) fn lower(context: &Context, index: usize) -> Result<Container, Error> {
    let source = &context.task.containers[index];
    let mut container = Container {
        name: context.names[index].to_owned(),
        essential: source.essential.unwrap_or(true),
        start_timeout_ms: positive(source.start_timeout).map(seconds_ms),
        stop_timeout_ms: positive(source.stop_timeout).map_or(STOP_TIMEOUT_S * 1000, seconds_ms),
        restart: restart(source.restart_policy.as_ref()),
        ..Container::default()
    };
    order(context, source, &mut container)?;
    if let Err(refusal) = fill(context, source, &mut container) {
        container.refusal = Some(refusal);
    }
    Ok(container)
}

fn seconds_ms(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
}

fn restart(policy: Option<&acs::RestartPolicy>) -> Option<RestartPolicy> {
    let policy = policy.filter(|policy| policy.enabled == Some(true))?;
    let codes = policy.ignored_exit_codes.iter().filter_map(|code| i32::try_from(*code).ok());
    let period_s = policy.restart_attempt_period.filter(|period| *period >= 0).unwrap_or(RESTART_PERIOD_S);
    Some(RestartPolicy {
        ignored_exit_codes: codes.collect(),
        attempt_period_ms: period_s.saturating_mul(1000),
    })
}

/// dependsOn, links and volumesFrom.
fn order(context: &Context, source: &acs::Container, container: &mut Container) -> Result<(), Error> {
    let find = |name: &str| {
        let missing = || Error(format!("container {} depends on {name}, which is not there", container.name));
        context.names.iter().position(|n| *n == name).ok_or_else(missing)
    };
    let mut depends_on = Vec::new();
    for dependency in &source.depends_on {
        let condition = match dependency.condition.as_deref() {
            Some("START") | None => Condition::Start,
            Some("COMPLETE") => Condition::Complete,
            Some("SUCCESS") => Condition::Success,
            Some("HEALTHY") => Condition::Healthy,
            Some(other) => return Err(Error(format!("the condition {other} is not known"))),
        };
        let on = find(dependency.container_name.as_deref().unwrap_or_default())?;
        depends_on.push(Dependency { on, condition });
    }
    let (mut links, mut volumes_from, mut made_after) = (Vec::new(), Vec::new(), Vec::new());
    for link in &source.links {
        let (name, alias) = link.split_once(':').unwrap_or((link, link));
        let on = find(name)?;
        made_after.push(on);
        depends_on.push(Dependency { on, condition: Condition::Start });
        links.push((name.to_owned(), alias.to_owned()));
    }
    for from in &source.volumes_from {
        let name = from.source_container.as_deref().unwrap_or_default();
        made_after.push(find(name)?);
        volumes_from.push((name.to_owned(), from.read_only.unwrap_or(false)));
    }
    container.depends_on = depends_on;
    container.made_after = made_after;
    container.spec.links = links;
    container.spec.volumes_from = volumes_from;
    Ok(())
}

/// Everything else. The error is the container's `reason`.
fn fill(context: &Context, source: &acs::Container, container: &mut Container) -> Result<(), String> {
    unsupported(source)?;
    let spec = &mut container.spec;
    spec.image =
        source.image.clone().filter(|image| !image.is_empty()).ok_or("CannotPullContainerError: no image")?;
    spec.entry_point = Some(source.entry_point.clone()).filter(|words| !words.is_empty());
    spec.command = Some(source.command.clone()).filter(|words| !words.is_empty());
    if let Some(command) = overridden_command(source)? {
        spec.command = Some(command);
    }
    spec.cpu_shares = Some(positive(source.cpu).unwrap_or(0).clamp(*CPU_SHARES.start(), *CPU_SHARES.end()));
    spec.memory_bytes = positive(source.memory).map(|memory| mib(memory.max(MIN_MEMORY_MIB)));
    spec.privileged = source.privileged.unwrap_or(false);
    spec.environment = environment(context, source);
    spec.labels = labels(context, &container.name);
    spec.network = network(context.task.network_mode.as_deref())?;
    spec.port_mappings = ports(source)?;
    spec.mounts = mounts(context.task, source)?;
    if let Some(linux) = &source.linux_parameters {
        linux_parameters(linux, spec);
    }
    gpus(context, &container.name, spec)?;
    let (config, host_config) = docker::parse(source.docker_config.as_ref())?;
    docker::lay_over(&config, &host_config, spec)?;
    // All containers of such a task are in its namespace, and no other is in one.
    match (context.task.network_mode.as_deref() == Some("awsvpc"), spec.network == engine::NetworkMode::Task)
    {
        (true, false) => {
            return Err("HostConfigError: the task's network mode awsvpc is not the container's".into());
        }
        (false, true) => {
            return Err("HostConfigError: network mode awsvpc is a task's, not a container's".into());
        }
        _ => {}
    }
    if source.health_check_type.as_deref() == Some("docker") {
        container.health_check = docker::health_check(&config);
    }
    let (driver, policy) = log::lower(host_config.log_config.as_ref(), context, &container.name)?;
    container.log = driver;
    container.spec.output = policy;
    Ok(())
}

/// The GPUs that are the container's own: their devices, and the variable by which programs know them.
fn gpus(context: &Context, name: &str, spec: &mut engine::ContainerSpec) -> Result<(), String> {
    let all = context.task.associations.iter().filter(|one| one.containers.iter().any(|own| own == name));
    let ids: Vec<&str> = all.filter_map(|one| one.name.as_deref()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for id in &ids {
        let devices = context.host.gpus.get(*id);
        let devices =
            devices.ok_or_else(|| format!("ResourceInitializationError: this host has no GPU {id}"))?;
        for path in devices {
            let device = engine::Device {
                host_path: path.clone(),
                container_path: path.clone(),
                permissions: "rwm".into(),
            };
            // Some are for all GPUs of a host.
            if !spec.devices.contains(&device) {
                spec.devices.push(device);
            }
        }
    }
    spec.environment.insert("NVIDIA_VISIBLE_DEVICES".to_owned(), ids.join(","));
    Ok(())
}

fn unsupported(source: &acs::Container) -> Result<(), String> {
    let refused = [
        ("secrets", !source.secrets.is_empty()),
        ("environmentFiles", !source.environment_files.is_empty()),
        ("credentialSpecs", !source.credential_specs.is_empty()),
        ("firelensConfiguration", source.firelens_configuration.is_some()),
        ("registryAuthentication", source.registry_authentication.is_some()),
        ("managedAgents", !source.managed_agents.is_empty()),
        ("networkInterfaceNames", !source.network_interface_names.is_empty()),
    ];
    match refused.iter().find(|(_, present)| *present) {
        Some((member, _)) => {
            Err(format!("ResourceInitializationError: {member} is not supported by this agent"))
        }
        None => Ok(()),
    }
}

fn overridden_command(source: &acs::Container) -> Result<Option<Vec<String>>, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Overrides {
        command: Option<Vec<String>>,
    }
    let Some(text) = source.overrides.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
    let overrides: Overrides = serde_json::from_str(text)
        .map_err(|error| format!("DockerClientConfigError: the overrides cannot be used: {error}"))?;
    Ok(overrides.command)
}

fn environment(context: &Context, source: &acs::Container) -> std::collections::BTreeMap<String, String> {
    let mut environment = source.environment.clone();
    for (name, value) in [
        ("AWS_REGION", context.host.region.as_str()),
        ("AWS_DEFAULT_REGION", context.host.region.as_str()),
        ("AWS_EXECUTION_ENV", "AWS_ECS_EC2"),
    ] {
        environment.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    environment
}

fn labels(context: &Context, name: &str) -> std::collections::BTreeMap<String, String> {
    let text = |member: &Option<String>| member.clone().unwrap_or_default();
    [
        ("cluster", text(&context.task.task_cluster_arn)),
        ("container-name", name.to_owned()),
        ("task-arn", text(&context.task.arn)),
        ("task-definition-family", text(&context.task.family)),
        ("task-definition-version", text(&context.task.version)),
    ]
    .into_iter()
    .map(|(key, value)| (format!("com.amazonaws.ecs.{key}"), value))
    .collect()
}

pub(super) fn network(mode: Option<&str>) -> Result<engine::NetworkMode, String> {
    match mode {
        None | Some("" | "bridge" | "default") => Ok(engine::NetworkMode::Bridge),
        Some("host") => Ok(engine::NetworkMode::Host),
        Some("none") => Ok(engine::NetworkMode::None),
        Some("awsvpc") => Ok(engine::NetworkMode::Task),
        Some(other) => Err(format!("HostConfigError: network mode {other} is not supported by this agent")),
    }
}

fn ports(source: &acs::Container) -> Result<Vec<engine::PortMapping>, String> {
    source.port_mappings.iter().map(port).collect()
}

fn port(mapping: &acs::PortMapping) -> Result<engine::PortMapping, String> {
    let number = |port: Option<i64>| {
        u16::try_from(port.unwrap_or(0))
            .map_err(|_| format!("HostConfigError: {} is no port", port.unwrap_or(0)))
    };
    let (container_port, more) = match mapping.container_port_range.as_deref() {
        Some(range) => {
            port_range(range).ok_or_else(|| format!("HostConfigError: {range} is no range of ports"))?
        }
        None => (number(mapping.container_port)?, 0),
    };
    let protocol = match mapping.protocol.as_deref() {
        None | Some("" | "tcp") => engine::Protocol::Tcp,
        Some("udp") => engine::Protocol::Udp,
        Some(other) => return Err(format!("HostConfigError: protocol {other} is not known")),
    };
    if container_port == 0 {
        return Err("HostConfigError: 0 is no container port".into());
    }
    let host_port = Some(number(mapping.host_port)?).filter(|port| *port != 0);
    Ok(engine::PortMapping { container_port, host_port, protocol, more })
}

/// `FIRST-LAST`: the first, and how many follow.
fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
    Some((first, last.checked_sub(first)?))
}

fn mounts(task: &acs::Task, source: &acs::Container) -> Result<Vec<engine::Mount>, String> {
    let mut mounts = Vec::new();
    for mount in &source.mount_points {
        let source_volume = mount.source_volume.clone().unwrap_or_default();
        let container_path = mount.container_path.clone().unwrap_or_default();
        if !task.volumes.iter().any(|volume| volume.name.as_deref() == Some(source_volume.as_str())) {
            return Err(format!("InvalidVolumeError: there is no volume {source_volume}"));
        }
        if !container_path.starts_with('/') {
            return Err(format!("InvalidVolumeError: containerPath {container_path:?} is not absolute"));
        }
        let read_only = mount.read_only.unwrap_or(false);
        mounts.push(engine::Mount { source_volume, container_path: container_path.into(), read_only });
    }
    Ok(mounts)
}

fn linux_parameters(linux: &acs::LinuxParameters, spec: &mut engine::ContainerSpec) {
    if let Some(capabilities) = &linux.capabilities {
        spec.capabilities_add.extend(capabilities.add.iter().cloned());
        spec.capabilities_drop.extend(capabilities.drop.iter().cloned());
    }
    for device in &linux.devices {
        let host_path = device.host_path.clone().unwrap_or_default();
        let container_path = device.container_path.clone().filter(|path| !path.is_empty());
        let letters = device.permissions.iter().filter_map(|word| match word.as_str() {
            "read" => Some('r'),
            "write" => Some('w'),
            "mknod" => Some('m'),
            _ => None,
        });
        let permissions: String = letters.collect();
        spec.devices.push(engine::Device {
            container_path: container_path.unwrap_or_else(|| host_path.clone()).into(),
            host_path: host_path.into(),
            permissions: if permissions.is_empty() { "rwm".into() } else { permissions },
        });
    }
    spec.init_process |= linux.init_process_enabled.unwrap_or(false);
    spec.shm_bytes = positive(linux.shared_memory_size).map(mib).or(spec.shm_bytes);
}
