//! DescribeVpcs and DescribeVpcAttribute.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html>

use std::sync::Arc;

use ec2_model::{
    AttributeBooleanValue, BlockPublicAccessMode, BlockPublicAccessStates, DescribeVpcAttributeRequest,
    DescribeVpcAttributeResult, DescribeVpcsRequest, DescribeVpcsResult, Tenancy, Vpc, VpcAttributeName,
    VpcCidrBlockAssociation, VpcCidrBlockState, VpcCidrBlockStateCode, VpcState,
};
use imbl::OrdMap;
use wire::Error;

use super::list::{Asked, Listed, list};
use crate::{
    Ctx, Ec2,
    rows::{VpcId, VpcRow},
};

impl Listed for VpcRow {
    type Id = VpcId;
    const ID: &'static str = "vpc-id";
    const FILTERS: &'static [&'static str] = &[
        "cidr",
        "cidrBlock",
        "cidr-block",
        "cidr-block-association.association-id",
        "cidr-block-association.cidr-block",
        "cidr-block-association.state",
        "dhcp-options-id",
        "dhcpOptionsId",
        "ipv6-cidr-block-association.association-id",
        "ipv6-cidr-block-association.ipv6-cidr-block",
        "ipv6-cidr-block-association.ipv6-pool",
        "ipv6-cidr-block-association.state",
        "is-default",
        "isDefault",
        "owner-id",
        "state",
        "tag-key",
        "vpc-id",
    ];

    fn all(state: &Ec2) -> &OrdMap<VpcId, Arc<VpcRow>> {
        state.vpcs()
    }

    fn id(&self) -> VpcId {
        self.id
    }

    fn values(&self, _state: &Ec2, _ctx: &Ctx, filter: &str) -> Vec<String> {
        match filter {
            "cidr" | "cidrBlock" | "cidr-block" | "cidr-block-association.cidr-block" => {
                vec![self.cidr.to_string()]
            }
            "cidr-block-association.association-id" => vec![self.cidr_association.to_string()],
            "cidr-block-association.state" => vec!["associated".to_owned()],
            "dhcp-options-id" | "dhcpOptionsId" => vec![self.dhcp.to_string()],
            "is-default" | "isDefault" => vec![self.default.to_string()],
            "state" => vec!["available".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// DescribeVpcs.
pub fn describe_vpcs(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeVpcsRequest,
) -> Result<DescribeVpcsResult, Error> {
    let (rows, next_token) = list::<VpcRow>(
        state,
        ctx,
        &Asked {
            ids: request.vpc_ids.as_ref(),
            filters: request.filters.as_ref(),
            size: request.max_results,
            token: request.next_token.as_deref(),
        },
    )?;
    let vpcs = rows.iter().map(|row| shown(state, ctx, row)).collect();
    Ok(DescribeVpcsResult { next_token, vpcs: Some(vpcs) })
}

/// A VPC as it is shown.
pub fn shown(state: &Ec2, ctx: &Ctx, row: &VpcRow) -> Vpc {
    let block = VpcCidrBlockAssociation {
        association_id: Some(row.cidr_association.to_string()),
        cidr_block: Some(row.cidr.to_string()),
        cidr_block_state: Some(VpcCidrBlockState {
            state: Some(VpcCidrBlockStateCode::Associated),
            status_message: None,
        }),
    };
    Vpc {
        owner_id: super::owner(ctx),
        instance_tenancy: Some(if row.dedicated { Tenancy::Dedicated } else { Tenancy::Default }),
        ipv6_cidr_block_association_set: Some(Vec::new()),
        cidr_block_association_set: Some(vec![block]),
        is_default: Some(row.default),
        tags: super::tags(state, row.id),
        block_public_access_states: Some(no_block()),
        vpc_id: Some(row.id.to_string()),
        state: Some(VpcState::Available),
        cidr_block: Some(row.cidr.to_string()),
        dhcp_options_id: Some(row.dhcp.to_string()),
        ..Vpc::default()
    }
}

/// Public access is blocked nowhere.
pub(super) fn no_block() -> BlockPublicAccessStates {
    BlockPublicAccessStates { internet_gateway_block_mode: Some(BlockPublicAccessMode::Off) }
}

/// DescribeVpcAttribute.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcAttribute.html>
pub fn describe_vpc_attribute(
    state: &Ec2,
    _ctx: &Ctx,
    request: &DescribeVpcAttributeRequest,
) -> Result<DescribeVpcAttributeResult, Error> {
    let row = state.find_vpc(&request.vpc_id)?;
    let is = |name: VpcAttributeName, value: bool| {
        (request.attribute == name).then_some(AttributeBooleanValue { value: Some(value) })
    };
    Ok(DescribeVpcAttributeResult {
        enable_dns_hostnames: is(VpcAttributeName::EnableDnsHostnames, row.dns_hostnames),
        enable_dns_support: is(VpcAttributeName::EnableDnsSupport, row.dns_support),
        enable_network_address_usage_metrics: is(
            VpcAttributeName::EnableNetworkAddressUsageMetrics,
            row.usage_metrics,
        ),
        vpc_id: Some(row.id.to_string()),
    })
}
