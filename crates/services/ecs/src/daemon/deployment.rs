//! Deployments of daemons: each is the way to a revision, and of a daemon the newest alone goes on. What becomes of one
//! is decided by [`life`]; here it is carried out, in its row and in that of its daemon.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-deployments.html>

use std::collections::{BTreeMap, BTreeSet};

use wire::Timestamp;

use super::{hold, life, life::Happening, plan, provider_of};
use crate::{
    cluster::{
        BreakerRow, Cluster, DaemonDeploymentConfiguration, DaemonDeploymentRow, DaemonDeploymentStatus,
        DaemonInstances, DaemonName, DaemonProviderInstances, DaemonRevisionId, DaemonRow, DaemonStatus, Key,
        Mark, Phase, ServiceDeploymentRollbackMonitorsStatus as Monitor, TaskFacet, Txn, Writes,
        daemons::Resident, tally::Standing,
    },
    limits, task,
};

/// Why the circuit breaker gives one up.
const TRIPPED: &str = "Daemon deployment circuit breaker: tasks failed to start.";
/// Why one goes no further when another one begins.
const SUPERSEDED: &str = "Daemon deployment stopped because a new daemon deployment was started.";

impl DaemonDeploymentConfiguration {
    /// How long it waits once all is deployed, in milliseconds.
    pub fn bake_ms(&self) -> i64 {
        i64::from(self.bake_time_in_minutes) * 60_000
    }
}

/// Begins a deployment to a revision, or to none where the daemon goes; the one that goes on is superseded. Gives its id.
pub fn begin(
    txn: &mut Txn,
    daemon: &mut DaemonRow,
    target: Option<DaemonRevisionId>,
    configuration: DaemonDeploymentConfiguration,
) -> String {
    happens(txn, daemon, &Happening::Stopped { reason: Some(SUPERSEDED) });
    let before = txn.state.daemon_deployment(&daemon.name).map_or(0, |newest| newest.number);
    let crew = txn.state.crew(&daemon.name);
    let sources = crew.shares().map(|(id, _)| *id).filter(|id| Some(*id) != target).collect();
    let id = txn.ids.base64url21();
    let row = DaemonDeploymentRow {
        daemon: daemon.name.clone(),
        number: before + 1,
        id: id.clone(),
        status: DaemonDeploymentStatus::Pending,
        status_reason: None,
        sources,
        target,
        providers: daemon.providers.clone(),
        configuration,
        created_at: txn.now(),
        started_at: None,
        stopped_at: None,
        finished_at: None,
        bake_until: None,
        rollback: None,
        breaker: None,
        end: Vec::new(),
        forget_at: None,
    };
    txn.put_daemon_deployment(row);
    while let Some(oldest) = txn.state.surplus_daemon_deployment(&daemon.name) {
        txn.delete(oldest);
    }
    daemon.stalled = false;
    daemon.failures = 0;
    daemon.consecutive_failures = 0;
    daemon.not_before = None;
    daemon.unplaced = None;
    if let Some(target) = target {
        daemon.target = target;
    }
    prune(txn, daemon);
    hold::release(txn);
    id
}

/// What is to become of the deployment that goes on before anything is started or stopped for it.
pub fn turn(txn: &mut Txn, daemon: &mut DaemonRow) {
    let Some(row) = txn.state.daemon_deployment(&daemon.name).cloned() else { return };
    match row.status {
        DaemonDeploymentStatus::Pending => happens(txn, daemon, &Happening::Started),
        DaemonDeploymentStatus::InProgress if daemon.failures >= threshold(txn.state, &daemon.name) => {
            happens(txn, daemon, &Happening::Failed { reason: TRIPPED });
            txn.mark(Mark::Daemon(daemon.name.clone()));
        }
        DaemonDeploymentStatus::StopRequested => give_up(txn, daemon),
        _ => {}
    }
}

/// At how many failures it is given up.
pub fn threshold(state: &Cluster, daemon: &DaemonName) -> i32 {
    let kept = state.resident(&Resident::from(daemon));
    plan::threshold(kept.map_or(0, |kept| kept.eligible().len()))
}

/// A deployment that failed is rolled back to the revision that was deployed last; without one it stops, and with it the
/// daemon. A rollback makes no revision, and is never rolled back itself.
fn give_up(txn: &mut Txn, daemon: &mut DaemonRow) {
    let to = daemon.completed.filter(|to| *to != daemon.target);
    let to = to.filter(|to| {
        let revision = txn.state.daemon_revision(&daemon.name, to);
        revision.is_some_and(|to| txn.ports.account.daemon_definition(&to.task_definition).is_some())
    });
    daemon.consecutive_failures = 0;
    daemon.not_before = None;
    daemon.unplaced = None;
    match to {
        Some(to) => {
            happens(txn, daemon, &Happening::RollsBack { to });
            daemon.target = to;
        }
        None => {
            daemon.stalled = true;
            happens(txn, daemon, &Happening::Stopped { reason: None });
        }
    }
    hold::release(txn);
    txn.mark(Mark::Daemon(daemon.name.clone()));
}

/// Whether the deployment that goes on is done. Once all container instances have what it deploys, and it is believed to
/// stay, the bake time begins; a rollback has none.
pub fn progress(txn: &mut Txn, daemon: &mut DaemonRow) {
    let Some(row) = txn.state.daemon_deployment(&daemon.name).cloned() else { return };
    let rolls_back = row.status == DaemonDeploymentStatus::RollbackInProgress;
    if !(rolls_back || row.status == DaemonDeploymentStatus::InProgress) || !is_deployed(txn, daemon) {
        return;
    }
    let now = txn.now();
    let bake = if rolls_back { 0 } else { row.configuration.bake_ms() };
    let until = row.bake_until.unwrap_or(now.plus_millis(bake));
    if until > now {
        wake(daemon, until);
        if row.bake_until.is_none() {
            txn.put_daemon_deployment(DaemonDeploymentRow {
                bake_until: Some(until),
                ..row.as_ref().clone()
            });
        }
        return;
    }
    daemon.completed = Some(daemon.target);
    happens(txn, daemon, &Happening::Completed);
    prune(txn, daemon);
}

fn wake(daemon: &mut DaemonRow, at: Timestamp) {
    daemon.wake_at = Some(daemon.wake_at.map_or(at, |wake| wake.min(at)));
}

/// Whether each container instance has a task of what is wanted, and all of them are believed to stay: where nobody checks
/// their health, once they have lived long enough.
fn is_deployed(txn: &Txn, daemon: &mut DaemonRow) -> bool {
    let Some(kept) = txn.state.resident(&Resident::from(&daemon.name)) else { return false };
    let open = [kept.changed(), kept.lacking(), kept.waiting(), kept.outdated()];
    let share = txn.state.crew(&daemon.name).share(&daemon.target);
    if open.iter().any(|set| !set.is_empty()) || share.count(|class| class.standing != Standing::Healthy) > 0
    {
        return false;
    }
    let life = match daemon.consecutive_failures {
        0 if is_checked(txn, daemon) => 0,
        0 => limits::HEALTHY_AFTER_MS,
        _ => limits::SHORT_LIFE_MS,
    };
    let now = txn.now();
    // None has started in the future: the clock was set back.
    let youngest = share.last_started(now);
    if let Some(at) = youngest.map(|at| at.plus_millis(life)).filter(|at| *at > now) {
        wake(daemon, at);
        return false;
    }
    daemon.consecutive_failures = 0;
    daemon.not_before = None;
    true
}

/// Whether the health of its tasks is checked.
fn is_checked(txn: &Txn, daemon: &DaemonRow) -> bool {
    let revision = txn.state.daemon_revision(&daemon.name, &daemon.target);
    let definition =
        revision.and_then(|revision| txn.ports.account.daemon_definition(&revision.task_definition));
    definition.is_some_and(|of| of.made_of.containers().iter().any(task::run::is_checked))
}

/// Something happens to the newest deployment of a daemon, if it can.
pub fn happens(txn: &mut Txn, daemon: &DaemonRow, happening: &Happening) {
    let Some(row) = txn.state.daemon_deployment(&daemon.name).cloned() else { return };
    let Some(mut next) = life::step(&row, happening, txn.now()) else { return };
    if matches!(happening, Happening::Failed { .. }) {
        next.breaker = Some(counted(txn.state, daemon, &row));
    }
    if next.status.has_ended() {
        let counted = next.breaker.unwrap_or_else(|| counted(txn.state, daemon, &row));
        let done = |status| if status == Monitor::Monitoring { Monitor::MonitoringComplete } else { status };
        next.breaker = Some(BreakerRow { status: done(counted.status), ..counted });
        next.end = instances(txn.state, daemon, &row);
        next.forget_at = Some(txn.now().plus_millis(limits::DEPLOYMENT_KEPT_MS));
    }
    txn.put_daemon_deployment(next);
}

/// What the circuit breaker has counted of a deployment that goes on. A daemon that goes has none.
pub fn counted(state: &Cluster, daemon: &DaemonRow, row: &DaemonDeploymentRow) -> BreakerRow {
    let threshold = threshold(state, &daemon.name);
    let status = match row.target {
        None => Monitor::Disabled,
        Some(_) if daemon.failures >= threshold => Monitor::Triggered,
        Some(_) => Monitor::Monitoring,
    };
    BreakerRow { status, failures: daemon.failures, threshold }
}

/// On how many container instances there is what: of its target, and of each revision that it comes from.
pub fn instances(state: &Cluster, daemon: &DaemonRow, row: &DaemonDeploymentRow) -> Vec<DaemonInstances> {
    let all = row.target.into_iter().chain(row.sources.iter().copied());
    all.map(|revision| of_revision(state, daemon, &row.providers, revision)).collect()
}

/// On how many container instances a revision is, of each of these capacity providers; and where it should be and is not,
/// while other tasks may run there.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-auto-repair.html>
pub fn of_revision(
    state: &Cluster,
    daemon: &DaemonRow,
    providers: &[String],
    revision: DaemonRevisionId,
) -> DaemonInstances {
    let share = state.crew(&daemon.name).share(&revision);
    let mut counted: BTreeMap<&str, DaemonProviderInstances> = BTreeMap::new();
    for provider in providers {
        let running = share.count_of(provider, |class| class.standing != Standing::Coming);
        let running = i32::try_from(running).unwrap_or(i32::MAX);
        let of = DaemonProviderInstances { provider: provider.clone(), running, ..Default::default() };
        counted.insert(provider, of);
    }
    for task in state.tasks_by(TaskFacet::Daemon(&daemon.name), &[Phase::Stopping]) {
        let own = task.daemon.as_ref().is_some_and(|of| of.revision == revision);
        let provider = task.capacity_provider.as_deref().filter(|_| own);
        if let Some(of) = provider.and_then(|name| counted.get_mut(name)) {
            of.draining += 1;
        }
    }
    // Where a critical one is missing, the container instance is not available for other tasks.
    let is_critical = state.daemon_revision(&daemon.name, &revision).is_none_or(|row| row.critical);
    let kept = state.resident(&Resident::from(&daemon.name));
    let kept = kept.filter(|_| revision == daemon.target && !is_critical);
    for host in kept.into_iter().flat_map(|kept| kept.lacking().iter().chain(kept.waiting())) {
        let provider = state.instance(host).and_then(|row| provider_of(daemon, row));
        if let Some(of) = provider.and_then(|name| counted.get_mut(name)) {
            of.without += 1;
        }
    }
    let providers = providers.iter().filter_map(|name| counted.remove(name.as_str())).collect();
    DaemonInstances { revision, providers }
}

/// Forgets the revisions of a daemon that nothing names any more: neither what it runs and may be rolled back to, nor a
/// deployment that is shown, nor a task.
fn prune(txn: &mut Txn, daemon: &DaemonRow) {
    let name = &daemon.name;
    let shown = txn.state.daemon_deployments(name, u64::MAX);
    let shown = shown.flat_map(|row| row.sources.iter().copied().chain(row.target));
    let crew = txn.state.crew(name);
    let live = crew.shares().map(|(id, _)| *id);
    let named: BTreeSet<DaemonRevisionId> =
        shown.chain(live).chain(daemon.completed).chain([daemon.target]).collect();
    let all = txn.state.daemon_revisions(name).map(|row| row.id);
    let gone: Vec<DaemonRevisionId> = all.filter(|id| !named.contains(id)).collect();
    gone.into_iter().for_each(|id| txn.delete(Key::DaemonRevision((name.clone(), id))));
}

/// The clock was set back: one that has ended is kept no longer than such are.
pub fn kept_from_now(txn: &mut Txn, id: &(DaemonName, u64)) {
    let Some(row) = txn.state.daemon_deployment_by_number(id).cloned() else { return };
    let latest = txn.now().plus_millis(limits::DEPLOYMENT_KEPT_MS);
    if row.forget_at.is_some_and(|at| at > latest) {
        txn.put_daemon_deployment(DaemonDeploymentRow { forget_at: Some(latest), ..row.as_ref().clone() });
    }
}

/// A deployment has been shown for long enough.
pub fn forget(txn: &mut Txn, id: &(DaemonName, u64)) {
    txn.delete(Key::DaemonDeployment(id.clone()));
    if let Some(daemon) =
        txn.state.daemon_row(&id.0).filter(|row| row.status == DaemonStatus::Active).cloned()
    {
        prune(txn, &daemon);
    }
}

/// The clock was set back: the newest deployment bakes no longer than one does.
pub fn set_back(txn: &mut Txn, daemon: &DaemonName) {
    let Some(row) = txn.state.daemon_deployment(daemon).cloned() else { return };
    let most = txn.now().plus_millis(row.configuration.bake_ms());
    if row.bake_until.is_some_and(|until| until > most) {
        txn.put_daemon_deployment(DaemonDeploymentRow { bake_until: Some(most), ..row.as_ref().clone() });
    }
}
