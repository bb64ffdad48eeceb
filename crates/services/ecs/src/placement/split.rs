//! The container instances that take tasks, parted by the values of the attributes that a request spreads over, and
//! beside them how many tasks of each group are where: with both, [`super::search`] finds the best one without a look
//! at the others. Kept for those layouts that are asked for, and brought forward by whatever changes a slot.

use std::sync::Arc;

use imbl::OrdMap;

use super::{
    slots::{Slot, State, digest},
    trie::{Entry, Sum, Trie},
};
use crate::rows::InstanceRow;

/// What decides how instances are parted, and in which order those of a part are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Those of the same values of all these attributes are one part.
    pub attributes: Vec<String>,
    pub lead: Lead,
}

/// What comes first where the instances of a part are in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lead {
    /// Nothing: they are where the groups' counts are, so that both can be held against each other.
    #[default]
    Slot,
    /// The CPU units that are left.
    Cpu,
    /// The MiB that are left.
    Memory,
}

/// The values of the attributes, as [`digest`] gives them.
pub type Part = Arc<[u64]>;

/// What is left on an instance that takes tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub cpu: i64,
    pub memory: i64,
}

/// The least and the most of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub least: i64,
    pub most: i64,
}

/// What is known of some instances that take tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rooms {
    pub instances: u32,
    pub cpu: Range,
    pub memory: Range,
}

/// The tasks of a group on an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub tasks: i32,
    /// Whether the instance takes tasks.
    pub open: bool,
}

/// What is known of the tasks of a group on some instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// How many of the instances take tasks and have one of the group.
    pub instances: u32,
    /// The fewest tasks of the group on one of these.
    pub fewest: i32,
    /// All tasks of the group, those on instances that take none included.
    pub tasks: i64,
}

impl Range {
    fn of(one: i64) -> Range {
        Range { least: one, most: one }
    }

    fn and(self, other: Range) -> Range {
        Range { least: self.least.min(other.least), most: self.most.max(other.most) }
    }
}

impl Entry for Room {
    type Sum = Rooms;

    fn sum(&self) -> Rooms {
        Rooms { instances: 1, cpu: Range::of(self.cpu), memory: Range::of(self.memory) }
    }
}

impl Sum for Rooms {
    const NONE: Rooms = {
        let none = Range { least: i64::MAX, most: i64::MIN };
        Rooms { instances: 0, cpu: none, memory: none }
    };

    fn and(self, other: Rooms) -> Rooms {
        Rooms {
            instances: self.instances + other.instances,
            cpu: self.cpu.and(other.cpu),
            memory: self.memory.and(other.memory),
        }
    }
}

impl Entry for Held {
    type Sum = Holds;

    fn sum(&self) -> Holds {
        Holds {
            instances: self.open.into(),
            fewest: if self.open { self.tasks } else { i32::MAX },
            tasks: self.tasks.into(),
        }
    }
}

impl Sum for Holds {
    const NONE: Holds = Holds { instances: 0, fewest: i32::MAX, tasks: 0 };

    fn and(self, other: Holds) -> Holds {
        Holds {
            instances: self.instances + other.instances,
            fewest: self.fewest.min(other.fewest),
            tasks: self.tasks + other.tasks,
        }
    }
}

/// The number of a slot in a trie. Turned round, so that slots of one age are not side by side: what came together is
/// often full together.
pub fn number(slot: u32) -> u64 {
    slot.reverse_bits().into()
}

/// The slot of a number, whatever leads it.
pub fn slot(number: u64) -> u32 {
    (number as u32).reverse_bits()
}

/// Instances by part, and groups likewise.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    layout: Arc<Layout>,
    parts: OrdMap<Part, Trie<Room>>,
    groups: OrdMap<String, OrdMap<Part, Trie<Held>>>,
    /// The part of every slot that is not absent.
    of: OrdMap<u32, Part>,
}

impl Split {
    /// Without any instance.
    pub fn new(layout: Layout) -> Split {
        let (parts, groups, of) = (OrdMap::new(), OrdMap::new(), OrdMap::new());
        Split { layout: Arc::new(layout), parts, groups, of }
    }

    /// How it is laid out.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The instances that take tasks.
    pub fn parts(&self) -> &OrdMap<Part, Trie<Room>> {
        &self.parts
    }

    /// The tasks of a group.
    pub fn group(&self, group: &str) -> Option<&OrdMap<Part, Trie<Held>>> {
        self.groups.get(group)
    }

    /// An instance comes, with so many tasks of each group.
    pub fn enter(&mut self, slot: u32, is: &Slot, row: &InstanceRow, groups: &OrdMap<String, i32>) {
        if is.state == State::Absent {
            return;
        }
        let value = |name: &String| {
            let found = row.attributes.iter().find(|attribute| attribute.name == *name);
            digest(found.map(|attribute| attribute.value.as_deref().unwrap_or_default()))
        };
        let part: Part = self.layout.attributes.iter().map(value).collect();
        self.of.insert(slot, part);
        self.room(slot, None, Some(is));
        for (group, tasks) in groups {
            self.count(slot, is, group, *tasks);
        }
    }

    /// An instance goes, with its tasks of these groups.
    pub fn leave(&mut self, slot: u32, was: &Slot, groups: &OrdMap<String, i32>) {
        for group in groups.keys() {
            self.count(slot, was, group, 0);
        }
        self.room(slot, Some(was), None);
        self.of.remove(&slot);
    }

    /// What is left on an instance changes.
    pub fn room(&mut self, slot: u32, was: Option<&Slot>, is: Option<&Slot>) {
        let Some(part) = self.of.get(&slot) else { return };
        let open = |slot: &&Slot| slot.state == State::Open;
        let lead = self.layout.lead;
        let place = |of: &Slot| (lead.of(of) << 32) | number(slot);
        let (was, is) = (was.filter(open), is.filter(open));
        let here = self.parts.entry(part.clone()).or_default();
        if let Some(was) = was.filter(|was| is.is_none_or(|is| place(is) != place(was))) {
            here.remove(place(was));
        }
        if let Some(is) = is {
            here.insert(place(is), Room { cpu: is.cpu, memory: is.memory });
        }
        if here.root().is_none() {
            self.parts.remove(part);
        }
    }

    /// So many tasks of a group are on an instance now.
    pub fn count(&mut self, slot: u32, on: &Slot, group: &str, tasks: i32) {
        let Some(part) = self.of.get(&slot) else { return };
        if tasks > 0 {
            if !self.groups.contains_key(group) {
                self.groups.insert(group.to_owned(), OrdMap::new());
            }
            let Some(parts) = self.groups.get_mut(group) else { return };
            let held = Held { tasks, open: on.state == State::Open };
            parts.entry(part.clone()).or_default().insert(number(slot), held);
            return;
        }
        let Some(parts) = self.groups.get_mut(group) else { return };
        let Some(here) = parts.get_mut(part) else { return };
        here.remove(number(slot));
        if here.root().is_none() {
            parts.remove(part);
        }
        if parts.is_empty() {
            self.groups.remove(group);
        }
    }
}

impl Lead {
    fn of(self, slot: &Slot) -> u64 {
        let left = match self {
            Lead::Slot => 0,
            Lead::Cpu => slot.cpu,
            Lead::Memory => slot.memory,
        };
        u32::try_from(left.max(0)).unwrap_or(u32::MAX).into()
    }
}
