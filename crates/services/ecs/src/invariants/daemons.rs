//! Daemons: one task on a container instance, revisions that are named, deployments that go on by one, and container
//! instances that wait for a daemon.

use std::collections::BTreeSet;

use crate::{
    cluster::{Cluster, DaemonRow, DaemonStatus, InstanceRow, InstanceStatus, TaskStatus},
    limits,
};

/// What is broken, in words.
pub(super) fn check(state: &Cluster, broken: &mut Vec<String>) {
    tasks(state, broken);
    let held: BTreeSet<_> = state.instances().filter(|row| row.is_held()).map(|row| row.id).collect();
    if !state.held().iter().eq(&held) {
        broken.push(format!("{:?} are held, {held:?} should be", state.held()));
    }
    let strange = |row: &&std::sync::Arc<InstanceRow>| row.repair && row.status != InstanceStatus::Draining;
    broken.extend(
        state.instances().filter(strange).map(|row| format!("{} is repaired, and not drained", row.id)),
    );
    for name in state.daemons_deployed().filter(|name| state.daemon_row(name).is_none()) {
        broken.push(format!("something of daemon {name} is kept, which is not there"));
    }
    for daemon in state.daemon_rows() {
        revisions(state, daemon, broken);
        deployments(state, daemon, broken);
        if (daemon.status == DaemonStatus::Deleted) != daemon.forget_at.is_some() {
            broken.push(format!("daemon {} is kept for ever, or not long enough", daemon.name));
        }
        if daemon.status == DaemonStatus::Deleted && state.crew(&daemon.name).live() > 0 {
            broken.push(format!("daemon {} is deleted, and has tasks", daemon.name));
        }
    }
}

/// Never two of a daemon on a container instance.
fn tasks(state: &Cluster, broken: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for task in state.tasks().filter(|task| task.last != TaskStatus::Stopped) {
        let Some(daemon) = &task.daemon else { continue };
        if task.service.is_some() || task.capacity_provider.is_none() {
            broken.push(format!("task {} is of a daemon, and not like one", task.id));
        }
        if !seen.insert((&daemon.name, task.instance)) {
            broken.push(format!("daemon {} has two tasks on a container instance", daemon.name));
        }
        if state.daemon_revision(&daemon.name, &daemon.revision).is_none() {
            broken.push(format!("task {} is of no revision of daemon {}", task.id, daemon.name));
        }
    }
}

/// Each is named by something, and what is named is there.
fn revisions(state: &Cluster, daemon: &DaemonRow, broken: &mut Vec<String>) {
    let mut named: BTreeSet<_> = daemon.completed.into_iter().chain([daemon.target]).collect();
    for id in named.iter().filter(|id| state.daemon_revision(&daemon.name, id).is_none()) {
        broken.push(format!("daemon {} has no revision {id}", daemon.name));
    }
    for row in state.daemon_deployments(&daemon.name, u64::MAX) {
        named.extend(row.sources.iter().copied().chain(row.target));
    }
    let crew = state.crew(&daemon.name);
    named.extend(crew.shares().map(|(id, _)| *id));
    // Those of tasks that have ended meanwhile go with the next deployment.
    let spare = state.daemon_revisions(&daemon.name).filter(|row| !named.contains(&row.id)).count();
    if spare > limits::SERVICE_DEPLOYMENTS {
        broken.push(format!("daemon {} keeps {spare} revisions that nothing names", daemon.name));
    }
}

/// Only the newest goes on, to what is wanted; one that has ended says how it was.
fn deployments(state: &Cluster, daemon: &DaemonRow, broken: &mut Vec<String>) {
    let newest = state.daemon_deployment(&daemon.name).map(|row| row.number);
    let mut all = 0;
    for row in state.daemon_deployments(&daemon.name, u64::MAX) {
        all += 1;
        let ended = row.status.has_ended();
        let wanted = row.rollback.as_ref().map(|rollback| rollback.to).or(row.target);
        let active = daemon.status == DaemonStatus::Active;
        for (wrong, what) in [
            (!ended && Some(row.number) != newest, "goes on, though another one has begun"),
            (!ended && active && wanted != Some(daemon.target), "goes nowhere"),
            (ended != row.finished_at.is_some(), "has not ended when it ended"),
            (ended != row.forget_at.is_some(), "is kept for ever"),
            (ended && row.bake_until.is_some(), "bakes for ever"),
        ] {
            if wrong {
                broken.push(format!("deployment {} of daemon {} {what}: {row:?}", row.id, daemon.name));
            }
        }
    }
    if all > limits::SERVICE_DEPLOYMENTS {
        broken.push(format!("daemon {} keeps {all} deployments", daemon.name));
    }
}
