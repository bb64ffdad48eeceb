//! CreateRoute, ReplaceRoute and DeleteRoute.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html>

use ec2_model::{
    CreateRouteRequest, CreateRouteResult, DeleteRouteRequest, DeleteRouteResponse, ReplaceRouteRequest,
    ReplaceRouteResponse,
};
use wire::Error;

use crate::{Txn, limits, refuse, rows::*};

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Where a route leads.
fn to(v4: Option<String>, v6: Option<String>) -> Result<Block, Error> {
    let bad = |text: &str| refuse::parameter("destinationCidrBlock", text);
    match (given(v4), given(v6)) {
        (Some(text), None) => text.parse().map(Block::V4).map_err(|_| bad(&text)),
        (None, Some(text)) => text.parse().map(Block::V6).map_err(|_| bad(&text)),
        (Some(_), Some(_)) => Err(refuse::combination("A route has one destination")),
        (None, None) => Err(refuse::missing("destinationCidrBlock")),
    }
}

/// What a route leads through.
fn by(txn: &Txn, vpc: VpcId, gateway: Option<String>, nat: Option<String>) -> Result<Hop, Error> {
    let other = |what: String| refuse::value(format!("route table and {what} belong to different networks"));
    match (given(gateway), given(nat)) {
        (Some(id), None) => {
            let row = txn.state.find_gateway(&id)?;
            match row.vpc {
                Some(of) if of == vpc => Ok(Hop::Gateway(row.id)),
                _ => Err(other(format!("network gateway {}", row.id))),
            }
        }
        (None, Some(id)) => {
            let row = txn.state.find_nat(&id)?;
            if row.deleted_at.is_some() {
                let message = format!("The Nat Gateway '{}' is deleted", row.id);
                return Err(refuse::with("InvalidNatGatewayID.NotFound", message));
            }
            if row.vpc == vpc { Ok(Hop::Nat(row.id)) } else { Err(other(format!("NAT gateway {}", row.id))) }
        }
        (Some(_), Some(_)) => Err(refuse::combination("A route has one target")),
        (None, None) => Err(refuse::missing("gatewayId")),
    }
}

/// The block of the VPC has its route already.
fn is_local(txn: &Txn, vpc: VpcId, to: Block) -> bool {
    txn.state.vpc(vpc).is_some_and(|vpc| Block::V4(vpc.cidr) == to)
}

/// CreateRoute.
pub fn create_route(txn: &mut Txn, request: CreateRouteRequest) -> Result<CreateRouteResult, Error> {
    let mut row = txn.state.find_table(&request.route_table_id)?.as_ref().clone();
    let to = to(request.destination_cidr_block, request.destination_ipv6_cidr_block)?;
    let by = by(txn, row.vpc, request.gateway_id, request.nat_gateway_id)?;
    let already = || {
        let message = format!("The route identified by {to} already exists.");
        refuse::with("RouteAlreadyExists", message)
    };
    if is_local(txn, row.vpc, to) {
        return Err(already());
    }
    match row.routes.binary_search_by_key(&to, |route| route.to) {
        Ok(at) if row.routes[at].by == by => return Ok(CreateRouteResult { r#return: Some(true) }),
        Ok(_) => return Err(already()),
        Err(_) if row.routes.len() >= limits::ROUTES => {
            return Err(refuse::limit("RouteLimitExceeded", "routes per route table"));
        }
        Err(at) => row.routes.insert(at, RouteRow { to, by }),
    }
    txn.put(row);
    Ok(CreateRouteResult { r#return: Some(true) })
}

/// ReplaceRoute.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceRoute.html>
pub fn replace_route(txn: &mut Txn, request: ReplaceRouteRequest) -> Result<ReplaceRouteResponse, Error> {
    let mut row = txn.state.find_table(&request.route_table_id)?.as_ref().clone();
    let to = to(request.destination_cidr_block, request.destination_ipv6_cidr_block)?;
    let at = row.routes.binary_search_by_key(&to, |route| route.to).map_err(|_| {
        let message =
            format!("There is no route defined for '{to}' in the route table. Use CreateRoute instead.");
        refuse::value(message)
    })?;
    row.routes[at].by = by(txn, row.vpc, request.gateway_id, request.nat_gateway_id)?;
    txn.put(row);
    Ok(ReplaceRouteResponse {})
}

/// DeleteRoute.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteRoute.html>
pub fn delete_route(txn: &mut Txn, request: DeleteRouteRequest) -> Result<DeleteRouteResponse, Error> {
    let mut row = txn.state.find_table(&request.route_table_id)?.as_ref().clone();
    let to = to(request.destination_cidr_block, request.destination_ipv6_cidr_block)?;
    if is_local(txn, row.vpc, to) {
        let message = format!("cannot remove local route {to} in route table {}", row.id);
        return Err(refuse::value(message));
    }
    let at = row.routes.binary_search_by_key(&to, |route| route.to).map_err(|_| {
        let message = format!("no route with destination-cidr-block {to} in route table {}", row.id);
        refuse::with("InvalidRoute.NotFound", message)
    })?;
    row.routes.remove(at);
    txn.put(row);
    Ok(DeleteRouteResponse {})
}
