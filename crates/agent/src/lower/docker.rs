//! The two texts of `dockerConfig`: Docker's `Config` and `HostConfig` as JSON, laid over what the
//! protocol's own members say. A member that this agent does not carry out is an error.

use std::collections::BTreeMap;

use agent_protocol::acs;
use serde::Deserialize;

use super::container;
use crate::task::HealthCheck;

/// Docker's `Config`, as far as it is carried out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub(super) struct Config {
    user: Option<String>,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    tty: Option<bool>,
    open_stdin: Option<bool>,
    hostname: Option<String>,
    network_disabled: Option<bool>,
    stop_signal: Option<String>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct Healthcheck {
    test: Option<Vec<String>>,
    /// Nanoseconds, as the two below.
    interval: Option<i64>,
    timeout: Option<i64>,
    start_period: Option<i64>,
    retries: Option<i64>,
}

/// Docker's `HostConfig`, as far as it is carried out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub(super) struct HostConfig {
    pub log_config: Option<LogConfig>,
    network_mode: Option<String>,
    dns: Option<Vec<String>>,
    dns_search: Option<Vec<String>>,
    extra_hosts: Option<Vec<String>>,
    ulimits: Option<Vec<Ulimit>>,
    cap_add: Option<Vec<String>>,
    cap_drop: Option<Vec<String>>,
    privileged: Option<bool>,
    readonly_rootfs: Option<bool>,
    init: Option<bool>,
    shm_size: Option<u64>,
    tmpfs: Option<BTreeMap<String, String>>,
    sysctls: Option<BTreeMap<String, String>>,
    devices: Option<Vec<Device>>,
    memory_swap: Option<i64>,
    memory_swappiness: Option<i64>,
    memory_reservation: Option<u64>,
    security_opt: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub(super) struct LogConfig {
    pub r#type: String,
    pub config: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Ulimit {
    name: String,
    soft: i64,
    hard: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Device {
    path_on_host: String,
    #[serde(default)]
    path_in_container: String,
    #[serde(default)]
    cgroup_permissions: String,
}

/// Reads both texts. The errors are reasons by the stock agent's names.
pub(super) fn parse(texts: Option<&acs::DockerConfig>) -> Result<(Config, HostConfig), String> {
    let text = |text: &Option<String>| text.clone().filter(|t| !t.is_empty()).unwrap_or_else(|| "{}".into());
    let Some(texts) = texts else { return Ok(Default::default()) };
    let config = serde_json::from_str(&text(&texts.config))
        .map_err(|error| format!("DockerClientConfigError: dockerConfig.config cannot be used: {error}"))?;
    let host_config = serde_json::from_str(&text(&texts.host_config))
        .map_err(|error| format!("HostConfigError: dockerConfig.hostConfig cannot be used: {error}"))?;
    Ok((config, host_config))
}

/// Lays both over `spec`.
pub(super) fn lay_over(
    config: &Config,
    host: &HostConfig,
    spec: &mut engine::ContainerSpec,
) -> Result<(), String> {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    spec.user = text(&config.user);
    spec.working_directory = text(&config.working_dir);
    spec.hostname = text(&config.hostname);
    spec.stop_signal = text(&config.stop_signal);
    spec.labels.extend(config.labels.clone().unwrap_or_default());
    spec.pseudo_terminal = config.tty.unwrap_or(false);
    spec.interactive = config.open_stdin.unwrap_or(false);
    if let Some(mode) = text(&host.network_mode) {
        spec.network = container::network(Some(&mode))?;
    }
    if config.network_disabled == Some(true) {
        // As Docker has it: a loopback alone, and no port is published.
        spec.network = engine::NetworkMode::None;
        spec.port_mappings.clear();
    }
    spec.dns_servers = host.dns.clone().unwrap_or_default();
    spec.dns_search_domains = host.dns_search.clone().unwrap_or_default();
    spec.extra_hosts = list(&host.extra_hosts).map(|entry| extra_host(entry)).collect::<Result<_, _>>()?;
    spec.ulimits = list(&host.ulimits).map(ulimit).collect();
    spec.capabilities_add.extend(list(&host.cap_add).cloned());
    spec.capabilities_drop.extend(list(&host.cap_drop).cloned());
    spec.privileged |= host.privileged.unwrap_or(false);
    spec.readonly_root = host.readonly_rootfs.unwrap_or(false);
    spec.init_process |= host.init.unwrap_or(false);
    spec.shm_bytes = host.shm_size.filter(|size| *size > 0).or(spec.shm_bytes);
    spec.tmpfs = host.tmpfs.iter().flatten().map(tmpfs).collect::<Result<_, _>>()?;
    spec.sysctls = host.sysctls.clone().unwrap_or_default();
    // The protocol's own members may say the same.
    for device in list(&host.devices).map(device) {
        if !spec.devices.contains(&device) {
            spec.devices.push(device);
        }
    }
    // 0 is Docker's for "as the engine does by itself". A limit that was raised to the least there is takes
    // this one along, for it counts memory too.
    let memory = spec.memory_bytes.and_then(|memory| i64::try_from(memory).ok()).unwrap_or(0);
    let swap = host.memory_swap.filter(|swap| *swap != 0);
    spec.memory_swap_bytes = swap.map(|swap| if swap > 0 { swap.max(memory) } else { swap });
    spec.swappiness = host.memory_swappiness.and_then(|swappiness| u64::try_from(swappiness).ok());
    spec.memory_reservation_bytes = host.memory_reservation.filter(|bytes| *bytes > 0);
    spec.security_options = host.security_opt.clone().unwrap_or_default();
    Ok(())
}

fn list<T>(list: &Option<Vec<T>>) -> impl Iterator<Item = &T> {
    list.iter().flatten()
}

fn extra_host(entry: &str) -> Result<(String, std::net::IpAddr), String> {
    let parsed = entry.split_once(':').and_then(|(name, address)| {
        let address = address.trim_start_matches('[').trim_end_matches(']');
        Some((name.to_owned(), address.parse().ok()?))
    });
    parsed.ok_or_else(|| format!("HostConfigError: the extra host {entry:?} is not NAME:ADDRESS"))
}

fn ulimit(ulimit: &Ulimit) -> engine::Ulimit {
    engine::Ulimit { name: ulimit.name.clone(), soft: ulimit.soft, hard: ulimit.hard }
}

fn device(device: &Device) -> engine::Device {
    let inside = [&device.path_in_container, &device.path_on_host].into_iter().find(|path| !path.is_empty());
    let permissions = Some(device.cgroup_permissions.clone()).filter(|p| !p.is_empty());
    engine::Device {
        host_path: device.path_on_host.clone().into(),
        container_path: inside.cloned().unwrap_or_default().into(),
        permissions: permissions.unwrap_or_else(|| "rwm".into()),
    }
}

fn tmpfs((path, text): (&String, &String)) -> Result<engine::Tmpfs, String> {
    let mut mount = engine::Tmpfs { container_path: path.into(), size_bytes: 0, options: Vec::new() };
    for option in text.split(',').filter(|option| !option.is_empty()) {
        match option.strip_prefix("size=") {
            Some(size) => {
                let bytes = wire::go::ram_bytes(size);
                mount.size_bytes = bytes.ok_or_else(|| format!("HostConfigError: tmpfs size {size:?}"))?;
            }
            None => mount.options.push(option.to_owned()),
        }
    }
    Ok(mount)
}

/// The health check in `config`, with ECS's defaults. Docker runs what begins with CMD or CMD-SHELL; with any other
/// first word, NONE among them, there is no check, and the container's health stays unknown.
pub(super) fn health_check(config: &Config) -> Option<HealthCheck> {
    let check = config.healthcheck.as_ref()?;
    let test = check.test.as_deref()?;
    let command = match test.first().map(String::as_str)? {
        "CMD" => test[1..].to_vec(),
        "CMD-SHELL" => {
            ["/bin/sh", "-c"].iter().map(|word| word.to_string()).chain(test[1..].iter().cloned()).collect()
        }
        _ => return None,
    };
    let ms =
        |ns: Option<i64>, default: i64| ns.filter(|ns| *ns > 0).map_or(default, |ns| (ns / 1_000_000).max(1));
    Some(HealthCheck {
        command,
        interval_ms: ms(check.interval, 30_000),
        timeout_ms: ms(check.timeout, 5_000),
        retries: check.retries.and_then(|r| u32::try_from(r).ok()).filter(|r| *r > 0).unwrap_or(3),
        start_period_ms: ms(check.start_period, 0),
    })
}
