//! `roadstead failures`: what rules and schedules were to call and gave up, from the state of a control plane that runs
//! or does not.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};
use server::runtime::Place;
use state::{outbox::GivenUp, shard::KeyParts};

use crate::{advice::Advise, commands::up::Settings, output::say, services};

/// Arguments of `roadstead failures`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Print each as a JSON object on a line
    #[arg(long)]
    json: bool,
}

/// One, with the service whose rows say so.
type Failure = (&'static str, Place, GivenUp);

/// Lists them, the latest first.
pub fn run(args: Args) -> anyhow::Result<()> {
    let state = args.settings.config()?.data_dir.join("state.db");
    let found = find(&state)
        .with_context(|| format!("cannot read {}", state.display()))
        .advise("the `--data-dir` of a control plane that has run")?;
    for failure in &found {
        match args.json {
            true => say!("{}", as_json(failure)),
            false => say!("{}", as_text(failure)),
        }
    }
    if found.is_empty() && !args.json {
        say!("nothing was given up");
    }
    Ok(())
}

fn find(state: &Path) -> anyhow::Result<Vec<Failure>> {
    let mut hosted = services::hosted();
    store::sqlite::look(state, &mut |entry| {
        let Some(parts) = KeyParts::parse(&entry.key).filter(|_| entry.whole) else { return };
        let mut loads = hosted.iter_mut().map(|host| host.loads());
        if let Some(loads) = loads.find(|loads| loads.service() == parts.service) {
            // What cannot be read is the next start's to set aside.
            if let Ok((row, _)) = loads.reads()(&parts, &entry.value) {
                loads.take(&parts, row);
            }
        }
    })?;
    let mut found = Vec::new();
    for host in &hosted {
        let service = host.support().0.name;
        found.extend(host.given_up().into_iter().map(|(place, one)| (service, place, one)));
    }
    found.sort_by_key(|(_, _, one)| std::cmp::Reverse(one.at));
    Ok(found)
}

fn as_text((service, (account, region), one): &Failure) -> String {
    let times = if one.times > 1 { format!(" {} times", one.times) } else { String::new() };
    let what = if one.what.is_empty() { String::new() } else { format!(", {}", one.what) };
    let limit = one.limit.as_ref().map(|limit| format!(" ({limit} was reached)")).unwrap_or_default();
    format!(
        "{} {account} {region} {service}: {}{what}{times}: {}: {}; attempts: {}{limit}",
        one.at.to_iso8601(),
        one.for_whom,
        one.code,
        one.message,
        one.attempts
    )
}

fn as_json((service, (account, region), one): &Failure) -> Value {
    json!({
        "at": one.at.to_iso8601(),
        "account": &**account,
        "region": &**region,
        "service": service,
        "for": one.for_whom,
        "what": one.what,
        "times": one.times,
        "attempts": one.attempts,
        "code": one.code,
        "message": one.message,
        "limit": one.limit,
    })
}
