//! What placement asks of every container instance, kept small and side by side, so that asking ten thousand of
//! them costs little: a [`Slot`] each, and by group and by host port the slots that hold one. An index of the
//! cluster's rows, changed only where they are applied.

use std::collections::BTreeSet;

use imbl::{OrdMap, OrdSet, Vector};

use crate::{
    cluster::rows::{InstanceId, InstanceRow, InstanceStatus, Resources},
    instance::ZONE,
};

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
    /// The value of the zone attribute, as [`digest`] gives it.
    pub zone: u64,
    /// Of the instance's id; two instances that are equal otherwise are told apart by it.
    pub salt: u64,
    pub state: State,
}

impl Slot {
    /// The slot of an instance of which `used` is in use.
    pub fn of(row: &InstanceRow, used: &Resources) -> Slot {
        let zone = row.attributes.iter().find(|attribute| attribute.name == ZONE);
        Slot {
            cpu: row.registered.cpu.saturating_sub(used.cpu),
            memory: row.registered.memory.saturating_sub(used.memory),
            zone: digest(zone.map(|zone| zone.value.as_deref().unwrap_or_default())),
            salt: digest(Some(&row.id.to_string())),
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

/// A host port; `true` for udp.
pub(super) type Port = (bool, u16);

/// All of them. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    slots: Vector<Slot>,
    ids: Vector<InstanceId>,
    free: OrdSet<u32>,
    /// How many tasks of a group are in which slots.
    groups: OrdMap<String, OrdMap<u32, i32>>,
    /// In which slots a host port is reserved or held.
    ports: OrdMap<Port, OrdSet<u32>>,
}

/// The host ports in it.
pub(super) fn ports(of: &Resources) -> impl Iterator<Item = Port> {
    let number = |udp: bool| move |port: &u16| (udp, *port);
    of.ports_tcp.iter().map(number(false)).chain(of.ports_udp.iter().map(number(true)))
}

impl Slots {
    /// Every slot, those of no instance too.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        (0..).zip(self.slots.iter())
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.slots.len()
    }

    /// Whose slot it is.
    pub fn id(&self, slot: u32) -> Option<&InstanceId> {
        self.ids.get(slot as usize)
    }

    /// One of them.
    pub fn get(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)
    }

    /// How many tasks of a group are in each slot.
    pub fn group(&self, group: &str) -> Vec<i32> {
        let mut counts = vec![0; self.total()];
        for (slot, count) in self.groups.get(group).into_iter().flatten() {
            if let Some(place) = counts.get_mut(*slot as usize) {
                *place = *count;
            }
        }
        counts
    }

    /// The slots that hold a task of a group.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = u32> {
        self.groups.get(group).into_iter().flat_map(|slots| slots.keys().copied())
    }

    /// The slots in which one of these host ports cannot be had.
    pub fn blocked(&self, wanted: &Resources) -> BTreeSet<u32> {
        ports(wanted).filter_map(|port| self.ports.get(&port)).flatten().copied().collect()
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

    /// What was in use on an instance before it had a slot.
    pub fn fill(&mut self, slot: u32, used: &Resources, groups: &OrdMap<String, i32>) {
        ports(used).for_each(|port| self.hold_port(slot, port));
        for (group, count) in groups {
            self.groups.entry(group.clone()).or_default().insert(slot, *count);
        }
    }

    /// An instance's row is written; `old` is what it was before.
    pub fn host(&mut self, slot: u32, old: Option<&InstanceRow>, row: &InstanceRow, used: &Resources) {
        if let Some(old) = old.filter(|old| old.registered != row.registered) {
            ports(&old.registered).for_each(|port| self.free_port(slot, port));
            ports(used).for_each(|port| self.hold_port(slot, port));
        }
        if old.is_none_or(|old| old.registered != row.registered) {
            ports(&row.registered).for_each(|port| self.hold_port(slot, port));
        }
        self.slots.set(slot as usize, Slot::of(row, used));
    }

    /// A task of a group takes what it needs.
    pub fn take(&mut self, slot: u32, needs: &Resources, group: &str) {
        self.shift(slot, -needs.cpu, -needs.memory);
        ports(needs).for_each(|port| self.hold_port(slot, port));
        *self.groups.entry(group.to_owned()).or_default().entry(slot).or_default() += 1;
    }

    /// A task of a group gives back what it needed; `reserved` ports stay held.
    pub fn give(&mut self, slot: u32, needs: &Resources, group: &str, reserved: Option<&Resources>) {
        self.shift(slot, needs.cpu, needs.memory);
        for port in ports(needs) {
            if !reserved.is_some_and(|reserved| ports(reserved).any(|held| held == port)) {
                self.free_port(slot, port);
            }
        }
        let Some(counts) = self.groups.get_mut(group) else { return };
        match counts.get_mut(&slot) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                counts.remove(&slot);
            }
        }
        if counts.is_empty() {
            self.groups.remove(group);
        }
    }

    /// An instance is gone, with what was in use on it.
    pub fn release<'a>(
        &mut self,
        slot: u32,
        row: Option<&InstanceRow>,
        used: &Resources,
        groups: impl Iterator<Item = &'a String>,
    ) {
        let reserved = row.map(|row| &row.registered);
        reserved.into_iter().chain([used]).flat_map(ports).for_each(|port| self.free_port(slot, port));
        for group in groups {
            if let Some(counts) = self.groups.get_mut(group) {
                counts.remove(&slot);
                if counts.is_empty() {
                    self.groups.remove(group);
                }
            }
        }
        self.slots.set(slot as usize, Slot::default());
        self.free.insert(slot);
    }

    fn shift(&mut self, slot: u32, cpu: i64, memory: i64) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            place.cpu = place.cpu.saturating_add(cpu);
            place.memory = place.memory.saturating_add(memory);
        }
    }

    fn hold_port(&mut self, slot: u32, port: Port) {
        self.ports.entry(port).or_default().insert(slot);
    }

    fn free_port(&mut self, slot: u32, port: Port) {
        if let Some(held) = self.ports.get_mut(&port) {
            held.remove(&slot);
            if held.is_empty() {
                self.ports.remove(&port);
            }
        }
    }
}
