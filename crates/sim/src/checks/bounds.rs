//! By its own act a service never goes below its floor, nor above its ceiling: with all of its tasks where it replaces them
//! within percentages, with those of each revision while its deployment goes by stages, and with those of each task set.
//! How many each is to have is told without the planner that is checked.

use std::collections::BTreeMap;

use ::ecs::{
    Cluster,
    cluster::{
        DeploymentControllerType, DeploymentId, DeploymentRolloutState, DeploymentRow, DeploymentStrategy,
        Desired, HealthStatus, ServiceDeploymentRow, ServiceName, ServiceRow, ServiceStatus, Stage, TaskRow,
        TaskStopCode, tally::Standing,
    },
    service::plan::Want,
};

use super::want;

/// Of all tasks of a service, or of those of a revision or task set.
type Whose = Option<DeploymentId>;

/// What is promised of some tasks.
#[derive(Debug, Clone, Copy)]
struct Promise {
    /// None of them that is healthy is stopped where that leaves fewer healthy ones.
    floor: usize,
    /// None is started where that makes more.
    ceiling: usize,
}

impl Promise {
    /// Nothing is started, and nothing stopped.
    const STAYS: Promise = Promise { floor: usize::MAX, ceiling: 0 };

    fn of(service: &ServiceRow, count: i32) -> Promise {
        let want = Want { desired: count, ..want(service) };
        let many = |tasks: i32| usize::try_from(tasks).unwrap_or(0);
        Promise { floor: many(want.floor()), ceiling: many(want.ceiling().max(count)) }
    }
}

/// Whether what is promised of a service is kept. What else a step did, as reports and users that came with it, may have come
/// before or after: it is given the benefit of the doubt.
pub fn kept(before: &Cluster, after: &Cluster, name: &ServiceName) -> Option<String> {
    let is_active = |row: &&std::sync::Arc<ServiceRow>| row.status == ServiceStatus::Active;
    let service = after.service(name).filter(is_active).filter(|row| !row.daemon())?;
    let had = before.service(name).filter(is_active).map(|old| promises(before, old)).unwrap_or_default();
    promises(after, service).into_iter().find_map(|(whose, promise)| {
        let promise = doubted(&had, whose, promise);
        broken(before, after, name, whose, promise)
    })
}

/// What was promised before the step counts too.
fn doubted(had: &BTreeMap<Whose, Promise>, whose: Whose, now: Promise) -> Promise {
    let ceiling = |more: usize| now.ceiling.max(more);
    if let Some(before) = had.get(&whose) {
        return Promise { floor: now.floor.min(before.floor), ceiling: ceiling(before.ceiling) };
    }
    // It is new, or the tasks were counted otherwise.
    let others = match (whose, had.get(&None)) {
        (Some(_), Some(all)) => all.ceiling,
        (Some(_), None) => 0,
        (None, _) => had.values().fold(0, |sum: usize, before| sum.saturating_add(before.ceiling)),
    };
    Promise { floor: 0, ceiling: ceiling(others) }
}

fn promises(state: &Cluster, service: &ServiceRow) -> BTreeMap<Whose, Promise> {
    if service.controller == DeploymentControllerType::External {
        let share = |scale: f64| {
            let hundredths = i64::from(service.desired_count) * scale.round() as i64;
            i32::try_from((hundredths + 99) / 100).unwrap_or(i32::MAX)
        };
        let sets = state.task_sets(&service.name);
        let count = |draining: bool, scale: f64| if draining { 0 } else { share(scale) };
        return sets
            .map(|set| (Some(set.id), Promise::of(service, count(set.draining, set.scale))))
            .collect();
    }
    let newest = state.service_deployment(&service.name).map(AsRef::as_ref);
    match newest.and_then(|row| Some((row, staged(row)?))) {
        Some((row, stage)) => {
            let of =
                |revision: &DeploymentRow| (Some(revision.id), of_revision(service, row, stage, revision));
            service.deployments.iter().map(of).collect()
        }
        None => BTreeMap::from([(None, Promise::of(service, service.desired_count))]),
    }
}

/// The stage of a deployment that has revisions beside each other.
pub fn staged(row: &ServiceDeploymentRow) -> Option<Stage> {
    let strategy = row.course.as_ref()?.strategy.unwrap_or_default();
    (strategy != DeploymentStrategy::Rolling).then_some(row.stage.as_ref()?.stage)
}

/// The newest revision has all it wants from SCALE_UP on, and that which served until then keeps all until CLEAN_UP. What is
/// gone back from stays as it is until then; and where a deployment failed and nothing is gone back to, what was there before
/// goes on.
fn of_revision(
    service: &ServiceRow,
    row: &ServiceDeploymentRow,
    stage: Stage,
    revision: &DeploymentRow,
) -> Promise {
    let others = || service.deployments.iter().filter(|of| !of.primary);
    let completed = others().find(|of| service.completed == Some(of.id));
    let serves = completed.or_else(|| others().next()).is_some_and(|of| of.id == revision.id);
    let (goes_on, back) = (!row.status.has_ended(), row.rollback.is_some());
    let begins = matches!(stage, Stage::ReconcileService | Stage::PreScaleUp);
    let cleans = stage == Stage::CleanUp;
    let has_failed =
        service.deployments.iter().any(|of| of.primary && of.rollout == DeploymentRolloutState::Failed);
    let has_all = match (goes_on, revision.primary) {
        (true, true) => back || !begins,
        (true, false) if back && !cleans && revision.id == row.target => return Promise::STAYS,
        (true, false) => serves && !back && !cleans,
        (false, true) => true,
        (false, false) => serves && has_failed,
    };
    Promise::of(service, if has_all { service.desired_count } else { 0 })
}

fn broken(
    before: &Cluster,
    after: &Cluster,
    name: &ServiceName,
    whose: Whose,
    promise: Promise,
) -> Option<String> {
    let own = |task: &TaskRow| {
        let of = task.service.as_ref().map(|(_, id)| *id);
        whose.is_none() || of == whose
    };
    let healthy = |task: &TaskRow| task.standing() == Some(Standing::Healthy);
    let (mut stopped, mut lost, mut left, mut live) = (0, 0, 0, 0);
    for task in after.tasks_of_service(name).filter(|task| own(task)) {
        live += usize::from(task.desired == Desired::Running);
        if healthy(task) {
            left += 1;
        } else if before.task(&task.id).is_some_and(|old| healthy(old)) {
            let by_itself = task.stop.as_ref().is_some_and(|stop| {
                stop.code == TaskStopCode::ServiceSchedulerInitiated && stop.reason.starts_with("Scaling")
            });
            *(if by_itself && is_sound(task) { &mut stopped } else { &mut lost }) += 1;
        }
    }
    let who = whose.map_or_else(|| format!("service {name}"), |id| format!("{id} of service {name}"));
    let Promise { floor, ceiling } = promise;
    if stopped > 0 && left + lost < floor {
        return Some(format!("{who} stopped {stopped} healthy tasks and has {left}, its floor is {floor}"));
    }
    let was_live = || {
        let all = before.tasks_of_service(name).filter(|task| own(task));
        all.filter(|task| task.desired == Desired::Running).count()
    };
    (live > ceiling && live > was_live())
        .then(|| format!("{who} started {live} tasks, its ceiling is {ceiling}"))
}

/// Whether no health check says otherwise: one that failed in the same step was no loss.
fn is_sound(task: &TaskRow) -> bool {
    let mut checked = task.containers.iter().filter(|one| one.essential && one.health_checked);
    checked.all(|one| one.health == HealthStatus::Healthy)
}
