//! What must hold after every step; and ([`rest`]) at the end.

mod bounds;
mod daemons;
pub mod kept;
mod rest;
mod room;
mod services;

use std::{collections::BTreeSet, sync::Arc};

pub use self::{bounds::staged, rest::at_rest};

use ::ecs::{
    Cluster, capacity,
    cluster::{Desired, InstanceStatus, Key, ServiceName, ServiceRow, ServiceStatus, TaskRow, TaskStopCode},
    invariants, limits,
    service::plan::Want,
};
use server::services::ecs::ClusterHandle;
use state::Delta;

use crate::{breaks, world::World};

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
        let broken = match breaks::of_step(&world, delta) {
            Some(after) => {
                after_step(&world, &Delta { keys: delta.keys, before: delta.before, after: &after })
            }
            None => after_step(&world, delta),
        };
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
                Some(row) => {
                    let TaskRow { task_definition: of, last, desired, stop, .. } = row.as_ref();
                    format!(
                        "  {key:?} {of} of {} on {:?}: {last:?} {desired:?} {stop:?}",
                        row.group, row.instance
                    )
                }
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
            Key::Daemon(name) => match delta.after.daemon_row(name) {
                Some(row) => {
                    format!("  {key:?}: {:?} to {:?} unplaced {:?}", row.status, row.target, row.unplaced)
                }
                None => format!("  {key:?} is gone"),
            },
            _ => format!("  {key:?}"),
        });
    }
}

/// What a step broke, if anything: costs by what it changed.
fn after_step(world: &World, delta: &Delta<Cluster>) -> Option<String> {
    let waiting = delta.after.provisioning();
    if waiting > limits::PROVISIONING_TASKS {
        return Some(format!("{waiting} tasks wait in PROVISIONING"));
    }
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
                    .or_else(|| before.zip(after).and_then(|(old, row)| kept(world, delta.after, old, row)))
                    .or_else(|| after.and_then(|task| placed(delta, before.map(AsRef::as_ref), task)))
                    .or_else(|| after.and_then(|task| alone(delta.after, task)))
                    .or_else(|| after.and_then(|task| daemons::alone(delta.after, task)))
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
    kept::after_step(world, delta)
        .or_else(|| services.into_iter().find_map(|name| bounds::kept(delta.before, delta.after, name)))
}

/// No task goes back or elsewhere, and no reason is replaced.
fn forward_only(old: &TaskRow, row: &TaskRow) -> Option<String> {
    if row.last < old.last || row.desired < old.desired {
        return Some(format!("task {} went back from {:?} to {:?}", row.id, old.last, row.last));
    }
    if old.stop.is_some() && old.stop != row.stop {
        return Some(format!("task {} changed its reason", row.id));
    }
    (old.instance.is_some() && old.instance != row.instance)
        .then(|| format!("task {} went from one container instance to another", row.id))
}

/// No task is chosen to be stopped that is protected: but where its service goes, and where nothing is chosen, as its host is
/// lost or its health says so.
fn kept(world: &World, after: &Cluster, old: &TaskRow, row: &TaskRow) -> Option<String> {
    let stop = row.stop.as_ref().filter(|_| old.stop.is_none())?;
    let is_protected = old.protected_until.is_some_and(|until| until > stop.at);
    let scheduled =
        stop.code == TaskStopCode::ServiceSchedulerInitiated && stop.reason.starts_with("Scaling");
    let (name, _) = row.service.as_ref()?;
    let stays = after.service(name).is_some_and(|service| service.status == ServiceStatus::Active);
    let deleted = stop.reason == "Service was deleted." && stays;
    let chosen = is_protected && (scheduled || deleted) && !world.record.lock().may_be_loose(&row.id);
    chosen.then(|| format!("task {} is protected, and was chosen to be stopped", row.id))
}

/// A task of a capacity provider comes to a container instance of it; and what belongs to no daemon to none that waits for one
/// or is to be emptied.
fn placed(delta: &Delta<Cluster>, before: Option<&TaskRow>, task: &TaskRow) -> Option<String> {
    let host = task.instance.filter(|_| before.is_none_or(|before| before.instance.is_none()))?;
    // Whatever else the step did to the host may have come before or after.
    let mut rows = [delta.before.instance(&host), delta.after.instance(&host)].into_iter().flatten();
    let provider = task.capacity_provider.as_deref();
    if provider.is_some() && !rows.clone().any(|row| capacity::of_instance(row) == provider) {
        return Some(format!("task {} of {provider:?} is on {host}, which is another's", task.id));
    }
    let is_open = task.daemon.is_some() || rows.any(|row| row.status == InstanceStatus::Active);
    (!is_open).then(|| format!("task {} came to {host}, which takes none", task.id))
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

fn want(service: &ServiceRow) -> Want {
    Want {
        desired: service.desired_count,
        minimum_healthy_percent: service.minimum_healthy_percent,
        maximum_percent: service.maximum_percent,
        may_start: true,
        ..Want::default()
    }
}
