//! Blocks of addresses, in the canonical form: what lies behind the prefix is 0.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A text that is no block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no block of addresses")]
pub struct NotABlock;

macro_rules! blocks {
    ($($(#[$doc:meta])* $name:ident $address:ident $bits:ident $length:literal,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The first address.
            pub base: $bits,
            /// The length of the prefix.
            pub prefix: u8,
        }

        impl $name {
            /// The block with a prefix of that length in which the address is.
            pub fn around(address: $bits, prefix: u8) -> $name {
                $name { base: address & mask(prefix.into(), $length) as $bits, prefix }
            }

            /// All addresses there are.
            pub const ALL: $name = $name { base: 0, prefix: 0 };

            /// Whether all of `other` is in it.
            pub fn contains(self, other: $name) -> bool {
                other.prefix >= self.prefix && $name::around(other.base, self.prefix) == self
            }

            /// Whether some address is in both.
            pub fn overlaps(self, other: $name) -> bool {
                self.contains(other) || other.contains(self)
            }
        }

        impl FromStr for $name {
            type Err = NotABlock;

            fn from_str(text: &str) -> Result<$name, NotABlock> {
                let (address, prefix) = text.split_once('/').ok_or(NotABlock)?;
                let address: $address = address.parse().map_err(|_| NotABlock)?;
                let digits = prefix.len() <= 3 && prefix.bytes().all(|byte| byte.is_ascii_digit());
                let prefix: u8 = prefix.parse().map_err(|_| NotABlock)?;
                if !digits || prefix > $length {
                    return Err(NotABlock);
                }
                Ok($name::around(address.into(), prefix))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", $address::from(self.base), self.prefix)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
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
    )+};
}

/// As many bits of `length` as the prefix has.
fn mask(prefix: u32, length: u32) -> u128 {
    let all = if length == 128 { u128::MAX } else { (1 << length) - 1 };
    match prefix {
        0 => 0,
        prefix => all << (length - prefix) & all,
    }
}

blocks! {
    /// A block of IPv4 addresses.
    Cidr4 Ipv4Addr u32 32,
    /// A block of IPv6 addresses.
    Cidr6 Ipv6Addr u128 128,
}

impl Cidr4 {
    /// How many addresses are in it.
    pub fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix.min(32)))
    }
}

/// A block of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Block {
    /// IPv4.
    V4(Cidr4),
    /// IPv6.
    V6(Cidr6),
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Block::V4(cidr) => fmt::Display::fmt(cidr, f),
            Block::V6(cidr) => fmt::Display::fmt(cidr, f),
        }
    }
}
