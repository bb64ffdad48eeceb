//! Where the capacity of a task or service is to come from: its launch type, its own strategy, or that of its cluster.

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::strategy;
use crate::{
    cluster::Txn,
    convert::Stored,
    fargate,
    rows::{CapacityProviderStrategyItem as Item, LaunchType},
};

/// Where tasks are to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// None where the launch type alone counts.
    pub strategy: Vec<Item>,
    /// That of the tasks: EC2 or FARGATE.
    pub launch_type: LaunchType,
}

impl Wanted {
    fn of(strategy: Vec<Item>) -> Wanted {
        Wanted { launch_type: fargate::launch_type(&strategy), strategy }
    }
}

/// The capacity of a task or service, by its launch type, its own strategy, or that of its cluster: where nobody says
/// anything, container instances.
///
/// # Errors
/// `InvalidParameterException`; `UnsupportedFeatureException` for launch types that are not built.
pub fn capacity(
    txn: &Txn,
    launch_type: Option<ecs::LaunchType>,
    given: Option<Vec<ecs::CapacityProviderStrategyItem>>,
) -> Result<Wanted, Error> {
    let given = given.unwrap_or_default();
    if launch_type.is_some() && !given.is_empty() {
        return Err(errors::invalid_parameter(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ));
    }
    match launch_type {
        Some(given) => Ok(Wanted { strategy: Vec::new(), launch_type: built(given)? }),
        None if given.is_empty() => by_default(txn).map(Wanted::of),
        None => checked(txn, given).map(Wanted::of),
    }
}

/// A launch type that tasks can have.
fn built(given: ecs::LaunchType) -> Result<LaunchType, Error> {
    match given {
        ecs::LaunchType::Ec2 | ecs::LaunchType::Fargate => Ok(given.stored()),
        other => Err(errors::unsupported_feature(format!(
            "launchType {} is not built yet; use EC2 or FARGATE. See docs/support.md.",
            other.as_str()
        ))),
    }
}

/// A strategy that a request names.
///
/// # Errors
/// As [`capacity`].
pub fn checked(txn: &Txn, given: Vec<ecs::CapacityProviderStrategyItem>) -> Result<Vec<Item>, Error> {
    let given = strategy::filled(given.stored());
    strategy::check_given(&txn.ports.account, &txn.state.row.capacity_providers, &given)?;
    Ok(given)
}

/// The default strategy of the cluster, where it has one.
///
/// # Errors
/// As [`capacity`].
pub fn by_default(txn: &Txn) -> Result<Vec<Item>, Error> {
    let strategy = strategy::filled(txn.state.row.default_capacity_provider_strategy.clone());
    if !strategy.is_empty() && !strategy::distributes(&strategy) {
        return Err(errors::invalid_parameter(
            "There are no capacity providers with a weight value greater than zero defined in the default capacity provider \
             strategy. At least one capacity provider must have a weight value greater than zero specified. Update the \
             cluster's default capacity provider strategy or specify a valid capacity provider strategy and try again.",
        ));
    }
    Ok(strategy)
}
