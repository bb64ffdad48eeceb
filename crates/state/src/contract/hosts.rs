//! What is to hold on a host for the network interfaces of its tasks: said by EC2, and carried to the host as it changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use imbl::{OrdMap, OrdSet, ordmap, ordset::DiffItem};

use super::Egress;

/// All of it, by identifiers as EC2 writes them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostNetwork {
    /// Each VPC that an interface is in.
    pub vpcs: BTreeMap<String, HostVpc>,
    pub interfaces: BTreeMap<String, HostInterface>,
    /// The rules of each security group that an interface has.
    pub rules: BTreeMap<String, Arc<Rules>>,
    /// The addresses of all interfaces that have a security group, of each one that a rule above names.
    pub members: BTreeMap<String, OrdSet<IpAddr>>,
}

/// A VPC, as hosts know it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostVpc {
    /// Its blocks.
    pub blocks: Vec<String>,
    /// Its number between hosts, of 24 bits: no other VPC of the account and region has it. None: it stays within hosts.
    pub segment: Option<u32>,
    /// Where its tasks ask for names, and the domain of its own; none where they are answered nothing.
    pub dns: Option<(Ipv4Addr, String)>,
    /// Each address of an interface of a host that others reach, these too, and where that host is reached.
    pub places: Places,
}

/// By the address of an interface, where its host is reached. Copies share what does not change.
pub type Places = OrdMap<Ipv4Addr, Ipv4Addr>;

/// What may change of an interface while a task has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInterface {
    pub groups: Vec<String>,
    pub egress: Egress,
    /// The address by which the world knows it.
    pub public: Option<Ipv4Addr>,
}

/// The rules of a security group, in an order that follows from them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    pub ingress: Vec<Rule>,
    pub egress: Vec<Rule>,
}

/// One rule: it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// By its number; −1 is all of them.
    pub protocol: i16,
    /// The first and the last port; of ICMP the type and the code, where −1 is any. None is all.
    pub ports: Option<(i32, i32)>,
    pub peer: Peer,
}

/// Whom a rule lets in or out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A block of IPv4 or IPv6.
    Block(String),
    /// The interfaces that have a security group.
    Group(String),
}

impl HostNetwork {
    /// Of what it says anything: VPCs, interfaces and security groups.
    pub fn names(&self) -> BTreeSet<String> {
        let groups = self.rules.keys().chain(self.members.keys());
        self.vpcs.keys().chain(self.interfaces.keys()).chain(groups).cloned().collect()
    }
}

/// What others on `own` are to know of places: those of interfaces that came elsewhere or moved there, and the addresses of
/// those that are nowhere else any more. It costs by what has changed, where both share the rest.
pub fn moves(before: &Places, now: &Places, own: Ipv4Addr) -> (Vec<(Ipv4Addr, Ipv4Addr)>, Vec<Ipv4Addr>) {
    let (mut came, mut left) = (Vec::new(), Vec::new());
    for item in before.diff(now) {
        let (address, from, to) = match item {
            ordmap::DiffItem::Add(address, to) => (*address, None, Some(*to)),
            ordmap::DiffItem::Update { old: (_, from), new: (address, to) } => {
                (*address, Some(*from), Some(*to))
            }
            ordmap::DiffItem::Remove(address, from) => (*address, Some(*from), None),
        };
        match (from.filter(|from| *from != own), to.filter(|to| *to != own)) {
            (_, Some(to)) => came.push((address, to)),
            (Some(_), None) => left.push(address),
            (None, None) => {}
        }
    }
    (came, left)
}

/// Addresses that came to a set, and those that left it. It costs by what has changed, where both share the rest.
pub fn changes(before: &OrdSet<IpAddr>, now: &OrdSet<IpAddr>) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let (mut came, mut left) = (Vec::new(), Vec::new());
    for item in before.diff(now) {
        match item {
            DiffItem::Add(address) => came.push(*address),
            DiffItem::Remove(address) => left.push(*address),
        }
    }
    (came, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_hears_of_those_that_are_elsewhere() {
        let host = |last: u8| Ipv4Addr::new(192, 0, 2, last);
        let task = |last: u8| Ipv4Addr::new(10, 0, 0, last);
        let places = |all: &[(u8, u8)]| all.iter().map(|(at, on)| (task(*at), host(*on))).collect::<Places>();
        let before = places(&[(1, 1), (2, 2), (3, 2), (4, 2), (5, 1)]);
        let now = places(&[(1, 1), (2, 2), (3, 3), (4, 1), (5, 2), (6, 2), (7, 1)]);
        let (came, left) = moves(&before, &now, host(1));
        assert_eq!(came, [(task(3), host(3)), (task(5), host(2)), (task(6), host(2))]);
        assert_eq!(left, [task(4)]);
        assert_eq!(moves(&now, &now, host(1)), (Vec::new(), Vec::new()));
    }
}
