//! Rules of security groups, and entries of network ACLs.

use serde::{Deserialize, Serialize};

use super::{Block, Cidr4, Cidr6, GroupId, RuleId};

/// A protocol by its number; −1 is all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Protocol(pub i16);

impl Protocol {
    pub const ALL: Protocol = Protocol(-1);
    pub const ICMP: Protocol = Protocol(1);
    pub const TCP: Protocol = Protocol(6);
    pub const UDP: Protocol = Protocol(17);
    pub const ICMP_V6: Protocol = Protocol(58);
}

/// Ports from the first to the second; of ICMP the type and the code, where −1 is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ports(pub i32, pub i32);

/// Whom a rule lets in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Peer {
    V4(Cidr4),
    V6(Cidr6),
    /// The interfaces that have the group.
    Group(GroupId),
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleRow {
    pub id: RuleId,
    pub group: GroupId,
    pub egress: bool,
    pub protocol: Protocol,
    /// None: the protocol has none, or all are meant.
    pub ports: Option<Ports>,
    pub peer: Peer,
    pub description: Option<String>,
}

/// An entry of a network ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRow {
    pub egress: bool,
    pub number: u16,
    pub allow: bool,
    pub protocol: Protocol,
    pub block: Block,
    /// Of TCP and UDP.
    pub ports: Option<Ports>,
    /// Type and code, of ICMP.
    pub icmp: Option<Ports>,
}
