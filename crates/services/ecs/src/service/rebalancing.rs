//! Availability Zone rebalancing: which services may have it, which have it when nobody says, and (`moves`) how it goes. Beside it
//! what a tag asks for beyond ECS: rebalancing onto fewer container instances (`packing`), of services that cannot have the other.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html>

mod moves;
mod packing;
#[cfg(test)]
mod tests;

use ecs_model::errors;
use wire::Error;

use crate::{
    cluster::Txn,
    rows::{
        AvailabilityZoneRebalancing, PlacementConstraint, PlacementStrategy, PlacementStrategyType,
        Scheduling, ServiceRow,
    },
};

const ZONE: &str = "attribute:ecs.availability-zone";

/// Does of a service what can be done now.
pub fn advance(txn: &mut Txn, service: &mut ServiceRow, before: &ServiceRow) {
    match is_packed(service) {
        true => packing::advance(txn, service),
        false => moves::advance(txn, service, before),
    }
}

/// Whether the tasks of a service are moved onto fewer container instances.
pub fn is_packed(service: &ServiceRow) -> bool {
    packing::is_on(service)
}

/// What decides.
pub struct Service<'a> {
    pub scheduling: Scheduling,
    pub maximum_percent: i32,
    pub constraints: &'a [PlacementConstraint],
    pub strategy: &'a [PlacementStrategy],
}

/// For a new service: ENABLED where it can be, unless it is said.
///
/// # Errors
/// `InvalidParameterException` where it is asked for and cannot be.
pub fn of_new(
    given: Option<AvailabilityZoneRebalancing>,
    service: &Service,
) -> Result<AvailabilityZoneRebalancing, Error> {
    match (given, obstacle(service)) {
        (Some(AvailabilityZoneRebalancing::Enabled), Some(why)) => Err(refused(why)),
        (Some(given), _) => Ok(given),
        (None, Some(_)) => Ok(AvailabilityZoneRebalancing::Disabled),
        (None, None) => Ok(AvailabilityZoneRebalancing::Enabled),
    }
}

/// For a service as it is after an update: what stands, unless it is said.
///
/// # Errors
/// `InvalidParameterException` where it is to be ENABLED, or to stay so, and cannot be.
pub fn of_updated(
    given: Option<AvailabilityZoneRebalancing>,
    row: &ServiceRow,
) -> Result<AvailabilityZoneRebalancing, Error> {
    let service = Service {
        scheduling: row.scheduling,
        maximum_percent: row.maximum_percent,
        constraints: &row.placement_constraints,
        strategy: &row.placement_strategy,
    };
    match (given.unwrap_or(row.availability_zone_rebalancing), obstacle(&service)) {
        (AvailabilityZoneRebalancing::Enabled, Some(why)) => Err(refused(why)),
        (wanted, _) => Ok(wanted),
    }
}

/// Why a service cannot be rebalanced.
fn obstacle(service: &Service) -> Option<&'static str> {
    let first = service.strategy.first();
    let spread = |strategy: &PlacementStrategy| {
        strategy.r#type == Some(PlacementStrategyType::Spread) && strategy.field.as_deref() == Some(ZONE)
    };
    let names_zone = |constraint: &PlacementConstraint| {
        constraint.expression.as_ref().is_some_and(|expression| expression.contains(ZONE))
    };
    if service.scheduling == Scheduling::Daemon {
        Some("services with DAEMON scheduling strategy")
    } else if service.maximum_percent <= 100 {
        Some("services with a maximumPercent of 100")
    } else if service.constraints.iter().any(names_zone) {
        Some("services with a placement constraint on attribute:ecs.availability-zone")
    } else if first.is_some_and(|first| !spread(first)) {
        Some("services whose first placement strategy is not spread over attribute:ecs.availability-zone")
    } else {
        None
    }
}

fn refused(why: &str) -> Error {
    errors::invalid_parameter(format!("availabilityZoneRebalancing ENABLED is not supported for {why}."))
}
