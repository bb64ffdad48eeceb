//! Configuration: one TOML file, then the environment (`ROADSTEAD_SECTION_KEY`), then flags; later wins.
//! Everything is read and checked before a port is bound. Every key is documented in
//! docs/configuration.md, with the example file that a test reads.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::Deserialize;

mod fargate;
mod lambda;
mod names;
mod nearest;
mod tls;

pub use self::lambda::Lambda;
pub use fargate::Fargate;
pub use names::NameServer;
pub use tls::Tls;

/// Why a configuration is refused. The program exits with 64.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not valid: {message}")]
    Syntax { path: String, message: String },
    #[error("{path}: unknown key `{key}`{}", .nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey { path: String, key: String, nearest: Option<String> },
    #[error("{key}: {message}")]
    Value { key: &'static str, message: String },
}

/// The engines that there are to choose from.
pub const NATIVE: &str = "native";
pub const DOCKER: &str = "docker";

/// Everything that a user may set.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default)]
pub struct Config {
    /// Where all state lives. Default `/var/lib/roadstead`.
    pub data_dir: PathBuf,
    /// Begin from nothing where there was something; a flag only.
    #[serde(skip)]
    pub begin_anew: bool,
    pub server: Server,
    pub tls: Tls,
    pub agent: Agent,
    pub images: Images,
    pub logs: Logs,
    pub network: Network,
    pub fargate: Fargate,
    pub lambda: Lambda,
    /// Accounts besides `server.account`, each with the key pair of its administrator. Default none.
    pub accounts: Vec<Account>,
}

/// An account.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// The access key of its administrator.
    pub access_key: String,
    /// Its secret.
    pub secret: String,
}

/// Regions besides the one of whoever names none: a list, or `"any"`.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Regions {
    Listed(Vec<String>),
    Word(String),
}

impl Default for Regions {
    fn default() -> Regions {
        Regions::Listed(Vec::new())
    }
}

/// The control plane.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default)]
pub struct Server {
    /// Address and port of the listener that speaks plain HTTP. Default `127.0.0.1:4566`.
    pub listen: SocketAddr,
    /// Twelve digits. Default `000000000000`.
    pub account: String,
    /// Default `us-east-1`.
    pub region: String,
    /// Further regions, or `"any"`: each is a world of its own. Default none.
    pub regions: Regions,
    /// Default `aws`.
    pub partition: String,
    /// The cluster that is created at start. Default `default`.
    pub cluster: String,
    /// Names by which this control plane may be called besides loopback's and its listener's address. Default none.
    pub names: Vec<String>,
    /// Users of this host, by name or number, whom `test`/`test` serves besides root and who started it. Default none.
    pub known_pair_users: Vec<String>,
    /// Take any key as the account's administrator. Only on loopback. Default false.
    pub accept_any_credentials: bool,
    /// Seconds after which the tasks of services are replaced whose host's agent is not connected; 0 is never. Default 0.
    pub agent_lost_after_seconds: u64,
    /// For how many hours, and how many of a cluster, STOPPED tasks are kept for `roadstead explain`. Default 24, 10000.
    pub stopped_tasks_kept: StoppedTasksKept,
}

/// Which STOPPED tasks are kept beyond the hour that the API shows them.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct StoppedTasksKept {
    pub hours: u32,
    pub count: usize,
}

impl StoppedTasksKept {
    /// What a cluster is told; none where none is to be kept.
    pub fn keeps(self) -> Option<ecs::cluster::Keeps> {
        let ms = i64::from(self.hours).saturating_mul(3_600_000);
        (ms > 0 && self.count > 0).then_some(ecs::cluster::Keeps { ms, count: self.count })
    }
}

impl Default for StoppedTasksKept {
    fn default() -> StoppedTasksKept {
        StoppedTasksKept { hours: 24, count: 10_000 }
    }
}

/// This host as a container instance.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default)]
pub struct Agent {
    /// What runs containers on this host: `native`, or `docker`. Default `native`.
    pub engine: String,
    /// Where the Docker daemon of the engine `docker` listens. Default `/var/run/docker.sock`.
    pub docker_socket: PathBuf,
    /// MiB of this host that tasks cannot have. Default 0.
    pub reserved_memory: u64,
    /// TCP ports of this host that tasks cannot have. Default `[22, 4566]`.
    pub reserved_ports: Vec<u16>,
    /// UDP ports of this host that tasks cannot have. Default none.
    pub reserved_ports_udp: Vec<u16>,
    /// The zone that this host is in. Default: the region and `a`.
    pub availability_zone: Option<String>,
    /// The IPv4 address at which other hosts reach this one. Default: the one by which it reaches the control plane.
    pub address: Option<Ipv4Addr>,
    /// Name servers, asked for names that are none of a VPC's. Default: those of `/etc/resolv.conf`.
    pub dns_upstream: Vec<NameServer>,
    /// Attributes of the container instance.
    pub attributes: std::collections::BTreeMap<String, String>,
    /// The capacity provider that this host belongs to; empty for none. Default none.
    pub capacity_provider: String,
    /// GPUs that tasks can have, by id, each with its devices on this host. Default none.
    pub gpus: std::collections::BTreeMap<String, Vec<PathBuf>>,
    /// Seconds that a stopped task's containers stay on the host after their end is reported. Default 0.
    pub task_cleanup_wait_seconds: u64,
    /// When images are fetched: `default`, `always` or `prefer-cached`. Default `default`.
    pub image_pull_behavior: String,
}

/// Images on this host.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default)]
pub struct Images {
    /// Registries, besides loopback, that are spoken to in plain HTTP. Default none.
    pub insecure_registries: Vec<String>,
    /// Minutes that an image is kept after its last use. Default 60.
    pub minimum_age_minutes: u64,
    /// Percent of the disk in use above which unused images go, whatever their age. Default 85.
    pub high_water_percent: u8,
}

/// CloudWatch Logs of this control plane.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default)]
pub struct Logs {
    /// MiB that all log groups together may take; 0 is a tenth of the disk, at most 10 GiB. Default 0.
    pub max_size_mib: u64,
    /// Log streams that all log groups together may have: each costs memory. Default 200,000.
    pub max_streams: usize,
}

/// The container network of this host.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Network {
    /// The bridge's subnet, such as `172.28.0.0/16`. Default: the first free one of a built-in list.
    pub subnet: Option<String>,
    /// First and last host port for dynamic port mappings. Default: the kernel's local range.
    pub dynamic_ports: Option<(u16, u16)>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data_dir: PathBuf::from("/var/lib/roadstead"),
            begin_anew: false,
            server: Server::default(),
            tls: Tls::default(),
            agent: Agent::default(),
            images: Images::default(),
            logs: Logs::default(),
            network: Network::default(),
            fargate: Fargate::default(),
            lambda: Lambda::default(),
            accounts: Vec::new(),
        }
    }
}

impl Default for Server {
    fn default() -> Server {
        Server {
            listen: SocketAddr::from(([127, 0, 0, 1], 4566)),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            regions: Regions::default(),
            partition: "aws".to_owned(),
            cluster: "default".to_owned(),
            names: Vec::new(),
            known_pair_users: Vec::new(),
            accept_any_credentials: false,
            agent_lost_after_seconds: 0,
            stopped_tasks_kept: StoppedTasksKept::default(),
        }
    }
}

impl Default for Agent {
    fn default() -> Agent {
        Agent {
            engine: NATIVE.to_owned(),
            docker_socket: PathBuf::from(engine::docker::SOCKET),
            reserved_memory: 0,
            reserved_ports: vec![22, 4566],
            reserved_ports_udp: Vec::new(),
            availability_zone: None,
            address: None,
            dns_upstream: Vec::new(),
            attributes: std::collections::BTreeMap::new(),
            capacity_provider: String::new(),
            gpus: std::collections::BTreeMap::new(),
            task_cleanup_wait_seconds: 0,
            image_pull_behavior: "default".to_owned(),
        }
    }
}

impl Default for Images {
    fn default() -> Images {
        Images { insecure_registries: Vec::new(), minimum_age_minutes: 60, high_water_percent: 85 }
    }
}

impl Default for Logs {
    fn default() -> Logs {
        Logs { max_size_mib: 0, max_streams: logs::Limits::default().streams_max }
    }
}

impl Server {
    /// The numbers of the users in `known_pair_users`.
    pub fn known_pair_users(&self) -> Result<Vec<u32>, Error> {
        let key = "server.known_pair_users";
        let number = |user: &String| {
            let found = match user.parse() {
                Ok(number) => Some(number),
                Err(_) => nix::unistd::User::from_name(user).ok().flatten().map(|user| user.uid.as_raw()),
            };
            match found {
                // The kernel gives this number to everybody whom our user namespace does not know.
                Some(65534) => Err(Error::Value { key, message: format!("{user} may be anybody") }),
                Some(number) => Ok(number),
                None => Err(Error::Value { key, message: format!("this host has no user {user}") }),
            }
        };
        self.known_pair_users.iter().map(number).collect()
    }
}

impl Agent {
    /// How long a stopped task's containers stay.
    pub fn task_cleanup_wait(&self) -> Duration {
        Duration::from_secs(self.task_cleanup_wait_seconds)
    }
}

impl Logs {
    /// The bytes that logs in `dir`, which exists, may take.
    pub fn max_bytes(&self, dir: &std::path::Path) -> u64 {
        const MOST: u64 = 10 << 30;
        if self.max_size_mib > 0 {
            return self.max_size_mib.saturating_mul(1 << 20);
        }
        let disk = rustix::fs::statvfs(dir).map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize));
        disk.map_or(MOST, |bytes| (bytes / 10).min(MOST))
    }
}

impl Config {
    /// Reads a file's text (`path` is for messages) and lays the environment over it.
    pub fn read(path: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Error> {
        let syntax =
            |error: toml::de::Error| Error::Syntax { path: path.to_owned(), message: error.to_string() };
        let mut table: toml::Table = text.parse().map_err(syntax)?;
        nearest::check(path, &table)?;
        overlay(&mut table, env)?;
        let config: Config = table.try_into().map_err(syntax)?;
        config.check()?;
        Ok(config)
    }

    fn check_accounts(&self) -> Result<(), Error> {
        let refuse = |message: &str| Err(Error::Value { key: "accounts", message: message.to_owned() });
        let mut keys = std::collections::BTreeSet::new();
        for account in &self.accounts {
            let key = account.access_key.as_str();
            if !is_account(&account.id) {
                return refuse("id is twelve digits");
            }
            let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !(16..=128).contains(&key.len()) || !plain || account.secret.len() < 16 {
                return refuse("access_key has 16 to 128 letters and digits, secret at least 16 characters");
            }
            if !keys.insert(key) {
                return refuse("no two accounts have the same access_key");
            }
        }
        Ok(())
    }

    /// Checks what types cannot say. Flags are laid over before the last call.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |key, message: &str| Err(Error::Value { key, message: message.to_owned() });
        let server = &self.server;
        if !is_account(&server.account) {
            return refuse("server.account", "an account is twelve digits");
        }
        const REGION: &str = "a region has lower-case letters, digits and hyphens only, 32 at the most";
        if !is_region(&server.region) {
            return refuse("server.region", REGION);
        }
        match &server.regions {
            Regions::Listed(listed) if listed.iter().all(|region| is_region(region)) => {}
            Regions::Word(word) if word == "any" => {}
            Regions::Listed(_) => return refuse("server.regions", REGION),
            Regions::Word(_) => return refuse("server.regions", "a list of regions, or \"any\""),
        }
        self.fargate.check()?;
        self.check_accounts()?;
        self.lambda.functions(server)?;
        if !word(&server.partition) {
            return refuse("server.partition", "a partition has letters, digits and hyphens only");
        }
        if !word(&server.cluster) {
            return refuse(
                "server.cluster",
                "a cluster's name has up to 255 letters, digits, hyphens and underscores",
            );
        }
        let label = |text: &str| !text.is_empty() && word(text);
        let name = |text: &String| {
            text.len() <= 253
                && (text.strip_prefix("*.").unwrap_or(text).split('.').all(label)
                    || text.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok())
        };
        if !server.names.iter().all(name) {
            return refuse(
                "server.names",
                "host names and addresses without a port; *.example.com for all below one",
            );
        }
        if server.accept_any_credentials && !server.listen.ip().is_loopback() {
            return refuse("server.accept_any_credentials", "only where the listener is on loopback");
        }
        let seconds = server.agent_lost_after_seconds;
        if seconds != 0 && !(5..=604_800).contains(&seconds) {
            return refuse("server.agent_lost_after_seconds", "from 5 to 604800, or 0 for never");
        }
        let kept = server.stopped_tasks_kept;
        if kept.hours > 8760 || kept.count > 100_000 {
            return refuse(
                "server.stopped_tasks_kept",
                "at most 8760 hours and a count of 100000; 0 for none",
            );
        }
        self.tls.check(server)?;
        self.check_agent()?;
        if self.logs.max_size_mib != 0 && self.logs.max_size_mib < 16 {
            return refuse("logs.max_size_mib", "at least 16, or 0 for a tenth of the disk");
        }
        if !(10..=10_000_000).contains(&self.logs.max_streams) {
            return refuse("logs.max_streams", "from 10 to 10000000");
        }
        if !(1..=99).contains(&self.images.high_water_percent) {
            return refuse("images.high_water_percent", "from 1 to 99");
        }
        Ok(())
    }

    fn check_agent(&self) -> Result<(), Error> {
        let refuse = |key, message: &str| Err(Error::Value { key, message: message.to_owned() });
        if ![NATIVE, DOCKER].contains(&self.agent.engine.as_str()) {
            return refuse("agent.engine", "one of native, docker");
        }
        if !self.agent.docker_socket.is_absolute() {
            return refuse("agent.docker_socket", "the path of a socket, from /");
        }
        if !self.agent.capacity_provider.is_empty() && !word(&self.agent.capacity_provider) {
            return refuse(
                "agent.capacity_provider",
                "a capacity provider's name has up to 255 letters, digits, hyphens and underscores",
            );
        }
        let is_zone = |zone: &String| {
            (1..=128).contains(&zone.len())
                && zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if !self.agent.availability_zone.iter().all(is_zone) {
            return refuse(
                "agent.availability_zone",
                "at most 128 letters, digits, hyphens, underscores and dots",
            );
        }
        let is_reached = |address: &Ipv4Addr| {
            !(address.is_loopback() || address.is_unspecified() || address.is_multicast())
        };
        if !self.agent.address.iter().all(is_reached) {
            return refuse("agent.address", "an address at which other hosts reach this one");
        }
        names::check(&self.agent.dns_upstream)?;
        if !["default", "always", "prefer-cached"].contains(&self.agent.image_pull_behavior.as_str()) {
            return refuse("agent.image_pull_behavior", "one of default, always, prefer-cached");
        }
        Ok(())
    }
}

/// Whether a text is a name as clusters have it.
fn word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// `ROADSTEAD_SERVER_LISTEN=…` is `server.listen`; values are read as TOML where they can be, else as text.
fn overlay(table: &mut toml::Table, env: &dyn Fn(&str) -> Option<String>) -> Result<(), Error> {
    for key in nearest::KEYS {
        let name = format!("ROADSTEAD_{}", key.replace('.', "_").to_uppercase());
        let Some(text) = env(&name) else { continue };
        let value = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
        let value = match value {
            // An account is digits, and still text.
            Some(value) if value.is_str() || !nearest::TEXT.contains(key) => value,
            _ => toml::Value::String(text),
        };
        match key.split_once('.') {
            None => {
                table.insert((*key).to_owned(), value);
            }
            Some((section, key)) => {
                let entry = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
                if let Some(section) = entry.as_table_mut() {
                    section.insert(key.to_owned(), value);
                }
            }
        }
    }
    Ok(())
}

/// Twelve digits.
fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a region's name is made of.
fn is_region(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests;
