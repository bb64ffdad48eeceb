//! The control plane's end and new start: what anybody was told is on the disk, whole; and now and then an earlier
//! version ran until then, whose rows are taken over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ::ecs::{
    Cluster,
    cluster::{DeploymentControllerType, Row, ServiceEventRow, ServiceRow},
    invariants,
};
use serde_json::{Value, json};
use state::{Domain, Table, contract::Tells};

use crate::{
    record::Others,
    server::{ACCOUNT, CLUSTER, REGION},
    store::{Found, Rows},
    world::World,
};

/// What a start has made of the disk.
#[derive(Debug, Default)]
pub struct Restarted {
    /// Something is there that nobody was told of.
    unheard: bool,
    /// An earlier version wrote some rows.
    earlier: bool,
}

fn key(path: &str) -> String {
    format!("{ACCOUNT}/{REGION}/ecs/{CLUSTER}/{path}")
}

/// What was visible is found again, but for what a commit has changed of which nobody heard.
pub fn check(world: &World, found: &Found) {
    let sending = std::mem::take(&mut *world.sending.lock());
    for sent in sending {
        let there = found.records.iter().find(|record| record.revision == sent.revision);
        if there.is_some_and(|record| record.changes.len() != sent.changes.len()) {
            world.fail(format!("of commit {} only a part is on the disk", sent.revision));
        }
    }
    *world.restarted.lock() = Restarted::default();
    let Some(before) = world.before.lock().clone() else { return };
    let state = &before.state;
    if state.services().any(|row| state.is_unwritten(&row.name)) {
        return;
    }
    // What was not visible yet may be there.
    let late = found.records.iter().filter(|record| record.revision > before.revision);
    let unheard: BTreeSet<&str> = late.flat_map(|record| &record.changes).map(store::Change::key).collect();
    world.restarted.lock().unheard = !unheard.is_empty();
    let prefix = key("");
    let of_cluster = found.rows.iter().filter(|(key, _)| key.starts_with(&prefix));
    let mut there: BTreeMap<&str, &[u8]> = of_cluster.map(|(key, value)| (key, value.as_ref())).collect();
    for row in state.rows() {
        let key = key(&Row::path(&row.key()));
        let is = there.remove(key.as_str());
        if is != Some(row.encode().as_slice()) && !unheard.contains(key.as_str()) {
            return world.fail(format!("{key} was visible, and is not on the disk as it was"));
        }
    }
    if let Some((key, _)) = there.iter().find(|(key, _)| !unheard.contains(**key)) {
        world.fail(format!("{key} was gone, and is on the disk"));
    }
}

/// Now and then writes the rows of some services as version 1 or 2 had them.
pub fn by_an_earlier_version(world: &World, rows: &mut Rows) {
    if !world.strikes(15) {
        return;
    }
    let prefix = key("");
    let mut state = Cluster::of(::ecs::cluster::ClusterRow::plain(CLUSTER));
    for (key, value) in rows.iter() {
        if let Some(path) = key.strip_prefix(&prefix)
            && let Ok(row) = Row::decode(path, value)
        {
            state.apply(&::ecs::cluster::Change::Put(row));
        }
    }
    // Of what those versions knew.
    let plain = |row: &&Arc<ServiceRow>| {
        let of = row.deployment_configuration.as_ref();
        let strategy = of.is_none_or(|of| of.strategy.is_none() && of.lifecycle_hooks.is_none());
        let knew = row.controller == DeploymentControllerType::Ecs
            && row.capacity_provider_strategy.is_empty()
            && row.network.is_none()
            && row.deployments.iter().all(|deployment| deployment.network.is_none());
        strategy && knew && state.service_deployments(&row.name, u64::MAX).all(|row| row.course.is_none())
    };
    let names: Vec<_> = state.services().filter(plain).map(|row| row.name.clone()).collect();
    let earlier: BTreeSet<_> = names.into_iter().filter(|_| world.percent(60)).collect();
    let is_first = world.percent(50);
    for row in state.rows() {
        let at = key(&Row::path(&row.key()));
        match &row {
            Row::ServiceRevision(row) if earlier.contains(&row.service) => rows.edit(at, None),
            Row::ServiceImages(row) if earlier.contains(&row.service) => rows.edit(at, None),
            Row::ServiceDeployment(row) if earlier.contains(&row.service) => rows.edit(at, None),
            Row::ServiceEvent(row) if is_first && earlier.contains(&row.service) => rows.edit(at, None),
            Row::ServiceToken(row) if is_first && earlier.contains(&row.service) => rows.edit(at, None),
            Row::Service(row) if earlier.contains(&row.name) => {
                let Ok(value) = in_version(&state, row, is_first) else { continue };
                rows.edit(at, Some(value.into()));
                world.restarted.lock().earlier = true;
            }
            _ => {}
        }
    }
}

/// The row of a service as an earlier version wrote it.
fn in_version(state: &Cluster, row: &ServiceRow, is_first: bool) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = serde_json::to_value(row)?;
    if is_first {
        let event = |row: &ServiceEventRow| json!({"id": row.id, "at": row.at, "message": row.message});
        value["events"] =
            state.service_events(&row.name).map(|row| event(row)).collect::<Vec<Value>>().into();
        let token = state.service_token(&row.name);
        value["client_token"] = token.map(|_| "t").into();
        value["request"] = token.map_or("of no token", |token| token.request.as_str()).into();
    }
    let version = if is_first { 1 } else { 2 };
    Ok(format!("{{\"v\":{version},\"row\":{value}}}").into_bytes())
}

/// What was read is what was there, indexes and all; and what users were told holds.
pub fn compare(world: &World, after: &Cluster) {
    if let Some(broken) = invariants::check(after).into_iter().next() {
        world.fail(format!("after a restart: {broken}"));
    }
    let none = Others { events: None, scheduler: None };
    audit(world, after, none);
    let Some(before) = world.before.lock().clone() else { return };
    let (before, restarted) = (&before.state, world.restarted.lock());
    if restarted.unheard || before.services().any(|row| before.is_unwritten(&row.name)) {
        return;
    }
    if restarted.earlier {
        if let Some(other) = another_history(before, after) {
            world.fail(other);
        }
        return;
    }
    let differs = [
        ("the counts", before.totals() != after.totals()),
        ("the tallies", !before.tallies().eq(after.tallies())),
        ("the tokens", !before.service_tokens().eq(after.service_tokens())),
        ("what services said", !before.all_service_events().eq(after.all_service_events())),
        ("what waits for the bus", !before.outgoing().waiting().eq(after.outgoing().waiting())),
        ("what is kept", !before.kept_tasks().eq(after.kept_tasks())),
        ("the sequence", before.outgoing().sequence() != after.outgoing().sequence()),
    ];
    if let Some((what, _)) = differs.iter().find(|(_, differs)| *differs) {
        world.fail(format!("{what} differ after a restart"));
    }
}

/// Nothing that services have said is lost or comes twice; it may count otherwise.
fn another_history(before: &Cluster, after: &Cluster) -> Option<String> {
    let said = |state: &Cluster, row: &ServiceRow| -> Vec<_> {
        let events = state.service_events(&row.name);
        events.map(|event| (event.id.clone(), event.at, event.message.clone())).collect()
    };
    let other = before.services().find(|row| said(before, row) != said(after, row));
    other.map(|row| format!("service {} has said something else before it was taken over", row.name))
}

/// How long a user may count on a task to be there that they were told of: an hour after its end, and clocks are set.
const TASKS_KEPT_MS: i64 = 600_000;

/// By how much clocks may differ that nobody sets.
const SLACK_MS: i64 = 5_000;

/// What users were told holds.
pub fn audit(world: &World, cluster: &Cluster, others: Others) {
    let since = if world.sets_clocks() { i64::MAX } else { world.passed_ms() - TASKS_KEPT_MS };
    let mut record = world.record.lock();
    // Clocks that are set end what lasts until a time.
    let bare = || if world.sets_clocks() { None } else { Some(()) };
    let broken = record.broken(cluster, others, since);
    let broken =
        broken.or_else(|| bare().and_then(|()| record.unprotected(cluster, world.passed_ms() + SLACK_MS)));
    if let Some(broken) = broken {
        world.fail(broken);
    }
}
