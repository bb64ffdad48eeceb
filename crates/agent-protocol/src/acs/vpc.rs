//! What our own agent needs of a VPC: a member of each interface of a `PayloadMessage`, and a message that keeps the
//! rules of this host's interfaces as they are in the control plane. Neither is of AWS's protocol: the member is passed
//! over by agents that do not know it, the message is sent only to those that say that they do
//! ([`Connect::knows_vpc`](super::Connect)).
//!
//! What the message says of a host is one state: the blocks of its VPCs, the groups and the way out of its
//! interfaces, the rules of those groups, who is in the sets that those rules name, and on which other hosts the other interfaces of
//! its VPCs are. Within a session the messages
//! are counted from 1; the first says all of it (`whole`), each other one what has changed. Where one would be
//! longer than a frame may be, all but the last of its parts say `more`, and the agent makes it count when it
//! has them all. The agent answers each with an `AckRequest`, or with a `NackRequest` when it cannot carry it out: then, and
//! where a number is missing, it ends the session, for the next begins with all of it.
//!
//! Until it hears of a group an agent lets nothing through on its account; so a message goes out before the payload
//! whose interfaces need it.

use serde::{Deserialize, Serialize};

use crate::envelope::null_is_empty;

/// The member `roadstead:vpc` of an `ElasticNetworkInterface`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InterfaceVpc {
    /// The VPC. Interfaces with the same reach each other by their addresses, as far as their groups let them.
    pub vpc_id: String,
    /// The subnet.
    pub subnet_id: String,
    /// The VPC's blocks, IPv4 and IPv6, as CIDR.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<String>,
    /// Ids of the interface's security groups: what one of them allows is allowed.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Its way out of the VPC.
    pub egress: Egress,
    /// The IPv4 address by which the world knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_address: Option<String>,
}

/// The way out of a VPC that the routes of an interface's subnet, and its addresses, give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Egress {
    /// None: nothing leaves the VPC. So is a way that this version does not know.
    #[default]
    None,
    /// Through an internet gateway, as its public address.
    Direct,
    /// Through a NAT gateway.
    Nat,
}

impl From<String> for Egress {
    fn from(text: String) -> Egress {
        match text.as_str() {
            "direct" => Egress::Direct,
            "nat" => Egress::Nat,
            _ => Egress::None,
        }
    }
}

impl From<Egress> for String {
    fn from(egress: Egress) -> String {
        match egress {
            Egress::None => "none",
            Egress::Direct => "direct",
            Egress::Nat => "nat",
        }
        .to_owned()
    }
}

/// `roadstead:VpcMessage`: what is to hold for the interfaces of this host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VpcMessage {
    /// To be named in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// 1 for the first of a session, and one more each time.
    pub sequence: u64,
    /// What neither this message nor a later part of it names is no more.
    #[serde(skip_serializing_if = "is_false")]
    pub whole: bool,
    /// It goes on with the next message, and counts with its last part.
    #[serde(skip_serializing_if = "is_false")]
    pub more: bool,
    /// VPCs that are new or have other blocks.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub vpcs: Vec<VpcBlocks>,
    /// Interfaces that are new or have changed.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<InterfaceState>,
    /// Groups that are new or have other rules: all their rules.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupRules>,
    /// Who is in the groups and prefix lists that rules name as their peer, or is not any more.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetChange>,
    /// On which other host each interface of a VPC is: what has changed of it.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PlaceChange>,
    /// Ids of VPCs, interfaces, groups (both their rules and their members) and prefix lists that this host need not know any more.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
}

/// A VPC's blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VpcBlocks {
    /// `vpc-…`.
    pub id: String,
    /// As CIDR, IPv4 and IPv6.
    #[serde(deserialize_with = "null_is_empty")]
    pub blocks: Vec<String>,
    /// How its packets go from host to host. They do not where there is none, or one that this version does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
    /// Its names. Its tasks' resolver answers nothing where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<VpcDns>,
}

/// The names of a VPC.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VpcDns {
    /// The IPv4 address at which its tasks ask, besides 169.254.169.253.
    pub address: String,
    /// The domain of its names: `ec2.internal`.
    pub domain: String,
}

/// How packets of a VPC go from host to host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Overlay {
    /// By VXLAN with this number, of 24 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vxlan: Option<u32>,
}

/// A change of where interfaces of a VPC are, on hosts other than the one that is told. What goes, goes before what comes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PlaceChange {
    /// The VPC: `vpc-…`.
    pub vpc: String,
    /// Interfaces that are new, or on another host than before.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Place>,
    /// Addresses of those that are on no other host any more.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// Where an interface is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Place {
    /// Its private IPv4 address.
    pub address: String,
    /// The IPv4 address by which its host is reached. Packets from the interface come from there alone.
    pub host: String,
}

/// What may change of an interface while it is attached. It holds over what came with the payload.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InterfaceState {
    /// `eni-…`.
    pub id: String,
    /// Ids of its groups.
    #[serde(deserialize_with = "null_is_empty")]
    pub groups: Vec<String>,
    /// Its way out.
    pub egress: Egress,
    /// The IPv4 address by which the world knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_address: Option<String>,
}

/// The rules of a security group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupRules {
    /// `sg-…`.
    pub id: String,
    /// What may come in.
    #[serde(deserialize_with = "null_is_empty")]
    pub ingress: Vec<GroupRule>,
    /// What may go out.
    #[serde(deserialize_with = "null_is_empty")]
    pub egress: Vec<GroupRule>,
}

/// One rule: it allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRule {
    /// IANA's number of the protocol; -1 for all of them, whatever the ports.
    pub protocol: i16,
    /// TCP and UDP: the first port. ICMP and ICMPv6: the type, -1 for all. Without meaning for other protocols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_port: Option<i32>,
    /// TCP and UDP: the last port. ICMP and ICMPv6: the code, -1 for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_port: Option<i32>,
    /// Who is at the other end.
    pub peer: Peer,
}

/// Who is at the other end of what a rule allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Peer {
    /// An IPv4 or IPv6 block, as CIDR.
    Block(String),
    /// The members of a group: private addresses of its interfaces.
    Group(String),
    /// The blocks of a prefix list.
    PrefixList(String),
}

/// A change of who is in a set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SetChange {
    /// `sg-…` or `pl-…`. A set that is named is known from then on, also while nobody is in it.
    pub id: String,
    /// New ones: addresses of a group's interfaces, blocks of a prefix list.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Those that are in it no more; they go before the new ones come.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}
