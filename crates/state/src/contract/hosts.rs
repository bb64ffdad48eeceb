//! What is to hold on a host for the network interfaces of its tasks: said by EC2, and carried to the host as it changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use imbl::{OrdSet, ordset::DiffItem};

use super::Egress;

/// All of it, by identifiers as EC2 writes them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostNetwork {
    /// The blocks of each VPC that an interface is in.
    pub vpcs: BTreeMap<String, Vec<String>>,
    pub interfaces: BTreeMap<String, HostInterface>,
    /// The rules of each security group that an interface has.
    pub rules: BTreeMap<String, Arc<Rules>>,
    /// The addresses of all interfaces that have a security group, of each one that a rule above names.
    pub members: BTreeMap<String, OrdSet<IpAddr>>,
}

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
