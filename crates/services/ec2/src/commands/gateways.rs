//! CreateInternetGateway, AttachInternetGateway, DetachInternetGateway and DeleteInternetGateway.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachInternetGateway.html>

use ec2_model::{
    AttachInternetGatewayRequest, AttachInternetGatewayResponse, CreateInternetGatewayRequest,
    CreateInternetGatewayResult, DeleteInternetGatewayRequest, DeleteInternetGatewayResponse,
    DetachInternetGatewayRequest, DetachInternetGatewayResponse, ResourceType,
};
use wire::Error;

use super::tags;
use crate::{Txn, describe, limits, refuse, rows::*, table::Key};

/// CreateInternetGateway.
pub fn create_internet_gateway(
    txn: &mut Txn,
    request: CreateInternetGatewayRequest,
) -> Result<CreateInternetGatewayResult, Error> {
    let tags = tags::specified(request.tag_specifications, ResourceType::InternetGateway)?;
    if txn.state.gateways().len() >= limits::GATEWAYS {
        return Err(refuse::limit("InternetGatewayLimitExceeded", "internet gateways"));
    }
    let row = GatewayRow { id: GatewayId(txn.ids.seed()), vpc: None };
    txn.put(row.clone());
    tags::put(txn, row.id, tags);
    let internet_gateway = Some(describe::gateways::shown(txn.state, txn.ctx, &row));
    Ok(CreateInternetGatewayResult { internet_gateway })
}

/// AttachInternetGateway: each VPC has one at the most.
pub fn attach_internet_gateway(
    txn: &mut Txn,
    request: AttachInternetGatewayRequest,
) -> Result<AttachInternetGatewayResponse, Error> {
    let row = txn.state.find_gateway(&request.internet_gateway_id)?;
    let vpc = txn.state.find_vpc(&request.vpc_id)?;
    let taken = |what: String, vpc: VpcId| {
        refuse::with(
            "Resource.AlreadyAssociated",
            format!("resource {what} is already attached to network {vpc}"),
        )
    };
    if let Some(other) = row.vpc {
        return Err(taken(row.id.to_string(), other));
    }
    if txn.state.within::<GatewayId>(vpc.id).next().is_some() {
        let message = format!("Network {} already has an internet gateway attached", vpc.id);
        return Err(refuse::value(message));
    }
    txn.put(GatewayRow { id: row.id, vpc: Some(vpc.id) });
    Ok(AttachInternetGatewayResponse {})
}

/// DetachInternetGateway, when no public address of the VPC needs it. Routes that lead through it lead nowhere then.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachInternetGateway.html>
pub fn detach_internet_gateway(
    txn: &mut Txn,
    request: DetachInternetGatewayRequest,
) -> Result<DetachInternetGatewayResponse, Error> {
    let row = txn.state.find_gateway(&request.internet_gateway_id)?;
    let vpc = txn.state.find_vpc(&request.vpc_id)?;
    if row.vpc != Some(vpc.id) {
        let message = format!("resource {} is not attached to network {}", row.id, vpc.id);
        return Err(refuse::with("Gateway.NotAttached", message));
    }
    let is_public = |id: NatId| txn.state.nat(id).is_some_and(|nat| nat.public.is_some());
    if txn.state.has_public_in(vpc.id) || txn.state.within(vpc.id).any(is_public) {
        let message = format!(
            "Network {} has some mapped public address(es). Please unmap those public address(es) before detaching \
             the gateway.",
            vpc.id
        );
        return Err(refuse::dependency(message));
    }
    txn.put(GatewayRow { id: row.id, vpc: None });
    Ok(DetachInternetGatewayResponse {})
}

/// DeleteInternetGateway, when it is attached to nothing.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteInternetGateway.html>
pub fn delete_internet_gateway(
    txn: &mut Txn,
    request: DeleteInternetGatewayRequest,
) -> Result<DeleteInternetGatewayResponse, Error> {
    let row = txn.state.find_gateway(&request.internet_gateway_id)?;
    if row.vpc.is_some() {
        let message = format!("The internetGateway '{}' has dependencies and cannot be deleted.", row.id);
        return Err(refuse::dependency(message));
    }
    tags::forget(txn, row.id);
    txn.delete(Key::Gateway(row.id));
    Ok(DeleteInternetGatewayResponse {})
}
