//! What the daemon tells: containers that end. The stream is taken up again when it breaks, from where it was.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::daemon::labelled;
use super::task::AT_ONCE;
use super::{CONTAINER, Inner, TASK, look};
use crate::spec::ContainerId;
use crate::state::{Event, Exit, Phase};

/// Between attempts to hear again: the first, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// How long news of a want of memory may come after that of the end it brought.
const MEMORY_WAIT: Duration = Duration::from_millis(200);

/// Listens for as long as the engine is there. `since`: what happened from then on is told too.
pub(super) async fn listen(inner: Weak<Inner>, since: Timestamp) {
    let (mut since, mut wait) = (since.as_nanosecond(), RETRY_FIRST);
    let mut away: Option<Timestamp> = None;
    loop {
        let Some(engine) = inner.upgrade() else { return };
        if away.is_some() && engine.daemon.api.ping().await.is_ok() {
            let gone = away.take().unwrap_or_else(Timestamp::now);
            tracing::info!("the Docker daemon answers again");
            wait = RETRY_FIRST;
            explain(&engine, gone).await;
            // Whoever keeps count looks at everything anew.
            engine.send(Event::Missed);
        }
        if away.is_none() {
            let (api, options) = (engine.daemon.api.clone(), options(&engine, since));
            // While nothing happens, nobody is kept by it.
            drop(engine);
            let mut events = Box::pin(api.events(Some(options)));
            while let Some(Ok(event)) = events.next().await {
                let Some(engine) = inner.upgrade() else { return };
                since = since.max(event.time_nano.map_or(0, i128::from).saturating_add(1));
                ended(&engine, event);
            }
            tracing::warn!("the Docker daemon has ended the conversation; waiting for it");
            away = Some(Timestamp::now());
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_LONGEST);
    }
}

fn options(inner: &Inner, since: i128) -> EventsOptions {
    let mut filters: HashMap<String, Vec<String>> = labelled(&inner.config.instance_id8, None);
    filters.insert("type".to_owned(), vec!["container".to_owned()]);
    filters.insert("event".to_owned(), vec!["die".to_owned()]);
    let (seconds, nanos) = (since / 1_000_000_000, since % 1_000_000_000);
    EventsOptions { since: Some(format!("{seconds}.{nanos:09}")), until: None, filters: Some(filters) }
}

/// A container has ended: tells how.
fn ended(inner: &Arc<Inner>, event: EventMessage) {
    let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
    let of = |label: &str| attributes.get(label).cloned();
    let Some((task, name)) = of(TASK).zip(of(CONTAINER)) else { return };
    let id = ContainerId { task, name };
    let code = of("exitCode").and_then(|code| code.parse().ok());
    let exited_at_ms = event.time_nano.unwrap_or_default() / 1_000_000;
    let told = Exit { code, oom_killed: false, exited_at_ms, reason: None };
    let engine = Arc::downgrade(inner);
    // Apart: the next event does not wait for it.
    tokio::spawn(async move {
        let Some(inner) = engine.upgrade() else { return };
        let mut exit = seen(&inner, &id).await;
        if exit.as_ref().is_some_and(|exit| exit.code == Some(137) && !exit.oom_killed) {
            tokio::time::sleep(MEMORY_WAIT).await;
            exit = seen(&inner, &id).await;
        }
        // One that was begun again meanwhile is told of by what was heard.
        inner.send(Event::Exited { exit: exit.unwrap_or(told), id });
    });
}

async fn seen(inner: &Inner, id: &ContainerId) -> Option<Exit> {
    match inner.look(id).await {
        Ok(Some(state)) => match state.phase {
            Phase::Exited(exit) => Some(exit),
            _ => None,
        },
        _ => None,
    }
}

/// Writes down for those that ended while the daemon was away why that was: without live-restore they end with it.
async fn explain(inner: &Arc<Inner>, since: Timestamp) {
    let Ok(containers) = inner.daemon.containers(&inner.config.instance_id8, None, false).await else {
        return;
    };
    if inner.daemon.live_restore {
        return;
    }
    let ids = containers.into_iter().filter_map(|container| look::id(&container.labels?));
    let explained = stream::iter(ids).map(|id| async move {
        let Some(exit) = seen(inner, &id).await else { return };
        if exit.exited_at_ms < since.as_millisecond() || exit.reason.is_some() {
            return;
        }
        if let Ok(Some(mut record)) = inner.folder.record(&id) {
            let why = "DockerDaemonError: the Docker daemon was restarted, and ended what ran (it has no live-restore)";
            record.reason = Some((exit.exited_at_ms, why.to_owned()));
            let _ = inner.folder.write(&id, &record);
        }
    });
    explained.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}
