//! `roadstead agent`: this host as a container instance of a control plane elsewhere, which it joins by a token, or by a key
//! pair that somebody has brought there.

use std::{path::PathBuf, sync::Arc};

use agent::{
    join::{self, Joined},
    trust::Trust,
};
use agent_protocol::join::{Reason, Token};
use anyhow::Context;
use server::keys::KeyPair;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    advice::{Advise, fail},
    commands::up::Settings,
    config::Config,
    data_dir::DataDir,
    running,
};

/// Arguments of `roadstead agent`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Join with a token of `roadstead token create`; once joined, the token is needed no more
    #[arg(long, value_name = "TOKEN", env = "ROADSTEAD_JOIN", hide_env_values = true)]
    join: Option<String>,
    /// The control plane, such as https://10.0.0.1:4567; a host that has joined knows it
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    endpoint: Option<String>,
    /// PEM: the CAs that may vouch for `--endpoint`, instead of those of this host
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE")]
    ca: Option<PathBuf>,
    /// The cluster to join
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Give this host to Fargate: it takes tasks of launch type FARGATE beside its others
    #[arg(long)]
    fargate: bool,
    /// Begin without the ledger that was here, or with a control plane that has lost its state: every task ends
    #[arg(long)]
    begin_anew: bool,
}

/// Where to, as whom, and who may vouch for it.
struct Way {
    endpoint: String,
    keys: KeyPair,
    trust: Arc<Trust>,
}

/// Runs until SIGTERM or SIGINT. Of a host that did not join, the key pair comes from AWS_ACCESS_KEY_ID and
/// AWS_SECRET_ACCESS_KEY.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut config = args.settings.config()?;
    config.begin_anew = args.begin_anew;
    config.server.cluster = args.cluster.clone().unwrap_or(config.server.cluster);
    if args.fargate {
        config.fargate.serve = Some(true);
    }
    config.check()?;
    let token = args.join.as_deref().map(Token::parse).transpose();
    let token = token.advise("the whole line that `roadstead token create` printed, in quotes")?;
    let dir = DataDir::open(&config.data_dir)?;
    running::log_to_stderr();
    running::raise_open_files();
    running::protect_from_oom();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        let way = match joined(&dir, token.as_ref()).await? {
            Some(joined) => of_joined(&mut config, &dir, joined, &args)?,
            None => of_arguments(&args)?,
        };
        let agent = running::start_agent(&config, &dir, (&way.endpoint, way.trust), way.keys).await?;
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

/// What this host has of having joined, by this token if it did not by it before.
async fn joined(dir: &DataDir, token: Option<&Token>) -> anyhow::Result<Option<Joined>> {
    let folder = dir.agent();
    let before = join::joined(&folder)?;
    let Some(token) = token.filter(|token| before.as_ref().is_none_or(|before| before.token != token.id))
    else {
        return Ok(before);
    };
    let joined = join::join(&folder, token).await;
    let step = match &joined {
        Err(error) => match error.reason() {
            Some(Reason::Clock) => "the same token, once the clocks are right",
            Some(Reason::Busy | Reason::Failed) => "the same token again",
            Some(_) => "a new token of `roadstead token create`",
            None => "the same token again: it was not used; docs/joining.md says what each error means",
        },
        Ok(_) => "",
    };
    let joined = joined.context("this host has not joined").advise(step)?;
    tracing::info!(joined.endpoint, joined.region, joined.cluster, "this host has joined");
    Ok(Some(joined))
}

fn of_joined(config: &mut Config, dir: &DataDir, joined: Joined, args: &Args) -> anyhow::Result<Way> {
    if args.endpoint.as_ref().is_some_and(|endpoint| endpoint.trim_end_matches('/') != joined.endpoint) {
        tracing::warn!(joined.endpoint, "this host has joined: no other endpoint counts");
    }
    config.server.region = joined.region;
    config.server.cluster = args.cluster.clone().unwrap_or(joined.cluster);
    let trust = Trust::of_joined(&join::trusted(&dir.agent())).advise(
        "`tls/ca.pem` of the control plane's data directory in the place of the file that is named",
    )?;
    let keys = KeyPair { access_key: joined.access_key_id, secret: joined.secret_access_key };
    Ok(Way { endpoint: joined.endpoint, keys, trust: Arc::new(trust) })
}

fn of_arguments(args: &Args) -> anyhow::Result<Way> {
    let Some(endpoint) = args.endpoint.clone() else {
        fail!(
            "`--join TOKEN`, with a token of `roadstead token create`",
            "an agent needs a control plane, and this host has joined none"
        );
    };
    let variable = |name: &str| {
        std::env::var(name).with_context(|| format!("an agent needs {name}")).advise(format!(
            "`--join` with a token of `roadstead token create`; or `{name}=…` in front of the command, where the agents' key \
             pair is `[agent]` in the control plane's `credentials.toml`"
        ))
    };
    let keys =
        KeyPair { access_key: variable("AWS_ACCESS_KEY_ID")?, secret: variable("AWS_SECRET_ACCESS_KEY")? };
    let trust = match &args.ca {
        Some(file) => Trust::of_given(file)?,
        None => Trust::of_host(),
    };
    Ok(Way { endpoint, keys, trust: Arc::new(trust) })
}
