//! Tasks that are alike, placed one after the other over the capacity providers of a strategy. Each goes where the strategy
//! says; where there is no room, it is not placed elsewhere: it waits for its provider to grow, or fails.

use super::strategy;
use crate::{
    account::TaskDefinitionRow,
    cluster::{InstanceId, TaskRow, Txn},
    placement::{Places, Refused, Request},
    rows::CapacityProviderStrategyItem as Item,
    task::provisioning,
};

/// Where a task goes.
#[derive(Debug)]
pub enum Place {
    On(InstanceId),
    /// It waits for room: for its provider to grow, or as it was asked for.
    Waits(Box<Request>),
    /// It waits for its turn, and only then for room.
    Turn,
}

/// What a task that waits asks for; none where that does not read well, which it did when the task was made.
pub fn of_waiting(task: &TaskRow, definition: &TaskDefinitionRow) -> Option<Request> {
    let waits = task.waits.as_ref()?;
    let (constraints, order) = (&waits.placement_constraints, &waits.placement_strategy);
    let request = Request::new(definition, &task.overrides, &task.group, constraints, order).ok()?;
    Some(match &task.capacity_provider {
        Some(provider) => request.of_provider(provider),
        None if task.is_on_fargate() => request.on_fargate(),
        None => request,
    })
}

/// The tasks of one request, or of one service's step.
#[derive(Debug)]
pub struct Distribution<'a> {
    strategy: &'a [Item],
    takers: Vec<Taker>,
    have: Vec<usize>,
    /// Whether chance decides between providers that have the same.
    by_chance: bool,
    /// Tasks wait for room, whether or not their provider grows.
    queues: bool,
}

/// A capacity provider; or all container instances, where there is no strategy.
#[derive(Debug)]
struct Taker {
    places: Places,
    /// It has no room, and grows: tasks wait for that.
    is_full: bool,
    /// Why no more can be placed, once that is so.
    refused: Option<Refused>,
}

impl<'a> Distribution<'a> {
    /// Tasks that ask for this, without any there.
    pub fn new(request: Request, strategy: &'a [Item]) -> Distribution<'a> {
        let taker = |request| Taker { places: Places::new(request), is_full: false, refused: None };
        let takers = match strategy {
            [] => vec![taker(request)],
            _ => strategy
                .iter()
                .map(|item| taker(request.clone().of_provider(&item.capacity_provider)))
                .collect(),
        };
        Distribution { strategy, takers, have: vec![0; strategy.len()], by_chance: false, queues: false }
    }

    /// So many tasks of each provider are there.
    pub fn having(mut self, have: impl Fn(&str) -> usize) -> Distribution<'a> {
        self.have = self.strategy.iter().map(|item| have(&item.capacity_provider)).collect();
        self
    }

    /// Chance decides between providers that have the same.
    pub fn by_chance(mut self) -> Distribution<'a> {
        self.by_chance = true;
        self
    }

    /// Tasks wait for room, whether or not their provider grows.
    pub fn queueing(self, queues: bool) -> Distribution<'a> {
        Distribution { queues, ..self }
    }

    /// Who takes the next task.
    fn next(&mut self, txn: &mut Txn) -> Option<usize> {
        if self.strategy.is_empty() {
            return Some(0);
        }
        let chance = self.by_chance.then(|| txn.ids.seed());
        let at = strategy::next(self.strategy, &self.have, chance)?;
        self.have[at] += 1;
        Some(at)
    }

    /// One more task waits for its turn, of the provider that it goes to. None where too many wait already.
    pub fn hold(&mut self, txn: &mut Txn) -> Option<(Place, Option<Box<str>>)> {
        if !provisioning::may_wait(txn, true) {
            return None;
        }
        let at = self.next(txn)?;
        let provider = self.takers.get(at)?.places.request().provider().map(Box::from);
        Some((Place::Turn, provider))
    }

    /// Finds a place for one more task, of the provider that it goes to. None where that has no room, now or for one
    /// before, and does not grow, or where too many wait already.
    pub fn place(&mut self, txn: &mut Txn) -> Option<(Place, Option<Box<str>>)> {
        let at = self.next(txn)?;
        let queues = self.queues;
        let taker = self.takers.get_mut(at)?;
        let provider = taker.places.request().provider().map(Box::from);
        if taker.refused.is_none() && !taker.is_full {
            match taker.places.next(txn.state, txn.ids) {
                Ok(instance) => return Some((Place::On(instance), provider)),
                Err(refused) if !queues && !grows(txn, taker.places.request()) => {
                    taker.refused = Some(refused);
                }
                Err(_) => taker.is_full = true,
            }
        }
        if !taker.is_full {
            return None;
        }
        if provisioning::may_wait(txn, queues) {
            return Some((Place::Waits(Box::new(taker.places.request().clone())), provider));
        }
        if let Err(refused) = taker.places.next(txn.state, txn.ids) {
            (taker.is_full, taker.refused) = (false, Some(refused));
        }
        None
    }

    /// Whether nothing more can be placed.
    pub fn is_over(&self) -> bool {
        self.takers.iter().all(|taker| taker.refused.is_some())
    }

    /// What could not be placed, and why.
    pub fn refused(&self) -> impl Iterator<Item = (&Request, &Refused)> {
        self.takers.iter().filter_map(|taker| Some((taker.places.request(), taker.refused.as_ref()?)))
    }
}

/// Whether tasks wait for the provider of a request to grow.
fn grows(txn: &Txn, request: &Request) -> bool {
    request.provider().is_some_and(|provider| txn.ports.account.grows(provider))
}
