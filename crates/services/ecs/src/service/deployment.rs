//! Deployments of services: each is the way to a revision, and of a service the newest alone goes on. What becomes of
//! one is decided by [`life`]; here it is carried out, in its row and in that of its service.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html>

pub mod alarms;
pub mod breaker;
pub mod describe;
pub mod hooks;
pub mod life;
pub mod list;
pub mod named;
pub mod proceed;
pub mod stages;
pub mod stop;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::life::Happening;
use super::{configuration, events, plan::upkeep, revision, view::revision_tasks};
use crate::{
    cluster::{
        CapacityProviderStrategyItem, Cluster, DeploymentId, DeploymentRolloutState, DeploymentRow, EndRow,
        Key, RevisionTasks, ServiceDeploymentRow, ServiceDeploymentStatus, ServiceName, ServiceRevisionRow,
        ServiceRow, StageRow, TaskDefinitionId, Txn, Writes,
    },
    fargate, limits,
};

/// Begins a deployment to a new revision, of what the row of the service wants; the one that goes on is superseded.
pub fn begin(txn: &mut Txn, service: &mut ServiceRow) {
    let reason = "Service deployment stopped because a new service deployment was started.";
    happens(txn, service, &Happening::Stopped { reason });
    let sources: Vec<DeploymentId> = service.deployments.iter().map(|old| old.id).collect();
    let desired = txn.state.service(&service.name).map_or(0, |before| before.desired_count);
    let newest = txn.state.service_deployment(&service.name).map(AsRef::as_ref);
    let keeps = upkeep::at_first(service, newest, desired);
    let target = revision::make(txn, service);
    let primary = fresh(txn, target, service.task_definition.clone(), &service.capacity_provider_strategy);
    let platform = service.platform.as_deref().map(|given| Box::new(fargate::resolved(given)));
    let primary = DeploymentRow { network: service.network.clone(), platform, ..primary };
    make_primary(service, primary);
    let before = txn.state.service_deployment(&service.name).map_or(0, |newest| newest.number);
    let course = configuration::course(service, |alarms| alarms::bake_minutes(txn, alarms));
    let alarms = alarms::at_first(txn, course.as_ref());
    let stage = course.as_ref().map(|_| stages::at_first(&sources, txn.now()));
    let row = ServiceDeploymentRow {
        service: service.name.clone(),
        number: before + 1,
        id: txn.ids.base64url21(),
        status: ServiceDeploymentStatus::Pending,
        status_reason: None,
        sources,
        target,
        created_at: txn.now(),
        updated_at: txn.now(),
        started_at: None,
        stopped_at: None,
        finished_at: None,
        rollback: None,
        keeps,
        breaker: None,
        end: None,
        forget_at: None,
        alarms,
        course,
        stage,
    };
    txn.put_service_deployment(row);
    while let Some(Key::ServiceDeployment(oldest)) = txn.state.surplus_service_deployment(&service.name) {
        txn.delete(Key::ServiceDeployment(oldest));
    }
    revision::prune(txn, service);
}

/// A service wants more, or fewer, tasks than `before`: of more, the revision that serves has as many more, too.
pub fn scaled(txn: &mut Txn, service: &ServiceRow, before: i32) {
    let Some(row) = txn.state.service_deployment(&service.name).cloned() else { return };
    if service.desired_count > before && upkeep::revision(service, Some(&row)).is_some() {
        let keeps = row.keeps.saturating_add(service.desired_count - before).min(service.desired_count);
        txn.put_service_deployment(ServiceDeploymentRow { keeps, ..row.as_ref().clone() });
    }
}

/// So many tasks of the revision that serves were replaced.
pub fn replaced(txn: &mut Txn, service: &ServiceRow, tasks: usize) {
    let Some(row) = txn.state.service_deployment(&service.name).cloned() else { return };
    if tasks > 0 {
        let keeps = row.keeps.saturating_sub(i32::try_from(tasks).unwrap_or(i32::MAX)).max(0);
        txn.put_service_deployment(ServiceDeploymentRow { keeps, ..row.as_ref().clone() });
    }
}

/// What is to become of the deployment that goes on before anything is started or stopped for it.
pub fn turn(txn: &mut Txn, service: &mut ServiceRow) {
    let Some(row) = txn.state.service_deployment(&service.name).cloned() else { return };
    match row.status {
        ServiceDeploymentStatus::Pending => {
            happens(txn, service, &Happening::Started);
            stages::begin(txn, service);
        }
        ServiceDeploymentStatus::RollbackRequested => fail(txn, service, &row, &REQUESTED),
        ServiceDeploymentStatus::StopRequested => fail(txn, service, &row, &ABORTED),
        ServiceDeploymentStatus::InProgress if breaker::has_tripped(service) => {
            let rollback = configuration::breaker(service).rollback;
            fail(txn, service, &row, if rollback { &breaker::ROLLS_BACK } else { &breaker::STOPS });
        }
        ServiceDeploymentStatus::InProgress => {
            if let Some((why, row)) = alarms::look(txn, &row) {
                fail(txn, service, &row, why);
            }
        }
        _ => {}
    }
}

/// The service is steady with its PRIMARY deployment, which is COMPLETED.
pub fn complete(txn: &mut Txn, service: &mut ServiceRow) {
    let primary = &mut service.deployments[0];
    primary.rollout = DeploymentRolloutState::Completed;
    primary.rollout_reason = format!("ECS deployment {} completed.", primary.id);
    primary.updated_at = txn.ctx.now;
    let id = primary.id;
    service.completed = Some(id);
    events::add(txn, &service.name, &format!("(deployment {id}) deployment completed."));
    happens(txn, service, &Happening::Completed);
}

/// The service goes, and its deployment goes no further.
pub fn end(txn: &mut Txn, service: &ServiceRow) {
    happens(
        txn,
        service,
        &Happening::Stopped { reason: "Service deployment stopped because the service was deleted." },
    );
}

/// The time of a deployment has come: it has been shown for long enough, or is to be looked at again.
pub fn woken(txn: &mut Txn, id: &(ServiceName, u64)) {
    let Some(row) = txn.state.service_deployment_by_number(id).cloned() else { return };
    if row.forget_at.is_none_or(|at| at > txn.now()) {
        return stages::woken(txn, &row);
    }
    txn.delete(Key::ServiceDeployment(id.clone()));
    if let Some(service) = txn.state.service(&id.0).cloned() {
        revision::prune(txn, &service);
    }
}

/// Why a deployment fails, and in which words that is told.
pub struct Failure {
    /// Of the one that fails.
    pub rollout_reason: &'static str,
    /// Behind `deployment failed: `.
    pub said: &'static str,
    /// Of the one that it is rolled back to, before `rolling back to deploymentId`; none where it is not to be.
    pub rolls_back: Option<&'static str>,
    /// `statusReason`.
    pub status_reason: &'static str,
}

/// StopServiceDeployment.
const REQUESTED: Failure = Failure {
    rollout_reason: "ECS deployment stopped: a rollback was requested.",
    said: "a rollback was requested.",
    rolls_back: Some("ECS deployment stopped"),
    status_reason: "Service deployment rolled back because a rollback was requested.",
};

/// StopServiceDeployment with ABORT.
const ABORTED: Failure = Failure {
    rollout_reason: "ECS deployment stopped: a stop was requested.",
    said: "a stop was requested.",
    rolls_back: None,
    status_reason: "Service deployment stopped because a stop was requested.",
};

/// The PRIMARY deployment fails: it starts no task any more, and the revision that was COMPLETED last takes its place
/// where that is wanted and there is one. A rollback makes no revision, and is never rolled back itself.
fn fail(txn: &mut Txn, service: &mut ServiceRow, row: &ServiceDeploymentRow, why: &Failure) {
    let counted = breaker::counted(service, row);
    let (now, name) = (txn.now(), service.name.clone());
    let Some(primary) = service.deployments.first_mut() else { return };
    let failed = primary.id;
    primary.rollout = DeploymentRolloutState::Failed;
    primary.rollout_reason = why.rollout_reason.to_owned();
    primary.updated_at = now;
    primary.not_before = None;
    service.steady = false;
    service.unplaced = None;
    events::add(txn, &name, &format!("(deployment {failed}) deployment failed: {}", why.said));
    txn.put_service_deployment(ServiceDeploymentRow { breaker: Some(counted), ..row.clone() });
    let Some(rolls_back) = why.rolls_back else {
        return happens(txn, service, &Happening::Stopped { reason: why.status_reason });
    };
    match candidate(txn, service, failed) {
        Some(candidate) => {
            let to = candidate.id;
            events::add(txn, &name, &format!("rolling back to deployment {to}."));
            stages::turn_back(txn, service);
            happens(txn, service, &Happening::RollsBack { to, reason: why.status_reason });
            let known = service.deployments.iter().position(|old| old.id == to);
            let mut primary = match known {
                Some(at) => service.deployments.remove(at),
                None => {
                    let strategy = &candidate.capacity_provider_strategy;
                    let fresh = fresh(txn, to, candidate.task_definition.clone(), strategy);
                    let (network, platform) = (candidate.network.clone(), candidate.platform.clone());
                    DeploymentRow { network, platform, ..fresh }
                }
            };
            primary.rollout = DeploymentRolloutState::InProgress;
            primary.rollout_reason = format!("{rolls_back}: rolling back to deploymentId {to}.");
            primary.updated_at = now;
            primary.consecutive_failures = 0;
            service.task_definition = primary.task_definition.clone();
            service.capacity_provider_strategy.clone_from(&primary.capacity_provider_strategy);
            service.set_network(primary.network.clone());
            service.platform.clone_from(&primary.platform);
            service.completed = None;
            make_primary(service, primary);
        }
        None => happens(txn, service, &Happening::NothingToRollBackTo),
    }
}

/// What a deployment that fails is rolled back to.
fn candidate(txn: &Txn, service: &ServiceRow, failed: DeploymentId) -> Option<Arc<ServiceRevisionRow>> {
    let to = txn.state.revision(&service.name, service.completed.filter(|to| *to != failed)?)?;
    txn.ports.account.task_definition(&to.task_definition)?;
    Some(to.clone())
}

/// A revision that has no tasks yet, IN_PROGRESS.
pub(super) fn fresh(
    txn: &Txn,
    id: DeploymentId,
    task_definition: TaskDefinitionId,
    strategy: &[CapacityProviderStrategyItem],
) -> DeploymentRow {
    DeploymentRow {
        capacity_provider_strategy: strategy.to_vec(),
        network: None,
        platform: None,
        rollout_reason: format!("ECS deployment {id} in progress."),
        id,
        primary: true,
        task_definition,
        created_at: txn.now(),
        updated_at: txn.now(),
        rollout: DeploymentRolloutState::InProgress,
        failed_tasks: 0,
        consecutive_failures: 0,
        not_before: None,
        failures: 0,
        failed_at: None,
        has_run: false,
    }
}

/// The others are ACTIVE until their tasks are gone.
fn make_primary(service: &mut ServiceRow, primary: DeploymentRow) {
    for old in &mut service.deployments {
        old.primary = false;
        old.not_before = None;
    }
    service.unplaced = None;
    service.rebalancing = None;
    service.deployments.insert(0, DeploymentRow { primary: true, ..primary });
}

/// Something happens to the newest deployment of a service, if it can.
fn happens(txn: &mut Txn, service: &ServiceRow, happening: &Happening) {
    let Some(row) = txn.state.service_deployment(&service.name).cloned() else { return };
    let Some(next) = life::step(&row, happening, txn.now()) else { return };
    let next = match next.status.has_ended() {
        true => ended(txn, service, next),
        false => next,
    };
    txn.put_service_deployment(next);
}

/// Keeps of a deployment that ends what is seen of it later.
fn ended(txn: &Txn, service: &ServiceRow, row: ServiceDeploymentRow) -> ServiceDeploymentRow {
    let counted = row.breaker.unwrap_or_else(|| breaker::counted(service, &row));
    ServiceDeploymentRow {
        breaker: Some(breaker::done(counted)),
        alarms: row.alarms.clone().map(alarms::done),
        stage: row.stage.as_ref().map(|stage| StageRow { wake_at: None, ..stage.clone() }),
        end: Some(EndRow {
            configuration: configuration::of_deployment(service, &row),
            tasks: tasks(txn.state, service, &row),
        }),
        forget_at: Some(txn.now().plus_millis(limits::DEPLOYMENT_KEPT_MS)),
        ..row
    }
}

/// How many tasks there are of its target, and of each revision that it comes from.
fn tasks(state: &Cluster, service: &ServiceRow, row: &ServiceDeploymentRow) -> Vec<RevisionTasks> {
    let tally = state.tally(&service.name);
    let all = std::iter::once(row.target).chain(row.sources.iter().copied());
    all.map(|id| revision_tasks(service, &tally, id)).collect()
}
