//! One service, one step further: what becomes of its deployment, what its controller wants, and what is said of it.

use super::{
    carry, configuration, daemon,
    deployment::{self, stages},
    events, plan, rebalancing, task_sets,
};
use crate::{
    cluster::{
        DeploymentControllerType, DeploymentId, DeploymentRolloutState, DeploymentRow, ServiceRow, Tally,
        Txn, Writes,
        tally::{Class, Share, Standing},
    },
    limits, task,
};

/// Does for the service what can be done now, and writes its row if anything changed.
pub fn advance(txn: &mut Txn, before: ServiceRow) {
    let mut service = before.clone();
    match service.controller {
        DeploymentControllerType::Ecs => deploy(txn, &mut service, &before),
        DeploymentControllerType::External => task_sets::advance(txn, &mut service),
    }
    if service != before {
        txn.put_service(service);
    }
}

/// A service that we deploy ourselves.
fn deploy(txn: &mut Txn, service: &mut ServiceRow, before: &ServiceRow) {
    let tally = txn.state.tally(&service.name);
    let going = txn.state.service_deployment(&service.name).map(AsRef::as_ref);
    let counts = plan::stages::counts(service, going, &tally).unwrap_or_default();
    // One that is to have tasks stays, also where it has lost them all.
    let is_wanted = |id| counts.iter().any(|(of, count)| *of == id && *count > 0);
    // What a daemon runs while its deployment pauses stays, also while there is no container instance for it.
    let kept = going.filter(|row| plan::upkeep::wanted(service, row, &tally) > 0);
    let kept_up = plan::upkeep::revision(service, kept);
    let serves = service.daemon().then(|| plan::stages::everywhere(service, going)).flatten();
    service.deployments.retain(|deployment| {
        let is_kept = serves == Some(deployment.id) || kept_up == Some(deployment.id);
        let stays = deployment.primary || is_kept || is_wanted(deployment.id);
        stays || tally.share(&deployment.id).live > 0
    });
    deployment::turn(txn, service);
    if service.daemon() {
        daemon::advance(txn, service);
    } else {
        carry::replicas(txn, service);
    }
    let tally = txn.state.tally(&service.name);
    report(txn, service, &tally);
    rebalancing::advance(txn, service, before);
}

/// Back-off, completion and steadiness, said once each.
fn report(txn: &mut Txn, service: &mut ServiceRow, tally: &Tally) {
    let Some(primary) = service.deployments.first().cloned() else { return };
    impaired(txn, service, 0, None);
    let share = tally.share(&primary.id);
    let ready = share.count(|class| class.stays() && class.standing == Standing::Healthy);
    let has_all = i32::try_from(ready).is_ok_and(|ready| ready == service.desired_count);
    // Those of strategy DAEMON stay on a container instance that is drained as long as others do: it may take for ever.
    let is_daemon = service.daemon();
    let counts = |class: Class| !(is_daemon && class.leaving);
    let all_ready = has_all && share.count(counts) == ready;
    let is_alone = tally.count(|_, class| counts(class)) == ready && service.deployments.len() == 1;
    let is_staged = stages::goes_by_stages(txn, service);
    let going = txn.state.service_deployment(&service.name).map(AsRef::as_ref);
    let early = plan::stages::early(going).filter(|_| is_staged);
    let has_enough = early.is_some_and(|early| ready >= count(early.enough(service.desired_count)));
    let is_whole = all_ready && (is_alone || is_staged);
    let is_ready = (is_whole || has_enough) && is_proven(txn, service, 0, &share);
    // Where enough are believed to stay others may fail still: their starts stay spaced out.
    if let Some(now) = service.deployments.first_mut().filter(|_| is_ready && !is_whole) {
        (now.consecutive_failures, now.not_before) = (primary.consecutive_failures, primary.not_before);
    }
    if is_staged {
        stages::advance(txn, service, is_ready);
    }
    if early.is_some_and(|early| !early.blocking || service.deployments.len() == 1)
        && is_ready
        && service.deployments.first().is_some_and(|now| is_at_last(txn, service, now, &primary))
    {
        deployment::complete(txn, service);
    }
    if !all_ready || !is_alone {
        service.steady &= has_all;
        return;
    }
    let Some(primary) = service.deployments.first().filter(|now| is_ready && now.id == primary.id) else {
        return;
    };
    if primary.rollout == DeploymentRolloutState::InProgress {
        if !stages::may_complete(txn, service) {
            return;
        }
        deployment::complete(txn, service);
    }
    if !service.steady {
        service.steady = true;
        events::add(txn, &service.name, events::STEADY);
    }
}

/// So many tasks.
fn count(tasks: i32) -> usize {
    usize::try_from(tasks).unwrap_or(0)
}

/// Whether a deployment that is still the PRIMARY one is at its last stage.
fn is_at_last(txn: &Txn, service: &ServiceRow, now: &DeploymentRow, was: &DeploymentRow) -> bool {
    now.id == was.id
        && now.rollout == DeploymentRolloutState::InProgress
        && stages::may_complete(txn, service)
}

/// Says once that a deployment, or a task set where one is named, starts no task that stays.
pub fn impaired(txn: &mut Txn, service: &ServiceRow, at: usize, set: Option<DeploymentId>) {
    let is_impaired = service.deployments.get(at).is_some_and(|deployment| {
        deployment.not_before.is_some() && deployment.consecutive_failures > limits::FREE_FAILURES
    });
    if is_impaired {
        let more = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";
        events::add_once(txn, &service.name, set, &format!("{} {more}", events::IMPAIRED));
    }
}

/// Whether the tasks of one of a service's deployments are believed to stay. After failures in a row that is only once all
/// of them have lived long enough; until then a crash loop would be called steady each time that it starts. While a
/// circuit breaker watches, tasks whose health nobody checks are to be healthy first. Then the back-off is forgotten.
pub fn is_proven(txn: &Txn, service: &mut ServiceRow, at: usize, share: &Share) -> bool {
    let Some(primary) = service.deployments.get(at).cloned() else { return false };
    let now = txn.now();
    let watched = primary.rollout == DeploymentRolloutState::InProgress
        && configuration::breaker(service).enable
        && txn.state.service_deployment(&service.name).is_some_and(|row| row.rollback.is_none())
        && !has_checks(txn, &primary);
    let life = match primary.consecutive_failures {
        0 if watched => limits::HEALTHY_AFTER_MS,
        0 => return true,
        _ => limits::SHORT_LIFE_MS,
    };
    // None has started in the future: the clock was set back.
    let youngest = share.last_started(now);
    let proven_at = youngest.map(|at| at.plus_millis(life)).filter(|at| *at > now);
    if let Some(at) = proven_at {
        service.wake_at = Some(service.wake_at.map_or(at, |wake| wake.min(at)));
        return false;
    }
    for deployment in service.deployments.iter_mut().filter(|deployment| deployment.id == primary.id) {
        deployment.consecutive_failures = 0;
        deployment.not_before = None;
    }
    true
}

/// Whether the health of its tasks is checked.
fn has_checks(txn: &Txn, primary: &DeploymentRow) -> bool {
    let definition = txn.ports.account.task_definition(&primary.task_definition);
    definition.is_some_and(|definition| definition.containers().iter().any(task::run::is_checked))
}
