//! One service, one step further: count, plan, start and stop, and say what happened.

use wire::Timestamp;

use super::{
    daemon, events,
    plan::{self, Health, Want},
};
use crate::{
    account::TaskDefinitionRow,
    cluster::{
        DeploymentId, DeploymentRolloutState, DeploymentRow, InstanceId, PropagateTags, ServiceRow, Tally,
        TaskId, TaskStopCode, Txn, Writes,
        tally::{Class, Place, Share, Standing},
    },
    limits, placement, tags,
    task::{self, run::Origin},
};

/// Starts and stops what the service needs now, and writes its row if anything changed.
pub fn advance(txn: &mut Txn, before: ServiceRow) {
    let mut service = before.clone();
    if service.daemon() {
        daemon::advance(txn, &mut service);
    } else {
        replicas(txn, &mut service);
    }
    let tally = txn.state.tally(&service.name);
    service.deployments.retain(|deployment| deployment.primary || tally.share(&deployment.id).live > 0);
    report(txn, &mut service, &tally);
    if service != before {
        txn.put_service(service);
    }
}

fn replicas(txn: &mut Txn, service: &mut ServiceRow) {
    let Some(primary) = service.deployments.first().cloned() else { return };
    let definition = txn.ports.account.task_definition(&primary.task_definition).cloned();
    let now = txn.now();
    // What has not started yet does not start on an instance that is to be emptied.
    let late = txn.state.tally(&service.name).newest(limits::SETTLE_TASKS, |_, class| late(class));
    stop_all(txn, service, &in_order(late));
    let mut want = Want {
        desired: service.desired_count,
        minimum_healthy_percent: service.minimum_healthy_percent,
        maximum_percent: service.maximum_percent,
        may_start: definition.is_some() && primary.not_before.is_none_or(|at| at <= now),
    };
    let tally = txn.state.tally(&service.name);
    let tasks = count(&tally, &primary.id);
    let mut plan = plan::plan(&want, &tasks);
    let mut started = Vec::new();
    if let Some(definition) = &definition {
        started = start(txn, service, &primary, definition, plan.start);
    }
    if plan.start > 0 && started.is_empty() {
        // No room for a new one: outdated ones may have to make it.
        want.may_start = false;
        plan = plan::plan(&want, &tasks);
    } else if plan.blocked {
        events::add_blocked(txn, service);
    }
    stop_all(txn, service, &chosen(&tally, &primary.id, &plan.stop));
}

/// What has not started yet, on an instance that is to be emptied.
fn late(class: Class) -> bool {
    class.leaving && class.standing == Standing::Coming
}

/// Of the PRIMARY deployment, on a container instance that is not to be emptied.
fn current(primary: &DeploymentId, deployment: &DeploymentId, class: Class) -> bool {
    deployment == primary && !class.leaving
}

fn count(tally: &Tally, primary: &DeploymentId) -> plan::Tasks {
    let of = |is_current: bool, healthy: bool| {
        let count = tally.count(|deployment, class| {
            current(primary, deployment, class) == is_current
                && (class.standing == Standing::Healthy) == healthy
                && !late(class)
        });
        i32::try_from(count).unwrap_or(i32::MAX)
    };
    let health = |current: bool| Health { healthy: of(current, true), not_healthy: of(current, false) };
    plan::Tasks { current: health(true), outdated: health(false) }
}

/// The tasks to stop: of each kind the newest, and no more than one step can take.
fn chosen(tally: &Tally, primary: &DeploymentId, stop: &plan::Tasks) -> Vec<TaskId> {
    let mut chosen = Vec::new();
    for (is_current, health) in [(true, stop.current), (false, stop.outdated)] {
        for (healthy, most) in [(false, health.not_healthy), (true, health.healthy)] {
            let most = usize::try_from(most).unwrap_or(0).min(limits::SETTLE_TASKS - chosen.len());
            chosen.extend(tally.newest(most, |deployment, class| {
                current(primary, deployment, class) == is_current
                    && (class.standing == Standing::Healthy) == healthy
                    && !late(class)
            }));
        }
    }
    in_order(chosen)
}

/// Tasks as events name them, the oldest first.
pub fn in_order(mut places: Vec<Place>) -> Vec<TaskId> {
    places.sort_unstable();
    places.into_iter().map(|(_, id)| id).collect()
}

fn start(
    txn: &mut Txn,
    service: &mut ServiceRow,
    primary: &DeploymentRow,
    definition: &TaskDefinitionRow,
    count: i32,
) -> Vec<TaskId> {
    let origin = origin(service, primary, definition, &txn.state.row.name);
    let wanted = placement::Request::new(
        definition,
        &origin.overrides,
        &origin.group,
        &service.placement_constraints,
        &service.placement_strategy,
    );
    let Ok(wanted) = wanted else { return Vec::new() };
    let mut started = Vec::new();
    let most = usize::try_from(count).unwrap_or(0).min(limits::SETTLE_TASKS);
    let mut refused = None;
    while started.len() < most && refused.is_none() && (started.is_empty() || !txn.full()) {
        match placement::place(&txn.state, &wanted, txn.ids) {
            Ok(instance) => started.push(task::run::start(txn, definition, origin.clone(), instance).id),
            Err(why) => refused = Some(why.explain()),
        }
    }
    say_started(txn, service, &started);
    match refused {
        Some(why) => {
            txn.state.waits_for(&service.name, &wanted);
            unplaced(txn, service, &why);
        }
        None => service.unplaced = None,
    }
    started
}

/// Says which tasks were started, if any.
pub fn say_started(txn: &mut Txn, service: &mut ServiceRow, started: &[TaskId]) {
    if !started.is_empty() {
        events::add(txn, &service.name, &events::started(started));
        service.steady = false;
    }
}

/// Starts one task of a deployment on a given container instance, for a daemon.
pub fn start_on(
    txn: &mut Txn,
    service: &ServiceRow,
    definition: &TaskDefinitionRow,
    on: InstanceId,
) -> TaskId {
    let origin = origin(service, &service.deployments[0], definition, &txn.state.row.name);
    task::run::start(txn, definition, origin, on).id
}

fn origin(
    service: &ServiceRow,
    primary: &DeploymentRow,
    definition: &TaskDefinitionRow,
    cluster: &str,
) -> Origin {
    let mut all = Vec::new();
    match service.propagate_tags {
        Some(PropagateTags::TaskDefinition) => all.clone_from(&definition.tags),
        Some(PropagateTags::Service) => all.clone_from(&service.tags),
        _ => {}
    }
    if service.enable_ecs_managed_tags {
        let managed =
            [tags::tag("aws:ecs:clusterName", cluster), tags::tag("aws:ecs:serviceName", &service.name.0)];
        tags::add_missing(&mut all, &managed);
    }
    Origin {
        group: format!("service:{}", service.name),
        service: Some((service.name.clone(), primary.id.clone())),
        started_by: Some(primary.id.0.clone()),
        tags: all,
        enable_execute_command: service.enable_execute_command,
        ..Origin::default()
    }
}

/// Says why a task has no place, once until that changes, and looks again a little later.
pub fn unplaced(txn: &mut Txn, service: &mut ServiceRow, why: &str) {
    let now = txn.now();
    events::add_once(txn, &service.name, &events::unplaced(why));
    service.unplaced = Some((why.to_owned(), now));
    service.wake_at = Some(now.plus_millis(limits::PLACEMENT_RETRY_MS));
    service.steady = false;
}

/// Stops tasks of the service, as many as one step can take, and says so. The others have their turn when the
/// service is settled again, which stopping these sees to.
pub fn stop_all(txn: &mut Txn, service: &mut ServiceRow, chosen: &[TaskId]) {
    let mut stopped = Vec::new();
    for id in chosen {
        if !stopped.is_empty() && txn.full() {
            break;
        }
        let Some((_, deployment)) = txn.state.task(id).and_then(|task| task.service.as_ref()) else {
            continue;
        };
        let reason = format!("Scaling activity initiated by (deployment {deployment})");
        let code = TaskStopCode::ServiceSchedulerInitiated;
        stopped.extend(task::stop::want(txn, id, code, reason).map(|row| row.id));
    }
    if !stopped.is_empty() {
        events::add(txn, &service.name, &events::stopped(&stopped));
        service.steady = false;
    }
}

/// Back-off, completion and steadiness, said once each.
fn report(txn: &mut Txn, service: &mut ServiceRow, tally: &Tally) {
    let now = txn.now();
    let Some(primary) = service.deployments.first().cloned() else { return };
    if primary.not_before.is_some() && primary.consecutive_failures > limits::FREE_FAILURES {
        let more = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";
        events::add_once(txn, &service.name, &format!("{} {more}", events::IMPAIRED));
    }
    let share = tally.share(&primary.id);
    let ready = share.class(Class { leaving: false, standing: Standing::Healthy }).len();
    let all_ready = i32::try_from(ready).is_ok_and(|ready| ready == service.desired_count);
    if !all_ready || tally.count(|_, _| true) != ready || service.deployments.len() > 1 {
        service.steady &= all_ready;
        return;
    }
    if primary.consecutive_failures > 0 && !proven(service, &share, now) {
        return;
    }
    if primary.rollout == DeploymentRolloutState::InProgress {
        let first = &mut service.deployments[0];
        first.rollout = DeploymentRolloutState::Completed;
        first.rollout_reason = format!("ECS deployment {} completed.", first.id);
        first.updated_at = now;
        events::add(txn, &service.name, &format!("(deployment {}) deployment completed.", primary.id));
    }
    if !service.steady {
        service.steady = true;
        events::add(txn, &service.name, events::STEADY);
    }
}

/// After failures in a row, tasks that run are believed only once all of them have lived long enough; until
/// then a crash loop would be called steady each time that it starts. Then the back-off is forgotten.
fn proven(service: &mut ServiceRow, share: &Share, now: Timestamp) -> bool {
    // None has started in the future: the clock was set back.
    let youngest = share.last_started(now);
    let proven_at = youngest.map(|at| at.plus_millis(limits::SHORT_LIFE_MS)).filter(|at| *at > now);
    if let Some(at) = proven_at {
        service.wake_at = Some(service.wake_at.map_or(at, |wake| wake.min(at)));
        return false;
    }
    service.deployments[0].consecutive_failures = 0;
    service.deployments[0].not_before = None;
    true
}
