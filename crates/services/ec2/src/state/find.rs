//! What an identifier of a request names, and the errors for one that names nothing.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>

use std::str::FromStr;

use wire::Error;

use super::*;
use crate::refuse;

/// A kind of identifier, and what is said of one that names nothing.
pub trait Named: FromStr + Copy {
    /// What begins each.
    const PREFIX: &'static str;
    /// The code for a text that is none.
    const MALFORMED: &'static str;
    /// The code for one of nothing.
    const NOT_FOUND: &'static str;
    /// The words for what it is of.
    const WORDS: &'static str;

    /// It is none, or of nothing.
    fn missing(text: &str) -> Error {
        let shown = refuse::cut(text);
        match text.strip_prefix(Self::PREFIX).is_some_and(is_hex) {
            true => refuse::with(Self::NOT_FOUND, format!("The {} '{shown}' does not exist", Self::WORDS)),
            false => refuse::with(
                Self::MALFORMED,
                format!("Invalid id: \"{shown}\" (expecting \"{}...\")", Self::PREFIX),
            ),
        }
    }
}

fn is_hex(digits: &str) -> bool {
    (1..=17).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

macro_rules! named {
    ($($id:ident $prefix:literal $malformed:literal $not_found:literal $words:literal,)+) => {$(
        impl Named for $id {
            const PREFIX: &'static str = $prefix;
            const MALFORMED: &'static str = $malformed;
            const NOT_FOUND: &'static str = $not_found;
            const WORDS: &'static str = $words;
        }
    )+};
}

named! {
    VpcId "vpc-" "InvalidVpcID.Malformed" "InvalidVpcID.NotFound" "vpc ID",
    SubnetId "subnet-" "InvalidSubnetID.Malformed" "InvalidSubnetID.NotFound" "subnet ID",
    GroupId "sg-" "InvalidGroupId.Malformed" "InvalidGroup.NotFound" "security group",
    RuleId "sgr-" "InvalidSecurityGroupRuleId.Malformed" "InvalidSecurityGroupRuleId.NotFound" "security group rule ID",
    GatewayId "igw-" "InvalidInternetGatewayId.Malformed" "InvalidInternetGatewayID.NotFound" "internetGateway ID",
    TableId "rtb-" "InvalidRouteTableId.Malformed" "InvalidRouteTableID.NotFound" "routeTable ID",
    AllocationId "eipalloc-" "InvalidAllocationID.NotFound" "InvalidAllocationID.NotFound" "allocation ID",
    NatId "nat-" "NatGatewayMalformed" "NatGatewayNotFound" "Nat Gateway",
    AclId "acl-" "InvalidNetworkAclId.Malformed" "InvalidNetworkAclID.NotFound" "networkAcl ID",
    DhcpId "dopt-" "InvalidDhcpOptionsId.Malformed" "InvalidDhcpOptionID.NotFound" "dhcpOption ID",
    InterfaceId "eni-" "InvalidNetworkInterfaceId.Malformed" "InvalidNetworkInterfaceID.NotFound" "networkInterface ID",
    AssociationId "rtbassoc-" "InvalidAssociationID.NotFound" "InvalidAssociationID.NotFound" "association ID",
    AclAssociationId "aclassoc-" "InvalidAssociationID.NotFound" "InvalidAssociationID.NotFound" "association ID",
}

macro_rules! finds {
    ($($(#[$doc:meta])* $find:ident $get:ident $id:ident $row:ident,)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// It is malformed, or names nothing.
        pub fn $find(&self, text: &str) -> Result<Arc<$row>, Error> {
            let id: Option<$id> = text.parse().ok();
            id.and_then(|id| self.$get(id)).cloned().ok_or_else(|| <$id>::missing(text))
        }
    )+};
}

impl Ec2 {
    finds! {
        /// The VPC of an identifier.
        find_vpc vpc VpcId VpcRow,
        /// The subnet of an identifier.
        find_subnet subnet SubnetId SubnetRow,
        /// The security group of an identifier.
        find_group group GroupId GroupRow,
        /// The rule of an identifier.
        find_rule rule RuleId RuleRow,
        /// The internet gateway of an identifier.
        find_gateway gateway GatewayId GatewayRow,
        /// The route table of an identifier.
        find_table table TableId TableRow,
        /// The Elastic IP address of an identifier.
        find_address address AllocationId AddressRow,
        /// The NAT gateway of an identifier.
        find_nat nat NatId NatRow,
        /// The network ACL of an identifier.
        find_acl acl AclId AclRow,
        /// The network interface of an identifier.
        find_interface interface InterfaceId InterfaceRow,
    }

    /// Whatever can have tags.
    ///
    /// # Errors
    /// The identifier is none, or names nothing.
    pub fn find(&self, text: &str) -> Result<Resource, Error> {
        let named: Option<Resource> = text.parse().ok();
        if let Some(resource) = named.filter(|resource| self.has(*resource)) {
            return Ok(resource);
        }
        Err(match text.split_once('-').map_or("", |(kind, _)| kind) {
            "vpc" => VpcId::missing(text),
            "subnet" => SubnetId::missing(text),
            "sg" => GroupId::missing(text),
            "sgr" => RuleId::missing(text),
            "igw" => GatewayId::missing(text),
            "rtb" => TableId::missing(text),
            "eipalloc" => AllocationId::missing(text),
            "nat" => NatId::missing(text),
            "acl" => AclId::missing(text),
            "dopt" => DhcpId::missing(text),
            "eni" => InterfaceId::missing(text),
            _ => refuse::with("InvalidID", format!("The ID '{}' is not valid", refuse::cut(text))),
        })
    }
}
