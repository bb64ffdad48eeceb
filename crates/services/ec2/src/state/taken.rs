//! Which addresses of subnets are taken, and how many: by NAT gateways and by interfaces. Changed only where rows are applied.

use std::net::Ipv4Addr;

use imbl::{OrdMap, OrdSet};

use crate::rows::{SubnetId, SubnetRow};

/// The index.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    by_subnet: OrdMap<SubnetId, OrdSet<u32>>,
}

impl Taken {
    /// An address is taken, or free again.
    pub fn set(&mut self, subnet: SubnetId, address: Ipv4Addr, there: bool) {
        let of = self.by_subnet.entry(subnet).or_default();
        if there {
            of.insert(address.into());
        } else {
            of.remove(&address.into());
            if of.is_empty() {
                self.by_subnet.remove(&subnet);
            }
        }
    }

    /// Those of a subnet, in order.
    pub fn of(&self, subnet: SubnetId) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.by_subnet.get(&subnet).into_iter().flatten().map(|address| Ipv4Addr::from(*address))
    }

    /// How many of a subnet are.
    pub fn count(&self, subnet: SubnetId) -> usize {
        self.by_subnet.get(&subnet).map_or(0, OrdSet::len)
    }

    /// Whether one is.
    pub fn has(&self, subnet: SubnetId, address: Ipv4Addr) -> bool {
        self.by_subnet.get(&subnet).is_some_and(|of| of.contains(&address.into()))
    }

    /// The first free address of a subnet at a place or behind it; behind the last one comes the first. None where all are
    /// taken. A place of chance is seldom one of many in a row, until nearly all are taken.
    pub fn free_from(&self, subnet: &SubnetRow, place: usize) -> Option<Ipv4Addr> {
        let (first, last) = subnet.usable();
        let all = u64::from(last - first) + 1;
        if self.count(subnet.id) as u64 >= all {
            return None;
        }
        let start = first + u32::try_from(place as u64 % all).unwrap_or_default();
        let free = |start: u32, end: u32| {
            let mut free = start;
            let taken = self.by_subnet.get(&subnet.id).into_iter().flat_map(|of| of.range(start..=end));
            for taken in taken {
                match *taken == free {
                    true => free = free.checked_add(1)?,
                    false => break,
                }
            }
            (free <= end).then(|| Ipv4Addr::from(free))
        };
        free(start, last).or_else(|| free(first, last))
    }
}

impl SubnetRow {
    /// The first and the last address that anything may have: the first four and the last of its block are nobody's.
    /// <https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html>
    pub fn usable(&self) -> (u32, u32) {
        let first = self.cidr.base.saturating_add(4);
        let last = u64::from(self.cidr.base) + self.cidr.size() - 2;
        (first, u32::try_from(last).unwrap_or(first).max(first))
    }

    /// The address of its router.
    pub fn gateway(&self) -> Ipv4Addr {
        self.cidr.base.saturating_add(1).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{AclAssociationId, AclId, Cidr4, VpcId};

    fn subnet() -> SubnetRow {
        SubnetRow {
            id: SubnetId(1),
            vpc: VpcId(1),
            cidr: Cidr4 { base: 0x0a00_0000, prefix: 28 },
            zone: "us-east-1a".to_owned(),
            default_for_zone: false,
            public_on_launch: false,
            resource_names: false,
            a_records: false,
            table: None,
            acl: AclId(1),
            acl_association: AclAssociationId(1),
        }
    }

    #[test]
    fn each_address_is_had_once_from_whatever_place_until_none_is_left() {
        for place in 0..30 {
            let (subnet, mut taken) = (subnet(), Taken::default());
            for count in 0..11 {
                assert_eq!(taken.count(subnet.id), count);
                let address = taken.free_from(&subnet, place).unwrap();
                assert!(!taken.has(subnet.id, address));
                assert!((4..15).contains(&address.octets()[3]), "{address}");
                taken.set(subnet.id, address, true);
            }
            assert_eq!(taken.free_from(&subnet, place), None);
            taken.set(subnet.id, Ipv4Addr::new(10, 0, 0, 9), false);
            assert_eq!(taken.free_from(&subnet, place), Some(Ipv4Addr::new(10, 0, 0, 9)));
            assert!(taken.of(subnet.id).is_sorted());
        }
    }
}
