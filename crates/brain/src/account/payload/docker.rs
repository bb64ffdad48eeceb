//! The two texts of `dockerConfig`: Docker's `Config` and `HostConfig` as JSON, by Docker's names.
//! <https://docs.docker.com/reference/api/engine/version/v1.24/>

use serde_json::{Map, Value, json};
use wire::ecs::{self, LogDriver, NetworkMode};

const MIB: i64 = 1 << 20;
const NANOSECONDS: i64 = 1_000_000_000;

/// User, directory, labels, terminal, host name, health check.
pub(super) fn config(given: &ecs::ContainerDefinition) -> String {
    let mut text = Text::default();
    text.put("User", given.user.as_deref().filter(|user| !user.is_empty()));
    text.put("WorkingDir", given.working_directory.as_deref().filter(|path| !path.is_empty()));
    text.put("Labels", given.docker_labels.as_ref().filter(|labels| !labels.is_empty()));
    text.put("Tty", given.pseudo_terminal);
    text.put("OpenStdin", given.interactive);
    text.put("Hostname", given.hostname.as_deref().filter(|name| !name.is_empty()));
    text.put("Healthcheck", given.health_check.as_ref().map(health_check));
    text.finish()
}

fn health_check(given: &ecs::HealthCheck) -> Value {
    let mut text = Text::default();
    let seconds = |seconds: Option<i32>| seconds.map(|seconds| i64::from(seconds) * NANOSECONDS);
    text.put("Test", Some(&given.command));
    text.put("Interval", seconds(given.interval));
    text.put("Timeout", seconds(given.timeout));
    text.put("StartPeriod", seconds(given.start_period));
    text.put("Retries", given.retries);
    Value::Object(text.0)
}

/// Log driver, network, limits, mounts and security.
pub(super) fn host_config(
    given: &ecs::ContainerDefinition,
    over: Option<&ecs::ContainerOverride>,
    mode: NetworkMode,
    log_mode: &str,
) -> String {
    let mut text = Text::default();
    text.put("LogConfig", given.log_configuration.as_ref().map(|log| log_config(log, log_mode)));
    text.put("NetworkMode", Some(mode.as_str()));
    text.put("Dns", filled(&given.dns_servers));
    text.put("DnsSearch", filled(&given.dns_search_domains));
    let hosts = given.extra_hosts.as_ref().filter(|hosts| !hosts.is_empty()).map(|hosts| {
        hosts.iter().map(|host| format!("{}:{}", host.hostname, host.ip_address)).collect::<Vec<String>>()
    });
    text.put("ExtraHosts", hosts);
    let ulimit = |limit: &ecs::Ulimit| json!({"Name": limit.name.as_str(), "Soft": limit.soft_limit, "Hard": limit.hard_limit});
    let ulimits = given.ulimits.as_ref().filter(|limits| !limits.is_empty());
    text.put("Ulimits", ulimits.map(|limits| limits.iter().map(ulimit).collect::<Vec<Value>>()));
    text.put("ReadonlyRootfs", given.readonly_root_filesystem);
    let reservation = over.and_then(|over| over.memory_reservation).or(given.memory_reservation);
    text.put("MemoryReservation", reservation.filter(|mib| *mib > 0).map(|mib| i64::from(mib) * MIB));
    let options = given.docker_security_options.as_ref().filter(|options| !options.is_empty());
    text.put(
        "SecurityOpt",
        options.map(|options| options.iter().map(|o| security_option(o)).collect::<Vec<String>>()),
    );
    let controls = given.system_controls.as_ref().filter(|controls| !controls.is_empty());
    text.put("Sysctls", controls.map(|controls| sysctls(controls)));
    if let Some(linux) = &given.linux_parameters {
        let memory = over.and_then(|over| over.memory).or(given.memory);
        linux_parameters(linux, memory, &mut text);
    }
    text.finish()
}

/// tmpfs and swap; what the protocol has members for is not repeated.
fn linux_parameters(linux: &ecs::LinuxParameters, memory: Option<i32>, text: &mut Text) {
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

fn log_config(given: &ecs::LogConfiguration, mode: &str) -> Value {
    let mut options = given.options.clone().unwrap_or_default();
    if given.log_driver == LogDriver::Awslogs {
        // Without one, Docker's own default would hold.
        options.entry("mode".to_owned()).or_insert_with(|| mode.to_owned());
    }
    json!({"Type": given.log_driver.as_str(), "Config": options})
}

/// ECS writes `apparmor:PROFILE`, Docker `apparmor=PROFILE`.
fn security_option(given: &str) -> String {
    match given.split_once(':') {
        Some(("apparmor", profile)) => format!("apparmor={profile}"),
        _ => given.to_owned(),
    }
}

fn sysctls(controls: &[ecs::SystemControl]) -> Map<String, Value> {
    let pairs = controls.iter().filter_map(|control| {
        Some((control.namespace.clone()?, Value::String(control.value.clone().unwrap_or_default())))
    });
    pairs.collect()
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
