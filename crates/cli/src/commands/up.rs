//! `roadstead up` and `roadstead server`: everything, or the control plane, in the foreground.

use std::{net::SocketAddr, path::PathBuf};

use crate::{
    config::{self, Config},
    data_dir::DataDir,
    running,
};

/// Which parts run in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// The control plane and this host's agent.
    All,
    /// The control plane.
    Server,
}

/// Where the configuration and the state are. Taken before a command, after it, and after a command of its
/// own; of several, the last counts.
#[derive(clap::Args)]
pub struct Place {
    /// Configuration file (TOML); docs/configuration.md lists its keys
    #[arg(long, value_name = "FILE", global = true, overrides_with = "config")]
    config: Option<PathBuf>,
    /// Where all state lives
    #[arg(long, value_name = "DIR", global = true, overrides_with = "data_dir")]
    data_dir: Option<PathBuf>,
}

/// What every command needs.
#[derive(clap::Args)]
pub struct Settings {
    #[command(flatten)]
    place: Place,
    /// Address of the control plane's listener
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Account, twelve digits
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Region
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// What runs containers on this host: native, or docker
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
}

/// Arguments of `roadstead up` and `roadstead server`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// The cluster that is created, and that this host joins
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Take any key as the account's administrator, as local AWS emulators do; only on loopback
    #[arg(long)]
    accept_any_credentials: bool,
    /// Begin without the state, or the agent's ledger, that was here: every task of it ends
    #[arg(long)]
    begin_anew: bool,
}

impl Settings {
    /// Whether a flag says which account it is.
    pub fn names_account(&self) -> bool {
        self.account.is_some()
    }

    /// The configuration: file, then environment, then these flags.
    pub fn config(&self) -> Result<Config, config::Error> {
        let (path, text) = match &self.place.config {
            None => (String::new(), String::new()),
            Some(path) => {
                let read = std::fs::read_to_string(path);
                let text = read.map_err(|source| config::Error::Read { path: path.clone(), source })?;
                (path.display().to_string(), text)
            }
        };
        let mut config = Config::read(&path, &text, &|name| std::env::var(name).ok())?;
        config.data_dir = self.place.data_dir.clone().unwrap_or(config.data_dir);
        config.server.listen = self.listen.unwrap_or(config.server.listen);
        config.server.account = self.account.clone().unwrap_or(config.server.account);
        config.server.region = self.region.clone().unwrap_or(config.server.region);
        config.agent.engine = self.engine.clone().unwrap_or(config.agent.engine);
        config.check()?;
        Ok(config)
    }
}

/// Runs until SIGTERM or SIGINT.
pub fn run(args: Args, parts: Parts) -> anyhow::Result<()> {
    let mut config = args.settings.config()?;
    config.server.cluster = args.cluster.unwrap_or(config.server.cluster);
    config.server.accept_any_credentials |= args.accept_any_credentials;
    config.begin_anew = args.begin_anew;
    config.fargate.serve.get_or_insert(true);
    config.check()?;
    let dir = DataDir::open(&config.data_dir)?;
    running::run(config, dir, parts)
}
