//! `roadstead token`: what brings another host in, once. Works on the data directory of a control plane that runs or does not.

use std::time::Duration;

use agent_protocol::join::{Bundle, Token};
use anyhow::Context;
use clap::Subcommand;
use serde_json::json;
use server::{
    join::{Error, Fate, Listed, Tokens, Wish},
    runtime::now,
    tls::{Source, Tls, authority::Authority},
};

use crate::{
    advice::{Advise, fail},
    commands::up::Settings,
    config::Config,
    data_dir, length,
    output::say,
};

/// Arguments of `roadstead token`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print a new token, for `roadstead agent --join` on one host
    Create {
        /// How long it may be used: 30m, 24h, at most 7d
        #[arg(long, value_name = "LENGTH", default_value = "24h", value_parser = length::parse)]
        ttl: Duration,
        /// The cluster that the host registers into, if it is not the control plane's own
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// How the host reaches the control plane, such as https://10.0.0.1:4567
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
    },
    /// List tokens, and for a week what became of those that are over
    List {
        /// Print each as a JSON object on a line
        #[arg(long)]
        json: bool,
    },
    /// Have a token be good no more
    Revoke {
        /// Its id, as `roadstead token list` shows it
        id: String,
    },
}

/// Carries it out.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.config()?;
    // Whose it is, and that there is one.
    data_dir::read_credentials(&config.data_dir)?;
    let tokens = Tokens::new(data_dir::tokens(&config.data_dir));
    match args.action {
        Action::Create { ttl, cluster, endpoint } => create(&config, &tokens, ttl, cluster, endpoint),
        Action::List { json } => list(&tokens, json),
        Action::Revoke { id } => revoke(&tokens, &id),
    }
}

fn create(
    config: &Config,
    tokens: &Tokens,
    ttl: Duration,
    cluster: Option<String>,
    endpoint: Option<String>,
) -> anyhow::Result<()> {
    let server = &config.server;
    if config.tls.listen.is_none() {
        fail!(
            "`[tls] listen = \"0.0.0.0:4567\"` in the configuration (docs/joining.md)",
            "hosts join by TLS alone, and tls.listen is not set"
        );
    }
    let Some(endpoint) = endpoint.or_else(|| config.tls.endpoint(server)) else {
        fail!(
            "`--endpoint https://NAME:PORT`, or a name of this host in `server.names`",
            "nothing says by which name or address a host reaches this control plane"
        );
    };
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    if !endpoint.starts_with("https://") {
        fail!("`--endpoint https://NAME:PORT`", "{endpoint} is no https:// URL");
    }
    if !config.tls.is_for(server, &endpoint) {
        fail!(
            "that name or address in `server.names` of the configuration, and a restart of the control plane",
            "the control plane's certificate is not for the host in {endpoint}"
        );
    }
    let bundle = bundle(config)?;
    let wish = Wish { account: server.account.clone(), region: server.region.clone(), cluster, ttl };
    match tokens.create(&wish, now()) {
        Ok(made) => {
            let authorities = bundle.fingerprints();
            let token = Token { endpoint, authorities, id: made.id, secret: made.secret };
            eprintln!("good for one host until {}: roadstead agent --join TOKEN", made.expires.to_iso8601());
            say!("{}", token.to_text());
            Ok(())
        }
        Err(Error::Full) => {
            Err(Error::Full).advise("`roadstead token list`; those that are over go after a week")
        }
        Err(Error::Ttl) => Err(Error::Ttl).advise("another `--ttl`, such as 24h"),
        Err(error) => Err(error.into()),
    }
}

/// The CAs by which this control plane is known.
fn bundle(config: &Config) -> anyhow::Result<Bundle> {
    match config.tls.source(&config.server, &data_dir::tls(&config.data_dir)) {
        Source::Own { dir, .. } => {
            let read = Authority::read(&dir)?.context("the control plane has no CA yet");
            Ok(read.advise("to start the control plane with tls.listen once")?.bundle()?)
        }
        files => Ok(Tls::open(files, now()).context("the certificate cannot be used")?.bundle()),
    }
}

fn list(tokens: &Tokens, json: bool) -> anyhow::Result<()> {
    let listed = tokens.list(now())?;
    if listed.is_empty() && !json {
        say!("there are no tokens");
    }
    for Listed { id, cluster, made, expires, fate } in listed {
        let (word, more) = match &fate {
            Fate::Waits => ("waits", format!("until {}", expires.to_iso8601())),
            Fate::Expired => ("expired", format!("at {}", expires.to_iso8601())),
            Fate::Revoked => ("revoked", String::new()),
            Fate::Used(key) => ("used", format!("by {key}")),
        };
        if json {
            let key = if let Fate::Used(key) = &fate { Some(key) } else { None };
            say!(
                "{}",
                json!({
                    "id": id, "cluster": cluster, "status": word, "accessKey": key,
                    "createdAt": made.to_iso8601(), "expiresAt": expires.to_iso8601(),
                })
            );
        } else {
            let cluster = cluster.map(|name| format!(" for {name}")).unwrap_or_default();
            say!("{}", format!("{id} {word} {more}{cluster}").trim_end());
        }
    }
    Ok(())
}

fn revoke(tokens: &Tokens, id: &str) -> anyhow::Result<()> {
    let step = match tokens.revoke(id, now()) {
        Err(error @ Error::Used(_)) => {
            Err(error).advise("`aws ecs deregister-container-instance`, which ends that host's key")
        }
        Err(error @ Error::Unknown(_)) => Err(error).advise("`roadstead token list`"),
        done => Ok(done?),
    };
    step.map(|()| say!("revoked {id}"))
}
