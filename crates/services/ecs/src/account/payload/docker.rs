//! `dockerConfig`: Docker's `Config` and `HostConfig` as JSON, by Docker's names, and the version of Docker's API
//! that has all of it. The protocol's own `linuxParameters` and `privileged` are read by no stock agent.
//! <https://docs.docker.com/reference/api/engine/version/v1.24/>

use serde_json::{Map, Value, json};

use crate::{
    account::validate::no_new_privileges,
    rows::{
        ContainerDefinition, ContainerOverride, Device, DeviceCgroupPermission, HealthCheck, LinuxParameters,
        LogConfiguration, LogDriver, NetworkMode, SystemControl, Ulimit,
    },
};

const MIB: i64 = 1 << 20;
const NANOSECONDS: i64 = 1_000_000_000;

/// User, directory, labels, terminal, host name, health check.
pub(super) fn config(given: &ContainerDefinition) -> String {
    let mut text = Text::default();
    text.put("User", given.user.as_deref().filter(|user| !user.is_empty()));
    text.put("WorkingDir", given.working_directory.as_deref().filter(|path| !path.is_empty()));
    text.put("Labels", given.docker_labels.as_ref().filter(|labels| !labels.is_empty()));
    text.put("Tty", given.pseudo_terminal);
    text.put("OpenStdin", given.interactive);
    text.put("NetworkDisabled", given.disable_networking.filter(|disabled| *disabled));
    text.put("Hostname", given.hostname.as_deref().filter(|name| !name.is_empty()));
    text.put("Healthcheck", given.health_check.as_ref().map(health_check));
    text.finish()
}

fn health_check(given: &HealthCheck) -> Value {
    let mut text = Text::default();
    let seconds = |seconds: Option<i32>| seconds.map(|seconds| i64::from(seconds) * NANOSECONDS);
    text.put("Test", Some(&given.command));
    text.put("Interval", seconds(given.interval));
    text.put("Timeout", seconds(given.timeout));
    text.put("StartPeriod", seconds(given.start_period));
    text.put("Retries", given.retries);
    Value::Object(text.0)
}

/// What the log driver awslogs is told besides its options.
pub(super) struct Logs<'a> {
    /// The mode, where the options name none.
    pub mode: &'a str,
    /// The task's id.
    pub task: &'a str,
    /// Where CloudWatch Logs is, as the agent's host reaches it.
    pub endpoint: &'a str,
}

/// Log driver, network, limits, mounts and security.
pub(super) fn host_config(
    given: &ContainerDefinition,
    over: Option<&ContainerOverride>,
    mode: NetworkMode,
    logs: &Logs,
) -> String {
    let mut text = Text::default();
    text.put("LogConfig", given.log_configuration.as_ref().map(|log| log_config(given, log, logs)));
    text.put("NetworkMode", Some(mode.as_str()));
    text.put("Dns", filled(&given.dns_servers));
    text.put("DnsSearch", filled(&given.dns_search_domains));
    let hosts = given.extra_hosts.as_ref().filter(|hosts| !hosts.is_empty()).map(|hosts| {
        hosts.iter().map(|host| format!("{}:{}", host.hostname, host.ip_address)).collect::<Vec<String>>()
    });
    text.put("ExtraHosts", hosts);
    let ulimit = |limit: &Ulimit| json!({"Name": limit.name.as_str(), "Soft": limit.soft_limit, "Hard": limit.hard_limit});
    let ulimits = given.ulimits.as_ref().filter(|limits| !limits.is_empty());
    text.put("Ulimits", ulimits.map(|limits| limits.iter().map(ulimit).collect::<Vec<Value>>()));
    text.put("ReadonlyRootfs", given.readonly_root_filesystem);
    text.put("Privileged", given.privileged);
    let reservation = over.and_then(|over| over.memory_reservation).or(given.memory_reservation);
    text.put("MemoryReservation", reservation.filter(|mib| *mib > 0).map(|mib| i64::from(mib) * MIB));
    let options = given.docker_security_options.as_ref().filter(|options| !options.is_empty());
    text.put(
        "SecurityOpt",
        options.map(|options| options.iter().map(|o| security_option(o)).collect::<Vec<String>>()),
    );
    let controls = Some(&given.system_controls).filter(|controls| !controls.is_empty());
    text.put("Sysctls", controls.map(|controls| sysctls(controls)));
    if let Some(linux) = &given.linux_parameters {
        let memory = over.and_then(|over| over.memory).or(given.memory);
        linux_parameters(linux, memory, &mut text);
    }
    text.finish()
}

fn linux_parameters(linux: &LinuxParameters, memory: Option<i32>, text: &mut Text) {
    if let Some(capabilities) = &linux.capabilities {
        text.put("CapAdd", filled(&capabilities.add));
        text.put("CapDrop", filled(&capabilities.drop));
    }
    let devices = linux.devices.as_ref().filter(|devices| !devices.is_empty());
    text.put("Devices", devices.map(|devices| devices.iter().map(device).collect::<Vec<Value>>()));
    text.put("Init", linux.init_process_enabled);
    text.put("ShmSize", linux.shared_memory_size.map(|mib| i64::from(mib) * MIB));
    let tmpfs = linux.tmpfs.as_ref().filter(|mounts| !mounts.is_empty()).map(|mounts| {
        let mounts = mounts.iter().map(|mount| {
            let mut options = mount.mount_options.clone().unwrap_or_default();
            options.push(format!("size={}m", mount.size));
            (mount.container_path.clone(), Value::String(options.join(",")))
        });
        mounts.collect::<Map<String, Value>>()
    });
    text.put("Tmpfs", tmpfs);
    // Docker counts memory and swap together.
    let swap = linux.max_swap.zip(memory).map(|(swap, memory)| (i64::from(swap) + i64::from(memory)) * MIB);
    text.put("MemorySwap", swap);
    // Without maxSwap, swappiness says nothing.
    text.put("MemorySwappiness", linux.swappiness.filter(|_| linux.max_swap.is_some()));
}

/// Docker fills nothing in: neither the path inside nor the permissions.
fn device(given: &Device) -> Value {
    let inside = given.container_path.as_ref().filter(|path| !path.is_empty()).unwrap_or(&given.host_path);
    let letters = given.permissions.iter().flatten().map(|permission| match permission {
        DeviceCgroupPermission::Read => 'r',
        DeviceCgroupPermission::Write => 'w',
        DeviceCgroupPermission::Mknod => 'm',
    });
    let letters = Some(letters.collect::<String>()).filter(|letters| !letters.is_empty());
    json!({
        "PathOnHost": given.host_path,
        "PathInContainer": inside,
        "CgroupPermissions": letters.as_deref().unwrap_or("rwm"),
    })
}

/// The options are the engine's: Docker's driver knows no stream prefix, and would send to AWS.
fn log_config(container: &ContainerDefinition, given: &LogConfiguration, logs: &Logs) -> Value {
    let mut options = given.options.clone().unwrap_or_default();
    // To Docker an option that is empty is none.
    options.retain(|_, value| !value.is_empty());
    if given.log_driver == LogDriver::Awslogs {
        // Without one, Docker's own default would hold.
        options.entry("mode".to_owned()).or_insert_with(|| logs.mode.to_owned());
        if let Some(prefix) = options.remove("awslogs-stream-prefix") {
            let stream = format!("{prefix}/{}/{}", container.name, logs.task);
            options.insert("awslogs-stream".to_owned(), stream);
        }
        options.insert("awslogs-endpoint".to_owned(), logs.endpoint.to_owned());
    }
    json!({"Type": given.log_driver.as_str(), "Config": options})
}

/// ECS writes `apparmor:PROFILE`, Docker `apparmor=PROFILE`.
fn security_option(given: &str) -> String {
    if let Some(on) = no_new_privileges(given) {
        return if on { "no-new-privileges".to_owned() } else { "no-new-privileges=false".to_owned() };
    }
    match given.split_once(':') {
        Some(("apparmor", profile)) => format!("apparmor={profile}"),
        _ => given.to_owned(),
    }
}

fn sysctls(controls: &[SystemControl]) -> Map<String, Value> {
    let pair = |control: &SystemControl| (control.namespace.clone(), Value::String(control.value.clone()));
    controls.iter().map(pair).collect()
}

fn filled(list: &Option<Vec<String>>) -> Option<&Vec<String>> {
    list.as_ref().filter(|list| !list.is_empty())
}

/// An object that holds only what is given.
#[derive(Default)]
struct Text(Map<String, Value>);

impl Text {
    fn put(&mut self, name: &str, value: Option<impl serde::Serialize>) {
        if let Some(value) = value {
            let value = serde_json::to_value(value).expect("texts, numbers, and maps with texts for keys");
            self.0.insert(name.to_owned(), value);
        }
    }

    fn finish(self) -> String {
        Value::Object(self.0).to_string()
    }
}
