//! Interfaces of tasks in a VPC (ECS network mode `awsvpc`): what is asked for and what is given.
//!
//! A task's namespace has `eth0` with the address that it was given; the other end lies in a namespace of its VPC,
//! which routes: it has a route to each interface, answers for all other addresses of the VPC, and is the one
//! place that packets between tasks, and to the world, go through ([`router`]). There, and nowhere else, security
//! groups are enforced ([`rules`], [`compile`]), with connections tracked. So blocks of two VPCs may be the same.
//! From an interface comes only what has its own addresses (`netlink/tc`).
//!
//! Where interfaces of the VPC are on other hosts, a link leads there ([`far`]).
//!
//! Names are asked for there too ([`doors`]): the namespace has the resolver's addresses, and nobody else is at home in it.
//!
//! What a VPC's namespace cannot do yet: carry IPv6 out of the VPC or to other hosts. It goes nowhere; nothing is let through in its
//! place.

pub(crate) mod compile;
pub(crate) mod doors;
pub(crate) mod far;
pub(crate) mod manager;
pub(crate) mod router;
pub(crate) mod rules;
pub(crate) mod script;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::types::{AttachmentId, Mac, Subnet};

/// Longest identifier of EC2's: `vpc-`, `sg-`, `eni-`, `pl-` and what follows, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Most groups of one interface: EC2's own limit, raised as far as it goes.
const GROUPS_MAX: usize = 16;
/// Most blocks of one VPC.
const BLOCKS_MAX: usize = 64;

/// An interface of a task, as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSpec {
    /// The caller's name for it; unique within the instance, also among attachments.
    pub id: AttachmentId,
    /// `eni-…`.
    pub interface: Name,
    /// `vpc-…`.
    pub vpc: Name,
    /// The VPC's blocks: what is in none of them is outside.
    pub blocks: Vec<Block>,
    /// Hardware address of `eth0`.
    pub mac: Mac,
    /// Its address.
    pub ipv4: Ipv4Addr,
    /// Its subnet.
    pub subnet: Subnet,
    /// Where its default route leads: an address of the subnet.
    pub gateway: Ipv4Addr,
    /// Its IPv6 address, if it has one.
    #[serde(default)]
    pub ipv6: Option<Ipv6Addr>,
    /// What may be changed while it is attached.
    pub state: InterfaceState,
}

/// What may be changed of an interface while it is attached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceState {
    /// Its security groups: what one of them allows is allowed. None allows nothing.
    pub groups: Vec<Name>,
    /// Its way out of the VPC.
    #[serde(default)]
    pub egress: Egress,
    /// The address by which the world knows it.
    #[serde(default)]
    pub public: Option<Ipv4Addr>,
}

/// The way out of a VPC. IPv4 only: nothing of IPv6 leaves one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// None.
    #[default]
    None,
    /// As its public address; none without one.
    Direct,
    /// Behind an address that is this host's.
    Nat,
}

/// An interface of a task, as given. The same answer after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The caller's name for it.
    pub id: AttachmentId,
    /// File to `setns` into.
    pub netns_path: PathBuf,
}

/// Gives the task's side of an interface its addresses and routes once more, where a network stack of the task's own had
/// taken them over and is gone: `netns` is the task's namespace. Blocks for a moment.
///
/// # Errors
/// What the kernel refuses.
pub fn furnish(spec: &InterfaceSpec, netns: &std::fs::File) -> Result<()> {
    router::furnish(spec, netns)
}

/// An identifier of EC2's: letters, digits and dashes, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Checks and makes one.
    pub fn new(text: impl Into<String>) -> Result<Name> {
        let text = text.into();
        let is_name = text.len() <= NAME_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if is_name {
            Ok(Name(text))
        } else {
            Err(Error::Invalid(format!("{text:?} is no identifier of EC2's")))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Name> {
        Name::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A block of addresses, IPv4 or IPv6, host bits zero. An address is the block of all its bits. In order of the first
/// address, and then of size, so that a block comes just before all that lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Block {
    address: IpAddr,
    prefix_len: u8,
}

impl Block {
    /// Makes a block; host bits of `address` are cleared.
    pub fn new(address: IpAddr, prefix_len: u8) -> Result<Block> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix_len > most {
            return Err(Error::Invalid(format!("prefix length {prefix_len} is over {most}")));
        }
        let address = match address {
            IpAddr::V4(a) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & mask))
            }
            IpAddr::V6(a) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix_len)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & mask))
            }
        };
        Ok(Block { address, prefix_len })
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether it is every address of its family.
    pub fn is_all(&self) -> bool {
        self.prefix_len == 0
    }

    /// Whether all of `other` lies in it.
    pub fn contains(&self, other: &Block) -> bool {
        self.is_ipv4() == other.is_ipv4()
            && self.prefix_len <= other.prefix_len
            && Block::new(other.address, self.prefix_len).is_ok_and(|outer| outer == *self)
    }

    /// Whether it is one address.
    pub(crate) fn is_address(&self) -> bool {
        self.prefix_len == if self.is_ipv4() { 32 } else { 128 }
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_address() {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.prefix_len),
        }
    }
}

impl FromStr for Block {
    type Err = Error;

    fn from_str(text: &str) -> Result<Block> {
        let bad =
            || Error::Invalid(format!("{text:?} is neither an address nor a block such as 10.0.0.0/16"));
        let (address, prefix_len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len.parse::<u8>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        Block::new(address, prefix_len.unwrap_or(all)).map_err(|_| bad())
    }
}

impl TryFrom<String> for Block {
    type Error = Error;

    fn try_from(text: String) -> Result<Block> {
        text.parse()
    }
}

impl From<Block> for String {
    fn from(block: Block) -> String {
        block.to_string()
    }
}

impl From<IpAddr> for Block {
    fn from(address: IpAddr) -> Block {
        Block { address, prefix_len: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl InterfaceSpec {
    /// Refuses what no interface can be.
    pub(crate) fn check(&self) -> Result<()> {
        let bad = |text: String| Err(Error::Invalid(text));
        let (address, subnet) = (Block::from(IpAddr::V4(self.ipv4)), &self.subnet);
        let of_subnet = Block::new(IpAddr::V4(subnet.addr()), subnet.prefix_len())?;
        let gateway = Block::from(IpAddr::V4(self.gateway));
        if !(8..=30).contains(&subnet.prefix_len()) || self.mac.0[0] & 1 != 0 {
            return bad(format!(
                "{subnet} is no subnet, or {} no hardware address, of an interface",
                self.mac
            ));
        }
        if !of_subnet.contains(&address) || !of_subnet.contains(&gateway) || self.ipv4 == self.gateway {
            return bad(format!("{} with the gateway {} is not in {subnet}", self.ipv4, self.gateway));
        }
        if !is_host(IpAddr::V4(self.ipv4)) || self.ipv6.is_some_and(|a| !is_host(IpAddr::V6(a))) {
            return bad(format!("{} is no address of an interface", self.ipv4));
        }
        if self.blocks.is_empty() || self.blocks.len() > BLOCKS_MAX {
            return bad(format!("a VPC has 1 to {BLOCKS_MAX} blocks"));
        }
        if let Some(block) = self.blocks.iter().find(|block| block.is_all()) {
            return bad(format!("{block} is no block of a VPC"));
        }
        let all = std::iter::once(address).chain(self.ipv6.map(|a| Block::from(IpAddr::V6(a))));
        for address in all {
            if !self.blocks.iter().any(|block| block.contains(&address)) {
                return bad(format!("{address} is in no block of {}", self.vpc));
            }
        }
        self.state.check()
    }

    /// Whether it is the same interface, whatever became of what may change.
    pub(crate) fn is_same(&self, other: &InterfaceSpec) -> bool {
        let state = |spec: &InterfaceSpec| InterfaceSpec {
            state: InterfaceState::default(),
            blocks: Vec::new(),
            ..spec.clone()
        };
        state(self) == state(other)
    }
}

impl InterfaceState {
    pub(crate) fn check(&self) -> Result<()> {
        if self.groups.len() > GROUPS_MAX {
            return Err(Error::Invalid(format!("at most {GROUPS_MAX} security groups an interface")));
        }
        match self.public.filter(|public| !is_host(IpAddr::V4(*public))) {
            Some(public) => Err(Error::Invalid(format!("{public} is no public address"))),
            None => Ok(()),
        }
    }
}

/// Whether one machine may have the address.
fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            !(a.is_loopback()
                || a.is_multicast()
                || a.is_broadcast()
                || a.is_link_local()
                || a.octets()[0] == 0)
        }
        IpAddr::V6(a) => {
            !(a.is_loopback() || a.is_multicast() || a.is_unspecified() || a.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests;
