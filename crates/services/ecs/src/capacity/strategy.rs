//! Capacity provider strategies: which are valid, and to which provider the next task goes.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html>

use std::collections::BTreeSet;

use ecs_model::errors;
use wire::Error;

use crate::{Account, account::providers::Kind, limits, rows::CapacityProviderStrategyItem as Item};

/// Whether a strategy can be the default of a cluster with these providers. Whether it distributes anything is asked
/// where a task is to go by it.
///
/// # Errors
/// `InvalidParameterException`.
pub fn check_default(account: &Account, of_cluster: &[String], strategy: &[Item]) -> Result<(), Error> {
    check(account, of_cluster, strategy)?;
    if with_base(strategy) > 1 {
        return refused(
            "The specified capacity provider strategy contains multiple capacity providers with a base value defined. \
             Only one capacity provider per strategy can have a base value defined.",
        );
    }
    Ok(())
}

/// Whether tasks of a cluster with these providers can go by a strategy that a request names.
///
/// # Errors
/// `InvalidParameterException`.
pub fn check_given(account: &Account, of_cluster: &[String], strategy: &[Item]) -> Result<(), Error> {
    check(account, of_cluster, strategy)?;
    if with_base(strategy) > 1 {
        return refused(
            "There are multiple capacity providers in the specified capacity provider strategy with a base value greater \
             than zero. Only one capacity provider can have a base value greater than zero. Specify a valid capacity \
             provider strategy and try again.",
        );
    }
    if !distributes(strategy) {
        return refused(
            "There are no capacity providers in the capacity provider strategy with a weight value greater than zero. \
             Specify a weight value greater than zero for at least one capacity provider and try again.",
        );
    }
    Ok(())
}

/// Whether any task can go by it.
pub fn distributes(strategy: &[Item]) -> bool {
    strategy.iter().any(|item| item.weight.unwrap_or(0) > 0)
}

/// With both numbers of each, as they are shown.
pub fn filled(strategy: Vec<Item>) -> Vec<Item> {
    let filled = |item: Item| Item {
        weight: Some(item.weight.unwrap_or(0)),
        base: Some(item.base.unwrap_or(0)),
        ..item
    };
    strategy.into_iter().map(filled).collect()
}

/// To which item of a strategy the next task goes, where there are `have` tasks of each: first to the one that has not
/// its base, then to the one that has the least for its weight beyond it. Of those that have the same it is the first;
/// with a chance, which is any number, it is one of them by their weights.
pub fn next(strategy: &[Item], have: &[usize], chance: Option<u64>) -> Option<usize> {
    let items = || strategy.iter().zip(have).enumerate();
    if let Some((at, _)) = items().find(|(_, (item, have))| **have < base(item)) {
        return Some(at);
    }
    let taking = || items().filter(|(_, (item, _))| weight(item) > 0);
    let beyond = |(item, have): (&Item, &usize)| (have.saturating_sub(base(item)), weight(item));
    let least = taking().map(|(_, of)| beyond(of)).reduce(|a, b| if is_less(b, a) { b } else { a })?;
    let same = || taking().filter(|(_, of)| !is_less(least, beyond(*of)));
    let Some(chance) = chance else { return same().next().map(|(at, _)| at) };
    let total: usize = same().map(|(_, (item, _))| weight(item)).sum();
    let mut drawn = usize::try_from(chance % total.max(1) as u64).unwrap_or(0);
    same().find_map(|(at, (item, _))| match drawn.checked_sub(weight(item)) {
        Some(rest) => {
            drawn = rest;
            None
        }
        None => Some(at),
    })
}

/// From which item of a strategy a task goes, where there are `have` tasks of each and the first ones came by [`next`]: from
/// the one to which the last of them came. Of `may`, those that have one that may go.
pub fn last(strategy: &[Item], have: &[usize], may: impl Fn(usize) -> bool) -> Option<usize> {
    let items = strategy.iter().zip(have).enumerate().filter(|(at, (_, have))| **have > 0 && may(*at));
    let came = |(item, have): (&Item, &usize)| match have.checked_sub(base(item) + 1) {
        // Of the base: it came first.
        None => Came::First,
        Some(_) if weight(item) == 0 => Came::Never,
        Some(before) => Came::Beyond(before, weight(item)),
    };
    let later = |a: (usize, Came), b: (usize, Came)| if b.1.is_before(&a.1) { a } else { b };
    items.map(|(at, of)| (at, came(of))).reduce(later).map(|(at, _)| at)
}

/// When a task came.
#[derive(Debug, Clone, Copy)]
enum Came {
    First,
    /// When there were so many, of so much weight.
    Beyond(usize, usize),
    /// None comes there.
    Never,
}

impl Came {
    fn is_before(&self, other: &Came) -> bool {
        match (*self, *other) {
            (Came::Beyond(had, weight), Came::Beyond(others, of)) => is_less((had, weight), (others, of)),
            (Came::First, Came::First) | (Came::Never, _) => false,
            (Came::First, _) | (Came::Beyond(..), Came::Never) => true,
            (Came::Beyond(..), Came::First) => false,
        }
    }
}

/// Whether the first has less for its weight.
fn is_less((have, weight): (usize, usize), (others, of): (usize, usize)) -> bool {
    have as u64 * (of as u64) < others as u64 * weight as u64
}

fn base(item: &Item) -> usize {
    usize::try_from(item.base.unwrap_or(0)).unwrap_or(0)
}

fn weight(item: &Item) -> usize {
    usize::try_from(item.weight.unwrap_or(0)).unwrap_or(0)
}

fn with_base(strategy: &[Item]) -> usize {
    strategy.iter().filter(|item| item.base.unwrap_or(0) > 0).count()
}

fn check(account: &Account, of_cluster: &[String], strategy: &[Item]) -> Result<(), Error> {
    if strategy.len() > limits::CLUSTER_CAPACITY_PROVIDERS {
        return refused("A capacity provider strategy can contain a maximum of 20 capacity providers.");
    }
    let (mut names, mut fargate) = (BTreeSet::new(), BTreeSet::new());
    for Item { capacity_provider: name, weight, base } in strategy {
        if !of_cluster.contains(name) {
            return refused(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated with \
                 the cluster. Associate the capacity provider with the cluster or specify a valid capacity provider and \
                 try again.",
            );
        }
        if !names.insert(name) {
            return refused(
                "A capacity provider strategy cannot contain a capacity provider more than once.",
            );
        }
        if !(0..=limits::STRATEGY_WEIGHT).contains(&weight.unwrap_or(0)) {
            return refused("The weight of a capacity provider must be between 0 and 1000.");
        }
        if !(0..=limits::STRATEGY_BASE).contains(&base.unwrap_or(0)) {
            return refused("The base of a capacity provider must be between 0 and 100000.");
        }
        let kind = account.provider(name).ok_or_else(|| account.unusable(name))?;
        fargate.insert(kind == Kind::Fargate);
    }
    if fargate.len() > 1 {
        return refused(
            "A capacity provider strategy cannot contain a mix of capacity providers using Auto Scaling groups and Fargate \
             providers. Specify one or the other and try again.",
        );
    }
    Ok(())
}

fn refused<T>(why: &str) -> Result<T, Error> {
    Err(errors::invalid_parameter(why))
}

#[cfg(test)]
mod tests;
