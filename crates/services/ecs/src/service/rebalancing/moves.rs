//! Rebalances a service over zones: tasks start in the emptiest ones, and once all of them are healthy as many stop in the
//! fullest ones. It begins only while the service is steady, and never leaves fewer tasks than it wants.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html>

use std::{collections::BTreeMap, sync::Arc};

use wire::Timestamp;

use crate::{
    account::TaskDefinitionRow,
    cluster::{
        AvailabilityZoneRebalancing, CapacityProviderStrategyItem as Item, DeploymentRow, RebalancingRow,
        ServiceRow, TaskId, Txn,
        tally::{Class, Place, Share, Standing, Zone},
    },
    limits,
    placement::{self, Places, Request},
    service::{
        carry, events,
        plan::{
            percents,
            zones::{self, Movers},
        },
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
    let healthy = share.count(|class| class.stays() && class.standing == Standing::Healthy);
    let all_healthy = tally.count(|_, _| true) == healthy;
    match service.rebalancing {
        Some(of) if of.extra > 0 => {
            let has = i32::try_from(share.count(Class::stays)).unwrap_or(i32::MAX);
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
    let here = share.zones(Class::stays);
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
    let Ok(wanted) = carry::request(service, primary, &definition) else { return };
    let strategy = &primary.capacity_provider_strategy;
    let of_providers = strategy.iter().map(|item| wanted.clone().of_provider(&item.capacity_provider));
    let any: Vec<Request> = if strategy.is_empty() { vec![wanted.clone()] } else { of_providers.collect() };
    // A zone where no task of it could ever be is none.
    let is_shut = |(zone, has): (&Zone, &usize)| {
        let shut = *has == 0 && !any.iter().any(|wanted| placement::is_in_zone(txn.state, wanted, zone));
        shut.then(|| zone.clone())
    };
    let mut without: Vec<Zone> = tasks.iter().filter_map(is_shut).collect();
    tasks.retain(|zone, _| !without.contains(zone));
    let missing = zones::missing(&tasks, room.min(limits::SETTLE_TASKS));
    if missing.is_empty() {
        wait(txn, service, before, &any, &without);
        return say_balanced(txn, service, &tasks);
    }
    if service.rebalancing.is_none() {
        events::add_once(txn, &service.name, None, &events::out_of_balance(&tasks));
    }
    let of_provider = |item: &Item| share.zones_of(&item.capacity_provider, Class::stays);
    let mut movers = Movers::new(strategy, tasks, strategy.iter().map(of_provider).collect());
    let mut extra = 0;
    for (zone, count) in missing {
        let (started, refused) =
            start_in(txn, service, &definition, &mut movers, (&zone, &any), count, extra > 0);
        extra += started.len();
        if !started.is_empty() {
            events::add(txn, &service.name, &events::started_in(&zone, &started));
            service.steady = false;
        }
        if refused {
            events::add_once(txn, &service.name, None, &events::unplaced_in(&zone));
            let again = retry_at(txn);
            service.wake_at = Some(service.wake_at.map_or(again, |at| at.min(again)));
            without.push(zone);
        }
    }
    wait(txn, service, before, &any, &without);
    if extra > 0 {
        let extra = i32::try_from(extra).unwrap_or(i32::MAX);
        service.rebalancing = Some(RebalancingRow { extra, not_before: None, from: None });
    }
}

/// Starts so many tasks in one zone, of the capacity providers of those that go elsewhere for them; the first one whether or
/// not the step has room for more than that. Tells whether there was no room for some.
fn start_in(
    txn: &mut Txn,
    service: &ServiceRow,
    definition: &Arc<TaskDefinitionRow>,
    movers: &mut Movers,
    (zone, any): (&Zone, &[Request]),
    count: usize,
    has_some: bool,
) -> (Vec<TaskId>, bool) {
    let mut places: Vec<Option<Places>> =
        any.iter().map(|wanted| Some(Places::new(wanted.in_zone(zone)))).collect();
    let mut started = Vec::new();
    while started.len() < count && (!txn.full() || !has_some && started.is_empty()) {
        let next = movers.next(|at| places[at].is_some());
        let Some((at, of)) = next.and_then(|at| Some((at, places[at].as_mut()?))) else {
            return (started, true);
        };
        // None waits for its provider to grow: those that run go on to.
        let Ok(host) = of.next(txn.state, txn.ids) else {
            places[at] = None;
            continue;
        };
        let provider = of.request().provider().map(Box::from);
        movers.moved(at);
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

/// Where there is no room in some zones the service waits for it in each of them, as it does for any: since when is not
/// written anew. Of many it waits for room in any.
fn wait(txn: &mut Txn, service: &mut ServiceRow, before: &ServiceRow, any: &[Request], zones: &[Zone]) {
    if zones.is_empty() {
        return;
    }
    let in_zones = |wanted| zones.iter().map(move |zone| Request::in_zone(wanted, zone));
    let wanted: Vec<Request> = match zones.len() > limits::REFUSED_NAMED {
        true => any.to_vec(),
        false => any.iter().flat_map(in_zones).collect(),
    };
    txn.state.waits_for(&service.name, wanted.iter());
    let why = events::unplaced_in_all(zones);
    let since = before.unplaced.as_ref().filter(|(known, _)| *known == why).map(|(_, since)| *since);
    service.unplaced = Some((why, since.unwrap_or(txn.now())));
}

/// Stops as many in the fullest zones. Where the tasks there are protected, all stay until that ends.
fn stop(txn: &mut Txn, service: &mut ServiceRow, share: &Share, extra: i32) {
    let most = usize::try_from(extra).unwrap_or(0).min(limits::SETTLE_TASKS);
    let strategy = &service.deployments[0].capacity_provider_strategy;
    let chosen = match strategy.is_empty() {
        true => zones::of_the_fullest(share.in_zones(most, Class::stays), most),
        false => of_providers(strategy, share, service.desired_count, most),
    };
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

/// The tasks to stop of a service with a capacity provider strategy.
fn of_providers(strategy: &[Item], share: &Share, desired: i32, most: usize) -> Vec<(Zone, Place)> {
    let counts = |item: &Item| share.zones_of(&item.capacity_provider, Class::stays);
    let mut movers = Movers::new(strategy, share.zones(Class::stays), strategy.iter().map(counts).collect());
    let may_go = |item: &Item| share.may_go_of(&item.capacity_provider, most, Class::stays);
    let mut may_go: Vec<BTreeMap<Zone, Vec<Place>>> = strategy.iter().map(may_go).collect();
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let Some((zone, place)) = movers.stop(&mut may_go, desired) else { break };
        chosen.push((zone, place));
    }
    chosen
}
