//! UpdateService. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{configuration, create, deployment, describe, find_active, grace, rebalancing, task_sets};
use crate::{
    account::TaskDefinitionRow,
    capacity::wanted,
    cluster::{
        CapacityProviderStrategyItem, DeploymentControllerType, LaunchType, NetworkRow, PlatformRow,
        Scheduling, ServiceRow, Txn, Writes,
    },
    convert::Stored,
    fargate, network,
    task::run,
};

/// Changes a service. A new task definition, another network or forceNewDeployment begins a new deployment; another capacity provider
/// strategy has to come with the latter.
pub fn update_service(
    txn: &mut Txn,
    request: ecs::UpdateServiceRequest,
) -> Result<ecs::UpdateServiceResponse, Error> {
    let mut row = find_active(txn, &request.service)?;
    let before = row.desired_count;
    let controller = configuration::controller(request.deployment_controller.as_ref())?;
    let controller = controller.unwrap_or(row.controller);
    if controller == DeploymentControllerType::External {
        external(&request)?;
    }
    change_capacity(txn, &mut row, &request)?;
    let named = request.task_definition.as_deref().filter(|name| !name.is_empty());
    let definition = named.map(|named| run::active_definition(txn, named, errors::client)).transpose()?;
    let network = network(txn, &row, definition.as_deref(), request.network_configuration.as_ref())?;
    if let Some(count) = request.desired_count {
        if count < 0 && !row.daemon() {
            return Err(errors::invalid_parameter("Task count can not be lesser than 0"));
        }
        row.desired_count = create::desired_count(row.scheduling, Some(count))?;
        row.unplaced = None;
        row.rebalancing = None;
    }
    let standing = (row.minimum_healthy_percent, row.maximum_percent);
    let given = request.deployment_configuration;
    (row.minimum_healthy_percent, row.maximum_percent) =
        configuration::percents(row.scheduling, given.as_ref(), Some(standing))?;
    row.deployment_configuration =
        configuration::merged(row.scheduling, row.deployment_configuration, given)?;
    configuration::check::early(row.deployment_configuration.as_ref(), row.minimum_healthy_percent)?;
    row.health_check_grace_period_seconds = grace::seconds(request.health_check_grace_period_seconds)?
        .unwrap_or(row.health_check_grace_period_seconds);
    let networked = network != row.network;
    row.set_network(None);
    row.placement_constraints = request.placement_constraints.stored().unwrap_or(row.placement_constraints);
    row.placement_strategy = request.placement_strategy.stored().unwrap_or(row.placement_strategy);
    row.propagate_tags = request.propagate_tags.stored().or(row.propagate_tags);
    row.enable_ecs_managed_tags = request.enable_ecs_managed_tags.unwrap_or(row.enable_ecs_managed_tags);
    row.enable_execute_command = request.enable_execute_command.unwrap_or(row.enable_execute_command);
    check_placement(txn, &row)?;
    let platform = platform(txn, &row, definition.as_deref(), request.platform_version.as_deref())?;
    let platformed = platform != row.platform;
    row.platform = platform;
    row.availability_zone_rebalancing =
        rebalancing::of_updated(request.availability_zone_rebalancing.stored(), &row)?;
    row.set_network(network);
    let moved = definition.as_ref().is_some_and(|d| d.id() != row.task_definition);
    if let Some(definition) = definition {
        row.task_definition = definition.id();
    }
    let switched = task_sets::switch::to(txn, &mut row, controller)?;
    let deploys = controller == DeploymentControllerType::Ecs;
    let changed = moved || switched || networked || platformed;
    if deploys && (changed || request.force_new_deployment == Some(true)) {
        deployment::begin(txn, &mut row);
    } else if request.desired_count.is_some()
        && let Some(primary) = row.deployments.first_mut()
    {
        primary.updated_at = txn.ctx.now;
        deployment::scaled(txn, &row, before);
    }
    row.steady = false;
    txn.put_service(row.clone());
    Ok(ecs::UpdateServiceResponse { service: Some(describe::service(txn.state, txn.ctx, &row, true)) })
}

/// Gives a service another capacity provider strategy, where the request has one.
fn change_capacity(
    txn: &Txn,
    row: &mut ServiceRow,
    request: &ecs::UpdateServiceRequest,
) -> Result<(), Error> {
    let Some(given) = request.capacity_provider_strategy.clone() else { return Ok(()) };
    let strategy = strategy(txn, row, given)?;
    if strategy != row.capacity_provider_strategy && request.force_new_deployment != Some(true) {
        return Err(errors::invalid_parameter(
            "When switching from launch type to capacity provider strategy on an existing service, or making a change to \
             a capacity provider strategy on a service that is already using one, you must force a new deployment.",
        ));
    }
    if row.has_no_launch_type {
        row.launch_type = fargate::launch_type(&strategy);
    }
    row.capacity_provider_strategy = strategy;
    Ok(())
}

/// The launch type that the tasks of a service are to have.
fn launch_type(row: &ServiceRow) -> LaunchType {
    match row.capacity_provider_strategy.is_empty() {
        true => row.launch_type,
        false => fargate::launch_type(&row.capacity_provider_strategy),
    }
}

/// What the tasks of a service are to run on, where that is Fargate: as given, or what it has where nothing is said.
fn platform(
    txn: &Txn,
    row: &ServiceRow,
    definition: Option<&TaskDefinitionRow>,
    given: Option<&str>,
) -> Result<Option<Box<PlatformRow>>, Error> {
    let standing = || txn.ports.account.task_definition(&row.task_definition).map(AsRef::as_ref);
    let Some(definition) = definition.or_else(standing) else { return Ok(row.platform.clone()) };
    let launch_type = launch_type(row);
    let has = row.platform.as_ref().filter(|_| launch_type == LaunchType::Fargate);
    let asked = fargate::Asked {
        launch_type,
        definition,
        platform_version: given.filter(|given| !given.is_empty()).or(has.map(|has| has.version.as_str())),
        has_constraints: !row.placement_constraints.is_empty(),
        has_strategy: !row.placement_strategy.is_empty(),
    };
    asked.platform()
}

/// The capacity provider strategy that a service is to have. Without one it goes back to the launch type that it was
/// created with, or where there was none, to the default of its cluster.
fn strategy(
    txn: &Txn,
    row: &ServiceRow,
    given: Vec<ecs::CapacityProviderStrategyItem>,
) -> Result<Vec<CapacityProviderStrategyItem>, Error> {
    if !given.is_empty() && row.daemon() {
        return Err(errors::invalid_parameter(create::STRATEGY_OF_DAEMON));
    }
    if !given.is_empty() {
        return wanted::checked(txn, given);
    }
    if !row.has_no_launch_type {
        return Ok(Vec::new());
    }
    match wanted::by_default(txn)? {
        none if none.is_empty() => Err(errors::invalid_parameter(
            "No launch type to fall back to for empty capacity provider strategy. Your service was not created with a launch \
             type.",
        )),
        default => Ok(default),
    }
}

/// The network that a service is to have: as given, or what it has where nothing is said and its tasks are to have one.
fn network(
    txn: &Txn,
    row: &ServiceRow,
    definition: Option<&TaskDefinitionRow>,
    given: Option<&ecs::NetworkConfiguration>,
) -> Result<Option<Box<NetworkRow>>, Error> {
    let standing = || txn.ports.account.task_definition(&row.task_definition).map(AsRef::as_ref);
    let Some(definition) = definition.or_else(standing) else { return Ok(row.network.clone()) };
    match (given, &row.network) {
        (None, Some(has)) if network::is_own(definition) => {
            network::check_public(has.public, launch_type(row))?;
            Ok(Some(has.clone()))
        }
        _ => network::of_request(txn, definition, launch_type(row), given),
    }
}

fn check_placement(txn: &Txn, row: &ServiceRow) -> Result<(), Error> {
    let definition = txn.ports.account.task_definition(&row.task_definition).map(AsRef::as_ref);
    let scheduling: Scheduling = row.scheduling;
    create::check_placement(scheduling, definition, &row.placement_constraints, &row.placement_strategy)
}

/// What a service of task sets runs, each of them says.
fn external(request: &ecs::UpdateServiceRequest) -> Result<(), Error> {
    for (what, is_given) in [
        ("task definition", request.task_definition.as_ref().is_some_and(|named| !named.is_empty())),
        ("network parameters", request.network_configuration.is_some()),
    ] {
        if is_given {
            return Err(errors::invalid_parameter(format!(
                "Unable to update {what} on services with an EXTERNAL deployment controller. Use CreateTaskSet to create a \
                 new task set."
            )));
        }
    }
    match request.force_new_deployment {
        Some(true) => Err(errors::invalid_parameter(
            "Unable to force a new deployment on services with an EXTERNAL deployment controller. Use CreateTaskSet to \
             create a new task set.",
        )),
        _ => Ok(()),
    }
}
