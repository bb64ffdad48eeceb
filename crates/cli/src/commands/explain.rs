//! `roadstead explain`: why a task, service, deployment, container instance or managed daemon is in its state.

use anyhow::Context;
use ecs::explain::{Explanation, Kind};
use serde_json::json;
use server::services::ecs::EXPLAIN;

use super::client::{Client, Target};
use crate::output::say;

/// Arguments of `roadstead explain`.
#[derive(clap::Args)]
pub struct Args {
    /// What it is
    #[arg(value_enum)]
    kind: What,
    /// Its id, name or ARN; a deployment's ARN, or SERVICE/ID
    named: String,
    /// Name or ARN of its cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    Task,
    Service,
    Deployment,
    Instance,
    Daemon,
}

impl From<What> for Kind {
    fn from(what: What) -> Kind {
        match what {
            What::Task => Kind::Task,
            What::Service => Kind::Service,
            What::Deployment => Kind::Deployment,
            What::Instance => Kind::Instance,
            What::Daemon => Kind::Daemon,
        }
    }
}

/// Explains.
pub fn run(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async {
        let mut client = Client::connect(&args.target).await?;
        let request = json!({"cluster": args.cluster, "kind": Kind::from(args.kind), "named": args.named});
        client.post(EXPLAIN, "ecs", &request).await
    })?;
    let told: Explanation =
        serde_json::from_slice(&answer).context("the answer is none of a control plane's")?;
    match args.json {
        true => say!("{}", serde_json::to_string(&told)?),
        false => show(&told),
    }
    Ok(())
}

fn show(told: &Explanation) {
    let since = told.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
    say!("{}: {}{since}", told.what, told.state);
    let part = |head: &str, sentences: &[String]| {
        for sentence in sentences {
            say!("  {head:<16}{sentence}");
        }
    };
    part("because", &told.because);
    part("waits for", &told.waits_for);
    for refused in &told.refused {
        say!(
            "  {:<16}{} container instance(s): {}",
            "refused by",
            refused.container_instances,
            refused.reason
        );
    }
    part("would change it", &told.would_change);
}
