//! Identifiers: a prefix that says of what, and 17 hexadecimal digits, the first of which is 0. So the other 64 bits are
//! all that there is to one, and it is `Copy`.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use state::row::KeyPart;

/// A text that is no identifier of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no identifier of this kind")]
pub struct NotAnId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "0{:016x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<$name, NotAnId> {
                number($prefix, text).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl KeyPart for $name {
            fn write(&self, out: &mut String) {
                out.push_str(&self.to_string());
            }
        }
    )+};
}

/// The digits behind a prefix.
fn number(prefix: &str, text: &str) -> Result<u64, NotAnId> {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('0')).ok_or(NotAnId)?;
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() != 16 || !digits.bytes().all(lower_hex) {
        return Err(NotAnId);
    }
    u64::from_str_radix(digits, 16).map_err(|_| NotAnId)
}

ids! {
    /// A VPC.
    VpcId "vpc-",
    /// A subnet.
    SubnetId "subnet-",
    /// A security group.
    GroupId "sg-",
    /// A rule of a security group.
    RuleId "sgr-",
    /// An internet gateway.
    GatewayId "igw-",
    /// A route table.
    TableId "rtb-",
    /// An Elastic IP address.
    AllocationId "eipalloc-",
    /// A NAT gateway.
    NatId "nat-",
    /// A network ACL.
    AclId "acl-",
    /// A set of DHCP options.
    DhcpId "dopt-",
    /// A network interface.
    InterfaceId "eni-",
    /// That a VPC has a block of addresses.
    CidrAssociationId "vpc-cidr-assoc-",
    /// That a subnet, or a VPC, has a route table.
    AssociationId "rtbassoc-",
    /// That a subnet has a network ACL.
    AclAssociationId "aclassoc-",
    /// That something has an Elastic IP address.
    AddressAssociationId "eipassoc-",
    /// That something has a network interface.
    AttachmentId "eni-attach-",
}

impl VpcId {
    /// By which number its packets are known between hosts: its last 24 bits, which no other VPC of an account and region
    /// has.
    pub fn segment(self) -> u32 {
        (self.0 & 0x00ff_ffff) as u32
    }
}

macro_rules! resources {
    ($($variant:ident($id:ident) $kind:literal,)+) => {
        /// Whatever can have tags.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Resource { $($variant($id),)+ }

        impl Resource {
            /// Its kind, as `resource-type` of DescribeTags has it.
            pub fn kind(self) -> &'static str {
                match self { $(Resource::$variant(_) => $kind,)+ }
            }
        }

        impl fmt::Display for Resource {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Resource::$variant(id) => fmt::Display::fmt(id, f),)+ }
            }
        }

        impl FromStr for Resource {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Resource, NotAnId> {
                $(if let Ok(id) = text.parse() {
                    return Ok(Resource::$variant(id));
                })+
                Err(NotAnId)
            }
        }

        $(impl From<$id> for Resource {
            fn from(id: $id) -> Resource {
                Resource::$variant(id)
            }
        })+
    };
}

resources! {
    Vpc(VpcId) "vpc",
    Subnet(SubnetId) "subnet",
    Group(GroupId) "security-group",
    Rule(RuleId) "security-group-rule",
    Gateway(GatewayId) "internet-gateway",
    Table(TableId) "route-table",
    Address(AllocationId) "elastic-ip",
    Nat(NatId) "natgateway",
    Acl(AclId) "network-acl",
    Dhcp(DhcpId) "dhcp-options",
    Interface(InterfaceId) "network-interface",
}

impl KeyPart for Resource {
    fn write(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Resource, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
