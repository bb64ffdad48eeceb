//! Rebalances a service over zones: tasks start in the emptiest ones, and once all of them are healthy as many stop in the
//! fullest ones. It begins only while the service is steady, and never leaves fewer tasks than it wants.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html>

use std::{collections::BTreeMap, sync::Arc};

use wire::Timestamp;

use crate::{
    account::TaskDefinitionRow,
    capacity::distribution::{Distribution, Place},
    cluster::{
        AvailabilityZoneRebalancing, DeploymentRow, RebalancingRow, ServiceRow, TaskId, Txn,
        tally::{Class, Share, Standing, Zone},
    },
    limits,
    placement::{self, Request},
    service::{
        carry, events,
        plan::{percents, zones},
    },
};

/// Does what can be done now.
pub fn advance(txn: &mut Txn, service: &mut ServiceRow, before: &ServiceRow) {
    let is_on = service.availability_zone_rebalancing == AvailabilityZoneRebalancing::Enabled;
    let Some(primary) = service.deployments.first().filter(|_| is_on && !service.daemon()).cloned() else {
        service.rebalancing = None;
        return;
    };
    let tally = txn.state.tally(&service.name);
    let share = tally.share(&primary.id);
    let healthy = share.count(|class| stays(class) && class.standing == Standing::Healthy);
    let all_healthy = tally.count(|_, _| true) == healthy;
    match service.rebalancing {
        Some(of) if of.extra > 0 => {
            let has = i32::try_from(share.count(stays)).unwrap_or(i32::MAX);
            let extra = of.extra.min(has - service.desired_count).max(0);
            let not_before = if extra < of.extra { Some(retry_at(txn)) } else { of.not_before };
            service.rebalancing = Some(RebalancingRow { extra, not_before, from: None });
            if all_healthy && extra > 0 {
                stop(txn, service, &share, extra);
            }
        }
        of if service.steady && all_healthy => {
            let not_before = of.and_then(|of| of.not_before).max(primary.not_before);
            if not_before.is_none_or(|at| at <= txn.now()) {
                start(txn, service, &primary, &share, before);
            }
        }
        _ => {}
    }
}

/// On a container instance that is not to be emptied.
pub(super) fn stays(class: Class) -> bool {
    !class.leaving
}

pub(super) fn retry_at(txn: &Txn) -> Timestamp {
    txn.now().plus_millis(limits::REBALANCING_RETRY_MS)
}

/// Starts tasks where there are too few, as far as maximumPercent allows.
fn start(
    txn: &mut Txn,
    service: &mut ServiceRow,
    primary: &DeploymentRow,
    share: &Share,
    before: &ServiceRow,
) {
    let here = share.zones(stays);
    let has = |zone: &Zone| here.get(zone).copied().unwrap_or_default();
    let mut tasks: BTreeMap<Zone, usize> =
        txn.state.zones().keys().map(|zone| (zone.clone(), has(zone))).collect();
    let ceiling = percents::ceiling(service.desired_count, service.maximum_percent);
    let room = usize::try_from(ceiling - service.desired_count).unwrap_or(0);
    if zones::is_balanced(&tasks) {
        return say_balanced(txn, service, &tasks);
    }
    let definition = txn.ports.account.task_definition(&primary.task_definition).cloned();
    let Some(definition) = definition.filter(|_| room > 0) else { return };
    let Ok(wanted) = carry::request(service, &definition) else { return };
    let strategy = &primary.capacity_provider_strategy;
    let of_providers = strategy.iter().map(|item| wanted.clone().of_provider(&item.capacity_provider));
    let any: Vec<Request> = if strategy.is_empty() { vec![wanted.clone()] } else { of_providers.collect() };
    // A zone where no task of it could ever be is none.
    let is_shut = |(zone, has): (&Zone, &usize)| {
        let shut = *has == 0 && !any.iter().any(|wanted| placement::is_in_zone(&txn.state, wanted, zone));
        shut.then(|| zone.clone())
    };
    let shut: Vec<Zone> = tasks.iter().filter_map(is_shut).collect();
    for zone in shut {
        tasks.remove(&zone);
        wait(txn, service, before, &wanted.in_zone(&zone), events::unplaced_in(&zone));
    }
    let missing = zones::missing(&tasks, room.min(limits::SETTLE_TASKS));
    if missing.is_empty() {
        return say_balanced(txn, service, &tasks);
    }
    if service.rebalancing.is_none() {
        events::add_once(txn, &service.name, None, &events::out_of_balance(&tasks));
    }
    let mut extra = 0;
    for (zone, count) in missing {
        let has = |provider: &str| share.count_of(provider, stays);
        let places = Distribution::new(wanted.in_zone(&zone), strategy).having(has);
        let (started, refused) = start_in(txn, service, &definition, places, count, extra > 0);
        extra += started.len();
        if !started.is_empty() {
            events::add(txn, &service.name, &events::started_in(&zone, &started));
            service.steady = false;
        }
        if refused {
            let why = events::unplaced_in(&zone);
            events::add_once(txn, &service.name, None, &why);
            wait(txn, service, before, &wanted.in_zone(&zone), why);
            let again = retry_at(txn);
            service.wake_at = Some(service.wake_at.map_or(again, |at| at.min(again)));
        }
    }
    if extra > 0 {
        let extra = i32::try_from(extra).unwrap_or(i32::MAX);
        service.rebalancing = Some(RebalancingRow { extra, not_before: None, from: None });
    }
}

/// Starts so many tasks in one zone, of the capacity providers that the service has; the first one whether or not the step has room for more than that. Tells whether there
/// was no room for some.
fn start_in(
    txn: &mut Txn,
    service: &ServiceRow,
    definition: &Arc<TaskDefinitionRow>,
    mut places: Distribution,
    count: usize,
    any: bool,
) -> (Vec<TaskId>, bool) {
    let mut started = Vec::new();
    while started.len() < count && (!txn.full() || !any && started.is_empty()) {
        // None waits for its provider to grow: those that run go on to.
        let Some((Place::On(host), provider)) = places.place(txn) else { return (started, true) };
        started.push(carry::start_on(txn, service, &service.deployments[0], definition, host, provider));
    }
    (started, false)
}

/// It was rebalanced, and is in balance.
fn say_balanced(txn: &mut Txn, service: &mut ServiceRow, tasks: &BTreeMap<Zone, usize>) {
    if service.rebalancing.take().is_some() {
        events::add(txn, &service.name, &events::in_balance(tasks));
    }
}

/// Where there is no room in a zone the service waits for it, as it does for any: since when is not written anew.
fn wait(txn: &mut Txn, service: &mut ServiceRow, before: &ServiceRow, wanted: &Request, why: String) {
    txn.state.waits_for(&service.name, std::iter::once(wanted));
    let since = before.unplaced.as_ref().filter(|(known, _)| *known == why).map(|(_, since)| *since);
    service.unplaced = Some((why, since.unwrap_or(txn.now())));
}

/// Stops as many in the fullest zones. Where the tasks there are protected, all stay until that ends.
fn stop(txn: &mut Txn, service: &mut ServiceRow, share: &Share, extra: i32) {
    let most = usize::try_from(extra).unwrap_or(0).min(limits::SETTLE_TASKS);
    let chosen = zones::of_the_fullest(share.in_zones(most, stays), most);
    let mut stopped: BTreeMap<Zone, Vec<TaskId>> = BTreeMap::new();
    for (zone, (_, id)) in chosen {
        if !stopped.is_empty() && txn.full() {
            break;
        }
        if let Some(id) = carry::stop_one(txn, &id) {
            stopped.entry(zone).or_default().push(id);
        }
    }
    for (zone, ids) in &stopped {
        events::add(txn, &service.name, &events::stopped_in(zone, ids));
    }
    let count = stopped.values().map(Vec::len).sum::<usize>();
    let extra = extra - i32::try_from(count).unwrap_or(extra);
    service.rebalancing = Some(RebalancingRow { extra, not_before: None, from: None });
}
