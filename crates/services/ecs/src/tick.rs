//! Time passes: every row that waits for a time that has come is looked at.

use wire::Timestamp;

use crate::{
    cluster::{
        ClusterRow, InstanceRow, Key, ServiceDeploymentRow, ServiceTokenRow, TaskId, TokenRow, Txn, Writes,
    },
    clusters, daemon, instance, limits,
    service::{self, deployment::stages},
    task,
};

/// The time of a row has come.
pub fn due(txn: &mut Txn, key: Key) {
    match key {
        Key::Service(name) => service::woken(txn, &name),
        Key::Task(id) => task::due(txn, &id),
        Key::Instance(id) => instance::state::due(txn, &id),
        Key::ServiceToken(_) | Key::Token(_) | Key::KeptTask(_) => txn.delete(key),
        Key::Cluster(()) => clusters::forget(txn),
        Key::ServiceDeployment(id) => service::deployment::woken(txn, &id),
        Key::Daemon(name) => daemon::woken(txn, &name),
        Key::DaemonDeployment(id) => daemon::deployment::forget(txn, &id),
        Key::InterfaceWanted(_)
        | Key::ServiceEvent(_)
        | Key::ServiceRevision(_)
        | Key::ServiceImages(_)
        | Key::TaskSet(_)
        | Key::DaemonRevision(_)
        | Key::EventOut(_)
        | Key::Sequence(()) => {}
    }
}

/// The clock was set back, perhaps while nothing ran here: what waits for longer than anything of its kind ever
/// does waits for a time that never was.
pub fn set_back(txn: &mut Txn, key: Key) {
    let now = txn.now();
    let within = |at: Option<Timestamp>, most: i64| at.map(|at| at.min(now.plus_millis(most)));
    match key {
        Key::Task(id) => task_set_back(txn, &id),
        Key::Instance(id) => {
            let Some(row) = txn.state.instance(&id).cloned() else { return };
            let forget_at = within(row.forget_at, limits::INACTIVE_KEPT_MS);
            let lost_at = within(row.lost_at, txn.ports.lost_after_ms.unwrap_or_default());
            if (forget_at, lost_at) != (row.forget_at, row.lost_at) {
                txn.put_instance(InstanceRow { forget_at, lost_at, ..row.as_ref().clone() });
            }
        }
        Key::ServiceToken(name) => {
            let Some(row) = txn.state.service_token(&name).cloned() else { return };
            let forget_at = row.forget_at.min(now.plus_millis(limits::TOKEN_KEPT_MS));
            if forget_at != row.forget_at {
                txn.put(ServiceTokenRow { forget_at, ..row.as_ref().clone() });
            }
        }
        Key::Token(token) => {
            let Some(row) = txn.state.token(&token).cloned() else { return };
            let forget_at = row.forget_at.min(now.plus_millis(limits::TOKEN_KEPT_MS));
            if forget_at != row.forget_at {
                txn.put(TokenRow { forget_at, ..row.as_ref().clone() });
            }
        }
        Key::KeptTask(id) => task::kept::set_back(txn, &id),
        Key::Cluster(()) => {
            let row = txn.state.row.clone();
            let forget_at = within(row.forget_at, limits::INACTIVE_KEPT_MS);
            if forget_at != row.forget_at {
                txn.put_cluster(ClusterRow { forget_at, ..row.as_ref().clone() });
            }
        }
        Key::ServiceDeployment(id) => {
            let Some(row) = txn.state.service_deployment_by_number(&id).cloned() else { return };
            let forget_at = within(row.forget_at, limits::DEPLOYMENT_KEPT_MS);
            let stage = row.stage.as_ref().map(|stage| stages::set_back(stage, now));
            if forget_at != row.forget_at || stage != row.stage {
                txn.put_service_deployment(ServiceDeploymentRow { forget_at, stage, ..row.as_ref().clone() });
            }
        }
        Key::Service(name) => service::set_back(txn, &name),
        Key::Daemon(name) => daemon::set_back(txn, &name),
        Key::DaemonDeployment(id) => daemon::deployment::kept_from_now(txn, &id),
        Key::InterfaceWanted(_)
        | Key::ServiceEvent(_)
        | Key::ServiceRevision(_)
        | Key::ServiceImages(_)
        | Key::TaskSet(_)
        | Key::DaemonRevision(_)
        | Key::EventOut(_)
        | Key::Sequence(()) => {}
    }
}

fn task_set_back(txn: &mut Txn, id: &TaskId) {
    let now = txn.now();
    let within = |at: Option<Timestamp>, most: i64| at.map(|at| at.min(now.plus_millis(most)));
    let Some(row) = txn.state.task(id).cloned() else { return };
    let mut next = row.as_ref().clone();
    next.forget_at = within(row.forget_at, limits::STOPPED_TASK_KEPT_MS);
    let (_, longest) = limits::PROTECTION_MINUTES_BOUNDS;
    next.protected_until = within(row.protected_until, i64::from(longest) * 60_000);
    if let Some(of) = &mut next.fargate {
        of.stop_at = within(of.stop_at, i64::from(limits::SPOT_WARNING_MOST) * 1000);
    }
    if let Some(waits) = &mut next.waits {
        waits.until = waits.until.min(now.plus_millis(task::provisioning::longest_ms(waits.queue_seconds)));
    }
    if next != *row.as_ref() {
        txn.put_task(next);
    }
}

#[cfg(test)]
mod tests;
