//! `roadstead agent`: this host as a container instance of a control plane elsewhere.

use anyhow::Context;
use server::keys::KeyPair;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{advice::Advise, commands::up::Settings, data_dir::DataDir, running};

/// Arguments of `roadstead agent`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// The control plane, such as http://10.0.0.1:4566
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    endpoint: String,
    /// The cluster to join
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Begin without the ledger that was here, or with a control plane that has lost its state: every task ends
    #[arg(long)]
    begin_anew: bool,
}

/// Runs until SIGTERM or SIGINT. The key pair comes from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut config = args.settings.config()?;
    config.server.cluster = args.cluster.unwrap_or(config.server.cluster);
    config.begin_anew = args.begin_anew;
    config.check()?;
    let variable = |name: &str| {
        std::env::var(name).with_context(|| format!("an agent needs {name}")).advise(format!(
            "`{name}=…` in front of the command; the agents' key pair is `[agent]` in the control plane's `credentials.toml`"
        ))
    };
    let keys =
        KeyPair { access_key: variable("AWS_ACCESS_KEY_ID")?, secret: variable("AWS_SECRET_ACCESS_KEY")? };
    let dir = DataDir::open(&config.data_dir)?;
    running::log_to_stderr();
    running::raise_open_files();
    running::protect_from_oom();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        let agent = running::start_agent(&config, &dir, &args.endpoint, keys).await?;
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            ended = agent::run(agent, stop.clone()) => ended.context("the agent ended"),
            _ = term.recv() => Ok(()),
            _ = int.recv() => Ok(()),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    outcome
}
