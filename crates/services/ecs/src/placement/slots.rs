//! What placement asks of every container instance, kept small: a [`Slot`] each, the slots that hold tasks of a group,
//! and the [`Split`]s by which the best one is found. An index of the cluster's rows, changed only where they are
//! applied.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};

use super::{
    Candidate,
    split::{Layout, Split},
};
use crate::cluster::rows::{InstanceId, InstanceRow, InstanceStatus, Resources};

/// Splits that are kept: what the strategies that are in use ask for. One more, and the oldest is made anew when it
/// is asked for again.
const KEPT: usize = 8;

/// Whether tasks can be placed on an instance, and count there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// There is none, or it is INACTIVE.
    #[default]
    Absent,
    /// Its tasks count, but it takes no more: DRAINING, or its agent is not connected.
    Closed,
    /// ACTIVE, its agent connected.
    Open,
}

/// One container instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot {
    /// CPU units that are left.
    pub cpu: i64,
    /// MiB that are left.
    pub memory: i64,
    pub state: State,
}

impl Slot {
    /// The slot of an instance of which `used` is in use.
    pub fn of(row: &InstanceRow, used: &Resources) -> Slot {
        Slot {
            cpu: row.registered.cpu.saturating_sub(used.cpu),
            memory: row.registered.memory.saturating_sub(used.memory),
            state: match row.status {
                InstanceStatus::Inactive => State::Absent,
                InstanceStatus::Active if row.agent_connected => State::Open,
                _ => State::Closed,
            },
        }
    }
}

/// A number for a text, 0 for none.
pub fn digest(text: Option<&str>) -> u64 {
    text.map_or(0, |text| crate::digest::digest(&[text]))
}

/// All of them. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    slots: Vector<Slot>,
    ids: Vector<InstanceId>,
    free: OrdSet<u32>,
    /// How many tasks of a group are in which slots.
    groups: OrdMap<String, OrdMap<u32, i32>>,
    kept: Vec<Arc<Split>>,
    /// Rises by one with each change of a slot.
    version: u64,
}

impl Slots {
    /// How many there are, those of no instance too.
    pub fn total(&self) -> usize {
        self.slots.len()
    }

    /// Rises by one with each change of a slot.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whose slot it is.
    pub fn id(&self, slot: u32) -> Option<&InstanceId> {
        self.ids.get(slot as usize)
    }

    /// One of them.
    pub fn get(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)
    }

    /// How many tasks of a group are in a slot.
    pub fn tasks(&self, slot: u32, group: &str) -> i32 {
        self.groups.get(group).and_then(|slots| slots.get(&slot)).copied().unwrap_or(0)
    }

    /// The slots that hold a task of a group.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = u32> {
        self.groups.get(group).into_iter().flat_map(|slots| slots.keys().copied())
    }

    /// The split of a layout, if it is kept.
    pub fn split(&self, layout: &Layout) -> Option<Arc<Split>> {
        self.kept.iter().find(|split| split.layout() == layout).cloned()
    }

    /// Keeps the split of a layout from now on; `all` are the instances that there are.
    pub fn keep<'a>(&mut self, layout: &Layout, all: impl Iterator<Item = Candidate<'a>>) -> Arc<Split> {
        let split = Arc::new(self.anew(layout, all));
        self.kept.drain(..self.kept.len().saturating_sub(KEPT - 1));
        self.kept.push(split.clone());
        split
    }

    fn anew<'a>(&self, layout: &Layout, all: impl Iterator<Item = Candidate<'a>>) -> Split {
        let mut split = Split::new(layout.clone());
        for candidate in all {
            if let Some(slot) = self.get(candidate.slot) {
                split.enter(candidate.slot, slot, candidate.row, candidate.groups);
            }
        }
        split
    }

    /// The layouts of which what is kept is not what would be made anew.
    pub fn broken<'a, I: Iterator<Item = Candidate<'a>>>(&self, all: impl Fn() -> I) -> Vec<&Layout> {
        let wrong = self.kept.iter().filter(|split| ***split != self.anew(split.layout(), all()));
        wrong.map(|split| split.layout()).collect()
    }

    /// A slot for an instance that has none.
    pub fn allot(&mut self, id: &InstanceId) -> u32 {
        match self.free.remove_min() {
            Some(slot) => {
                self.ids.set(slot as usize, *id);
                slot
            }
            None => {
                self.slots.push_back(Slot::default());
                self.ids.push_back(*id);
                u32::try_from(self.slots.len() - 1).expect("an instance is far larger than a byte of memory")
            }
        }
    }

    /// An instance's row is written; `used` and `groups` are what is on it.
    pub fn host(&mut self, slot: u32, row: &InstanceRow, used: &Resources, groups: &OrdMap<String, i32>) {
        self.version += 1;
        // Tasks may have been read before their instance.
        for (group, tasks) in groups {
            self.set(slot, group, *tasks);
        }
        let is = Slot::of(row, used);
        let was = self.slots.set(slot as usize, is);
        for split in &mut self.kept {
            let split = Arc::make_mut(split);
            split.leave(slot, &was, groups);
            split.enter(slot, &is, row, groups);
        }
    }

    /// A task of a group takes what it needs; so many of the group are on the instance now.
    pub fn take(&mut self, slot: u32, needs: &Resources, group: &str, tasks: i32) {
        self.version += 1;
        self.shift(slot, -needs.cpu, -needs.memory);
        self.count(slot, group, tasks);
    }

    /// A task of a group gives back what it needed; so many of the group are left on the instance.
    pub fn give(&mut self, slot: u32, needs: &Resources, group: &str, tasks: i32) {
        self.version += 1;
        self.shift(slot, needs.cpu, needs.memory);
        self.count(slot, group, tasks);
    }

    /// An instance is gone, with its tasks of these groups.
    pub fn release(&mut self, slot: u32, groups: &OrdMap<String, i32>) {
        self.version += 1;
        let was = self.slots.set(slot as usize, Slot::default());
        for split in &mut self.kept {
            Arc::make_mut(split).leave(slot, &was, groups);
        }
        for group in groups.keys() {
            self.set(slot, group, 0);
        }
        self.free.insert(slot);
    }

    fn shift(&mut self, slot: u32, cpu: i64, memory: i64) {
        let Some(is) = self.slots.get_mut(slot as usize) else { return };
        let was = *is;
        is.cpu = is.cpu.saturating_add(cpu);
        is.memory = is.memory.saturating_add(memory);
        for split in &mut self.kept {
            Arc::make_mut(split).room(slot, Some(&was), Some(is));
        }
    }

    fn count(&mut self, slot: u32, group: &str, tasks: i32) {
        self.set(slot, group, tasks);
        let Some(on) = self.slots.get(slot as usize) else { return };
        for split in &mut self.kept {
            Arc::make_mut(split).count(slot, on, group, tasks);
        }
    }

    fn set(&mut self, slot: u32, group: &str, tasks: i32) {
        if tasks > 0 && !self.groups.contains_key(group) {
            self.groups.insert(group.to_owned(), OrdMap::new());
        }
        let Some(slots) = self.groups.get_mut(group) else { return };
        if tasks > 0 {
            slots.insert(slot, tasks);
        } else {
            slots.remove(&slot);
        }
        if slots.is_empty() {
            self.groups.remove(group);
        }
    }
}
