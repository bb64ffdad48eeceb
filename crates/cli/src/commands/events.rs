//! `roadstead events`: the events of the default event bus, as they come or those that are kept.

mod line;

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use server::services::following::PATH;

use super::client::{Client, Refused, Target};
use crate::advice::Advise;

/// Between attempts to reach a control plane that does not answer any more.
const AGAIN: Duration = Duration::from_millis(500);
/// The service that requests are signed for.
const SERVICE: &str = "events";

/// Arguments of `roadstead events`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Show events as they come, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Show only what this event pattern matches: a file of JSON, as PutRule takes it
    #[arg(long, value_name = "FILE")]
    pattern: Option<PathBuf>,
    /// Show whole events, one a line, on a terminal too
    #[arg(long)]
    json: bool,
}

/// What the control plane answers.
#[derive(Deserialize)]
struct Answer {
    after: u64,
    missed: bool,
    events: Vec<Box<RawValue>>,
}

/// Nobody reads what is shown.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the events any more")]
struct Unread;

/// Shows events.
pub fn run(args: Args) -> anyhow::Result<()> {
    let pattern = args.pattern.as_deref().map(read).transpose()?;
    let brief = !args.json && std::io::stdout().is_terminal();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shown = runtime.block_on(async {
        match args.follow {
            true => follow(&args.target, pattern, brief).await,
            false => show_kept(&args.target, pattern, brief).await,
        }
    });
    match shown {
        // Whoever reads may leave early (`| head -1`).
        Err(error) if error.is::<Unread>() => Ok(()),
        shown => shown,
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .advise("a file of JSON, such as {\"source\": [\"aws.ecs\"]}")
}

/// What is kept of the events that came while somebody followed, or shortly before.
async fn show_kept(target: &Target, pattern: Option<String>, brief: bool) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    let mut after = 0;
    loop {
        let answer = ask(&mut client, json!({"after": after, "pattern": pattern})).await?;
        if answer.after == after {
            return Ok(());
        }
        after = answer.after;
        show(&answer, brief)?;
    }
}

/// Events as they come. A control plane that ends is waited for: what comes meanwhile is kept.
async fn follow(target: &Target, pattern: Option<String>, brief: bool) -> anyhow::Result<()> {
    let mut client = Some(Client::connect(target).await?);
    let mut after = None;
    loop {
        let asked = match &mut client {
            Some(client) => ask(client, json!({"after": after, "pattern": pattern, "follow": true})).await,
            None => {
                client = Client::connect(target).await.ok();
                if client.is_none() {
                    tokio::time::sleep(AGAIN).await;
                }
                continue;
            }
        };
        match asked {
            Ok(answer) => {
                if after.is_none() {
                    eprintln!("following the events of the default event bus");
                }
                after = Some(answer.after);
                show(&answer, brief)?;
            }
            Err(error) if after.is_none() || is_final(&error) => return Err(error),
            Err(error) => {
                eprintln!("the control plane does not answer; trying again: {error:#}");
                client = None;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Whether asking again is of no use.
fn is_final(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|Refused(status, _)| status.is_client_error())
}

async fn ask(client: &mut Client, request: serde_json::Value) -> anyhow::Result<Answer> {
    let answer = client.post(PATH, SERVICE, &request).await?;
    serde_json::from_slice(&answer).context("the answer is none of a control plane's")
}

fn show(answer: &Answer, brief: bool) -> anyhow::Result<()> {
    if answer.missed {
        eprintln!("some events are missing here: more came than are kept, or nobody followed for a while");
    }
    let mut out = std::io::stdout().lock();
    for event in &answer.events {
        let written = match brief {
            true => writeln!(out, "{}", line::of(event.get())),
            false => writeln!(out, "{}", event.get()),
        };
        written.map_err(|_| Unread)?;
    }
    out.flush().map_err(|_| Unread.into())
}
