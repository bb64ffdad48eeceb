//! Route tables, and which subnet has which.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html>

use ec2_model::{
    AssociateRouteTableRequest, AssociateRouteTableResult, CreateRouteTableRequest, CreateRouteTableResult,
    DeleteRouteTableRequest, DeleteRouteTableResponse, DisassociateRouteTableRequest,
    DisassociateRouteTableResponse, ReplaceRouteTableAssociationRequest, ReplaceRouteTableAssociationResult,
    ResourceType, RouteTableAssociationState, RouteTableAssociationStateCode,
};
use wire::Error;

use super::{tags, tokens};
use crate::{
    Txn, describe, limits, refuse,
    rows::*,
    state::{Associated, Named},
    table::Key,
};

/// CreateRouteTable.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRouteTable.html>
pub fn create_route_table(
    txn: &mut Txn,
    request: CreateRouteTableRequest,
) -> Result<CreateRouteTableResult, Error> {
    let once = tokens::Request::of("CreateRouteTable", request.client_token.as_ref(), &request);
    if let Some(Resource::Table(id)) = once.made(txn)? {
        let row = txn.state.table(id).map(|row| describe::tables::shown(txn.state, txn.ctx, row));
        return Ok(CreateRouteTableResult { route_table: row, client_token: request.client_token });
    }
    let vpc = txn.state.find_vpc(&request.vpc_id)?.id;
    let tags = tags::specified(request.tag_specifications, ResourceType::RouteTable)?;
    if txn.state.within::<TableId>(vpc).count() >= limits::TABLES {
        return Err(refuse::limit("RouteTableLimitExceeded", "route tables"));
    }
    let row = TableRow { id: TableId(txn.ids.seed()), vpc, routes: Vec::new() };
    txn.put(row.clone());
    tags::put(txn, row.id, tags);
    let route_table = Some(describe::tables::shown(txn.state, txn.ctx, &row));
    let client_token = once.remember(txn, row.id);
    Ok(CreateRouteTableResult { route_table, client_token })
}

/// DeleteRouteTable, when it is no subnet's and not the main one.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteRouteTable.html>
pub fn delete_route_table(
    txn: &mut Txn,
    request: DeleteRouteTableRequest,
) -> Result<DeleteRouteTableResponse, Error> {
    let row = txn.state.find_table(&request.route_table_id)?;
    let id = row.id;
    let is_main = txn.state.vpc(row.vpc).is_some_and(|vpc| vpc.main.table == id);
    if is_main || txn.state.subnets_of_table(id).next().is_some() {
        let message = format!("The routeTable '{id}' has dependencies and cannot be deleted.");
        return Err(refuse::dependency(message));
    }
    tags::forget(txn, id);
    txn.delete(Key::Table(id));
    Ok(DeleteRouteTableResponse {})
}

/// AssociateRouteTable: gives a subnet a route table of its own, once.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateRouteTable.html>
pub fn associate_route_table(
    txn: &mut Txn,
    request: AssociateRouteTableRequest,
) -> Result<AssociateRouteTableResult, Error> {
    let table = txn.state.find_table(&request.route_table_id)?;
    let id = request.subnet_id.filter(|id| !id.is_empty()).ok_or_else(|| refuse::missing("subnetId"))?;
    let subnet = txn.state.find_subnet(&id)?;
    same_network(
        table.vpc,
        subnet.vpc,
        format!("route table {}", table.id),
        format!("subnet {}", subnet.id),
    )?;
    let association = match subnet.table {
        Some(own) if own.table == table.id => own.id,
        Some(own) => {
            let message = format!(
                "the specified association for route table {} conflicts with an existing association",
                own.table
            );
            return Err(refuse::with("Resource.AlreadyAssociated", message));
        }
        None => AssociationId(txn.ids.seed()),
    };
    let own = Some(AssociationRow { id: association, table: table.id });
    txn.put(SubnetRow { table: own, ..subnet.as_ref().clone() });
    Ok(AssociateRouteTableResult {
        association_id: Some(association.to_string()),
        association_state: state(),
    })
}

/// Both are of one VPC.
pub(super) fn same_network(one: VpcId, other: VpcId, what: String, and: String) -> Result<(), Error> {
    match one == other {
        true => Ok(()),
        false => Err(refuse::value(format!("{what} and {and} belong to different networks"))),
    }
}

/// What is associated is so at once.
pub fn state() -> Option<RouteTableAssociationState> {
    let state = Some(RouteTableAssociationStateCode::Associated);
    Some(RouteTableAssociationState { state, status_message: None })
}

/// DisassociateRouteTable: the subnet has the main one again.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisassociateRouteTable.html>
pub fn disassociate_route_table(
    txn: &mut Txn,
    request: DisassociateRouteTableRequest,
) -> Result<DisassociateRouteTableResponse, Error> {
    match associated(txn, &request.association_id)? {
        (id, Associated::Main(_)) => {
            Err(refuse::value(format!("cannot disassociate the main route table association {id}")))
        }
        (_, Associated::Subnet(subnet)) => {
            let subnet = txn.state.find_subnet(&subnet.to_string())?;
            txn.put(SubnetRow { table: None, ..subnet.as_ref().clone() });
            Ok(DisassociateRouteTableResponse {})
        }
    }
}

/// ReplaceRouteTableAssociation: another table, by another association. So a VPC gets another main one, too.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceRouteTableAssociation.html>
pub fn replace_route_table_association(
    txn: &mut Txn,
    request: ReplaceRouteTableAssociationRequest,
) -> Result<ReplaceRouteTableAssociationResult, Error> {
    let (old, of) = associated(txn, &request.association_id)?;
    let table = txn.state.find_table(&request.route_table_id)?;
    let new = AssociationRow { id: AssociationId(txn.ids.seed()), table: table.id };
    let (what, old) = (format!("route table {}", table.id), format!("association {old}"));
    match of {
        Associated::Main(vpc) => {
            same_network(table.vpc, vpc, what, old)?;
            let vpc = txn.state.find_vpc(&vpc.to_string())?;
            txn.put(VpcRow { main: new, ..vpc.as_ref().clone() });
        }
        Associated::Subnet(subnet) => {
            let subnet = txn.state.find_subnet(&subnet.to_string())?;
            same_network(table.vpc, subnet.vpc, what, old)?;
            txn.put(SubnetRow { table: Some(new), ..subnet.as_ref().clone() });
        }
    }
    Ok(ReplaceRouteTableAssociationResult {
        new_association_id: Some(new.id.to_string()),
        association_state: state(),
    })
}

fn associated(txn: &Txn, text: &str) -> Result<(AssociationId, Associated), Error> {
    let id: Option<AssociationId> = text.parse().ok();
    let found = id.and_then(|id| Some((id, txn.state.associated(id)?)));
    found.ok_or_else(|| AssociationId::missing(text))
}
