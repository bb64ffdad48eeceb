//! Slots: numbers that stand for an address, a veth and a namespace file at once, so that what is
//! in use can be read back from the kernel's objects alone. Pure; the truth is on the host.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::types::{Config, InstanceId, Mac, Subnet};

/// Offset of an address from the network address: 2 and up, 1 is the gateway.
pub(crate) type Slot = u16;

const FIRST: Slot = 2;

/// Which slots are in use. Hands them out in turn, so that an address rests as long as possible
/// before it is used again and late packets of an old connection meet nobody.
#[derive(Debug)]
pub(crate) struct Slots {
    subnet: Subnet,
    used: BTreeSet<Slot>,
    next: Slot,
}

impl Slots {
    pub(crate) fn new(subnet: Subnet, used: BTreeSet<Slot>) -> Slots {
        let next = used.last().map_or(FIRST, |slot| slot.saturating_add(1));
        Slots { subnet, used, next }
    }

    /// Takes a free slot.
    pub(crate) fn take(&mut self) -> Result<Slot> {
        let end = self.subnet.last_offset();
        let start = if (FIRST..end).contains(&self.next) { self.next } else { FIRST };
        let slot = (start..end)
            .chain(FIRST..start)
            .find(|slot| !self.used.contains(slot))
            .ok_or_else(|| Error::NoFreeAddress(self.subnet.to_string()))?;
        self.used.insert(slot);
        self.next = slot.saturating_add(1);
        Ok(slot)
    }

    /// Gives a slot back once nothing on the host bears it.
    pub(crate) fn release(&mut self, slot: Slot) {
        self.used.remove(&slot);
    }
}

/// Names of one instance's objects on the host.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    id: InstanceId,
    run_root: PathBuf,
}

impl Names {
    pub(crate) fn new(config: &Config) -> Names {
        Names { id: config.instance_id8, run_root: config.run_root.clone() }
    }

    pub(crate) fn bridge(&self) -> String {
        format!("rs{}", self.id)
    }

    /// Fifteen characters, the most Linux allows.
    pub(crate) fn veth(&self, slot: Slot) -> String {
        format!("rv{}-{slot:04x}", self.id)
    }

    pub(crate) fn table(&self) -> String {
        format!("roadstead_{}", self.id)
    }

    /// The table that watches over packets of other hosts.
    pub(crate) fn guard_table(&self) -> String {
        format!("{}_far", self.table())
    }

    /// The host's end of the link to a VPC's namespace; as long.
    pub(crate) fn vpc_link(&self, slot: Slot) -> String {
        format!("{}{slot:04x}", self.vpc_links())
    }

    /// What those links begin with.
    pub(crate) fn vpc_links(&self) -> String {
        format!("rw{}-", self.id)
    }

    /// The file of a VPC's namespace.
    pub(crate) fn vpc_netns(&self, slot: Slot) -> PathBuf {
        self.netns_dir().join(format!("rw-{}-{slot:04x}", self.id))
    }

    /// The file of the namespace of a task's interface.
    pub(crate) fn task_netns(&self, slot: Slot) -> PathBuf {
        self.netns_dir().join(format!("rt-{}-{slot:04x}", self.id))
    }

    /// Link group in which links are deleted; not 0, which every link starts in.
    pub(crate) fn group(&self) -> u32 {
        u32::from_str_radix(self.id.as_str(), 16).unwrap_or(1).max(1)
    }

    pub(crate) fn run_root(&self) -> &Path {
        &self.run_root
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.run_root.join(self.id.as_str())
    }

    pub(crate) fn netns_dir(&self) -> PathBuf {
        self.run_dir().join("netns")
    }

    pub(crate) fn netns(&self, slot: Slot) -> PathBuf {
        self.netns_dir().join(format!("rs-{}-{slot:04x}", self.id))
    }

    /// The slot a link of ours bears.
    pub(crate) fn slot_of_veth(&self, name: &str) -> Option<Slot> {
        slot(name.strip_prefix("rv")?.strip_prefix(self.id.as_str())?)
    }

    /// The slot of the link to a VPC's namespace.
    pub(crate) fn slot_of_vpc_link(&self, name: &str) -> Option<Slot> {
        slot(name.strip_prefix("rw")?.strip_prefix(self.id.as_str())?)
    }

    /// The slot of the file of a VPC's namespace.
    pub(crate) fn slot_of_vpc_netns(&self, file_name: &str) -> Option<Slot> {
        slot(file_name.strip_prefix("rw-")?.strip_prefix(self.id.as_str())?)
    }

    /// The slot of the file of a task's namespace.
    pub(crate) fn slot_of_task_netns(&self, file_name: &str) -> Option<Slot> {
        slot(file_name.strip_prefix("rt-")?.strip_prefix(self.id.as_str())?)
    }

    /// The slot a namespace file of ours bears.
    pub(crate) fn slot_of_netns(&self, file_name: &str) -> Option<Slot> {
        slot(file_name.strip_prefix("rs-")?.strip_prefix(self.id.as_str())?)
    }
}

fn slot(rest: &str) -> Option<Slot> {
    let digits = rest.strip_prefix('-').filter(|d| d.len() == 4)?;
    Slot::from_str_radix(digits, 16).ok()
}

/// A hardware address that goes with the IPv4 address (Docker's scheme), so that a neighbour's
/// cache is right even after the address changed hands.
pub(crate) fn mac_of(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    Mac([0x02, 0x42, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn slots_are_handed_out_in_turn_and_reused_last() {
        let mut slots = Slots::new(subnet("10.0.0.0/29"), BTreeSet::new());
        let all: Vec<_> = (0..5).map(|_| slots.take().unwrap()).collect();
        assert_eq!(all, [2, 3, 4, 5, 6], "neither network, gateway nor broadcast");
        assert!(matches!(slots.take(), Err(Error::NoFreeAddress(_))));
        slots.release(3);
        slots.release(5);
        assert_eq!(slots.take().unwrap(), 3);
        slots.release(3);
        assert_eq!(slots.take().unwrap(), 5, "3 was used last");
    }

    #[test]
    fn names_lead_back_to_their_slot() {
        let config = Config::new("0123abcd".parse().unwrap(), "/x");
        let names = Names::new(&config);
        assert_eq!(names.veth(0xfffe), "rv0123abcd-fffe");
        assert!(names.veth(0xfffe).len() <= 15);
        assert_eq!(names.slot_of_veth("rv0123abcd-fffe"), Some(0xfffe));
        for other in ["rv0123abce-fffe", "rv0123abcd", "rv0123abcd-", "rs0123abcd", "rv0123abcd-00001"] {
            assert_eq!(names.slot_of_veth(other), None, "{other}");
        }
        let file = names.netns(7);
        assert_eq!(names.slot_of_netns(file.file_name().unwrap().to_str().unwrap()), Some(7));
        assert_eq!(names.slot_of_vpc_link(&names.vpc_link(7)), Some(7));
        assert!(names.vpc_link(0xfffe).len() <= 15);
        let (vpc, task) = (names.vpc_netns(7), names.task_netns(8));
        let [vpc, task] = [&vpc, &task].map(|path| path.file_name().unwrap().to_str().unwrap());
        assert_eq!((names.slot_of_vpc_netns(vpc), names.slot_of_task_netns(task)), (Some(7), Some(8)));
        for one in [vpc, task] {
            assert_eq!(names.slot_of_netns(one), None);
        }
    }
}
