//! How the tasks of a service are spread over zones: how many go where when it is rebalanced, and in which zones tasks
//! are stopped first. Pure.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html>

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    capacity::strategy,
    cluster::tally::{InZone, Place, Zone},
    instance::ZONE,
    rows::{CapacityProviderStrategyItem as Item, PlacementStrategyType, ServiceRow},
};

/// Whether the tasks of a service are placed over the zones before anything else: it names no strategy, or that first.
pub fn are_spread_over(service: &ServiceRow) -> bool {
    service.placement_strategy.first().is_none_or(|first| {
        let field = first.field.as_deref().and_then(|field| field.strip_prefix("attribute:"));
        first.r#type == Some(PlacementStrategyType::Spread) && field == Some(ZONE)
    })
}

/// Whether no zone has more than one task more than another.
pub fn is_balanced(tasks: &BTreeMap<Zone, usize>) -> bool {
    let (fewest, most) = (tasks.values().min(), tasks.values().max());
    most.zip(fewest).is_none_or(|(most, fewest)| most - fewest <= 1)
}

/// How many tasks to start in which zones, so that the zones are in balance once as many have stopped in the others: no
/// more than it takes, and no more than `most`, the emptiest zones first.
pub fn missing(tasks: &BTreeMap<Zone, usize>, most: usize) -> BTreeMap<Zone, usize> {
    let (all, zones) = (tasks.values().sum::<usize>(), tasks.len().max(1));
    if is_balanced(tasks) {
        return BTreeMap::new();
    }
    // The zones that have the most keep one more, where it does not come out even.
    let mut order: Vec<(&Zone, usize)> = tasks.iter().map(|(zone, tasks)| (zone, *tasks)).collect();
    order.sort_by_key(|(zone, tasks)| (Reverse(*tasks), *zone));
    let share = |at: usize| all / zones + usize::from(at < all % zones);
    let mut lacks: Vec<(&Zone, usize, usize)> = Vec::new();
    for (at, (zone, has)) in order.into_iter().enumerate() {
        if share(at) > has {
            lacks.push((zone, has, share(at) - has));
        }
    }
    let mut missing = BTreeMap::new();
    for _ in 0..most {
        let emptiest = lacks.iter_mut().filter(|(_, _, lacks)| *lacks > 0);
        let Some((zone, has, lacks)) = emptiest.min_by_key(|(zone, has, _)| (*has, *zone)) else { break };
        (*has, *lacks) = (*has + 1, *lacks - 1);
        *missing.entry((*zone).clone()).or_default() += 1;
    }
    missing
}

/// At most `most` of the tasks that may go: each of the zone that has the most then, of those where any may, and there the
/// newest one.
pub fn fullest_first(zones: Vec<InZone>, most: usize) -> Vec<(Zone, Place)> {
    chosen(zones, most, |_, _| true)
}

/// Likewise, and none of a zone that has not the most of all: where those may not go, nothing would be won.
pub fn of_the_fullest(zones: Vec<InZone>, most: usize) -> Vec<(Zone, Place)> {
    chosen(zones, most, |tasks, fullest| tasks == fullest)
}

fn chosen(mut zones: Vec<InZone>, most: usize, may: impl Fn(usize, usize) -> bool) -> Vec<(Zone, Place)> {
    zones.iter_mut().for_each(|zone| zone.may_go.reverse());
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let top = zones.iter().map(|zone| zone.tasks).max().unwrap_or_default();
        let some = zones.iter_mut().filter(|zone| !zone.may_go.is_empty() && may(zone.tasks, top));
        let Some(fullest) = some.max_by_key(|zone| (zone.tasks, zone.may_go.last().copied())) else { break };
        chosen.extend(fullest.may_go.pop().map(|place| (fullest.zone.clone(), place)));
        fullest.tasks -= 1;
    }
    chosen
}

/// From which capacity provider tasks go that others in emptier zones stand for: what moves stays with its provider, so that
/// all of them are distributed by the strategy as they were.
#[derive(Debug)]
pub struct Movers<'a> {
    strategy: &'a [Item],
    /// How many tasks are in each zone.
    tasks: BTreeMap<Zone, usize>,
    /// How many there are of each capacity provider, in which zones.
    of: Vec<BTreeMap<Zone, usize>>,
    /// How many in all.
    have: Vec<usize>,
}

impl<'a> Movers<'a> {
    /// Of a service without a strategy there is one provider, all container instances, and nothing is counted.
    pub fn new(
        strategy: &'a [Item],
        tasks: BTreeMap<Zone, usize>,
        of: Vec<BTreeMap<Zone, usize>>,
    ) -> Movers<'a> {
        let have = of.iter().map(|zones| zones.values().sum()).collect();
        Movers { strategy, tasks, of, have }
    }

    /// Of which provider the next one is to start: one that has a task in a fullest zone, and that `may` name.
    pub fn next(&self, may: impl Fn(usize) -> bool) -> Option<usize> {
        if self.strategy.is_empty() {
            return may(0).then_some(0);
        }
        let has =
            |at: usize| self.fullest().any(|zone| self.of[at].get(zone).is_some_and(|tasks| *tasks > 0));
        strategy::last(self.strategy, &self.have, |at| may(at) && has(at))
    }

    /// One has started, and as many will go there.
    pub fn moved(&mut self, at: usize) {
        let Some(of) = self.of.get_mut(at) else { return };
        let most = self.tasks.values().max().copied().unwrap_or_default();
        let mut fullest = self.tasks.iter_mut().filter(|(_, tasks)| **tasks == most);
        let from = fullest.find(|(zone, _)| of.get(*zone).is_some_and(|tasks| *tasks > 0));
        if let Some((zone, tasks)) = from {
            *tasks = tasks.saturating_sub(1);
            of.entry(zone.clone()).and_modify(|tasks| *tasks = tasks.saturating_sub(1));
        }
    }

    /// The next one to stop, in a fullest zone: of the tasks that may go of each provider and zone, the newest one last. No
    /// provider is left with less than its base of the desired count.
    pub fn stop(&mut self, may_go: &mut [BTreeMap<Zone, Vec<Place>>], desired: i32) -> Option<(Zone, Place)> {
        let most = |item: &Item| usize::try_from(item.base.unwrap_or(0).min(desired)).unwrap_or(0);
        let newest = |at: usize| {
            let of = self.fullest().filter_map(|zone| Some((*may_go[at].get(zone)?.last()?, zone)));
            of.max_by_key(|(place, _)| *place)
        };
        let may = |at: usize| self.have[at] > most(&self.strategy[at]) && newest(at).is_some();
        let at = strategy::last(self.strategy, &self.have, may)?;
        let (place, zone) = newest(at)?;
        let zone = zone.clone();
        may_go[at].get_mut(&zone)?.pop();
        self.have[at] -= 1;
        self.tasks.entry(zone.clone()).and_modify(|tasks| *tasks = tasks.saturating_sub(1));
        Some((zone, place))
    }

    fn fullest(&self) -> impl Iterator<Item = &Zone> {
        let most = self.tasks.values().max();
        self.tasks.iter().filter(move |(_, tasks)| Some(*tasks) == most).map(|(zone, _)| zone)
    }
}

#[cfg(test)]
mod tests;
