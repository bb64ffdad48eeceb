//! Where the capacity of a task or service is to come from: its launch type, its own strategy, or that of its cluster.

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::strategy;
use crate::{
    account::providers::FARGATE, cluster::Txn, convert::Stored, rows::CapacityProviderStrategyItem as Item,
    task::run,
};

/// The strategy of a task or service; none where its launch type counts, which is EC2 when nobody says anything.
///
/// # Errors
/// `InvalidParameterException`; `UnsupportedFeatureException` for Fargate.
pub fn strategy(
    txn: &Txn,
    launch_type: Option<ecs::LaunchType>,
    given: Option<Vec<ecs::CapacityProviderStrategyItem>>,
) -> Result<Vec<Item>, Error> {
    let given = given.unwrap_or_default();
    if launch_type.is_some() && !given.is_empty() {
        return Err(errors::invalid_parameter(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ));
    }
    if launch_type.is_some() {
        return run::launch_type(launch_type).map(|()| Vec::new());
    }
    match given.is_empty() {
        true => by_default(txn),
        false => checked(txn, given),
    }
}

/// A strategy that a request names.
///
/// # Errors
/// As [`strategy`].
pub fn checked(txn: &Txn, given: Vec<ecs::CapacityProviderStrategyItem>) -> Result<Vec<Item>, Error> {
    let given = strategy::filled(given.stored());
    strategy::check_given(&txn.ports.account, &txn.state.row.capacity_providers, &given)?;
    built(given)
}

/// The default strategy of the cluster, where it has one.
///
/// # Errors
/// As [`strategy`].
pub fn by_default(txn: &Txn) -> Result<Vec<Item>, Error> {
    let strategy = strategy::filled(txn.state.row.default_capacity_provider_strategy.clone());
    if !strategy.is_empty() && !strategy::distributes(&strategy) {
        return Err(errors::invalid_parameter(
            "There are no capacity providers with a weight value greater than zero defined in the default capacity provider \
             strategy. At least one capacity provider must have a weight value greater than zero specified. Update the \
             cluster's default capacity provider strategy or specify a valid capacity provider strategy and try again.",
        ));
    }
    built(strategy)
}

/// Only container instances run tasks so far.
fn built(strategy: Vec<Item>) -> Result<Vec<Item>, Error> {
    match strategy.iter().find(|item| FARGATE.contains(&&*item.capacity_provider)) {
        Some(item) => Err(errors::unsupported_feature(format!(
            "capacity provider {} is not built yet; use one of container instances, or launchType EC2. See \
             docs/support.md.",
            item.capacity_provider
        ))),
        None => Ok(strategy),
    }
}
