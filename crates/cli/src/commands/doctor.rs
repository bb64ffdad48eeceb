//! `roadstead doctor`: see [`crate::doctor`].

use crate::output::say;
use crate::{commands::up::Settings, config, doctor};

/// Arguments of `roadstead doctor`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Looks, prints, and fails if anything needed is missing.
pub fn run(args: Args) -> anyhow::Result<()> {
    let json = args.json;
    let config = args.settings.config()?;
    let docker = (config.agent.engine == config::DOCKER).then_some(config.agent.docker_socket);
    let args =
        doctor::Args { data_dir: config.data_dir, listen: config.server.listen, logs: config.logs, docker };
    let report = doctor::run(&args);
    if json {
        say!("{}", report.to_json());
    } else {
        say!("{}", report.to_string().trim_end());
    }
    anyhow::ensure!(report.healthy(), "this machine cannot run tasks yet");
    Ok(())
}
