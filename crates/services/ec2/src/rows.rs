//! What is stored, and all that is stored: one row for each thing of the API that has an identifier, and one for each tag.
//! What always goes together is in one row: a subnet says which route table and which network ACL it has.

mod cidr;
mod ids;
mod rules;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use state::{Id128, Row};
use wire::Timestamp;

pub use cidr::{Block, Cidr4, Cidr6};
pub use ids::*;
pub use rules::{EntryRow, Peer, Ports, Protocol, RuleRow};

/// A row without its long texts and lists.
const ROW: usize = 640;
/// An element of a list.
const ELEMENT: usize = 192;

/// That the default VPC was made: from then on it is as its rows say, or not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedRow {
    /// The DHCP options that there are.
    pub dhcp: DhcpId,
}

/// A VPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VpcRow {
    pub id: VpcId,
    pub cidr: Cidr4,
    pub cidr_association: CidrAssociationId,
    /// It is the one that requests mean which name none.
    pub default: bool,
    /// Its tenancy is `dedicated`.
    pub dedicated: bool,
    pub dhcp: DhcpId,
    pub dns_support: bool,
    pub dns_hostnames: bool,
    pub usage_metrics: bool,
    /// The route table of subnets that have none of their own.
    pub main: AssociationRow,
    /// The security group `default`.
    pub group: GroupId,
    /// The network ACL of new subnets.
    pub acl: AclId,
}

/// That something has a route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssociationRow {
    pub id: AssociationId,
    pub table: TableId,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubnetRow {
    pub id: SubnetId,
    pub vpc: VpcId,
    pub cidr: Cidr4,
    /// The zone's name.
    pub zone: String,
    pub default_for_zone: bool,
    pub public_on_launch: bool,
    /// Host names are of identifiers (`resource-name`), and not of addresses.
    pub resource_names: bool,
    /// `EnableResourceNameDnsARecord`.
    pub a_records: bool,
    /// Its route table, where it is not the VPC's main one.
    pub table: Option<AssociationRow>,
    pub acl: AclId,
    pub acl_association: AclAssociationId,
}

/// A security group. Its rules are rows of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRow {
    pub id: GroupId,
    pub vpc: VpcId,
    pub name: String,
    pub description: String,
}

/// An internet gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayRow {
    pub id: GatewayId,
    /// The VPC that it is attached to.
    pub vpc: Option<VpcId>,
}

/// A route table. The route within the VPC is in none: it is always there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    pub id: TableId,
    pub vpc: VpcId,
    /// In the order of where they lead, each destination once.
    pub routes: Vec<RouteRow>,
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRow {
    pub to: Block,
    pub by: Hop,
}

/// What a route leads through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Hop {
    Gateway(GatewayId),
    Nat(NatId),
}

/// An Elastic IP address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddressRow {
    pub id: AllocationId,
    pub address: Ipv4Addr,
}

/// A NAT gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NatRow {
    pub id: NatId,
    pub vpc: VpcId,
    pub subnet: SubnetId,
    pub interface: InterfaceId,
    pub private: Ipv4Addr,
    /// Its Elastic IP address; none where its connectivity is `private`.
    pub public: Option<NatAddressRow>,
    pub created_at: Timestamp,
    /// It is deleted, and still shown.
    pub deleted_at: Option<Timestamp>,
    /// Not shown any more from then on.
    pub forget_at: Option<Timestamp>,
}

/// The Elastic IP address of a NAT gateway, which is shown after the gateway's end too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatAddressRow {
    pub allocation: AllocationId,
    pub association: AddressAssociationId,
    pub address: Ipv4Addr,
}

/// The network interface of a task. What it is for its task, its MAC among it, follows from this row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterfaceRow {
    pub id: InterfaceId,
    pub vpc: VpcId,
    pub subnet: SubnetId,
    /// Nothing else of the VPC has it while this row is there.
    pub address: Ipv4Addr,
    /// The public address that it was given from the pool: nobody else has it while this row is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Ipv4Addr>,
    /// In the order in which they were asked for; at least one.
    pub groups: Vec<GroupId>,
    pub description: String,
    pub attachment: AttachmentId,
    /// Whose it is: who asked for it, which is a cluster of ECS by its name, and the task.
    pub sender: String,
    pub task: Id128,
    /// The instance that it is attached to, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Where the host that it is on is reached by others, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Ipv4Addr>,
    pub created_at: Timestamp,
}

/// A network ACL. The last entry, which denies what no other is for, is in none: it is always there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AclRow {
    pub id: AclId,
    pub vpc: VpcId,
    pub default: bool,
    /// In the order of direction and number.
    pub entries: Vec<EntryRow>,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagRow {
    pub of: Resource,
    pub key: String,
    pub value: String,
}

/// A client token, and what the request made that it came with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRow {
    pub token: String,
    /// Of the request: the same token with another one is refused.
    pub digest: String,
    pub made: Resource,
    pub forget_at: Timestamp,
}

/// As JSON writes it at the worst: six characters for one.
fn length(text: &str) -> usize {
    text.bytes().map(|byte| if byte < 0x20 { 6 } else { 2 }).sum()
}

macro_rules! weights {
    ($($row:ident: |$this:ident| $weight:expr,)+) => {$(
        impl Row for $row {
            fn weight(&self) -> usize {
                let $this = self;
                $weight
            }
        }
    )+};
}

weights! {
    SeedRow: |_row| ROW,
    VpcRow: |_row| ROW,
    SubnetRow: |row| ROW + length(&row.zone),
    GroupRow: |row| ROW + length(&row.name) + length(&row.description),
    RuleRow: |row| ROW + row.description.as_deref().map_or(0, length),
    GatewayRow: |_row| ROW,
    TableRow: |row| ROW + ELEMENT * row.routes.len(),
    AddressRow: |_row| ROW,
    NatRow: |_row| ROW * 2,
    InterfaceRow: |row| {
        let texts = length(&row.description) + length(&row.sender) + row.instance.as_deref().map_or(0, length);
        ROW + texts + ELEMENT / 4 * row.groups.len()
    },
    AclRow: |row| ROW + ELEMENT * row.entries.len(),
    TokenRow: |row| ROW + 2 * length(&row.token),
    TagRow: |row| ROW + 2 * length(&row.key) + length(&row.value),
}
