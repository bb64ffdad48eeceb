//! How the tasks of a service are spread over zones: how many go where when it is rebalanced, and in which zones tasks
//! are stopped first. Pure.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html>

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    cluster::tally::{InZone, Place, Zone},
    instance::ZONE,
    rows::{PlacementStrategyType, ServiceRow},
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

#[cfg(test)]
mod tests;
