//! What must hold: after every step, and at the end.

use std::{collections::BTreeSet, sync::Arc};

use ::ecs::{
    Cluster, arn,
    cluster::{
        DeploymentRolloutState, Desired, HealthStatus, Key, ServiceName, ServiceRow, ServiceStatus, TaskRow,
        TaskStatus, TaskStopCode, tally::Standing,
    },
    invariants,
    service::plan::Want,
};
use server::services::ecs::ClusterHandle;
use state::{Delta, contract::Tells, outbox::Sends};

use crate::{
    server::{CLUSTER, Server, place},
    world::World,
};

/// Every so many steps all of the state is checked.
const ALL_EVERY: u64 = 24;

/// Has each step of a cluster checked.
pub fn follow(world: &Arc<World>, cluster: &ClusterHandle) {
    let world = world.clone();
    cluster.follow(Box::new(move |delta| {
        let mut steps = 0;
        world.outcome(|outcome| {
            outcome.steps += 1;
            steps = outcome.steps;
        });
        if world.tells() {
            tell(&world, delta);
        }
        let broken = after_step(delta);
        let all =
            || if steps.is_multiple_of(ALL_EVERY) { invariants::check(delta.after).pop() } else { None };
        if let Some(broken) = broken.or_else(all) {
            world.fail(broken);
        }
    }));
}

fn tell(world: &World, delta: &Delta<Cluster>) {
    for key in delta.keys {
        world.tell(|| match key {
            Key::Task(id) => match delta.after.task(id) {
                Some(row) => format!("  {key:?}: {:?} {:?} {:?}", row.last, row.desired, row.stop),
                None => format!("  {key:?} is gone"),
            },
            Key::Instance(id) => match delta.after.instance(id) {
                Some(row) => format!("  {key:?}: {:?} connected {}", row.status, row.agent_connected),
                None => format!("  {key:?} is gone"),
            },
            Key::Service(name) => match delta.after.service(name) {
                Some(row) => {
                    format!("  {key:?}: {:?} {} steady {}", row.status, row.desired_count, row.steady)
                }
                None => format!("  {key:?} is gone"),
            },
            _ => format!("  {key:?}"),
        });
    }
}

/// What a step broke, if anything: costs by what it changed.
fn after_step(delta: &Delta<Cluster>) -> Option<String> {
    let mut services: BTreeSet<&ServiceName> = BTreeSet::new();
    for key in delta.keys {
        let broken = match key {
            Key::Task(id) => {
                let (before, after) = (delta.before.task(id), delta.after.task(id));
                let of = after.and_then(|task| task.service.as_ref()).map(|(name, _)| name);
                services.extend(of);
                before
                    .zip(after)
                    .and_then(|(before, after)| forward_only(before, after))
                    .or_else(|| after.and_then(|task| alone(delta.after, task)))
            }
            Key::Service(name) => {
                services.insert(name);
                None
            }
            Key::ServiceDeployment(id) => {
                let old = delta.before.service_deployment_by_number(id);
                let new = delta.after.service_deployment_by_number(id);
                let changed = old.zip(new).filter(|(old, new)| {
                    old.status.has_ended()
                        && (old.status, &old.end) != (new.status, &new.end)
                        && old.id == new.id
                });
                changed.map(|(_, row)| format!("deployment {} changed after its end", row.id))
            }
            Key::Instance(id) => {
                delta.after.instance(id).zip(delta.after.usage(id)).and_then(|(row, usage)| {
                    let over =
                        usage.used.cpu > row.registered.cpu || usage.used.memory > row.registered.memory;
                    over.then(|| format!("container instance {id} is oversubscribed"))
                })
            }
            _ => None,
        };
        if broken.is_some() {
            return broken;
        }
    }
    services.into_iter().find_map(|name| floors(delta.before, delta.after, name))
}

/// No task goes back or elsewhere, and no reason is replaced.
fn forward_only(old: &TaskRow, row: &TaskRow) -> Option<String> {
    if row.last < old.last || row.desired < old.desired {
        return Some(format!("task {} went back from {:?} to {:?}", row.id, old.last, row.last));
    }
    if old.stop.is_some() && old.stop != row.stop {
        return Some(format!("task {} changed its reason", row.id));
    }
    let chosen = row.stop.as_ref().filter(|stop| old.stop.is_none() && stop.reason.starts_with("Scaling"));
    if chosen.is_some_and(|stop| old.protected_until.is_some_and(|until| until > stop.at)) {
        return Some(format!("task {} is protected, and was chosen to be stopped", row.id));
    }
    (old.instance.is_some() && old.instance != row.instance)
        .then(|| format!("task {} went from one container instance to another", row.id))
}

/// A daemon has no two tasks of one deployment on a container instance.
fn alone(state: &Cluster, task: &TaskRow) -> Option<String> {
    let (name, deployment) = task.service.as_ref()?;
    if task.desired == Desired::Stopped || !state.service(name)?.daemon() {
        return None;
    }
    let same = |other: &&Arc<TaskRow>| {
        other.desired == Desired::Running && other.service.as_ref() == Some(&(name.clone(), *deployment))
    };
    let many = state.tasks_on(task.instance.as_ref()?).filter(same).count();
    (many > 1).then(|| format!("daemon {name} has {many} tasks on one container instance"))
}

/// By its own act a service never goes below its floor, nor above its ceiling. What else a step did, as reports and users
/// that came with it, may have come before or after: it is given the benefit of the doubt.
fn floors(before: &Cluster, after: &Cluster, name: &ServiceName) -> Option<String> {
    let service = after.service(name).filter(|row| row.status == ServiceStatus::Active && !row.daemon())?;
    // One that goes by stages has the tasks of two revisions beside each other.
    let by_stages = |state: &Cluster| state.service_deployment(name).is_some_and(|row| row.course.is_some());
    if by_stages(before) || by_stages(after) {
        return None;
    }
    let old = before.service(name).filter(|row| row.status == ServiceStatus::Active);
    let healthy = |task: &TaskRow| task.standing() == Some(Standing::Healthy);
    let (mut stopped, mut lost, mut left, mut live) = (0, 0, 0, 0);
    for task in after.tasks_of_service(name) {
        live += usize::from(task.desired == Desired::Running);
        if healthy(task) {
            left += 1;
        } else if before.task(&task.id).is_some_and(|old| healthy(old)) {
            let own = task.stop.as_ref().is_some_and(|stop| {
                stop.code == TaskStopCode::ServiceSchedulerInitiated && stop.reason.starts_with("Scaling")
            });
            *(if own && is_sound(task) { &mut stopped } else { &mut lost }) += 1;
        }
    }
    let had = old.map(|old| want(old));
    let want = want(service);
    let floor = want.floor().min(had.map_or(0, |had| had.floor()));
    let floor = usize::try_from(floor).unwrap_or(0);
    if stopped > 0 && left + lost < floor {
        return Some(format!("service {name} stopped {stopped} healthy tasks and has {left} of {floor}"));
    }
    let ceiling = want.ceiling().max(service.desired_count).max(had.map_or(0, |had| had.ceiling()));
    let ceiling = usize::try_from(ceiling).unwrap_or(0);
    let live_before =
        || before.tasks_of_service(name).filter(|task| task.desired == Desired::Running).count();
    (live > ceiling && live > live_before())
        .then(|| format!("service {name} started {live} tasks, its ceiling is {ceiling}"))
}

/// Whether no health check says otherwise: one that failed in the same step was no loss.
fn is_sound(task: &TaskRow) -> bool {
    let mut checked = task.containers.iter().filter(|one| one.essential && one.health_checked);
    checked.all(|one| one.health == HealthStatus::Healthy)
}

fn want(service: &ServiceRow) -> Want {
    Want {
        desired: service.desired_count,
        moving: 0,
        minimum_healthy_percent: service.minimum_healthy_percent,
        maximum_percent: service.maximum_percent,
        may_start: true,
        one_at_a_time: false,
        stalled: false,
    }
}

/// What is not at rest, if anything: no task is half way, every service that has room has what it wants, what the rows say
/// is what machines do, and nothing waits between one part and another.
pub fn at_rest(world: &World, server: &Server) -> Option<String> {
    let Some(visible) = server.state() else { return Some("the cluster is not there".to_owned()) };
    let state = &visible.state;
    connected(world, state)
        .or_else(|| tasks(world, state))
        .or_else(|| services(state))
        .or_else(|| told(world, server, state))
        .or_else(|| contracts(world, server, state))
}

fn is_restless(family: &str) -> bool {
    matches!(family, "crash" | "gone" | "short")
}

/// Every machine's agent is connected.
fn connected(world: &World, state: &Cluster) -> Option<String> {
    world.machines.iter().find_map(|machine| {
        let arn = machine.host.lock().ledger.instance.clone();
        let id = arn.as_deref().and_then(|arn| arn.rsplit('/').next());
        let row = id.and_then(::ecs::cluster::InstanceId::parse).and_then(|id| state.instance(&id));
        let there = row.is_some_and(|row| row.agent_connected);
        (!there).then(|| format!("the agent of machine {} is not connected", machine.number))
    })
}

fn tasks(world: &World, state: &Cluster) -> Option<String> {
    let runs = world.runs.lock();
    for task in state.tasks().filter(|task| !is_restless(&task.task_definition.family)) {
        let settled = match task.last {
            TaskStatus::Running => task.desired == Desired::Running,
            last => last == TaskStatus::Stopped,
        };
        if !settled {
            return Some(format!("task {} is still {:?} (desired {:?})", task.id, task.last, task.desired));
        }
        if task.last == TaskStatus::Running && !runs.contains_key(&task.id.to_string()) {
            return Some(format!("task {} is RUNNING, and runs nowhere", task.id));
        }
    }
    let wanted = |id: &String| {
        let task = ::ecs::cluster::TaskId::parse(id).and_then(|id| state.task(&id));
        task.is_some_and(|task| task.desired == Desired::Running || is_restless(&task.task_definition.family))
    };
    let unwanted = runs.keys().find(|id| !wanted(id));
    unwanted.map(|id| format!("task {id} runs, and nobody wants it"))
}

fn services(state: &Cluster) -> Option<String> {
    for (whose, kept) in state.residents() {
        let active = state.totals().instances.active;
        if kept.eligible().len() != active || !kept.changed().is_empty() {
            return Some(format!("{whose:?} is not at rest: {kept:?} among {active} instances"));
        }
    }
    for service in state.services() {
        let settled = match service.status {
            ServiceStatus::Inactive => true,
            ServiceStatus::Draining => false,
            ServiceStatus::Active => {
                // Percentages that leave no room for a step, up or down, stand still in ECS too.
                let wedged = want(service).floor() >= want(service).ceiling();
                service.steady
                    || wedged
                    || service.unplaced.is_some()
                    || is_restless(&service.task_definition.family)
                    || service.deployments.len() > 1 && service.deployments[0].consecutive_failures > 0
                    || service.deployments[0].rollout == DeploymentRolloutState::Failed
            }
        };
        if !settled {
            let (running, pending) = state.totals().task_counts();
            return Some(format!(
                "service {} is not at rest: {:?} wants {}, {running} running, {pending} pending, {:?}",
                service.name, service.status, service.desired_count, service.deployments
            ));
        }
    }
    None
}

/// The bus has heard how each task is that is still remembered.
fn told(world: &World, server: &Server, state: &Cluster) -> Option<String> {
    let bus = world.bus.lock();
    let lost = state.outgoing().sequence().unwrap_or_default().lost;
    if !bus.rule_stands || lost > 0 {
        return None;
    }
    let ctx = server.homes.own().ctx("", world.now());
    let since = bus.rule_stood_at;
    for task in state.tasks().filter(|task| task.created_at > since) {
        let arn = arn::task(&ctx, CLUSTER, task.id);
        let told = bus.last_of(&arn);
        if !is_restless(&task.task_definition.family)
            && told != Some((task.last.as_str(), task.desired.as_str()))
        {
            return Some(format!("of task {} was told {told:?}, it is {:?}", task.id, task.last));
        }
    }
    None
}

/// What goes from one part to another has come there.
fn contracts(world: &World, server: &Server, state: &Cluster) -> Option<String> {
    let many = state.outgoing().len();
    if many > 200 {
        return Some(format!("{many} events wait for the bus"));
    }
    let scheduler = server.scheduler.shards()?.known(&place());
    if let Some(waits) = scheduler.map(|shard| shard.read().state.outbox().len()).filter(|many| *many > 0) {
        return Some(format!("{waits} runs of schedules wait"));
    }
    let events = server.events.shards()?.known(&place())?.read();
    // What restless tasks say is on its way all the time.
    if events.state.outbox().len() > 200 {
        return Some(format!("{} deliveries wait", events.state.outbox().len()));
    }
    if events.state.dead_letters().next().is_some() {
        return None;
    }
    let bus = world.bus.lock();
    let waits: BTreeSet<String> = events.state.deliveries().map(|row| row.call.input.to_string()).collect();
    let came =
        |id: &&String| world.delivered.has(id) || waits.iter().any(|input| input.contains(id.as_str()));
    bus.to_deliver.iter().find(|id| !came(id)).map(|id| format!("event {id} was never delivered"))
}
