//! IP addresses and CIDR blocks of patterns.

use std::net::{IpAddr, Ipv6Addr};

/// An address as a number of 32 or 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Address {
    V4(u128),
    V6(u128),
}

/// The addresses that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block {
    pub(super) first: Address,
    pub(super) last: u128,
}

impl Address {
    /// The address of a value, if that is one.
    pub(super) fn parse(text: &str) -> Option<Address> {
        // Most values are none: the longest address has 39 characters.
        if text.len() > 45
            || !text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'.' || byte == b':')
        {
            return None;
        }
        match text.parse().ok()? {
            IpAddr::V4(address) => Some(Address::V4(u128::from(address.to_bits()))),
            IpAddr::V6(address) => Some(Address::six(address)),
        }
    }

    /// An IPv4 address in the clothes of an IPv6 one is that IPv4 address.
    fn six(address: Ipv6Addr) -> Address {
        match address.to_ipv4_mapped() {
            Some(four) => Address::V4(u128::from(four.to_bits())),
            None => Address::V6(address.to_bits()),
        }
    }

    fn number(self) -> u128 {
        match self {
            Address::V4(number) | Address::V6(number) => number,
        }
    }
}

impl Block {
    /// One address alone.
    pub(super) fn one(address: Address) -> Block {
        Block { first: address, last: address.number() }
    }

    /// A CIDR block, or why it is none.
    pub(super) fn parse(text: &str) -> Result<Block, String> {
        let parts: Vec<&str> = text.trim_end_matches('/').split('/').collect();
        let [address, bits] = parts[..] else {
            return Err("Malformed CIDR, one '/' required".to_owned());
        };
        let bits: i32 =
            bits.parse().map_err(|_| "Malformed CIDR, mask bits must be an integer".to_owned())?;
        let bits =
            u32::try_from(bits).map_err(|_| "Malformed CIDR, mask bits must not be negative".to_owned())?;
        let address = Address::parse(address).ok_or_else(|| format!("Nonstandard IP address: {address}"))?;
        // A block of one address is refused: https://github.com/aws/event-ruler.
        match address {
            Address::V4(_) if bits > 31 => Err("IPv4 mask bits must be < 32".to_owned()),
            Address::V6(_) if bits > 127 => Err("IPv6 mask bits must be < 128".to_owned()),
            Address::V4(number) => {
                let rest = u128::from(u32::MAX >> bits);
                Ok(Block { first: Address::V4(number & !rest), last: number | rest })
            }
            Address::V6(number) => {
                let rest = u128::MAX >> bits;
                Ok(Block { first: Address::V6(number & !rest), last: number | rest })
            }
        }
    }

    pub(super) fn contains(&self, address: Address) -> bool {
        match (self.first, address) {
            (Address::V4(first), Address::V4(number)) | (Address::V6(first), Address::V6(number)) => {
                (first..=self.last).contains(&number)
            }
            _ => false,
        }
    }
}
