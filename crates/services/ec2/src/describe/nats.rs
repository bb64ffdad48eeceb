//! DescribeNatGateways.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNatGateways.html>

use std::sync::Arc;

use ec2_model::{
    ConnectivityType, DescribeNatGatewaysRequest, DescribeNatGatewaysResult, NatGateway, NatGatewayAddress,
    NatGatewayAddressStatus, NatGatewayState,
};
use imbl::OrdMap;
use wire::Error;

use super::list::{Asked, Listed, list};
use crate::{
    Ctx, Ec2,
    rows::{NatId, NatRow},
};

impl Listed for NatRow {
    type Id = NatId;
    const ID: &'static str = "nat-gateway-id";
    // Not those of a VPC by its index: it has none that are deleted.
    const FILTERS: &'static [&'static str] = &["nat-gateway-id", "state", "subnet-id", "tag-key", "vpc-id"];

    fn all(state: &Ec2) -> &OrdMap<NatId, Arc<NatRow>> {
        state.nats()
    }

    fn id(&self) -> NatId {
        self.id
    }

    fn values(&self, _state: &Ec2, _ctx: &Ctx, filter: &str) -> Vec<String> {
        match filter {
            "state" => vec![state_of(self).to_string()],
            "subnet-id" => vec![self.subnet.to_string()],
            "vpc-id" => vec![self.vpc.to_string()],
            _ => Vec::new(),
        }
    }
}

/// DescribeNatGateways.
pub fn describe_nat_gateways(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeNatGatewaysRequest,
) -> Result<DescribeNatGatewaysResult, Error> {
    let (rows, next_token) = list::<NatRow>(
        state,
        ctx,
        &Asked {
            ids: request.nat_gateway_ids.as_ref(),
            filters: request.filter.as_ref(),
            size: request.max_results,
            token: request.next_token.as_deref(),
        },
    )?;
    let gateways = rows.iter().map(|row| shown(state, row)).collect();
    Ok(DescribeNatGatewaysResult { nat_gateways: Some(gateways), next_token })
}

fn state_of(row: &NatRow) -> NatGatewayState {
    if row.deleted_at.is_some() { NatGatewayState::Deleted } else { NatGatewayState::Available }
}

/// A NAT gateway as it is shown.
pub fn shown(state: &Ec2, row: &NatRow) -> NatGateway {
    let address = NatGatewayAddress {
        allocation_id: row.public.map(|public| public.allocation.to_string()),
        network_interface_id: Some(row.interface.to_string()),
        private_ip: Some(row.private.to_string()),
        public_ip: row.public.map(|public| public.address.to_string()),
        association_id: row.public.map(|public| public.association.to_string()),
        is_primary: Some(true),
        status: Some(NatGatewayAddressStatus::Succeeded),
        ..NatGatewayAddress::default()
    };
    let connectivity =
        if row.public.is_some() { ConnectivityType::Public } else { ConnectivityType::Private };
    NatGateway {
        create_time: Some(row.created_at),
        delete_time: row.deleted_at,
        nat_gateway_addresses: Some(vec![address]),
        nat_gateway_id: Some(row.id.to_string()),
        state: Some(state_of(row)),
        subnet_id: Some(row.subnet.to_string()),
        vpc_id: Some(row.vpc.to_string()),
        tags: super::tags(state, row.id),
        connectivity_type: Some(connectivity),
        ..NatGateway::default()
    }
}
