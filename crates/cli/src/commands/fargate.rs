//! `roadstead fargate`: what an operator does with tasks on Fargate that no call of ECS does.

use anyhow::Context;
use serde_json::{Value, json};
use server::services::ecs::INTERRUPT;

use super::client::{Client, Target};
use crate::output::say;

/// Arguments of `roadstead fargate`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Interrupt a task of FARGATE_SPOT: it is warned, stopped after that, and replaced by its service
    Interrupt(Interrupt),
}

#[derive(clap::Args)]
struct Interrupt {
    /// Its id or ARN
    task: String,
    /// Name or ARN of its cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Seconds from the warning to SIGTERM; 120 where nothing is said, 3600 at most
    #[arg(long, value_name = "SECONDS")]
    warning: Option<u32>,
    #[command(flatten)]
    target: Target,
}

/// Carries it out.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Command::Interrupt(args) = args.command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async {
        let mut client = Client::connect(&args.target).await?;
        let mut request = json!({"task": args.task});
        if let Some(cluster) = args.cluster {
            request["cluster"] = cluster.into();
        }
        if let Some(warning) = args.warning {
            request["warningSeconds"] = warning.into();
        }
        client.post(INTERRUPT, "ecs", &request).await
    })?;
    let task: Value = serde_json::from_slice(&answer).context("the answer is none of a control plane's")?;
    let text = |member: &str| task[member].as_str().unwrap_or_default().to_owned();
    say!("{}: {}, {}", text("taskArn"), text("lastStatus"), text("stoppedReason"));
    Ok(())
}
