//! DescribeAddresses and DescribeAddressesAttribute.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAddresses.html>

use std::{net::Ipv4Addr, sync::Arc};

use ec2_model::{
    Address, DescribeAddressesAttributeRequest, DescribeAddressesAttributeResult, DescribeAddressesRequest,
    DescribeAddressesResult, DomainType,
};
use imbl::OrdMap;
use wire::Error;

use super::list::{self, Asked, Listed, list};
use crate::{
    Ctx, Ec2,
    commands::addresses::no_address,
    rows::{AddressRow, AllocationId},
};

impl Listed for AddressRow {
    type Id = AllocationId;
    const ID: &'static str = "allocation-id";
    const FILTERS: &'static [&'static str] = &[
        "allocation-id",
        "association-id",
        "domain",
        "instance-id",
        "network-border-group",
        "network-interface-id",
        "network-interface-owner-id",
        "private-ip-address",
        "public-ip",
        "tag-key",
    ];

    fn all(state: &Ec2) -> &OrdMap<AllocationId, Arc<AddressRow>> {
        state.addresses()
    }

    fn id(&self) -> AllocationId {
        self.id
    }

    fn also(state: &Ec2, filter: &str, value: &str) -> Option<Vec<AllocationId>> {
        let of = |address: Ipv4Addr| state.address_of(address).map(|row| row.id);
        (filter == "public-ip").then(|| value.parse().ok().and_then(of).into_iter().collect())
    }

    fn values(&self, state: &Ec2, ctx: &Ctx, filter: &str) -> Vec<String> {
        let shown = shown(state, ctx, self);
        let value = match filter {
            "association-id" => shown.association_id,
            "domain" => shown.domain.map(|domain| domain.to_string()),
            "network-border-group" => shown.network_border_group,
            "network-interface-id" => shown.network_interface_id,
            "network-interface-owner-id" => shown.network_interface_owner_id,
            "private-ip-address" => shown.private_ip_address,
            "public-ip" => shown.public_ip,
            _ => None,
        };
        value.into_iter().collect()
    }
}

/// DescribeAddresses: it has no pages, and there are few.
pub fn describe_addresses(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeAddressesRequest,
) -> Result<DescribeAddressesResult, Error> {
    let mut ids = request.allocation_ids.clone().unwrap_or_default();
    for text in request.public_ips.iter().flatten() {
        let row = text.parse().ok().and_then(|address| state.address_of(address));
        ids.push(row.ok_or_else(|| no_address(text))?.id.to_string());
    }
    let asked = Asked { ids: Some(&ids), filters: request.filters.as_ref(), size: None, token: None };
    let (rows, _) = list::<AddressRow>(state, ctx, &asked)?;
    Ok(DescribeAddressesResult { addresses: Some(rows.iter().map(|row| shown(state, ctx, row)).collect()) })
}

fn shown(state: &Ec2, ctx: &Ctx, row: &AddressRow) -> Address {
    let nat = state.nat_of(row.id);
    Address {
        allocation_id: Some(row.id.to_string()),
        association_id: nat.and_then(|nat| nat.public).map(|public| public.association.to_string()),
        domain: Some(DomainType::Vpc),
        network_interface_id: nat.map(|nat| nat.interface.to_string()),
        network_interface_owner_id: nat.and_then(|_| super::owner(ctx)),
        private_ip_address: nat.map(|nat| nat.private.to_string()),
        tags: super::tags(state, row.id),
        public_ipv4_pool: Some("amazon".to_owned()),
        network_border_group: Some(ctx.region.to_string()),
        public_ip: Some(row.address.to_string()),
        ..Address::default()
    }
}

/// DescribeAddressesAttribute: no address has a name for its reverse, which is the only attribute there is.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAddressesAttribute.html>
pub fn describe_addresses_attribute(
    state: &Ec2,
    _ctx: &Ctx,
    request: &DescribeAddressesAttributeRequest,
) -> Result<DescribeAddressesAttributeResult, Error> {
    list::page(request.max_results, request.next_token.as_deref())?;
    request.allocation_ids.iter().flatten().try_for_each(|id| state.find_address(id).map(drop))?;
    Ok(DescribeAddressesAttributeResult { addresses: Some(Vec::new()), next_token: None })
}
