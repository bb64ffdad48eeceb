//! The container instances that have room, the best first, without a look at those that come behind. What is known of
//! many at once is the least that one of them can be: the search goes on with whatever can still be the best, until
//! that is one instance.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use super::{
    Request, Strategy,
    score::MAX_STRATEGIES,
    slots::digest,
    split::{self, Held, Lead, Part, Room, Split},
    trie::{Node, Span, Trie},
};
use crate::{capacity, cluster::looks};

/// By what instances are compared: a number for each strategy; the least is the best.
type Key = [i64; MAX_STRATEGIES];

/// What a strategy compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Criterion {
    /// The tasks of the group on the instance.
    Instance,
    /// Those on all instances of its value of an attribute, by the attribute's place in the layout.
    Attribute(usize),
    Cpu,
    Memory,
}

/// What a part's instances have in common.
struct Common<'a> {
    /// The tasks of the group on all instances of its value, for each attribute.
    spread: Vec<i64>,
    held: Option<&'a Trie<Held>>,
    /// The fewest tasks of the group on one of its instances.
    fewest: i64,
}

/// What is still to be looked at.
#[derive(Clone, Copy)]
enum Ahead<'a> {
    Some(&'a Arc<Node<Room>>),
    One(u32),
}

/// One look for one request. What it gives are slots that have room by CPU and memory, the best first.
pub struct Search<'a> {
    request: &'a Request,
    criteria: Vec<Criterion>,
    lead: Lead,
    /// The number of the slot that comes first where the strategies leave a choice; behind it those nearby.
    first: u32,
    parts: Vec<Common<'a>>,
    ahead: Vec<(usize, Ahead<'a>)>,
    /// The least that each of `ahead` can be.
    order: BinaryHeap<Reverse<(Key, u32, usize)>>,
}

impl<'a> Search<'a> {
    /// Begins; `named` is the slot that comes first where the strategies leave a choice.
    pub fn new(split: &'a Split, request: &'a Request, named: u32) -> Search<'a> {
        let layout = split.layout();
        let place = |name: &String| layout.attributes.iter().position(|other| other == name);
        let criterion = |strategy: &Strategy| match strategy {
            Strategy::Random => None,
            Strategy::SpreadInstances => Some(Criterion::Instance),
            Strategy::SpreadAttribute(name) => place(name).map(Criterion::Attribute),
            Strategy::BinpackCpu => Some(Criterion::Cpu),
            Strategy::BinpackMemory => Some(Criterion::Memory),
        };
        let mut search = Search {
            request,
            criteria: request.strategy.iter().map_while(criterion).take(MAX_STRATEGIES).collect(),
            lead: layout.lead,
            first: named.reverse_bits(),
            parts: Vec::new(),
            ahead: Vec::new(),
            order: BinaryHeap::new(),
        };
        let group = split.group(&request.group);
        let spread = spread(layout.attributes.len(), group.into_iter().flatten());
        let provider = request.provider.as_deref().zip(place(&capacity::ATTRIBUTE.to_owned()));
        let provider = provider.map(|(name, at)| (at, digest(Some(name))));
        for (part, rooms) in split.parts() {
            if provider.is_some_and(|(at, provider)| part.get(at) != Some(&provider)) {
                continue;
            }
            let Some(root) = rooms.root() else { continue };
            let of = |(value, tasks): (&u64, &BTreeMap<u64, i64>)| tasks.get(value).copied().unwrap_or(0);
            let held = group.and_then(|group| group.get(part));
            let mut common = Common { spread: part.iter().zip(&spread).map(of).collect(), held, fewest: 0 };
            common.fewest = common.fewest(Span::ALL, root.sum().instances);
            search.parts.push(common);
            search.some(search.parts.len() - 1, Span::ALL, root);
        }
        search
    }

    /// Some instances of a part are to be looked at, if one of them can do.
    fn some(&mut self, part: usize, span: Span, node: &'a Arc<Node<Room>>) {
        looks::one();
        let (sum, needs) = (node.sum(), &self.request.needs.resources);
        let fewest = match self.lead {
            Lead::Slot if self.counts() => self.parts[part].fewest(span, sum.instances),
            _ => self.parts[part].fewest,
        };
        if !self.may(sum.cpu.most, sum.memory.most, fewest) {
            return;
        }
        let at_least = |left: i64, needs: i64| if needs > 0 { left.max(needs) } else { left };
        let (cpu, memory) = (at_least(sum.cpu.least, needs.cpu), at_least(sum.memory.least, needs.memory));
        let chance = (span.from as u32 ^ self.first) & !(span.free as u32);
        self.push(part, self.key(part, fewest, cpu, memory), chance, Ahead::Some(node));
    }

    /// One instance is to be looked at, if it has room.
    fn one(&mut self, part: usize, number: u64, room: Room) {
        let slot = split::slot(number);
        let held = self.parts[part].held.filter(|_| self.counts());
        let tasks = held.and_then(|held| held.get(split::number(slot))).map_or(0, |held| held.tasks.into());
        if self.may(room.cpu, room.memory, tasks) {
            let key = self.key(part, tasks, room.cpu, room.memory);
            self.push(part, key, number as u32 ^ self.first, Ahead::One(slot));
        }
    }

    /// Whether it matters how many tasks of the group are on an instance.
    fn counts(&self) -> bool {
        self.request.constraints.distinct_instance || self.criteria.contains(&Criterion::Instance)
    }

    /// Whether one on which so much is left, and so many tasks of the group are, can do.
    fn may(&self, cpu: i64, memory: i64, tasks: i64) -> bool {
        let barred = self.request.constraints.distinct_instance && tasks > 0;
        !barred && self.request.fits(cpu, memory)
    }

    fn key(&self, part: usize, tasks: i64, cpu: i64, memory: i64) -> Key {
        let mut key = [0; MAX_STRATEGIES];
        for (place, criterion) in key.iter_mut().zip(&self.criteria) {
            *place = match criterion {
                Criterion::Instance => tasks,
                Criterion::Attribute(at) => self.parts[part].spread.get(*at).copied().unwrap_or(0),
                Criterion::Cpu => cpu,
                Criterion::Memory => memory,
            };
        }
        key
    }

    fn push(&mut self, part: usize, key: Key, chance: u32, ahead: Ahead<'a>) {
        self.order.push(Reverse((key, chance, self.ahead.len())));
        self.ahead.push((part, ahead));
    }
}

impl Iterator for Search<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            let Reverse((_, _, at)) = self.order.pop()?;
            let (part, ahead) = self.ahead[at];
            match ahead {
                Ahead::One(slot) => return Some(slot),
                Ahead::Some(node) => match node.as_ref() {
                    Node::Fork(fork) => {
                        for (span, half) in fork.halves() {
                            self.some(part, span, half);
                        }
                    }
                    Node::Leaf(_, entries) => {
                        for (number, room) in entries {
                            self.one(part, *number, *room);
                        }
                    }
                },
            }
        }
    }
}

impl Common<'_> {
    /// The fewest tasks of the group on one of so many instances in a span.
    fn fewest(&self, span: Span, instances: u32) -> i64 {
        match self.held.map(|held| held.sum(span)) {
            Some(held) if held.instances >= instances => held.fewest.into(),
            _ => 0,
        }
    }
}

/// The tasks of a group by the value of each attribute.
fn spread<'a>(
    attributes: usize,
    group: impl Iterator<Item = (&'a Part, &'a Trie<Held>)>,
) -> Vec<BTreeMap<u64, i64>> {
    let mut spread = vec![BTreeMap::new(); attributes];
    for (part, held) in group {
        looks::one();
        let tasks = held.root().map_or(0, |root| root.sum().tasks);
        for (value, of) in part.iter().zip(&mut spread) {
            *of.entry(*value).or_insert(0) += tasks;
        }
    }
    spread
}
