//! `roadstead agent-key`: key pairs for agents that bring none of their own, such as the stock ECS agent.

use clap::Subcommand;
use server::keys::OperatorKeys;

use crate::output::say;
use crate::{advice::fail, commands::up::Settings, data_dir};

/// Arguments of `roadstead agent-key`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print a new key pair, for the environment of one agent: it must register within a day, and the pair is good
    /// for the container instance that it registers and no other
    Create,
}

/// Makes a pair for the control plane of a data directory, whether or not it runs.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.config()?;
    let credentials = data_dir::read_credentials(&config.data_dir)?;
    let master = credentials.agent_key_master;
    if master.is_empty() {
        fail!(
            "`roadstead up` or `roadstead server` once, with the same `--data-dir`: it adds what is missing",
            "the keys in {} are from an older version",
            config.data_dir.display()
        );
    }
    match args.action {
        Action::Create => {
            let pair = OperatorKeys::new(master).create(&config.server.account, server::runtime::now());
            say!("AWS_ACCESS_KEY_ID={}", pair.access_key);
            say!("AWS_SECRET_ACCESS_KEY={}", pair.secret);
        }
    }
    Ok(())
}
