//! Of services, at the end: each that has room has what it wants, in balance and as its task sets say.

use std::collections::BTreeMap;

use ::ecs::{
    Cluster,
    cluster::{
        AvailabilityZoneRebalancing, CapacityProviderStrategyItem, DeploymentControllerType,
        DeploymentRolloutState, Desired, ServiceRow, ServiceStatus, TaskStatus,
    },
    service::plan::external,
};

use super::{
    room::{self, Wanted},
    want,
};
use crate::{users::definitions::is_restless, world::World};

/// What is not at rest, if anything.
pub fn at_rest(world: &World, state: &Cluster) -> Option<String> {
    state.services().find_map(|service| match service.status {
        ServiceStatus::Inactive => None,
        ServiceStatus::Draining => Some(format!("service {} is still DRAINING", service.name)),
        ServiceStatus::Active if is_excused(world, state, service) => None,
        ServiceStatus::Active => match service.controller {
            DeploymentControllerType::Ecs => steady(state, service).or_else(|| in_balance(state, service)),
            DeploymentControllerType::External => scaled(state, service),
        },
    })
}

/// Tasks that wait for their provider to grow, and those that are protected for longer than anybody can say, since the clock
/// was set.
fn is_excused(world: &World, state: &Cluster, service: &ServiceRow) -> bool {
    state
        .tasks_of_service(&service.name)
        .any(|task| task.is_provisioning() || task.protected_until.is_some() && world.sets_clocks())
}

fn steady(state: &Cluster, service: &ServiceRow) -> Option<String> {
    // Percentages that leave no room for a step, up or down, stand still in ECS too.
    let wedged = want(service).floor() >= want(service).ceiling();
    let primary = &service.deployments[0];
    let failed = service.deployments.len() > 1 && primary.consecutive_failures > 0
        || primary.rollout == DeploymentRolloutState::Failed;
    // Where an instance waits for a daemon that has no room nothing else starts.
    let waits = service.daemon() && state.instances().any(|row| row.is_held());
    if is_restless(&service.task_definition.family) || service.steady || wedged || failed || waits {
        return None;
    }
    if service.unplaced.is_some() {
        return lacks_room(state, service);
    }
    let (running, pending) = state.totals().task_counts();
    Some(format!(
        "service {} is not at rest: {:?} wants {}, {running} running, {pending} pending, {:?}",
        service.name, service.status, service.desired_count, service.deployments
    ))
}

/// Where a service says that it has no room there is none.
fn lacks_room(state: &Cluster, service: &ServiceRow) -> Option<String> {
    let primary = &service.deployments[0];
    if !service.placement_constraints.is_empty() || primary.not_before.is_some() || service.daemon() {
        return None;
    }
    let provider = provider(&primary.capacity_provider_strategy)?;
    let wanted = Wanted { family: &service.task_definition.family, provider };
    let host = room::found(state, &wanted)?;
    Some(format!("service {} has no room, which is on {host}: {:?}", service.name, service.unplaced))
}

/// The capacity provider that all tasks of a strategy go to, if any does: a strategy of several gives each task to one of
/// them, which may be the one that is full.
fn provider(strategy: &[CapacityProviderStrategyItem]) -> Option<Option<&str>> {
    match strategy {
        [] => Some(None),
        [only] => Some(Some(&only.capacity_provider)),
        _ => None,
    }
}

/// Its zones have the same number of tasks, or one more, where it is to be so and can be.
fn in_balance(state: &Cluster, service: &ServiceRow) -> Option<String> {
    let is_on = service.availability_zone_rebalancing == AvailabilityZoneRebalancing::Enabled;
    let has_room = want(service).ceiling() > service.desired_count;
    let anywhere = service.placement_constraints.is_empty();
    let primary = &service.deployments[0];
    let by_provider = !primary.capacity_provider_strategy.is_empty();
    if !is_on || !has_room || !anywhere || by_provider || !service.steady || service.unplaced.is_some() {
        return None;
    }
    if is_restless(&service.task_definition.family) {
        return None;
    }
    let mut zones: BTreeMap<&str, usize> = state.zones().keys().map(|zone| (&**zone, 0)).collect();
    let live = state.tasks_of_service(&service.name);
    for task in live.filter(|task| task.desired == Desired::Running && task.last != TaskStatus::Stopped) {
        let host = task.instance.and_then(|id| state.instance(&id));
        let zone = host.and_then(|host| host.attributes.iter().find(|one| one.name == ::ecs::instance::ZONE));
        let zone = zone.and_then(|one| one.value.as_deref()).unwrap_or_default();
        *zones.entry(zone).or_default() += 1;
    }
    let (least, most) = (zones.values().min()?, zones.values().max()?);
    (most - least > 1).then(|| format!("service {} is out of balance: {zones:?}", service.name))
}

/// Each task set has its share, and the healthy ones are as many as it says.
fn scaled(state: &Cluster, service: &ServiceRow) -> Option<String> {
    for set in state.task_sets(&service.name) {
        if set.draining {
            return Some(format!("task set {} of service {} is still DRAINING", set.id, service.name));
        }
        let count = external::computed(service.desired_count, set.scale);
        let of = super::Want { desired: count, ..want(service) };
        let deployment = service.deployments.iter().find(|deployment| deployment.id == set.id);
        let fails = deployment.is_some_and(|deployment| deployment.consecutive_failures > 0);
        let family = &set.task_definition.family;
        if is_restless(family) || fails || of.floor() >= of.ceiling() && count > 0 {
            continue;
        }
        let live = state.tasks_of_service(&service.name).filter(|task| {
            let own = task.service.as_ref().is_some_and(|(_, id)| *id == set.id);
            own && task.desired == Desired::Running && task.last == TaskStatus::Running
        });
        let live = i32::try_from(live.count()).unwrap_or(i32::MAX);
        let lacks_room = service.unplaced.is_some() && live < count;
        if live != count && !lacks_room {
            let whose = format!("task set {} of service {}", set.id, service.name);
            return Some(format!("{whose} has {live} tasks, its share is {count}: {service:?}"));
        }
        let anywhere = lacks_room && service.placement_constraints.is_empty();
        let provider = deployment.and_then(|deployment| provider(&deployment.capacity_provider_strategy));
        let wanted = provider.filter(|_| anywhere).map(|provider| Wanted { family, provider });
        if let Some(host) = wanted.and_then(|wanted| room::found(state, &wanted)) {
            return Some(format!("a task set of service {} has no room, which is on {host}", service.name));
        }
    }
    None
}
