//! DescribeSubnets.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html>

use std::sync::Arc;

use ec2_model::{
    DescribeSubnetsRequest, DescribeSubnetsResult, HostnameType, PrivateDnsNameOptionsOnLaunch, Subnet,
    SubnetState,
};
use imbl::OrdMap;
use wire::Error;

use super::list::{Asked, Listed, list};
use crate::{
    Ctx, Ec2, arn, limits,
    rows::{SubnetId, SubnetRow},
    zones,
};

impl Listed for SubnetRow {
    type Id = SubnetId;
    const ID: &'static str = "subnet-id";
    const VPC: Option<&'static str> = Some("vpc-id");
    const FILTERS: &'static [&'static str] = &[
        "availability-zone",
        "availability-zone-id",
        "availabilityZone",
        "availabilityZoneId",
        "available-ip-address-count",
        "cidr",
        "cidr-block",
        "cidrBlock",
        "customer-owned-ipv4-pool",
        "default-for-az",
        "defaultForAz",
        "enable-dns64",
        "enable-lni-at-device-index",
        "ipv6-cidr-block-association.association-id",
        "ipv6-cidr-block-association.ipv6-cidr-block",
        "ipv6-cidr-block-association.state",
        "ipv6-native",
        "map-customer-owned-ip-on-launch",
        "map-public-ip-on-launch",
        "outpost-arn",
        "owner-id",
        "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
        "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
        "private-dns-name-options-on-launch.hostname-type",
        "state",
        "subnet-arn",
        "subnet-id",
        "tag-key",
        "vpc-id",
    ];

    fn all(state: &Ec2) -> &OrdMap<SubnetId, Arc<SubnetRow>> {
        state.subnets()
    }

    fn id(&self) -> SubnetId {
        self.id
    }

    fn values(&self, state: &Ec2, ctx: &Ctx, filter: &str) -> Vec<String> {
        match filter {
            "availability-zone" | "availabilityZone" => vec![self.zone.clone()],
            "availability-zone-id" | "availabilityZoneId" => {
                zones::id(&ctx.region, &self.zone).into_iter().collect()
            }
            "available-ip-address-count" => vec![left(state, self).to_string()],
            "cidr" | "cidr-block" | "cidrBlock" => vec![self.cidr.to_string()],
            "default-for-az" | "defaultForAz" => vec![self.default_for_zone.to_string()],
            "enable-dns64"
            | "ipv6-native"
            | "map-customer-owned-ip-on-launch"
            | "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record" => {
                vec![false.to_string()]
            }
            "map-public-ip-on-launch" => vec![self.public_on_launch.to_string()],
            "private-dns-name-options-on-launch.enable-resource-name-dns-a-record" => {
                vec![self.a_records.to_string()]
            }
            "private-dns-name-options-on-launch.hostname-type" => vec![names(self).to_string()],
            "state" => vec!["available".to_owned()],
            "subnet-arn" => vec![arn::of(ctx, "subnet", self.id)],
            "vpc-id" => vec![self.vpc.to_string()],
            _ => Vec::new(),
        }
    }
}

/// DescribeSubnets.
pub fn describe_subnets(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeSubnetsRequest,
) -> Result<DescribeSubnetsResult, Error> {
    let (rows, next_token) = list::<SubnetRow>(
        state,
        ctx,
        &Asked {
            ids: request.subnet_ids.as_ref(),
            filters: request.filters.as_ref(),
            size: request.max_results,
            token: request.next_token.as_deref(),
        },
    )?;
    let subnets = rows.iter().map(|row| shown(state, ctx, row)).collect();
    Ok(DescribeSubnetsResult { next_token, subnets: Some(subnets) })
}

/// How many addresses of a subnet are left.
fn left(state: &Ec2, row: &SubnetRow) -> u64 {
    let taken = limits::RESERVED + state.taken_count(row.id) as u64;
    row.cidr.size().saturating_sub(taken)
}

fn names(row: &SubnetRow) -> HostnameType {
    if row.resource_names { HostnameType::ResourceName } else { HostnameType::IpName }
}

/// A subnet as it is shown.
pub fn shown(state: &Ec2, ctx: &Ctx, row: &SubnetRow) -> Subnet {
    let names = PrivateDnsNameOptionsOnLaunch {
        hostname_type: Some(names(row)),
        enable_resource_name_dns_a_record: Some(row.a_records),
        enable_resource_name_dns_aaaa_record: Some(false),
    };
    Subnet {
        availability_zone_id: zones::id(&ctx.region, &row.zone),
        map_customer_owned_ip_on_launch: Some(false),
        owner_id: super::owner(ctx),
        assign_ipv6_address_on_creation: Some(false),
        ipv6_cidr_block_association_set: Some(Vec::new()),
        tags: super::tags(state, row.id),
        subnet_arn: Some(arn::of(ctx, "subnet", row.id)),
        enable_dns64: Some(false),
        ipv6_native: Some(false),
        private_dns_name_options_on_launch: Some(names),
        block_public_access_states: Some(super::vpcs::no_block()),
        subnet_id: Some(row.id.to_string()),
        state: Some(SubnetState::Available),
        vpc_id: Some(row.vpc.to_string()),
        cidr_block: Some(row.cidr.to_string()),
        available_ip_address_count: i32::try_from(left(state, row)).ok(),
        availability_zone: Some(row.zone.clone()),
        default_for_az: Some(row.default_for_zone),
        map_public_ip_on_launch: Some(row.public_on_launch),
        ..Subnet::default()
    }
}
