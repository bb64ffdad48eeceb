//! The container instances that have room, the best first, without a look at those that come behind. What is known of
//! many at once is the least that one of them can be: the search goes on with whatever can still be the best, until
//! that is one instance.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

use super::{
    Request, Strategy,
    score::MAX_STRATEGIES,
    slots::{Slot, digest},
    split::{self, Held, Lead, Part, Room, Split},
    trie::{Node, Span, Trie},
};
use crate::cluster::looks;

/// By what instances are compared: a number for each strategy; the least is the best.
type Key = [i64; MAX_STRATEGIES];

/// What a strategy compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Criterion {
    /// The tasks of the group on the instance.
    Instance,
    /// Those on all instances of its value of an attribute, by the attribute's place in the layout.
    Attribute(usize),
    Cpu,
    Memory,
}

/// A part that is searched, and what its instances have in common.
#[derive(Debug)]
struct Searched {
    values: Part,
    /// The tasks of the group on all instances of its value, for each attribute.
    spread: Vec<i64>,
    held: Option<Trie<Held>>,
    /// The fewest tasks of the group on one of its instances.
    fewest: i64,
    /// What is still to be looked at, by the least that each can be: what its instances have in common counts for nothing
    /// here.
    ahead: BinaryHeap<Reverse<(Key, u32, usize)>>,
    nodes: Vec<Ahead>,
    /// Where it stands among the parts.
    stands: Option<(Key, u32)>,
}

/// What is still to be looked at.
#[derive(Debug, Clone)]
enum Ahead {
    Some(Arc<Node<Room>>),
    One(u32),
}

/// One look for tasks that are alike. What it gives are slots that have room by CPU and memory, the best first; it goes on
/// behind a task that has taken one of them.
#[derive(Debug)]
pub struct Search {
    criteria: Vec<Criterion>,
    lead: Lead,
    /// The number of the slot that comes first where the strategies leave a choice; behind it those nearby.
    first: u32,
    parts: Vec<Searched>,
    /// The parts, by the least that one of their instances can be.
    order: BTreeSet<(Key, u32, usize)>,
    /// Of which part the last slot was.
    last: usize,
}

impl Search {
    /// Begins; `named` is the slot that comes first where the strategies leave a choice.
    pub fn new(split: &Split, request: &Request, named: u32) -> Search {
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
            criteria: request.strategy.iter().map_while(criterion).take(MAX_STRATEGIES).collect(),
            lead: layout.lead,
            first: named.reverse_bits(),
            parts: Vec::new(),
            order: BTreeSet::new(),
            last: 0,
        };
        let group = split.group(&request.group);
        let spread = spread(layout.attributes.len(), group.into_iter().flatten());
        let own = request.part();
        let own = own.and_then(|(name, value)| Some((place(&name.to_owned())?, digest(Some(value)))));
        for (part, rooms) in split.parts() {
            if own.is_some_and(|(at, own)| part.get(at) != Some(&own)) {
                continue;
            }
            let Some(root) = rooms.root() else { continue };
            let of = |(value, tasks): (&u64, &BTreeMap<u64, i64>)| tasks.get(value).copied().unwrap_or(0);
            let mut searched = Searched {
                values: part.clone(),
                spread: part.iter().zip(&spread).map(of).collect(),
                held: group.and_then(|group| group.get(part)).cloned(),
                fewest: 0,
                ahead: BinaryHeap::new(),
                nodes: Vec::new(),
                stands: None,
            };
            searched.fewest = searched.fewest(Span::ALL, root.sum().instances);
            search.parts.push(searched);
            let at = search.parts.len() - 1;
            search.some(request, at, Span::ALL, root);
            search.stand(at);
        }
        search
    }

    /// The next slot.
    pub fn next(&mut self, request: &Request) -> Option<u32> {
        loop {
            let (_, _, at) = *self.order.first()?;
            let part = &mut self.parts[at];
            let Reverse((_, _, node)) = part.ahead.pop()?;
            let found = match part.nodes[node].clone() {
                Ahead::One(slot) => Some(slot),
                Ahead::Some(node) => {
                    self.open(request, at, &node);
                    None
                }
            };
            self.stand(at);
            if found.is_some() {
                self.last = at;
                return found;
            }
        }
    }

    /// A task of the group has taken its place in the last slot, where nothing else has happened; nor anywhere else.
    pub fn took(&mut self, request: &Request, slot: u32, on: &Slot, tasks: i64) {
        let values = self.parts[self.last].values.clone();
        for at in 0..self.parts.len() {
            let part = &mut self.parts[at];
            let (mut others, mut is_like) = (part.spread.iter_mut().zip(part.values.iter()), false);
            for value in values.iter() {
                if let Some((tasks, _)) = others.next().filter(|(_, other)| *other == value) {
                    *tasks += 1;
                    is_like = true;
                }
            }
            if is_like {
                self.stand(at);
            }
        }
        let room = Room { cpu: on.cpu, memory: on.memory };
        self.one(request, self.last, (slot, tasks), room);
        self.stand(self.last);
    }

    /// What is in a node is to be looked at.
    fn open(&mut self, request: &Request, at: usize, node: &Node<Room>) {
        match node {
            Node::Fork(fork) => {
                for (span, half) in fork.halves() {
                    self.some(request, at, span, half);
                }
            }
            Node::Leaf(_, entries) => {
                for (number, room) in entries {
                    let slot = split::slot(*number);
                    let held = self.parts[at].held.as_ref().filter(|_| self.counts(request));
                    let tasks = held
                        .and_then(|held| held.get(split::number(slot)))
                        .map_or(0, |held| held.tasks.into());
                    self.one(request, at, (slot, tasks), *room);
                }
            }
        }
    }

    /// Some instances of a part are to be looked at, if one of them can do.
    fn some(&mut self, request: &Request, at: usize, span: Span, node: &Arc<Node<Room>>) {
        looks::one();
        let (sum, needs) = (node.sum(), &request.needs.resources);
        let fewest = match self.lead {
            Lead::Slot if self.counts(request) => self.parts[at].fewest(span, sum.instances),
            _ => self.parts[at].fewest,
        };
        if !may(request, sum.cpu.most, sum.memory.most, fewest) {
            return;
        }
        let at_least = |left: i64, needs: i64| if needs > 0 { left.max(needs) } else { left };
        let (cpu, memory) = (at_least(sum.cpu.least, needs.cpu), at_least(sum.memory.least, needs.memory));
        let chance = (span.from as u32 ^ self.first) & !(span.free as u32);
        self.push(at, self.key(fewest, cpu, memory), chance, Ahead::Some(node.clone()));
    }

    /// One instance is to be looked at, if it has room.
    fn one(&mut self, request: &Request, at: usize, (slot, tasks): (u32, i64), room: Room) {
        if may(request, room.cpu, room.memory, tasks) {
            let key = self.key(tasks, room.cpu, room.memory);
            self.push(at, key, split::number(slot) as u32 ^ self.first, Ahead::One(slot));
        }
    }

    /// Whether it matters how many tasks of the group are on an instance.
    fn counts(&self, request: &Request) -> bool {
        request.constraints.distinct_instance || self.criteria.contains(&Criterion::Instance)
    }

    /// That of an instance, but for what it has in common with its part.
    fn key(&self, tasks: i64, cpu: i64, memory: i64) -> Key {
        let mut key = [0; MAX_STRATEGIES];
        for (place, criterion) in key.iter_mut().zip(&self.criteria) {
            *place = match criterion {
                Criterion::Instance => tasks,
                Criterion::Attribute(_) => 0,
                Criterion::Cpu => cpu,
                Criterion::Memory => memory,
            };
        }
        key
    }

    fn push(&mut self, at: usize, key: Key, chance: u32, ahead: Ahead) {
        let part = &mut self.parts[at];
        part.ahead.push(Reverse((key, chance, part.nodes.len())));
        part.nodes.push(ahead);
    }

    /// Puts a part where it belongs among the parts.
    fn stand(&mut self, at: usize) {
        let part = &mut self.parts[at];
        let stands = part.ahead.peek().map(|Reverse((key, chance, _))| {
            let mut key = *key;
            for (place, criterion) in key.iter_mut().zip(&self.criteria) {
                if let Criterion::Attribute(of) = criterion {
                    *place = part.spread.get(*of).copied().unwrap_or(0);
                }
            }
            (key, *chance)
        });
        let stood = std::mem::replace(&mut part.stands, stands);
        if stood == stands {
            return;
        }
        if let Some((key, chance)) = stood {
            self.order.remove(&(key, chance, at));
        }
        if let Some((key, chance)) = stands {
            self.order.insert((key, chance, at));
        }
    }
}

/// Whether one on which so much is left, and so many tasks of the group are, can do.
fn may(request: &Request, cpu: i64, memory: i64, tasks: i64) -> bool {
    let barred = request.constraints.distinct_instance && tasks > 0;
    !barred && request.fits(cpu, memory)
}

impl Searched {
    /// The fewest tasks of the group on one of so many instances in a span.
    fn fewest(&self, span: Span, instances: u32) -> i64 {
        match self.held.as_ref().map(|held| held.sum(span)) {
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
