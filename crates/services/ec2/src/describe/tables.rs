//! DescribeRouteTables.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html>

use std::sync::Arc;

use ec2_model::{
    DescribeRouteTablesRequest, DescribeRouteTablesResult, Route, RouteOrigin, RouteState, RouteTable,
    RouteTableAssociation,
};
use imbl::OrdMap;
use wire::Error;

use super::list::{Asked, Listed, list};
use crate::{
    Ctx, Ec2,
    commands::tables,
    rows::{Block, Hop, RouteRow, SubnetId, TableId, TableRow, VpcId},
};

impl Listed for TableRow {
    type Id = TableId;
    const ID: &'static str = "route-table-id";
    const VPC: Option<&'static str> = Some("vpc-id");
    const FILTERS: &'static [&'static str] = &[
        "association.gateway-id",
        "association.main",
        "association.route-table-association-id",
        "association.route-table-id",
        "association.subnet-id",
        "owner-id",
        "route-table-id",
        "route.destination-cidr-block",
        "route.destination-ipv6-cidr-block",
        "route.destination-prefix-list-id",
        "route.egress-only-internet-gateway-id",
        "route.gateway-id",
        "route.instance-id",
        "route.nat-gateway-id",
        "route.origin",
        "route.state",
        "route.transit-gateway-id",
        "route.vpc-peering-connection-id",
        "tag-key",
        "vpc-id",
    ];

    fn all(state: &Ec2) -> &OrdMap<TableId, Arc<TableRow>> {
        state.tables()
    }

    fn id(&self) -> TableId {
        self.id
    }

    fn also(state: &Ec2, filter: &str, value: &str) -> Option<Vec<TableId>> {
        let own = |id: SubnetId| state.subnet(id)?.table.map(|own| own.table);
        (filter == "association.subnet-id").then(|| value.parse().ok().and_then(own).into_iter().collect())
    }

    fn values(&self, state: &Ec2, _ctx: &Ctx, filter: &str) -> Vec<String> {
        match filter {
            "vpc-id" => vec![self.vpc.to_string()],
            _ => match filter.split_once('.') {
                Some(("association", member)) => {
                    let of = |one: &RouteTableAssociation| of_association(one, member);
                    associations(state, self).iter().filter_map(of).collect()
                }
                Some(("route", member)) => {
                    routes(state, self).iter().filter_map(|route| of_route(route, member)).collect()
                }
                _ => Vec::new(),
            },
        }
    }
}

fn of_association(one: &RouteTableAssociation, member: &str) -> Option<String> {
    match member {
        "main" => one.main.map(|main| main.to_string()),
        "route-table-association-id" => one.route_table_association_id.clone(),
        "route-table-id" => one.route_table_id.clone(),
        "subnet-id" => one.subnet_id.clone(),
        _ => None,
    }
}

fn of_route(route: &Route, member: &str) -> Option<String> {
    match member {
        "destination-cidr-block" => route.destination_cidr_block.clone(),
        "destination-ipv6-cidr-block" => route.destination_ipv6_cidr_block.clone(),
        "gateway-id" => route.gateway_id.clone(),
        "nat-gateway-id" => route.nat_gateway_id.clone(),
        "origin" => route.origin.map(|origin| origin.to_string()),
        "state" => route.state.map(|state| state.to_string()),
        _ => None,
    }
}

/// DescribeRouteTables.
pub fn describe_route_tables(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeRouteTablesRequest,
) -> Result<DescribeRouteTablesResult, Error> {
    let (rows, next_token) = list::<TableRow>(
        state,
        ctx,
        &Asked {
            ids: request.route_table_ids.as_ref(),
            filters: request.filters.as_ref(),
            size: request.max_results,
            token: request.next_token.as_deref(),
        },
    )?;
    let tables = rows.iter().map(|row| shown(state, ctx, row)).collect();
    Ok(DescribeRouteTablesResult { route_tables: Some(tables), next_token })
}

/// The main one's first, then one for each subnet.
fn associations(state: &Ec2, row: &TableRow) -> Vec<RouteTableAssociation> {
    let association = |id: String, subnet: Option<SubnetId>| RouteTableAssociation {
        main: Some(subnet.is_none()),
        route_table_association_id: Some(id),
        route_table_id: Some(row.id.to_string()),
        subnet_id: subnet.map(|subnet| subnet.to_string()),
        association_state: tables::state(),
        ..RouteTableAssociation::default()
    };
    let main = state.vpc(row.vpc).filter(|vpc| vpc.main.table == row.id);
    let main = main.map(|vpc| association(vpc.main.id.to_string(), None));
    let of_subnets = state
        .subnets_of_table(row.id)
        .filter_map(|subnet| Some(association(subnet.table?.id.to_string(), Some(subnet.id))));
    main.into_iter().chain(of_subnets).collect()
}

/// The route within the VPC first.
fn routes(state: &Ec2, row: &TableRow) -> Vec<Route> {
    let local = state.vpc(row.vpc).map(|vpc| Route {
        destination_cidr_block: Some(vpc.cidr.to_string()),
        gateway_id: Some("local".to_owned()),
        origin: Some(RouteOrigin::CreateRouteTable),
        state: Some(RouteState::Active),
        ..Route::default()
    });
    local.into_iter().chain(row.routes.iter().map(|route| shown_route(state, row.vpc, route))).collect()
}

fn shown_route(state: &Ec2, vpc: VpcId, route: &RouteRow) -> Route {
    let leads = match route.by {
        Hop::Gateway(id) => state.gateway(id).is_some_and(|gateway| gateway.vpc == Some(vpc)),
        Hop::Nat(id) => state.nat(id).is_some_and(|nat| nat.deleted_at.is_none()),
    };
    let (v4, v6) = match route.to {
        Block::V4(cidr) => (Some(cidr.to_string()), None),
        Block::V6(cidr) => (None, Some(cidr.to_string())),
    };
    let (gateway, nat) = match route.by {
        Hop::Gateway(id) => (Some(id.to_string()), None),
        Hop::Nat(id) => (None, Some(id.to_string())),
    };
    Route {
        destination_cidr_block: v4,
        destination_ipv6_cidr_block: v6,
        gateway_id: gateway,
        nat_gateway_id: nat,
        origin: Some(RouteOrigin::CreateRoute),
        state: Some(if leads { RouteState::Active } else { RouteState::Blackhole }),
        ..Route::default()
    }
}

/// A route table as it is shown.
pub fn shown(state: &Ec2, ctx: &Ctx, row: &TableRow) -> RouteTable {
    RouteTable {
        associations: Some(associations(state, row)),
        propagating_vgws: Some(Vec::new()),
        route_table_id: Some(row.id.to_string()),
        routes: Some(routes(state, row)),
        tags: super::tags(state, row.id),
        vpc_id: Some(row.vpc.to_string()),
        owner_id: super::owner(ctx),
    }
}
