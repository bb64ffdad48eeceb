//! Moves the tasks of a service whose placement strategy is binpack, and whose tags ask for it, onto fewer container instances:
//! one at a time, each started elsewhere and healthy before the other one stops. It begins only while the service is steady,
//! and never leaves fewer tasks than it wants.

use std::collections::BTreeMap;

use crate::{
    account::TaskDefinitionRow,
    beyond, capacity,
    cluster::{
        DeploymentRow, Desired, InstanceId, Phase, PlacementStrategyType, RebalancingRow, ServiceRow,
        TaskFacet, TaskId, Txn,
        tally::{Class, Standing},
    },
    placement::{self, Capacity, Request},
    service::{
        carry, events,
        plan::{
            packing::{self, Host},
            percents,
        },
    },
};

use super::moves::retry_at;

/// Whether the tasks of a service are to be moved so.
pub fn is_on(service: &ServiceRow) -> bool {
    let first = service.placement_strategy.first();
    !service.daemon()
        && first.is_some_and(|first| first.r#type == Some(PlacementStrategyType::Binpack))
        && beyond::is_packed(&service.tags)
}

/// Does what can be done now.
pub fn advance(txn: &mut Txn, service: &mut ServiceRow) {
    let Some(primary) = service.deployments.first().cloned() else { return };
    let tally = txn.state.tally(&service.name);
    let share = tally.share(&primary.id);
    let healthy = share.count(|class| class.stays() && class.standing == Standing::Healthy);
    let all_healthy = tally.count(|_, _| true) == healthy;
    let of = service.rebalancing.unwrap_or_default();
    if of.extra > 0 {
        let has = i32::try_from(share.count(Class::stays)).unwrap_or(i32::MAX);
        if has <= service.desired_count {
            // One of them has ended: it is no loss, and there is no hurry.
            rest(txn, service);
        } else if all_healthy {
            finish(txn, service, &primary, of.from);
        }
        return;
    }
    let not_before = of.not_before.max(primary.not_before);
    if service.steady && all_healthy && not_before.is_none_or(|at| at <= txn.now()) {
        start(txn, service, &primary, of.from.as_ref());
    }
}

/// Looks again a while later.
fn rest(txn: &Txn, service: &mut ServiceRow) {
    service.rebalancing =
        Some(RebalancingRow { not_before: Some(retry_at(txn)), ..RebalancingRow::default() });
}

/// Starts the next task that moves, where one does and maximumPercent allows it.
fn start(txn: &mut Txn, service: &mut ServiceRow, primary: &DeploymentRow, emptied: Option<&InstanceId>) {
    let definition = txn.ports.account.task_definition(&primary.task_definition).cloned();
    let may = percents::ceiling(service.desired_count, service.maximum_percent) > service.desired_count;
    let Some(definition) = definition.filter(|_| may) else { return rest(txn, service) };
    let Some((from, to)) = next(txn, service, primary, &definition, emptied) else {
        return rest(txn, service);
    };
    // It goes where others of the same capacity provider are.
    let host = txn.state.instance(&to).filter(|_| !primary.capacity_provider_strategy.is_empty());
    let provider = host.and_then(|row| capacity::of_instance(row)).map(Box::from);
    let started = carry::start_on(txn, service, primary, &definition, to, provider);
    events::add(txn, &service.name, &events::started_to_empty(&from, &started));
    service.steady = false;
    service.rebalancing = Some(RebalancingRow { extra: 1, not_before: None, from: Some(from) });
}

/// Which task moves next, by a look at each of the service's own: of container instances of one capacity provider, where it
/// has a strategy.
fn next(
    txn: &Txn,
    service: &ServiceRow,
    primary: &DeploymentRow,
    definition: &TaskDefinitionRow,
    emptied: Option<&InstanceId>,
) -> Option<(InstanceId, InstanceId)> {
    let wanted = carry::request(service, primary, definition).ok()?;
    let mut has: BTreeMap<InstanceId, (usize, bool)> = BTreeMap::new();
    for task in txn.state.tasks_by(TaskFacet::Service(&service.name), &[Phase::Running]) {
        let (tasks, may_go) = has.entry(task.instance?).or_insert((0, true));
        (*tasks, *may_go) = (*tasks + 1, *may_go && task.protected_until.is_none());
    }
    let has_strategy = !primary.capacity_provider_strategy.is_empty();
    let mut hosts: BTreeMap<Option<&str>, Vec<Host>> = BTreeMap::new();
    for (id, (tasks, may_be_emptied)) in has {
        let provider =
            txn.state.instance(&id).and_then(|row| capacity::of_instance(row)).filter(|_| has_strategy);
        let most = usize::try_from(service.desired_count).unwrap_or(0);
        let room = room(txn, &wanted, &id).min(most);
        hosts.entry(provider).or_default().push(Host { id, tasks, may_be_emptied, room });
    }
    hosts.values().find_map(|hosts| packing::next(hosts, emptied))
}

/// How many more tasks a container instance could take.
fn room(txn: &Txn, wanted: &Request, id: &InstanceId) -> usize {
    match placement::place_on(txn.state, wanted, id) {
        Ok(()) => Capacity::of(txn.state, id).map_or(0, |host| wanted.fit_into(&host)),
        Err(_) => 0,
    }
}

/// Stops one task on the container instance that is being emptied. Where none there may go any more, the one that was
/// started is one too many, and goes as such.
fn finish(txn: &mut Txn, service: &mut ServiceRow, primary: &DeploymentRow, from: Option<InstanceId>) {
    let own = Some((service.name.clone(), primary.id));
    let newest = from.and_then(|from| {
        let there = txn.state.tasks_on(&from).filter(|task| {
            task.service == own && task.desired == Desired::Running && task.protected_until.is_none()
        });
        let newest: Option<(_, TaskId)> = there.map(|task| (task.created_at, task.id)).max();
        newest.map(|(_, id)| (from, id))
    });
    let Some((from, id)) = newest else { return rest(txn, service) };
    if let Some(stopped) = carry::stop_one(txn, &id) {
        events::add(txn, &service.name, &events::stopped_to_empty(&from, &stopped));
    }
    service.rebalancing = Some(RebalancingRow { extra: 0, not_before: None, from: Some(from) });
}
