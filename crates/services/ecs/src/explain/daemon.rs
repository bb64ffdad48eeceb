//! Why a managed daemon is in its state, and what its deployment waits for.

use ecs_model::errors;
use wire::Error;

use super::{Explanation, Look, count};
use crate::{
    arn,
    cluster::{DaemonName, DaemonRow, DaemonStatus, daemons::Resident},
};

pub fn explain(look: Look<'_>, named: &str) -> Result<Explanation, Error> {
    let name = match named.starts_with("arn:") {
        true => arn::daemon_name(look.ctx, named)?.1,
        false => named.to_owned(),
    };
    let name = DaemonName(name);
    let row = look.state.daemon_row(&name).ok_or_else(|| errors::daemon_not_found("Daemon not found."))?;
    let (running, pending) = look.state.crew(&name).counts();
    let state = format!("{}, running {running}, pending {pending}", row.status.as_str());
    let mut told = Explanation::new(format!("daemon {name}"), state, Some(row.created_at));
    match row.status {
        DaemonStatus::Active => active(look, row, &mut told),
        DaemonStatus::DeleteInProgress => {
            told.because.push("it was deleted".to_owned());
            let live = look.state.crew(&name).live();
            told.waits_for.push(format!("the end of {}", count(live, "task")));
        }
        DaemonStatus::Deleted => told.because.push("it was deleted, and has no task left".to_owned()),
    }
    Ok(told)
}

fn active(look: Look<'_>, row: &DaemonRow, told: &mut Explanation) {
    deployment(look, row, told);
    if row.stalled {
        told.because.push(
            "its deployment failed, and there was nothing to roll back to: no task is started any more"
                .to_owned(),
        );
        told.would_change.push("UpdateDaemon".to_owned());
    }
    if let Some(at) = row.not_before.filter(|at| *at > look.ctx.now) {
        let failures = count(row.consecutive_failures as usize, "failure");
        told.because.push(format!("{failures} in a row: its last tasks did not stay"));
        told.waits_for.push(format!("the next attempt, at {}", at.to_iso8601()));
    }
    if let Some(unplaced) = &row.unplaced {
        let (at, host, why) = (unplaced.at.to_iso8601(), unplaced.instance, &unplaced.reason);
        told.because.push(format!("since {at}: container instance {host} could not take its task: {why}"));
    }
    // Made at its first look after a start.
    let Some(kept) = look.state.resident(&Resident::from(&row.name)) else { return };
    let places = |number: usize| count(number, "container instance");
    told.because.push(format!(
        "it belongs on {}: those of its capacity providers {}",
        places(kept.eligible().len()),
        row.providers.join(", ")
    ));
    for (number, what) in [
        (kept.lacking().len(), "where its task is missing"),
        (kept.outdated().len(), "where its task is to be replaced"),
        (kept.waiting().len(), "where it starts once others are done: `drainPercent` of all at a time"),
    ] {
        if number > 0 {
            told.waits_for.push(format!("{} {what}", places(number)));
        }
    }
    if told.waits_for.is_empty() {
        told.because.push("its task runs on each of them".to_owned());
    }
}

/// Its newest deployment, as long as it goes on; why it ended otherwise than it should.
fn deployment(look: Look<'_>, row: &DaemonRow, told: &mut Explanation) {
    let Some(newest) = look.state.daemon_deployment(&row.name) else { return };
    let why = newest.status_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    if newest.status.has_ended() {
        if !why.is_empty() {
            told.because.push(format!("its deployment {} was {}{why}", newest.id, newest.status.as_str()));
        }
        return;
    }
    let since = newest.started_at.unwrap_or(newest.created_at).to_iso8601();
    let (id, status) = (&newest.id, newest.status.as_str());
    told.because.push(format!("its deployment {id} is {status} since {since}{why}"));
    if row.failures > 0 {
        let failures = count(usize::try_from(row.failures).unwrap_or(0), "failure");
        told.because.push(format!("its circuit breaker has counted {failures}"));
    }
    if let Some(until) = newest.bake_until {
        told.waits_for.push(format!("the end of its bake time, at {}", until.to_iso8601()));
    }
}
