//! What is pushed of security groups: their rules, who is in the sets that rules name, and what of interfaces may
//! change. Plain data with limits; what becomes of it in the kernel is `compile`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::doors::Dns;
use super::far::Transport;
use super::{BLOCKS_MAX, Block, InterfaceState, Name};
use crate::error::{Error, Result};

/// Most groups that a host knows, and most sets.
const GROUPS_MAX: usize = 20_000;
/// Most rules of one group in one direction.
const RULES_MAX: usize = 1_000;
/// Most rules of all groups.
const ALL_RULES_MAX: usize = 200_000;
/// Most addresses and blocks in all sets.
const MEMBERS_MAX: usize = 2_000_000;
/// Most interfaces of other hosts.
const PLACES_MAX: usize = 1_000_000;
/// Most interfaces that a host is told of, and most VPCs.
const INTERFACES_MAX: usize = 20_000;

/// The rules of a security group: each allows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What may come in.
    pub ingress: Vec<Rule>,
    /// What may go out.
    pub egress: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Of which traffic.
    pub traffic: Traffic,
    /// Who is at the other end.
    pub peer: Peer,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Traffic {
    /// Everything.
    All,
    /// Destination ports of TCP, first and last.
    Tcp(u16, u16),
    /// Destination ports of UDP, first and last.
    Udp(u16, u16),
    /// A type of ICMP, or all, and of that a code, or all.
    Icmp(Option<u8>, Option<u8>),
    /// The same of ICMPv6.
    Icmp6(Option<u8>, Option<u8>),
    /// Another protocol, by its number.
    Protocol(u8),
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// Whoever has an address of the block.
    Block(Block),
    /// Whoever is in the set: of a group's interfaces, or a prefix list.
    Set(Name),
}

/// What is to be known from now on. All of it, or what has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// What is not named here is no more.
    pub whole: bool,
    /// Blocks of VPCs.
    pub vpcs: Vec<(Name, Vec<Block>)>,
    /// Names of VPCs; none where a VPC has none.
    pub dns: Vec<(Name, Option<Dns>)>,
    /// How packets of VPCs go to other hosts; none where they do not.
    pub transports: Vec<(Name, Option<Transport>)>,
    /// Interfaces of VPCs on other hosts.
    pub places: Vec<Moves>,
    /// Where other hosts reach this one; none where they do not. What is said last counts, also if it says nothing else.
    pub address: Option<Ipv4Addr>,
    /// States of interfaces; they hold over what they were attached with.
    pub interfaces: Vec<(Name, InterfaceState)>,
    /// All rules of groups.
    pub groups: Vec<(Name, Group)>,
    /// Members of sets: who goes, and who comes then.
    pub sets: Vec<(Name, Vec<Block>, Vec<Block>)>,
    /// VPCs, interfaces, groups and sets that need not be known any more.
    pub gone: Vec<Name>,
}

/// What has changed of the interfaces of a VPC that are on other hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moves {
    /// The VPC.
    pub vpc: Name,
    /// The addresses of those that are there no more. They go before the others come.
    pub leave: Vec<Ipv4Addr>,
    /// The addresses of those that came, and where their hosts are reached.
    pub join: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rules {
    pub vpcs: BTreeMap<Name, Vec<Block>>,
    #[serde(default)]
    pub dns: BTreeMap<Name, Dns>,
    #[serde(default)]
    pub transports: BTreeMap<Name, Transport>,
    #[serde(default)]
    pub places: BTreeMap<Name, Arc<BTreeMap<Ipv4Addr, Ipv4Addr>>>,
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    pub interfaces: BTreeMap<Name, InterfaceState>,
    pub groups: BTreeMap<Name, Arc<Group>>,
    pub sets: BTreeMap<Name, Arc<BTreeSet<Block>>>,
}

impl Rules {
    /// What is known after a change; refused whole where it goes beyond a limit.
    pub(crate) fn after(&self, change: Change) -> Result<Rules> {
        let mut next = if change.whole { Rules::default() } else { self.clone() };
        for name in &change.gone {
            next.vpcs.remove(name);
            next.dns.remove(name);
            next.transports.remove(name);
            next.places.remove(name);
            next.interfaces.remove(name);
            next.groups.remove(name);
            next.sets.remove(name);
        }
        next.vpcs.extend(change.vpcs);
        next.address = change.address;
        for (name, transport) in change.transports {
            match transport {
                Some(transport) => drop(next.transports.insert(name, transport)),
                None => drop(next.transports.remove(&name)),
            }
        }
        for (name, dns) in change.dns {
            match dns {
                Some(dns) => drop(next.dns.insert(name, dns)),
                None => drop(next.dns.remove(&name)),
            }
        }
        for Moves { vpc, leave, join } in change.places {
            let places = Arc::make_mut(next.places.entry(vpc).or_default());
            leave.iter().for_each(|address| {
                places.remove(address);
            });
            places.extend(join);
        }
        next.interfaces.extend(change.interfaces);
        next.groups.extend(change.groups.into_iter().map(|(name, group)| (name, Arc::new(group))));
        for (name, leave, join) in change.sets {
            let set = Arc::make_mut(next.sets.entry(name).or_default());
            leave.iter().for_each(|block| {
                set.remove(block);
            });
            set.extend(join);
        }
        next.check()?;
        // What is as it was stays the same in memory too, so that the comparison with it costs nothing.
        for (name, set) in &mut next.sets {
            if let Some(old) = self.sets.get(name).filter(|old| *old == set) {
                *set = old.clone();
            }
        }
        Ok(next)
    }

    fn check(&self) -> Result<()> {
        let over =
            |what: &str, most: usize| Err(Error::Invalid(format!("a host knows at most {most} {what}")));
        if self.groups.len() > GROUPS_MAX || self.sets.len() > GROUPS_MAX {
            return over("security groups", GROUPS_MAX);
        }
        if self.interfaces.len() > INTERFACES_MAX || self.vpcs.len().max(self.dns.len()) > INTERFACES_MAX {
            return over("interfaces", INTERFACES_MAX);
        }
        if self.vpcs.values().any(|blocks| blocks.len() > BLOCKS_MAX || blocks.iter().any(Block::is_all)) {
            return Err(Error::Invalid("a VPC has blocks that no VPC has".to_owned()));
        }
        if self.places.values().map(|places| places.len()).sum::<usize>() > PLACES_MAX {
            return over("interfaces of other hosts", PLACES_MAX);
        }
        if self.transports.values().any(|Transport::Vxlan(number)| *number > 0x00ff_ffff) {
            return Err(Error::Invalid("a VXLAN has a number of 24 bits".to_owned()));
        }
        let counts = |group: &Arc<Group>| [group.ingress.len(), group.egress.len()];
        if self.groups.values().flat_map(counts).any(|count| count > RULES_MAX) {
            return Err(Error::Invalid(format!(
                "a security group has at most {RULES_MAX} rules in one direction"
            )));
        }
        if self.groups.values().flat_map(counts).sum::<usize>() > ALL_RULES_MAX {
            return over("rules", ALL_RULES_MAX);
        }
        if self.sets.values().map(|set| set.len()).sum::<usize>() > MEMBERS_MAX {
            return over("members of sets", MEMBERS_MAX);
        }
        self.dns.values().try_for_each(Dns::check)?;
        self.interfaces.values().try_for_each(InterfaceState::check)
    }
}

impl Rule {
    /// Whether it allows all traffic of TCP (6) or UDP (17) with all addresses of a family, on every port.
    pub(crate) fn opens(&self, protocol: u8, ipv4: bool) -> bool {
        let ports = match self.traffic {
            Traffic::All => true,
            Traffic::Tcp(0, u16::MAX) => protocol == 6,
            Traffic::Udp(0, u16::MAX) => protocol == 17,
            _ => false,
        };
        ports && self.is_for_everybody() == Some(ipv4)
    }

    /// The family all of whose addresses it is about: true for IPv4.
    pub(crate) fn is_for_everybody(&self) -> Option<bool> {
        match &self.peer {
            Peer::Block(block) if block.is_all() => Some(block.is_ipv4()),
            _ => None,
        }
    }
}
