//! Services: the operations on them, and the settling that keeps each at its desired count. Settling runs
//! once a batch, for the services that it touched and for no other.

pub mod carry;
pub mod configuration;
pub mod create;
mod daemon;
pub mod delete;
pub mod deployment;
pub mod describe;
pub mod events;
pub mod grace;
pub mod images;
pub mod list;
pub mod plan;
pub mod rebalancing;
pub mod revision;
mod rollout;
pub mod task_sets;
#[cfg(test)]
pub(crate) mod tests;
pub mod update;
mod view;

use ecs_model::errors;
use state::Table;
use wire::{Error, Timestamp};

use crate::{
    arn,
    cluster::{
        DeploymentRolloutState, DeploymentRow, InstanceId, Key, Mark, Scheduling, ServiceName, ServiceRow,
        ServiceStatus, TaskId, TaskRow, TaskStopCode, Txn, Writes,
        daemons::Resident,
        tally::{Class, Share, Standing},
        waiting::Turn,
    },
    limits, task,
};

use deployment::breaker;

/// Brings a service as far as it can go now.
pub fn settle(txn: &mut Txn, name: &ServiceName) {
    txn.take_over(name);
    let Some(service) = txn.state.service(name).cloned() else { return };
    match service.status {
        ServiceStatus::Active => rollout::advance(txn, service.as_ref().clone()),
        ServiceStatus::Draining => delete::drain(txn, service.as_ref().clone()),
        ServiceStatus::Inactive => {}
    }
}

/// Room came on a container instance: the first service behind another one that waits for what is there is settled,
/// and then the next one is looked for.
pub fn room(txn: &mut Txn, host: &InstanceId, behind: Option<&Turn>) {
    if behind.is_none() {
        task::provisioning::room(txn, host);
        let unknown: Vec<ServiceName> = txn.state.waiting_unknown().cloned().collect();
        unknown.into_iter().for_each(|name| txn.mark(Mark::Service(name)));
    }
    if let Some(turn) = txn.state.next_waiting_for(host, behind) {
        txn.mark(Mark::Service(turn.1.clone()));
        txn.mark(Mark::Room(*host, Some(turn)));
    }
}

/// A timer of a service is due.
pub fn woken(txn: &mut Txn, name: &ServiceName) {
    let Some(service) = txn.state.service(name) else { return };
    let mut row = service.as_ref().clone();
    let now = txn.now();
    let due = |at: &Timestamp| *at <= now;
    if row.forget_at.as_ref().is_some_and(due) {
        forget_history(txn, name);
        txn.delete(Key::Service(name.clone()));
        return;
    }
    row.wake_at = row.wake_at.filter(|at| !due(at));
    if let Some(rebalancing) = &mut row.rebalancing {
        rebalancing.not_before = rebalancing.not_before.filter(|at| !due(at));
    }
    for deployment in &mut row.deployments {
        deployment.not_before = deployment.not_before.filter(|at| !due(at));
    }
    txn.state.resident_retries(&Resident::from(name));
    txn.put_service(row);
    let Some(row) = txn.state.service(name).cloned() else { return };
    if let Some(at) = grace::over(txn, &row) {
        // What was stopped is counted in the row.
        let Some(row) = txn.state.service(name).cloned() else { return };
        let wake_at = Some(row.wake_at.map_or(at, |wake| wake.min(at)));
        txn.put_service(ServiceRow { wake_at, ..row.as_ref().clone() });
    }
}

/// Forgets what is kept beside the row of a service.
fn forget_history(txn: &mut Txn, name: &ServiceName) {
    let beside: Vec<Key> = txn.state.beside_service(name).map(|row| row.key()).collect();
    beside.into_iter().for_each(|key| txn.delete(key));
}

/// The clock was set back: the service waits no longer than one does.
pub fn set_back(txn: &mut Txn, name: &ServiceName) {
    let Some(service) = txn.state.service(name).cloned() else { return };
    let (now, mut row) = (txn.now(), service.as_ref().clone());
    let within = |at: Option<Timestamp>, most: i64| at.map(|at| at.min(now.plus_millis(most)));
    row.forget_at = within(row.forget_at, limits::INACTIVE_KEPT_MS);
    row.wake_at = within(row.wake_at, limits::SHORT_LIFE_MS);
    if let Some(rebalancing) = &mut row.rebalancing {
        rebalancing.not_before = within(rebalancing.not_before, limits::REBALANCING_RETRY_MS);
    }
    for deployment in &mut row.deployments {
        let pause = backoff(deployment.consecutive_failures).unwrap_or_default();
        deployment.not_before = within(deployment.not_before, pause);
    }
    if row != *service.as_ref() {
        txn.put_service(row);
    }
}

/// A task of a service reached RUNNING.
pub fn task_started(txn: &mut Txn, task: &TaskRow) {
    if let Some((service, _)) = &task.service {
        txn.touch(service);
    }
}

/// A task of a service stopped. One that ended by itself, before or soon after it was RUNNING, counts as
/// failed and spaces out the next starts of its deployment; where its health checks had failed that was counted then.
pub fn task_stopped(txn: &mut Txn, before: &TaskRow, after: &TaskRow) {
    let is_new = before.stopped_at.is_none() && !after.failed_health;
    if let Some(ended) = ended(after).filter(|_| is_new) {
        count_outcome(txn, after, ended.failed, ended.before_healthy);
    }
}

/// How a task ended that ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Before or soon after it was RUNNING.
    pub failed: bool,
    /// It was never healthy: a failure to start.
    pub before_healthy: bool,
}

/// How a task ended by itself; `None` for one that somebody stopped.
pub fn ended(task: &TaskRow) -> Option<Ended> {
    let ended = task.stop.as_ref().filter(|_| by_itself(task))?.at;
    let lived = task.started_at.map(|at| ended.millis_since(at));
    // Where the clock was set back meanwhile, nobody knows.
    let failed = lived.is_none_or(|ms| (0..limits::SHORT_LIFE_MS).contains(&ms));
    Some(Ended { failed, before_healthy: breaker::was_never_healthy(task, lived) })
}

/// A task of a service whose health is checked became healthy.
pub fn task_healthy(txn: &mut Txn, task: &TaskRow) {
    let Some((name, id)) = &task.service else { return };
    let Some(service) = txn.state.service(name).cloned() else { return };
    let mut row = service.as_ref().clone();
    if let Some(deployment) = row.deployments.iter_mut().find(|deployment| deployment.id == *id) {
        breaker::reset(&service, deployment);
        (deployment.has_run, deployment.failed_tasks) = (true, 0);
    }
    if row != *service {
        txn.put_service(row);
    }
}

/// A task of a service failed its health checks, and is about to be stopped for it.
pub fn failed_health(txn: &mut Txn, task: &TaskId) {
    let Some(task) = txn.state.task(task).cloned() else { return };
    count_outcome(txn, &task, true, true);
    if let Some((name, _)) = &task.service
        && txn.state.service(name).is_some()
    {
        events::add(txn, name, &format!("(task {}) failed container health checks.", task.id));
    }
}

fn by_itself(task: &TaskRow) -> bool {
    use TaskStopCode::{EssentialContainerExited, TaskFailedToStart};
    task.stop.as_ref().is_some_and(|stop| matches!(stop.code, EssentialContainerExited | TaskFailedToStart))
}

/// What is counted of a task that ended: whether it failed, which spaces out the next starts, and whether it did before
/// it was healthy, which its deployment's circuit breaker counts.
fn count_outcome(txn: &mut Txn, task: &TaskRow, failed: bool, before_healthy: bool) {
    let Some((name, id)) = &task.service else { return };
    let Some(service) = txn.state.service(name).cloned() else { return };
    let (mut row, share) = (service.as_ref().clone(), txn.state.tally(name).share(id));
    let now = txn.now();
    let Some(deployment) = row.deployments.iter_mut().find(|d| d.id == *id) else { return };
    if before_healthy && deployment.rollout == DeploymentRolloutState::InProgress {
        breaker::count(&service, deployment, task, &share, now);
    }
    if !before_healthy || has_run(deployment, &share, now) {
        (deployment.has_run, deployment.failed_tasks) = (true, 0);
    }
    if failed {
        if !deployment.has_run {
            deployment.failed_tasks = deployment.failed_tasks.saturating_add(1);
        }
        deployment.consecutive_failures = deployment.consecutive_failures.saturating_add(1);
        deployment.not_before = backoff(deployment.consecutive_failures).map(|ms| now.plus_millis(ms));
    } else {
        deployment.consecutive_failures = 0;
    }
    txn.put_service(row);
}

/// Whether any task of a deployment has run well: it was HEALTHY, or where nobody checks that, RUNNING for as long as it
/// takes to count as healthy. What fails after that is not among its `failedTasks`.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html>
fn has_run(deployment: &DeploymentRow, share: &Share, now: Timestamp) -> bool {
    let long_ago = now.plus_millis(-limits::HEALTHY_AFTER_MS);
    let is_healthy = |class: Class| class.standing == Standing::Healthy;
    deployment.has_run || share.last_started(long_ago).is_some() && share.count(is_healthy) > 0
}

/// The pause after so many failures in a row, in milliseconds; the first ones cost none.
pub fn backoff(failures: u32) -> Option<i64> {
    let over = failures.checked_sub(limits::FREE_FAILURES)?.checked_sub(1)?;
    let factor = 1i64.checked_shl(over).filter(|factor| *factor > 0).unwrap_or(i64::MAX);
    Some(limits::BACKOFF_FIRST_MS.saturating_mul(factor).min(limits::BACKOFF_LONGEST_MS))
}

/// The service that a request names by name or ARN, if it is not INACTIVE.
///
/// # Errors
/// `ServiceNotFoundException`, `ServiceNotActiveException`.
fn find_active(txn: &Txn, named: &str) -> Result<ServiceRow, Error> {
    let name = ServiceName(arn::service_name(txn.ctx, &txn.state.row.name, named)?);
    let row = txn.state.service(&name).ok_or_else(|| errors::service_not_found("Service not found."))?;
    if row.status == ServiceStatus::Active {
        return Ok(row.as_ref().clone());
    }
    Err(errors::service_not_active("Service was not ACTIVE."))
}

impl ServiceRow {
    /// Whether the service runs one task on each container instance.
    pub fn daemon(&self) -> bool {
        self.scheduling == Scheduling::Daemon
    }
}
