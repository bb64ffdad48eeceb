//! Carries plans out: the one place where services start and stop tasks, and say so.

use wire::{Error, Timestamp};

use super::{
    deployment, events, grace,
    plan::{self, Plan, upkeep::Upkeep},
    view::View,
};
use crate::{
    account::TaskDefinitionRow,
    beyond::Wishes,
    capacity::distribution::Distribution,
    cluster::{
        DeploymentControllerType, DeploymentId, DeploymentRow, InstanceId, PropagateTags, ServiceRow, TaskId,
        TaskRow, TaskStopCode, Txn, tally::Class,
    },
    limits, placement, tags,
    task::{
        self,
        run::{Origin, Wait},
    },
};

/// Brings a service of strategy REPLICA further, as its controller plans it: all of it at once, or each of its revisions by
/// itself.
pub fn replicas(txn: &mut Txn, service: &mut ServiceRow) {
    let tally = txn.state.tally(&service.name);
    let going = txn.state.service_deployment(&service.name).map(AsRef::as_ref);
    let kept_up = plan::stages::kept_up_by(service, going);
    let kept_up = service.deployments.iter().find(|of| Some(of.id) == kept_up).cloned();
    if let Some(serving) = kept_up {
        carry_out(txn, service, &serving, None, plan::rolling::keep_up);
    } else if let Some(counts) = plan::stages::counts(service, going, &tally) {
        fleet(txn, service, counts);
    } else if let Some(primary) = service.deployments.first().cloned() {
        let upkeep = plan::upkeep::of(service, going, &tally);
        let unplaced = upkeep.and_then(|upkeep| uphold(txn, service, upkeep));
        let upheld = upkeep.filter(|upkeep| upkeep.holds).map(|upkeep| upkeep.of);
        carry_out(txn, service, &primary, upheld, plan::rolling::plan);
        service.unplaced = unplaced.or(service.unplaced.take());
    }
}

/// Starts what is missing of the revision that serves. Gives why there is no room for it, and since when, where that is so.
fn uphold(txn: &mut Txn, service: &mut ServiceRow, upkeep: Upkeep) -> Option<(String, Timestamp)> {
    let serving = service.deployments.iter().find(|of| of.id == upkeep.of).cloned()?;
    let start = Plan { start: upkeep.start.min(limits::SETTLE_TASKS), ..Plan::default() };
    let may_start = start.start > 0;
    let unplaced = service.unplaced.take();
    let not_yet = |view: &View| if view.may_start { start.clone() } else { Plan::default() };
    if may_start {
        carry_out(txn, service, &serving, None, not_yet);
    }
    std::mem::replace(&mut service.unplaced, unplaced).filter(|_| may_start)
}

/// Brings each of these revisions, or task sets, of a service to so many tasks.
pub fn fleet(txn: &mut Txn, service: &mut ServiceRow, counts: Vec<(DeploymentId, i32)>) {
    service.unplaced = None;
    for (id, count) in counts {
        let Some(revision) = service.deployments.iter().find(|deployment| deployment.id == id).cloned()
        else {
            continue;
        };
        let unplaced = service.unplaced.take();
        carry_out(txn, service, &revision, None, |view| plan::fleet::plan(view, count));
        service.unplaced = unplaced.or(service.unplaced.take());
    }
}

/// Carries out what is planned for a revision. What comes of the one that is `upheld` stays.
fn carry_out(
    txn: &mut Txn,
    service: &mut ServiceRow,
    revision: &DeploymentRow,
    upheld: Option<DeploymentId>,
    planned: impl Fn(&View) -> Plan,
) {
    let definition = txn.ports.account.task_definition(&revision.task_definition).cloned();
    let may_start = definition.is_some() && revision.not_before.is_none_or(|at| at <= txn.now());
    let tally = txn.state.tally(&service.name);
    let going = txn.state.service_deployment(&service.name).map(AsRef::as_ref);
    let cleans = revision.primary && plan::stages::cleans(service, going, &tally);
    let before = service.clone();
    let view = View {
        service: &before,
        primary: revision,
        tally: &tally,
        may_start,
        full: false,
        upheld,
        cleans,
        keeps: false,
    };
    let mut plan = planned(&view);
    if let Some(definition) = &definition {
        let started = start(txn, service, revision, definition, plan.start);
        if plan.start > 0 && started.is_empty() {
            // No room for a new one: outdated ones may have to make it.
            let full = tally.is_whole();
            plan = planned(&View { may_start: false, full, ..view });
        }
    }
    stop(txn, service, task_set(service, revision), &plan);
}

/// The task set that a revision is, of a service that has such: what is done is said of it.
fn task_set(service: &ServiceRow, revision: &DeploymentRow) -> Option<DeploymentId> {
    (service.controller == DeploymentControllerType::External).then_some(revision.id)
}

/// Stops what is to stop of a plan, of a task set where one is named, as much as one step can take, and says so. The
/// others have their turn when the service is settled again, which stopping these sees to.
pub fn stop(txn: &mut Txn, service: &mut ServiceRow, set: Option<DeploymentId>, plan: &Plan) {
    if plan.blocked {
        events::add_blocked(txn, service);
    }
    let mut stopped = Vec::new();
    let going = txn.state.service_deployment(&service.name).map(AsRef::as_ref);
    let (kept_up, mut replaced) = (plan::upkeep::revision(service, going), 0);
    for id in &plan.stop {
        if !stopped.is_empty() && txn.full() {
            break;
        }
        let is_replaced = txn.state.task(id).is_some_and(|task| takes_from(txn, task, kept_up));
        let gone = stop_one(txn, id);
        replaced += usize::from(is_replaced && gone.is_some());
        stopped.extend(gone);
    }
    deployment::replaced(txn, service, replaced);
    if !stopped.is_empty() {
        events::add_of(txn, &service.name, set, &events::stopped(&stopped));
        service.steady = false;
    }
}

/// Whether a task that is stopped is one less of the revision that is kept up: not where another one of it takes its place.
fn takes_from(txn: &Txn, task: &TaskRow, kept_up: Option<DeploymentId>) -> bool {
    let host = task.instance.as_ref().and_then(|id| txn.state.instance(id));
    let leaving = host.is_some_and(|host| host.status.is_to_be_emptied());
    let of = task.service.as_ref().map(|(_, deployment)| *deployment);
    kept_up.is_some() && of == kept_up && !leaving && !task.failed_health
}

/// Stops a task for its service; `None` where it is stopped already.
pub fn stop_one(txn: &mut Txn, id: &TaskId) -> Option<TaskId> {
    let (_, deployment) = txn.state.task(id)?.service.as_ref()?;
    let reason = match txn.state.task(id)?.failed_health {
        true => grace::FAILED.to_owned(),
        false => format!("Scaling activity initiated by (deployment {deployment})"),
    };
    let code = TaskStopCode::ServiceSchedulerInitiated;
    task::stop::want(txn, id, code, reason).map(|row| row.id)
}

/// What a task of a deployment asks for of its host.
///
/// # Errors
/// `InvalidParameterException` for a placement constraint or strategy that cannot be read.
pub fn request(
    service: &ServiceRow,
    deployment: &DeploymentRow,
    definition: &TaskDefinitionRow,
) -> Result<placement::Request, Error> {
    let group = format!("service:{}", service.name);
    let (constraints, order) = (&service.placement_constraints, &service.placement_strategy);
    let request = placement::Request::new(definition, &Default::default(), &group, constraints, order)?;
    Ok(request.on(deployment.launch_type()))
}

fn start(
    txn: &mut Txn,
    service: &mut ServiceRow,
    primary: &DeploymentRow,
    definition: &TaskDefinitionRow,
    count: usize,
) -> Vec<TaskId> {
    let origin = origin(service, primary, definition, &txn.state.row.name);
    let Ok(wanted) = request(service, primary, definition) else { return Vec::new() };
    let share = txn.state.tally(&service.name).share(&primary.id);
    let mut places = Distribution::new(wanted, &primary.capacity_provider_strategy)
        .having(|provider| share.count_of(provider, Class::stays));
    let mut started = Vec::new();
    for _ in 0..count {
        if places.is_over() || !started.is_empty() && txn.full() {
            break;
        }
        if let Some((place, capacity_provider)) = places.place(txn) {
            let origin = Origin { capacity_provider, ..origin.clone() };
            let wait = Wait {
                constraints: &service.placement_constraints,
                order: &service.placement_strategy,
                wishes: Wishes::default(),
            };
            started.push(task::run::begin(txn, definition, origin, place, wait).id);
        }
    }
    let set = task_set(service, primary);
    say_started(txn, service, set, &started);
    let why = places.refused().next().map(|(_, refused)| refused.explain());
    match why {
        Some(why) => {
            txn.state.waits_for(&service.name, places.refused().map(|(request, _)| request));
            unplaced(txn, service, set, &why);
        }
        None => service.unplaced = None,
    }
    started
}

/// Says which tasks were started, if any, of a task set where one is named.
pub fn say_started(txn: &mut Txn, service: &mut ServiceRow, set: Option<DeploymentId>, started: &[TaskId]) {
    if !started.is_empty() {
        events::add_of(txn, &service.name, set, &events::started(started));
        service.steady = false;
    }
}

/// Starts one task of a service's PRIMARY deployment on a given container instance, of this capacity provider or none.
pub fn start_on(
    txn: &mut Txn,
    service: &ServiceRow,
    deployment: &DeploymentRow,
    definition: &TaskDefinitionRow,
    on: InstanceId,
    capacity_provider: Option<Box<str>>,
) -> TaskId {
    let origin = origin(service, deployment, definition, &txn.state.row.name);
    task::run::start(txn, definition, Origin { capacity_provider, ..origin }, on).id
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
        service: Some((service.name.clone(), primary.id)),
        started_by: Some(primary.id.to_string()),
        platform: primary.platform.clone(),
        tags: all,
        enable_execute_command: service.enable_execute_command,
        ..Origin::default()
    }
}

/// Says why a task has no place, once until that changes, and looks again a little later.
pub fn unplaced(txn: &mut Txn, service: &mut ServiceRow, set: Option<DeploymentId>, why: &str) {
    let now = txn.now();
    events::add_once(txn, &service.name, set, &events::unplaced(why));
    service.unplaced = Some((why.to_owned(), now));
    service.wake_at = Some(now.plus_millis(limits::PLACEMENT_RETRY_MS));
    service.steady = false;
}
