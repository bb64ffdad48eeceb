//! DescribeNetworkInterfaces: tasks have none of their own yet.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html>

use ec2_model::{DescribeNetworkInterfacesRequest, DescribeNetworkInterfacesResult};
use wire::Error;

use super::{filter, list};
use crate::{Ctx, Ec2, rows::InterfaceId, state::Named};

const FILTERS: &[&str] = &[
    "addresses.association.owner-id",
    "addresses.association.public-ip",
    "addresses.primary",
    "addresses.private-ip-address",
    "association.allocation-id",
    "association.association-id",
    "association.ip-owner-id",
    "association.public-dns-name",
    "association.public-ip",
    "attachment.attach-time",
    "attachment.attachment-id",
    "attachment.delete-on-termination",
    "attachment.device-index",
    "attachment.instance-id",
    "attachment.instance-owner-id",
    "attachment.status",
    "availability-zone",
    "availability-zone-id",
    "description",
    "group-id",
    "group-name",
    "interface-type",
    "ipv6-addresses.ipv6-address",
    "mac-address",
    "network-interface-id",
    "operator.managed",
    "operator.principal",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "requester-id",
    "requester-managed",
    "source-dest-check",
    "status",
    "subnet-id",
    "tag-key",
    "vpc-id",
];

/// DescribeNetworkInterfaces.
pub fn describe_network_interfaces(
    _state: &Ec2,
    _ctx: &Ctx,
    request: &DescribeNetworkInterfacesRequest,
) -> Result<DescribeNetworkInterfacesResult, Error> {
    list::page(request.max_results, request.next_token.as_deref())?;
    filter::read(request.filters.as_ref(), FILTERS)?;
    if let Some(id) = request.network_interface_ids.iter().flatten().next() {
        return Err(InterfaceId::missing(id));
    }
    Ok(DescribeNetworkInterfacesResult { network_interfaces: Some(Vec::new()), next_token: None })
}
