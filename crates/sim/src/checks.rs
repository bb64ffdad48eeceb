//! What must hold: after every step, and at the end.

use ::ecs::{
    Cluster,
    cluster::{
        Change, DeploymentRolloutState, Desired, Row, ServiceRow, ServiceStatus, TaskRow, TaskStatus,
        TaskStopCode,
    },
    invariants,
    service::plan::Want,
};
use state::contract::Tells;

use crate::world::World;

/// What a step broke, if anything.
pub fn after_step(before: &Cluster, after: &Cluster, changes: &[Change]) -> Option<String> {
    if let Some(broken) = invariants::check(after).into_iter().next() {
        return Some(broken);
    }
    forward_only(before, changes).or_else(|| floors(before, after))
}

/// No task goes back, no reason is replaced, and no deployment that has ended changes.
fn forward_only(before: &Cluster, changes: &[Change]) -> Option<String> {
    for change in changes {
        if let Change::Put(Row::ServiceDeployment(row)) = change
            && let Some(old) = before.service_deployment_by_number(&(row.service.clone(), row.number))
            && (old.status.has_ended()
                && (old.status, &old.end) != (row.status, &row.end)
                && old.id == row.id)
        {
            return Some(format!("deployment {} changed after its end", row.id));
        }
        let Change::Put(Row::Task(row)) = change else { continue };
        let Some(old) = before.task(&row.id) else { continue };
        if row.last < old.last || row.desired < old.desired {
            return Some(format!("task {} went back from {:?} to {:?}", row.id, old.last, row.last));
        }
        if old.stop.is_some() && old.stop != row.stop {
            return Some(format!("task {} changed its reason", row.id));
        }
    }
    None
}

/// By its own act a service never goes below its floor, nor above its ceiling.
fn floors(before: &Cluster, after: &Cluster) -> Option<String> {
    for service in after.services().filter(|service| service.status == ServiceStatus::Active) {
        let want = want(service);
        let own = |task: &TaskRow| {
            let stop = task.stop.as_ref();
            stop.is_some_and(|s| {
                s.code == TaskStopCode::ServiceSchedulerInitiated && s.reason.starts_with("Scaling")
            })
        };
        let healthy = |task: &TaskRow| task.last == TaskStatus::Running && task.desired == Desired::Running;
        let stopped_now = after
            .tasks_of_service(&service.name)
            .filter(|task| own(task) && before.task(&task.id).is_some_and(|old| healthy(old)));
        let stopped_now = stopped_now.count();
        let left = after.tasks_of_service(&service.name).filter(|task| healthy(task)).count();
        let floor = usize::try_from(want.floor()).unwrap_or(0);
        if stopped_now > 0 && left < floor && !service.daemon() {
            return Some(format!(
                "service {} stopped {stopped_now} healthy tasks and has {left} of {floor}",
                service.name
            ));
        }
        let live = |state: &Cluster| {
            state.tasks_of_service(&service.name).filter(|task| task.desired == Desired::Running).count()
        };
        let ceiling = usize::try_from(want.ceiling().max(service.desired_count)).unwrap_or(0);
        if live(after) > live(before) && live(after) > ceiling && !service.daemon() {
            return Some(format!(
                "service {} started {} tasks, its ceiling is {ceiling}",
                service.name,
                live(after)
            ));
        }
    }
    None
}

fn want(service: &ServiceRow) -> Want {
    Want {
        desired: service.desired_count,
        minimum_healthy_percent: service.minimum_healthy_percent,
        maximum_percent: service.maximum_percent,
        may_start: true,
        stalled: false,
    }
}

/// The bus has heard how each task is that is still remembered.
fn all_was_told(world: &World) -> Option<String> {
    let bus = world.bus.as_ref()?;
    let lost = world.state.outgoing().sequence().unwrap_or_default().lost;
    let told = |task: &TaskRow| bus.last_of(&task.id) == Some((task.last.as_str(), task.desired.as_str()));
    let untold = world.state.tasks().find(|task| !told(task)).filter(|_| lost == 0);
    untold.map(|task| {
        format!("of task {} was told {:?}, it is {:?}", task.id, bus.last_of(&task.id), task.last)
    })
}

/// After the calm: no task is half way, and every service that has room has what it wants.
pub fn at_rest(world: &World) -> Option<String> {
    if let Some(untold) = all_was_told(world) {
        return Some(untold);
    }
    for task in world.state.tasks() {
        let half_way = !matches!(task.last, TaskStatus::Running | TaskStatus::Stopped);
        if half_way && !task.task_definition.family.starts_with("crash") {
            return Some(format!("task {} is still {:?} (desired {:?})", task.id, task.last, task.desired));
        }
    }
    for (name, kept) in world.state.daemons() {
        let active = world.state.totals().instances.active;
        if kept.eligible().len() != active || !kept.changed().is_empty() {
            return Some(format!("daemon {name} is not at rest: {kept:?} among {active} instances"));
        }
    }
    for service in world.state.services() {
        let settled = match service.status {
            ServiceStatus::Inactive => true,
            ServiceStatus::Draining => false,
            ServiceStatus::Active => {
                // Percentages that leave no room for a step, up or down, stand still in ECS too.
                let wedged = want(service).floor() >= want(service).ceiling();
                service.steady
                    || wedged
                    || service.unplaced.is_some()
                    || service.task_definition.family.starts_with("crash")
                    || service.deployments.len() > 1 && service.deployments[0].consecutive_failures > 0
                    || service.deployments[0].rollout == DeploymentRolloutState::Failed
            }
        };
        if !settled {
            let (running, pending) = world.state.totals().task_counts();
            return Some(format!(
                "service {} is not at rest: {:?} wants {}, {running} running, {pending} pending, {:?}",
                service.name, service.status, service.desired_count, service.deployments
            ));
        }
    }
    None
}
