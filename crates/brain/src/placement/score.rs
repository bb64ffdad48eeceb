//! Which of the container instances that have room comes first: the placement strategies.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-strategies.html>

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap, btree_map::IntoIter},
    iter::Peekable,
};

use wire::{Error, ecs, ecs::errors};

use super::{Candidate, Request, View, filter};
use crate::cluster::rows::{InstanceId, InstanceStatus};

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
    pub fn compile(given: &[ecs::PlacementStrategy]) -> Result<Vec<Strategy>, Error> {
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

    fn of(given: &ecs::PlacementStrategy) -> Result<Strategy, Error> {
        let field = given.field.as_deref().unwrap_or_default();
        let refuse = |text: String| Err(errors::invalid_parameter(text));
        match given.r#type {
            Some(ecs::PlacementStrategyType::Random) if field.is_empty() => Ok(Strategy::Random),
            Some(ecs::PlacementStrategyType::Random) => {
                refuse("random field should not be specified.".into())
            }
            Some(ecs::PlacementStrategyType::Spread) => match field {
                "instanceId" | "host" => Ok(Strategy::SpreadInstances),
                _ => match field.strip_prefix("attribute:").filter(|name| !name.is_empty()) {
                    Some(name) if name.len() <= 128 => Ok(Strategy::SpreadAttribute(name.to_owned())),
                    _ => refuse(format!("Invalid field for spread placement strategy: {field}")),
                },
            },
            Some(ecs::PlacementStrategyType::Binpack) => match field.to_ascii_lowercase().as_str() {
                "cpu" => Ok(Strategy::BinpackCpu),
                "memory" => Ok(Strategy::BinpackMemory),
                _ => refuse(format!("Invalid field for binpack placement strategy: {field}")),
            },
            None => refuse("Placement strategy type must be specified.".into()),
        }
    }
}

/// The instances that pass the cheap filters, best first.
pub(super) fn rank<'v>(view: &'v impl View, request: &Request, seed: u64) -> Ranked<'v> {
    let strategy = &request.strategy[..request.strategy.len().min(MAX_STRATEGIES)];
    let mut tallies: [Tally<'v>; MAX_STRATEGIES] = Default::default();
    let counts_tasks = |s: &Strategy| matches!(s, Strategy::SpreadInstances | Strategy::SpreadAttribute(_));
    let counted = strategy.iter().any(counts_tasks).then(|| view.group_counts(&request.group)).flatten();
    let mut group =
        Group { name: &request.group, counted: counted.map(|counts| counts.into_iter().peekable()) };
    let mut entries = Vec::new();
    for (at, candidate) in view.candidates().enumerate() {
        if candidate.row.status == InstanceStatus::Inactive {
            continue;
        }
        let random = mix(seed, at as u64);
        let tasks = if strategy.iter().any(counts_tasks) { group.tasks_on(&candidate) } else { 0 };
        let mut key = [0; MAX_STRATEGIES];
        for (place, strategy) in strategy.iter().enumerate() {
            key[place] = match strategy {
                Strategy::Random => (random >> 1) as i64,
                Strategy::SpreadInstances => tasks,
                Strategy::SpreadAttribute(name) => tallies[place].add(&candidate, name, tasks),
                Strategy::BinpackCpu => candidate.row.registered.cpu.saturating_sub(candidate.used.cpu),
                Strategy::BinpackMemory => {
                    candidate.row.registered.memory.saturating_sub(candidate.used.memory)
                }
            };
        }
        if filter::cheap(&candidate, request).is_none() {
            entries.push(Entry { key, random, candidate });
        }
    }
    for (place, strategy) in strategy.iter().enumerate() {
        if matches!(strategy, Strategy::SpreadAttribute(_)) {
            for entry in &mut entries {
                entry.key[place] = tallies[place].tasks[entry.key[place] as usize];
            }
        }
    }
    Ranked(entries.into_iter().map(Reverse).collect())
}

/// How many tasks of the group are on an instance: asked of each, or walked along with them.
struct Group<'a, 'v> {
    name: &'a str,
    counted: Option<Peekable<IntoIter<&'v InstanceId, i64>>>,
}

impl Group<'_, '_> {
    fn tasks_on(&mut self, candidate: &Candidate<'_>) -> i64 {
        let Some(counted) = &mut self.counted else { return candidate.in_group(self.name) };
        while counted.next_if(|(id, _)| *id < &candidate.row.id).is_some() {}
        counted.next_if(|(id, _)| *id == &candidate.row.id).map_or(0, |(_, tasks)| tasks)
    }
}

/// How many tasks of the group are on the instances of each value of an attribute.
#[derive(Default)]
struct Tally<'v> {
    values: BTreeMap<Option<&'v str>, usize>,
    tasks: Vec<i64>,
    /// Where the attribute stood on the instance before; agents of one version register the same list.
    hint: usize,
}

impl<'v> Tally<'v> {
    /// Counts one instance in; the place of its value in `tasks`.
    fn add(&mut self, candidate: &Candidate<'v>, attribute: &str, tasks: i64) -> i64 {
        let attributes = candidate.row.attributes.as_slice();
        if attributes.get(self.hint).is_none_or(|there| there.name != attribute) {
            self.hint = attributes.iter().position(|there| there.name == attribute).unwrap_or(usize::MAX);
        }
        let value = attributes.get(self.hint).map(|there| there.value.as_deref().unwrap_or_default());
        let next = self.tasks.len();
        let place = *self.values.entry(value).or_insert(next);
        if place == next {
            self.tasks.push(0);
        }
        self.tasks[place] += tasks;
        place as i64
    }
}

/// Instances in the order of preference; made only as far as it is asked for.
pub(super) struct Ranked<'v>(BinaryHeap<Reverse<Entry<'v>>>);

impl<'v> Iterator for Ranked<'v> {
    type Item = Candidate<'v>;

    fn next(&mut self) -> Option<Candidate<'v>> {
        self.0.pop().map(|Reverse(entry)| entry.candidate)
    }
}

struct Entry<'v> {
    key: [i64; MAX_STRATEGIES],
    random: u64,
    candidate: Candidate<'v>,
}

impl Ord for Entry<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.key, self.random).cmp(&(other.key, other.random))
    }
}

impl PartialOrd for Entry<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry<'_> {}

/// A number that looks random, from the seed and an instance's place.
fn mix(seed: u64, at: u64) -> u64 {
    let z = seed ^ at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
