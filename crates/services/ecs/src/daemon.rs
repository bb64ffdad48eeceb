//! Daemons: the operations on them, and the settling that keeps a task of each on every container instance of its
//! capacity providers. Beside them stand their deployments and revisions, and what an instance waits for before it takes
//! other tasks.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons.html>

pub mod change;
pub mod delete;
pub mod deployment;
pub mod describe;
pub mod hold;
mod life;
mod outcome;
mod plan;
mod rollout;
#[cfg(test)]
mod tests;

use wire::Timestamp;

use crate::{
    capacity,
    cluster::{DaemonName, DaemonRow, DaemonStatus, InstanceRow, Key, Txn, Writes, daemons::Resident},
    limits,
    service::backoff,
};

pub use outcome::{task_stopped, unhealthy};

/// The capacity provider of a container instance, where it is one of a daemon's.
fn provider_of<'a>(daemon: &DaemonRow, host: &'a InstanceRow) -> Option<&'a str> {
    capacity::of_instance(host).filter(|name| daemon.providers.iter().any(|own| own == name))
}

/// Brings a daemon as far as it can go now.
pub fn settle(txn: &mut Txn, name: &DaemonName) {
    let Some(daemon) = txn.state.daemon_row(name).cloned() else { return };
    match daemon.status {
        DaemonStatus::Active => rollout::advance(txn, daemon.as_ref().clone()),
        DaemonStatus::DeleteInProgress => delete::drain(txn, daemon.as_ref().clone()),
        DaemonStatus::Deleted => {}
    }
}

/// A timer of a daemon is due.
pub fn woken(txn: &mut Txn, name: &DaemonName) {
    let Some(daemon) = txn.state.daemon_row(name) else { return };
    let (mut row, now) = (daemon.as_ref().clone(), txn.now());
    let due = |at: &Timestamp| *at <= now;
    if row.forget_at.as_ref().is_some_and(due) {
        return forget(txn, name);
    }
    row.wake_at = row.wake_at.filter(|at| !due(at));
    row.not_before = row.not_before.filter(|at| !due(at));
    txn.state.resident_retries(&Resident::from(name));
    txn.put_daemon(row);
}

/// Forgets a daemon, and what is kept beside its row.
fn forget(txn: &mut Txn, name: &DaemonName) {
    let deployments = txn.state.daemon_deployments(name, u64::MAX);
    let deployments = deployments.map(|row| Key::DaemonDeployment((name.clone(), row.number)));
    let revisions = txn.state.daemon_revisions(name).map(|row| Key::DaemonRevision((name.clone(), row.id)));
    let beside: Vec<Key> = deployments.chain(revisions).collect();
    beside.into_iter().for_each(|key| txn.delete(key));
    txn.delete(Key::Daemon(name.clone()));
}

/// The clock was set back: the daemon waits no longer than one does.
pub fn set_back(txn: &mut Txn, name: &DaemonName) {
    let Some(daemon) = txn.state.daemon_row(name).cloned() else { return };
    let (now, mut row) = (txn.now(), daemon.as_ref().clone());
    let within = |at: Option<Timestamp>, most: i64| at.map(|at| at.min(now.plus_millis(most)));
    row.forget_at = within(row.forget_at, limits::INACTIVE_KEPT_MS);
    row.not_before = within(row.not_before, backoff(row.consecutive_failures).unwrap_or_default());
    let baking = txn.state.daemon_deployment(name).map_or(0, |newest| newest.configuration.bake_ms());
    row.wake_at = within(row.wake_at, limits::SHORT_LIFE_MS.max(baking));
    deployment::set_back(txn, name);
    if row != *daemon {
        txn.put_daemon(row);
    }
}
