//! Which of the container instances that have room comes first: the placement strategies.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-strategies.html>

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use ecs_model::errors;
use wire::Error;

use super::{
    Candidate, Request, View, filter,
    slots::{Slot, Slots, State, digest},
};
use crate::{
    instance::ZONE,
    rows::{PlacementStrategy, PlacementStrategyType},
};

/// The most strategies of one task or service.
pub const MAX_STRATEGIES: usize = 5;

/// One placement strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// Any.
    Random,
    /// The instance with the fewest tasks of the group.
    SpreadInstances,
    /// An instance of the attribute's value that has the fewest tasks of the group.
    SpreadAttribute(String),
    /// The instance with the least CPU left.
    BinpackCpu,
    /// The instance with the least memory left.
    BinpackMemory,
}

impl Strategy {
    /// Reads the strategies of a request, in their order.
    pub fn compile(given: &[PlacementStrategy]) -> Result<Vec<Strategy>, Error> {
        if given.len() > MAX_STRATEGIES {
            return Err(errors::invalid_parameter(
                "Too many placement strategies specified. The maximum is 5.",
            ));
        }
        given.iter().map(Strategy::of).collect()
    }

    /// What holds for a service that names none: over the zones, then the instances with the fewest tasks.
    pub fn of_service() -> Vec<Strategy> {
        vec![Strategy::SpreadAttribute("ecs.availability-zone".to_owned()), Strategy::SpreadInstances]
    }

    fn of(given: &PlacementStrategy) -> Result<Strategy, Error> {
        let field = given.field.as_deref().unwrap_or_default();
        let refuse = |text: String| Err(errors::invalid_parameter(text));
        match given.r#type {
            Some(PlacementStrategyType::Random) if field.is_empty() => Ok(Strategy::Random),
            Some(PlacementStrategyType::Random) => refuse("random field should not be specified.".into()),
            Some(PlacementStrategyType::Spread) => match field {
                "instanceId" | "host" => Ok(Strategy::SpreadInstances),
                _ => match field.strip_prefix("attribute:").filter(|name| !name.is_empty()) {
                    Some(name) if name.len() <= 128 => Ok(Strategy::SpreadAttribute(name.to_owned())),
                    _ => refuse(format!("Invalid field for spread placement strategy: {field}")),
                },
            },
            Some(PlacementStrategyType::Binpack) => match field.to_ascii_lowercase().as_str() {
                "cpu" => Ok(Strategy::BinpackCpu),
                "memory" => Ok(Strategy::BinpackMemory),
                _ => refuse(format!("Invalid field for binpack placement strategy: {field}")),
            },
            None => refuse("Placement strategy type must be specified.".into()),
        }
    }
}

/// The best instance of those that all filters let through.
pub(super) fn pick<'v>(view: &'v impl View, request: &Request, seed: u64) -> Option<Candidate<'v>> {
    let slots = view.slots();
    // Where any will do, some are tried before all of them are looked at.
    if request.strategy.iter().all(|strategy| *strategy == Strategy::Random)
        && let Some(found) = draws(seed, slots.total()).find_map(|slot| drawn(view, &slots, request, slot))
    {
        return Some(found);
    }
    let scan = Scan::new(view, &slots, request, seed);
    // The costly filters are asked of the best one alone; of the others, in their order, only if it fails.
    let suits = |entry: &Entry| {
        let candidate = view.candidate(slots.id(entry.slot)?)?;
        filter::check(&candidate, request).is_none().then_some(candidate)
    };
    let best = scan.entries().min()?;
    suits(&best).or_else(|| {
        let mut others: BinaryHeap<Reverse<Entry>> = scan.entries().map(Reverse).collect();
        std::iter::from_fn(|| others.pop()).skip(1).find_map(|Reverse(entry)| suits(&entry))
    })
}

/// Slots to try, each as likely as any other. Where one in ten would do, one in a thousand tasks is placed by a look
/// at all of them.
pub(super) fn draws(seed: u64, slots: usize) -> impl Iterator<Item = u32> {
    const DRAWS: u64 = 64;
    let draw = move |number: u64| {
        let slot = (u128::from(mix(seed, number)) * slots as u128) >> 64;
        u32::try_from(slot).unwrap_or(u32::MAX)
    };
    (1..=DRAWS).filter(move |_| slots > 0).map(draw)
}

/// The instance of a slot, if it will do.
fn drawn<'v>(view: &'v impl View, slots: &Slots, request: &Request, at: u32) -> Option<Candidate<'v>> {
    slots.get(at).filter(|slot| has_room(slot, request))?;
    let candidate = view.candidate(slots.id(at)?)?;
    filter::check(&candidate, request).is_none().then_some(candidate)
}

/// Whether tasks may come to a slot, and there is enough left of what is counted in it.
fn has_room(slot: &Slot, request: &Request) -> bool {
    let needs = &request.needs.resources;
    let fits = |left: i64, needs: i64| needs <= 0 || left >= needs;
    slot.state == State::Open && fits(slot.cpu, needs.cpu) && fits(slot.memory, needs.memory)
}

/// One look at all slots for one request.
struct Scan<'a> {
    slots: &'a Slots,
    request: &'a Request,
    seed: u64,
    /// How many tasks of the request's group are in each slot.
    tasks: Vec<i32>,
    /// Where a host port that is needed is taken.
    blocked: BTreeSet<u32>,
    criteria: Vec<Criterion>,
}

/// A strategy, with what it must know of all slots.
enum Criterion {
    Random,
    SpreadInstances,
    /// The value of the attribute in each slot (of the zone it stands in the slot itself), and how many tasks of
    /// the group there are on all instances of a value.
    SpreadAttribute(Option<Vec<u64>>, BTreeMap<u64, i64>),
    BinpackCpu,
    BinpackMemory,
}

impl<'a> Scan<'a> {
    fn new(view: &impl View, slots: &'a Slots, request: &'a Request, seed: u64) -> Scan<'a> {
        let blocked = slots.blocked(&request.needs.resources);
        let tasks = slots.group(&request.group);
        let mut scan = Scan { slots, request, seed, tasks, blocked, criteria: Vec::new() };
        let strategies = request.strategy.iter().take(MAX_STRATEGIES);
        scan.criteria = strategies.map(|strategy| scan.criterion(view, strategy)).collect();
        scan
    }

    fn criterion(&self, view: &impl View, strategy: &Strategy) -> Criterion {
        match strategy {
            Strategy::Random => Criterion::Random,
            Strategy::SpreadInstances => Criterion::SpreadInstances,
            Strategy::BinpackCpu => Criterion::BinpackCpu,
            Strategy::BinpackMemory => Criterion::BinpackMemory,
            Strategy::SpreadAttribute(name) => {
                let column = (name != ZONE).then(|| column(view, self.slots.total(), name));
                let mut tally = BTreeMap::new();
                for (at, slot) in self.slots.iter().filter(|(_, slot)| slot.state != State::Absent) {
                    *tally.entry(value(&column, at, slot)).or_default() += self.tasks_in(at);
                }
                Criterion::SpreadAttribute(column, tally)
            }
        }
    }

    fn tasks_in(&self, at: u32) -> i64 {
        self.tasks.get(at as usize).copied().unwrap_or(0).into()
    }

    /// The slots that have room.
    fn entries(&self) -> impl Iterator<Item = Entry> {
        let distinct = self.request.constraints.distinct_instance;
        self.slots.iter().filter_map(move |(at, slot)| {
            let room = has_room(slot, self.request);
            let barred = || (distinct && self.tasks_in(at) > 0) || self.blocked.contains(&at);
            (room && !barred()).then(|| self.entry(at, slot))
        })
    }

    fn entry(&self, at: u32, slot: &Slot) -> Entry {
        let random = mix(self.seed, slot.salt);
        let mut key = [0; MAX_STRATEGIES];
        for (place, criterion) in key.iter_mut().zip(&self.criteria) {
            *place = match criterion {
                Criterion::Random => (random >> 1) as i64,
                Criterion::SpreadInstances => self.tasks_in(at),
                Criterion::SpreadAttribute(column, tally) => {
                    tally.get(&value(column, at, slot)).copied().unwrap_or(0)
                }
                Criterion::BinpackCpu => slot.cpu,
                Criterion::BinpackMemory => slot.memory,
            };
        }
        Entry { key, random, slot: at }
    }
}

fn value(column: &Option<Vec<u64>>, at: u32, slot: &Slot) -> u64 {
    column.as_ref().map_or(slot.zone, |column| column.get(at as usize).copied().unwrap_or(0))
}

/// The values of an attribute, by slot.
fn column(view: &impl View, slots: usize, attribute: &str) -> Vec<u64> {
    let mut values = vec![0; slots];
    // Where the attribute stood on the instance before: agents of one version register the same list.
    let mut hint = usize::MAX;
    for candidate in view.candidates() {
        let attributes = candidate.row.attributes.as_slice();
        if attributes.get(hint).is_none_or(|there| there.name != attribute) {
            hint = attributes.iter().position(|there| there.name == attribute).unwrap_or(usize::MAX);
        }
        let found = attributes.get(hint).map(|there| there.value.as_deref().unwrap_or_default());
        if let Some(place) = values.get_mut(candidate.slot as usize) {
            *place = digest(found);
        }
    }
    values
}

/// A slot that may be chosen: the least is the best.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: [i64; MAX_STRATEGIES],
    random: u64,
    slot: u32,
}

/// A number that looks random, from the seed and what an instance is told apart by.
pub(super) fn mix(seed: u64, salt: u64) -> u64 {
    let z = seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
