//! One service, one step further: count, plan, start and stop, and say what happened.

use std::sync::Arc;

use ecs_model::{DeploymentRolloutState, HealthStatus, TaskStopCode};
use wire::Timestamp;

use super::{
    daemon, events,
    plan::{self, Plan, Seen, Want},
};
use crate::{
    account::TaskDefinitionRow,
    cluster::{
        DeploymentRow, Desired, InstanceId, InstanceStatus, ServiceRow, TaskId, TaskRow, TaskStatus, Txn,
        Writes,
    },
    limits, placement, tags,
    task::{self, describe, run::Origin},
};

/// Starts and stops what the service needs now, and writes its row if anything changed.
pub fn advance(txn: &mut Txn, before: ServiceRow) {
    let mut service = before.clone();
    let mut tasks = live(txn, &service);
    if service.daemon() {
        daemon::advance(txn, &mut service, &tasks);
    } else {
        replicas(txn, &mut service, &tasks);
    }
    tasks = live(txn, &service);
    retire(txn, &mut service);
    report(txn, &mut service, &tasks);
    if service != before {
        txn.put_service(service);
    }
}

/// The tasks of a service that shall run, oldest first.
fn live(txn: &Txn, service: &ServiceRow) -> Vec<Arc<TaskRow>> {
    let running = txn.state.tasks_of_service(&service.name).filter(|task| task.desired == Desired::Running);
    let mut tasks: Vec<Arc<TaskRow>> = running.cloned().collect();
    tasks.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    tasks
}

fn replicas(txn: &mut Txn, service: &mut ServiceRow, tasks: &[Arc<TaskRow>]) {
    let Some(primary) = service.deployments.first().cloned() else { return };
    let definition = txn.ports.account.task_definition(&primary.task_definition).cloned();
    let now = txn.now();
    let (late, tasks): (Vec<Arc<TaskRow>>, Vec<Arc<TaskRow>>) =
        tasks.iter().cloned().partition(|task| task.last < TaskStatus::Running && draining(txn, task));
    // What has not started yet does not start on an instance that is to be emptied.
    stop_all(txn, service, &late.iter().map(Arc::as_ref).take(limits::SETTLE_TASKS).collect::<Vec<_>>());
    let tasks = tasks.as_slice();
    let mut want = Want {
        desired: service.desired_count,
        minimum_healthy_percent: service.minimum_healthy_percent,
        maximum_percent: service.maximum_percent,
        may_start: definition.is_some() && primary.not_before.is_none_or(|at| at <= now),
    };
    let seen: Vec<Seen> = tasks.iter().map(|task| look(txn, &primary, task)).collect();
    let plan = plan::plan(&want, &seen);
    let mut started = Vec::new();
    if let Some(definition) = &definition {
        started = start(txn, service, &primary, definition, plan.start);
    }
    if plan.start > 0 && started.is_empty() {
        // No room for a new one: outdated ones may have to make it.
        want.may_start = false;
        let plan = plan::plan(&want, &seen);
        stop(txn, service, tasks, &plan);
        return;
    }
    if plan.blocked {
        events::add_blocked(txn, service);
    }
    stop(txn, service, tasks, &plan);
}

fn look(txn: &Txn, primary: &DeploymentRow, task: &TaskRow) -> Seen {
    let of_primary = task.service.as_ref().is_some_and(|(_, deployment)| *deployment == primary.id);
    Seen { current: of_primary && !draining(txn, task), healthy: healthy(task) }
}

/// Whether a task's container instance is to be emptied.
fn draining(txn: &Txn, task: &TaskRow) -> bool {
    let host = task.instance.as_ref().and_then(|id| txn.state.instance(id));
    host.is_some_and(|host| host.status != InstanceStatus::Active)
}

/// RUNNING, and, where an essential container has a health check, HEALTHY.
pub fn healthy(task: &TaskRow) -> bool {
    let checked = task.containers.iter().any(|c| c.essential && c.health_checked);
    task.last == TaskStatus::Running && (!checked || describe::health(task) == HealthStatus::Healthy)
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
        Some(why) => unplaced(txn, service, &why),
        None => service.unplaced = None,
    }
    started
}

/// Says which tasks were started, if any.
pub fn say_started(txn: &mut Txn, service: &mut ServiceRow, started: &[TaskId]) {
    if !started.is_empty() {
        events::add(txn, service, &events::started(started));
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
        Some(ecs_model::PropagateTags::TaskDefinition) => all.clone_from(&definition.tags),
        Some(ecs_model::PropagateTags::Service) => all.clone_from(&service.tags),
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
    events::add_once(txn, service, &format!("was unable to place a task because {why}"));
    service.unplaced = Some((why.to_owned(), now));
    service.wake_at = Some(now.plus_millis(limits::PLACEMENT_RETRY_MS));
    service.steady = false;
}

fn stop(txn: &mut Txn, service: &mut ServiceRow, tasks: &[Arc<TaskRow>], plan: &Plan) {
    let chosen: Vec<&TaskRow> =
        plan.stop.iter().take(limits::SETTLE_TASKS).map(|at| tasks[*at].as_ref()).collect();
    stop_all(txn, service, &chosen);
}

/// Stops tasks of the service, as many as one step can take, and says so. The others have their turn when the
/// service is settled again, which stopping these sees to.
pub fn stop_all(txn: &mut Txn, service: &mut ServiceRow, chosen: &[&TaskRow]) {
    let mut stopped = Vec::new();
    for task in chosen {
        if !stopped.is_empty() && txn.full() {
            break;
        }
        let deployment = task.service.as_ref().map(|(_, id)| id.0.as_str()).unwrap_or_default();
        let reason = format!("Scaling activity initiated by (deployment {deployment})");
        let code = TaskStopCode::ServiceSchedulerInitiated;
        stopped.extend(task::stop::want(txn, &task.id, code, reason).map(|row| row.id));
    }
    if !stopped.is_empty() {
        events::add(txn, service, &events::stopped(&stopped));
        service.steady = false;
    }
}

/// Deployments that were replaced go once their last task has stopped.
fn retire(txn: &Txn, service: &mut ServiceRow) {
    let has_tasks = |deployment: &DeploymentRow| {
        txn.state.tasks_of_service(&service.name).any(|task| {
            task.last != TaskStatus::Stopped
                && task.service.as_ref().is_some_and(|(_, id)| *id == deployment.id)
        })
    };
    let keep: Vec<bool> = service.deployments.iter().map(|d| d.primary || has_tasks(d)).collect();
    let mut keep = keep.into_iter();
    service.deployments.retain(|_| keep.next().unwrap_or(true));
}

/// Back-off, completion and steadiness, said once each.
fn report(txn: &mut Txn, service: &mut ServiceRow, tasks: &[Arc<TaskRow>]) {
    let now = txn.now();
    let Some(primary) = service.deployments.first().cloned() else { return };
    if primary.not_before.is_some() && primary.consecutive_failures > limits::FREE_FAILURES {
        let text = "is unable to consistently start tasks successfully. For more information, see the \
                    Troubleshooting section of the Amazon ECS Developer Guide.";
        events::add_once(txn, service, text);
    }
    let seen = tasks.iter().map(|task| look(txn, &primary, task));
    let ready = seen.filter(|task| task.current && task.healthy).count();
    let all_ready = i32::try_from(ready).is_ok_and(|ready| ready == service.desired_count);
    if !all_ready || tasks.len() != ready || service.deployments.len() > 1 {
        service.steady &= all_ready;
        return;
    }
    if primary.consecutive_failures > 0 && !proven(service, tasks, now) {
        return;
    }
    if primary.rollout == DeploymentRolloutState::InProgress {
        let first = &mut service.deployments[0];
        first.rollout = DeploymentRolloutState::Completed;
        first.rollout_reason = format!("ECS deployment {} completed.", first.id);
        first.updated_at = now;
        events::add(txn, service, &format!("(deployment {}) deployment completed.", primary.id));
    }
    if !service.steady {
        service.steady = true;
        events::add(txn, service, "has reached a steady state.");
    }
}

/// After failures in a row, tasks that run are believed only once all of them have lived long enough; until
/// then a crash loop would be called steady each time that it starts. Then the back-off is forgotten.
fn proven(service: &mut ServiceRow, tasks: &[Arc<TaskRow>], now: Timestamp) -> bool {
    // None has started in the future: the clock was set back.
    let youngest = tasks.iter().filter_map(|task| task.started_at).filter(|at| *at <= now).max();
    let proven_at = youngest.map(|at| at.plus_millis(limits::SHORT_LIFE_MS)).filter(|at| *at > now);
    if let Some(at) = proven_at {
        service.wake_at = Some(service.wake_at.map_or(at, |wake| wake.min(at)));
        return false;
    }
    service.deployments[0].consecutive_failures = 0;
    service.deployments[0].not_before = None;
    true
}
