//! CreateNatGateway and DeleteNatGateway.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNatGateway.html>

use std::net::Ipv4Addr;

use ec2_model::{
    AvailabilityMode, ConnectivityType, CreateNatGatewayRequest, CreateNatGatewayResult,
    DeleteNatGatewayRequest, DeleteNatGatewayResult, NatGatewayState, ResourceType,
};
use state::Domain;
use wire::{Error, Timestamp};

use super::{tags, tokens};
use crate::{Ec2, Txn, describe, limits, refuse, rows::*, table::Key};

/// CreateNatGateway: it is pending in the reply, and available from then on.
pub fn create_nat_gateway(
    txn: &mut Txn,
    request: CreateNatGatewayRequest,
) -> Result<CreateNatGatewayResult, Error> {
    let once = tokens::Request::of("CreateNatGateway", request.client_token.as_ref(), &request);
    if let Some(Resource::Nat(id)) = once.made(txn)? {
        let row = txn.state.nat(id).map(|row| describe::nats::shown(txn.state, row));
        return Ok(CreateNatGatewayResult { client_token: request.client_token, nat_gateway: row });
    }
    if request.availability_mode == Some(AvailabilityMode::Regional) {
        let message = "Roadstead does not support regional NAT gateways yet.";
        return Err(refuse::with("UnsupportedOperation", message));
    }
    let id = given(request.subnet_id).ok_or_else(|| refuse::missing("subnetId"))?;
    let subnet = txn.state.find_subnet(&id)?;
    let public = public(txn, &subnet, request.connectivity_type, given(request.allocation_id))?;
    let tags = tags::specified(request.tag_specifications, ResourceType::Natgateway)?;
    if txn.state.nat_count() >= limits::NATS {
        return Err(refuse::limit("NatGatewayLimitExceeded", "NAT gateways"));
    }
    let row = NatRow {
        id: NatId(txn.ids.seed()),
        vpc: subnet.vpc,
        subnet: subnet.id,
        interface: InterfaceId(txn.ids.seed()),
        private: in_subnet(txn, &subnet, given(request.private_ip_address))?,
        public,
        created_at: txn.now(),
        deleted_at: None,
        forget_at: None,
    };
    txn.put(row.clone());
    tags::put(txn, row.id, tags);
    let mut shown = describe::nats::shown(txn.state, &row);
    shown.state = Some(NatGatewayState::Pending);
    Ok(CreateNatGatewayResult { client_token: once.remember(txn, row.id), nat_gateway: Some(shown) })
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// The Elastic IP address of a new NAT gateway; none where it is private.
fn public(
    txn: &mut Txn,
    subnet: &SubnetRow,
    connectivity: Option<ConnectivityType>,
    allocation: Option<String>,
) -> Result<Option<NatAddressRow>, Error> {
    let address = match (allocation, connectivity == Some(ConnectivityType::Private)) {
        (Some(id), false) => txn.state.find_address(&id)?,
        (None, false) => return Err(refuse::missing("allocationId")),
        (None, true) => return Ok(None),
        (Some(_), true) => {
            return Err(refuse::combination("A private NAT gateway has no Elastic IP address"));
        }
    };
    if txn.state.nat_of(address.id).is_some() {
        let message = format!("Elastic IP address [{}] is already associated", address.id);
        return Err(refuse::with("Resource.AlreadyAssociated", message));
    }
    if txn.state.within::<GatewayId>(subnet.vpc).next().is_none() {
        let message = format!("Network {} has no Internet gateway attached", subnet.vpc);
        return Err(refuse::with("Gateway.NotAttached", message));
    }
    Ok(Some(NatAddressRow {
        allocation: address.id,
        association: AddressAssociationId(txn.ids.seed()),
        address: address.address,
    }))
}

/// An address of a subnet that nothing has: the one that is asked for, or the first.
fn in_subnet(txn: &Txn, subnet: &SubnetRow, wanted: Option<String>) -> Result<Ipv4Addr, Error> {
    let (first, last) = subnet.usable();
    if let Some(text) = wanted {
        let bad = || refuse::parameter("privateIpAddress", &text);
        let address: Ipv4Addr = text.parse().map_err(|_| bad())?;
        if !(first..=last).contains(&address.into()) {
            return Err(bad());
        }
        if txn.state.is_taken(subnet.id, address) {
            return Err(refuse::with("InvalidIPAddress.InUse", format!("Address {address} is in use.")));
        }
        return Ok(address);
    }
    txn.state.free_address(subnet, 0).ok_or_else(|| refuse::no_address(subnet.id))
}

/// DeleteNatGateway: its address is free at once; it is shown as deleted for an hour.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNatGateway.html>
pub fn delete_nat_gateway(
    txn: &mut Txn,
    request: DeleteNatGatewayRequest,
) -> Result<DeleteNatGatewayResult, Error> {
    let row = txn.state.find_nat(&request.nat_gateway_id)?;
    if row.deleted_at.is_none() {
        let now = txn.now();
        // What was deleted first is forgotten first.
        let shown = txn.state.nats().len() - txn.state.nat_count();
        let is_nat = |timer: &&(Timestamp, Key)| matches!(timer.1, Key::Nat(_));
        let oldest = txn.state.agenda().timers().find(is_nat).map(|(_, key)| key.clone());
        if let Some(oldest) = oldest.filter(|_| shown >= limits::NATS_SHOWN) {
            Ec2::due(txn, oldest);
        }
        txn.put(NatRow {
            deleted_at: Some(now),
            forget_at: Some(now.plus_millis(limits::NAT_SHOWN_MS)),
            ..row.as_ref().clone()
        });
    }
    Ok(DeleteNatGatewayResult { nat_gateway_id: Some(row.id.to_string()) })
}
