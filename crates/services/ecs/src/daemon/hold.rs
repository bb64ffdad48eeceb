//! Which container instances wait for a critical daemon. One that registers takes no task before its daemons run; one
//! whose daemon failed is drained until it runs again; one whose daemon is replaced takes none meanwhile.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons.html>

use super::provider_of;
use crate::{
    cluster::{
        Cluster, DaemonName, DaemonRow, DaemonStatus, InstanceId, InstanceRow, InstanceStatus, Mark, Txn,
        Writes, tally::Standing,
    },
    instance,
};

/// The status of a container instance that would take tasks.
pub fn status(state: &Cluster, host: &InstanceRow) -> InstanceStatus {
    if waits(state, host) { InstanceStatus::Registering } else { InstanceStatus::Active }
}

/// Whether a critical daemon that belongs on a container instance does not run there.
fn waits(state: &Cluster, host: &InstanceRow) -> bool {
    missing(state, host).next().is_some()
}

/// The critical daemons that belong on a container instance and do not run there.
pub fn missing<'a>(state: &'a Cluster, host: &'a InstanceRow) -> impl Iterator<Item = &'a DaemonRow> {
    let lacks = move |daemon: &&DaemonRow| {
        holds(state, daemon) && provider_of(daemon, host).is_some() && !serves(state, &daemon.name, &host.id)
    };
    state.daemon_rows().map(AsRef::as_ref).filter(lacks)
}

/// Whether container instances wait for a daemon. For one that was given up nobody does: they would for ever.
pub fn holds(state: &Cluster, daemon: &DaemonRow) -> bool {
    daemon.status == DaemonStatus::Active
        && !daemon.stalled
        && state.daemon_revision(&daemon.name, &daemon.target).is_some_and(|revision| revision.critical)
}

fn serves(state: &Cluster, name: &DaemonName, host: &InstanceId) -> bool {
    state.tasks_on(host).any(|task| {
        task.daemon.as_ref().is_some_and(|of| of.name == *name) && task.standing() == Some(Standing::Healthy)
    })
}

/// A critical daemon is about to be started or replaced on a container instance.
pub fn hold(txn: &mut Txn, id: &InstanceId) {
    if let Some(row) = txn.state.instance(id).filter(|row| row.status == InstanceStatus::Active).cloned() {
        txn.put_instance(InstanceRow { status: InstanceStatus::Registering, ..row.as_ref().clone() });
    }
}

/// A container instance takes tasks again, if it waits for no daemon any more.
pub fn admit(txn: &mut Txn, id: &InstanceId) {
    let Some(row) = txn.state.instance(id).filter(|row| row.is_held()).cloned() else { return };
    if !waits(txn.state, &row) {
        let (status, repair) = (InstanceStatus::Active, false);
        txn.put_instance(InstanceRow { status, repair, ..row.as_ref().clone() });
        instance::state::touch_services_on(txn, id);
        txn.room_came(id);
    }
}

/// A daemon may hold nothing any more.
pub fn release(txn: &mut Txn) {
    let held = txn.state.held().clone();
    held.into_iter().for_each(|id| txn.mark(Mark::Held(id)));
}

/// A task of a daemon ended that should run: where that is critical, its container instance is drained.
pub fn failed(txn: &mut Txn, daemon: &DaemonName, host: &InstanceId) {
    let critical = txn.state.daemon_row(daemon).is_some_and(|row| holds(txn.state, row));
    let Some(row) = txn.state.instance(host).filter(|row| row.status == InstanceStatus::Active).cloned()
    else {
        return;
    };
    if critical {
        let (status, repair) = (InstanceStatus::Draining, true);
        txn.put_instance(InstanceRow { status, repair, ..row.as_ref().clone() });
        instance::state::touch_services_on(txn, host);
    }
}
