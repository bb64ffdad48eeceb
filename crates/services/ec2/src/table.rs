//! The rows, by kind.

use crate::rows::*;

state::rows! {
    /// A row of the networks.
    "seed" Seed(SeedRow, ()): |_row| (),
    "vpc" Vpc(VpcRow, VpcId): |row| row.id,
    "subnet" Subnet(SubnetRow, SubnetId): |row| row.id,
    "security-group" Group(GroupRow, GroupId): |row| row.id,
    "rule" Rule(RuleRow, RuleId): |row| row.id,
    "internet-gateway" Gateway(GatewayRow, GatewayId): |row| row.id,
    "route-table" Table(TableRow, TableId): |row| row.id,
    "address" Address(AddressRow, AllocationId): |row| row.id,
    "nat-gateway" Nat(NatRow, NatId): |row| row.id,
    "network-acl" Acl(AclRow, AclId): |row| row.id,
    "token" Token(TokenRow, String): |row| row.token.clone(),
    "network-interface" Interface(InterfaceRow, InterfaceId): |row| row.id,
    "tag" Tag(TagRow, (Resource, String)): |row| (row.of, row.key.clone()),
}

/// A change to one row.
pub type Change = state::Change<Row>;
