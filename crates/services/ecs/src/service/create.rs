//! CreateService. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html>

use std::sync::Arc;

use ecs_model::{self as ecs, SchedulingStrategy, errors};
use wire::Error;

use super::{configuration, deployment, describe, grace, rebalancing};
use crate::{
    account::TaskDefinitionRow,
    beyond::On,
    capacity::wanted::{self, Wanted},
    cluster::{
        DeploymentControllerType, LaunchType, PlacementConstraint, PlacementConstraintType,
        PlacementStrategy, PlatformRow, Scheduling, ServiceName, ServiceRow, ServiceStatus, ServiceTokenRow,
        Txn, Writes,
    },
    convert::Stored,
    fargate, limits, network, placement, tags,
    task::run,
};

/// Makes a service and starts its first tasks.
pub fn create_service(
    txn: &mut Txn,
    request: ecs::CreateServiceRequest,
) -> Result<ecs::CreateServiceResponse, Error> {
    let name = ServiceName(name(&request.service_name)?);
    run::check_token(request.client_token.as_deref(), limits::SERVICE_TOKEN_LENGTH)?;
    let digest = run::fingerprint(&request);
    if let Some(answer) = existing(txn, &name, &digest)? {
        return Ok(answer);
    }
    let controller = admit(txn, &request)?;
    let definition = match controller {
        DeploymentControllerType::Ecs => Some(definition(txn, &request)?),
        DeploymentControllerType::External => None,
    };
    let given = request.network_configuration.clone();
    let made_by = request.client_token.as_ref().map(|_| digest);
    let mut row = made(txn, name.clone(), request, definition.as_deref())?;
    let of_request = |of| network::of_request(txn, of, row.tasks_launch_type(), given.as_ref());
    let network = definition.as_deref().map(of_request).transpose()?;
    row.set_network(network.flatten());
    begin_history(txn, name, made_by);
    if definition.is_some() {
        deployment::begin(txn, &mut row);
    }
    txn.put_service(row.clone());
    Ok(ecs::CreateServiceResponse { service: Some(describe::service(txn.state, txn.ctx, &row, true)) })
}

/// The row of a service that is asked for; without a task definition it is one of task sets.
fn made(
    txn: &Txn,
    name: ServiceName,
    request: ecs::CreateServiceRequest,
    definition: Option<&TaskDefinitionRow>,
) -> Result<ServiceRow, Error> {
    let scheduling = scheduling(request.scheduling_strategy);
    let (Wanted { strategy: capacity_provider_strategy, launch_type }, platform) =
        definition.map(|of| place(txn, scheduling, &request, of)).transpose()?.unwrap_or_default();
    // Task sets may come, and be scaled, later.
    let desired = request.desired_count.or(definition.is_none().then_some(0));
    let desired_count = desired_count(scheduling, desired)?;
    let grace = grace::seconds(request.health_check_grace_period_seconds)?;
    let given = request.deployment_configuration;
    let (percents, deployment_configuration) = configuration::of_new(scheduling, given)?;
    if definition.is_none() {
        configuration::of_task_sets(deployment_configuration.as_ref())?;
    }
    let constraints = request.placement_constraints.unwrap_or_default().stored();
    let strategy = request.placement_strategy.unwrap_or_default().stored();
    check_placement(scheduling, definition, &constraints, &strategy)?;
    tags::check_on(On::service(scheduling), request.tags.as_deref().unwrap_or_default())?;
    let rebalancing = rebalancing::of_new(
        request.availability_zone_rebalancing.stored(),
        &rebalancing::Service {
            scheduling,
            maximum_percent: percents.1,
            constraints: &constraints,
            strategy: &strategy,
        },
    )?;
    Ok(ServiceRow {
        name,
        status: ServiceStatus::Active,
        scheduling,
        controller: match definition {
            Some(_) => DeploymentControllerType::Ecs,
            None => DeploymentControllerType::External,
        },
        desired_count,
        task_definition: definition.map(TaskDefinitionRow::id).unwrap_or_default(),
        launch_type,
        platform,
        has_no_launch_type: !capacity_provider_strategy.is_empty(),
        capacity_provider_strategy,
        network: None,
        minimum_healthy_percent: percents.0,
        maximum_percent: percents.1,
        deployment_configuration,
        health_check_grace_period_seconds: grace.unwrap_or_default(),
        placement_constraints: constraints,
        placement_strategy: strategy,
        availability_zone_rebalancing: rebalancing,
        propagate_tags: request.propagate_tags.stored(),
        enable_ecs_managed_tags: request.enable_ecs_managed_tags.unwrap_or(false),
        enable_execute_command: request.enable_execute_command.unwrap_or(false),
        tags: request.tags.unwrap_or_default().stored(),
        role_arn: None,
        created_at: txn.now(),
        created_by: Some(txn.ctx.caller_arn.to_string()),
        deployments: Vec::new(),
        completed: None,
        steady: false,
        unplaced: None,
        wake_at: None,
        rebalancing: None,
        forget_at: None,
        held: None,
    })
}

fn scheduling(given: Option<SchedulingStrategy>) -> Scheduling {
    match given {
        Some(SchedulingStrategy::Daemon) => Scheduling::Daemon,
        _ => Scheduling::Replica,
    }
}

/// Where the tasks of a service are to be, and on what, where that is Fargate.
fn place(
    txn: &Txn,
    scheduling: Scheduling,
    request: &ecs::CreateServiceRequest,
    definition: &TaskDefinitionRow,
) -> Result<(Wanted, Option<Box<PlatformRow>>), Error> {
    let wanted = wanted::capacity(txn, request.launch_type, request.capacity_provider_strategy.clone())?;
    if scheduling == Scheduling::Daemon && !wanted.strategy.is_empty() {
        return Err(errors::invalid_parameter(STRATEGY_OF_DAEMON));
    }
    if scheduling == Scheduling::Daemon && wanted.launch_type == LaunchType::Fargate {
        return Err(errors::invalid_parameter(
            "The daemon scheduling strategy is not supported for the Fargate launch type.",
        ));
    }
    let asked = fargate::Asked {
        launch_type: wanted.launch_type,
        definition,
        platform_version: request.platform_version.as_deref(),
        has_constraints: request.placement_constraints.as_ref().is_some_and(|given| !given.is_empty()),
        has_strategy: request.placement_strategy.as_ref().is_some_and(|given| !given.is_empty()),
    };
    let platform = asked.platform()?;
    Ok((wanted, platform))
}

/// Those have one task on each container instance, whosever it is.
pub const STRATEGY_OF_DAEMON: &str = "Specifying a capacity provider strategy is not supported when you create a service \
                                      using the DAEMON scheduling strategy.";

/// What is kept beside the row of a service begins: nothing of an INACTIVE one of its name, and the client token, if one
/// made it.
fn begin_history(txn: &mut Txn, service: ServiceName, made_by: Option<String>) {
    super::forget_history(txn, &service);
    if let Some(request) = made_by {
        let forget_at = txn.now().plus_millis(limits::TOKEN_KEPT_MS);
        txn.put(ServiceTokenRow { service, request, forget_at });
    }
}

/// The task definition that a service is to run.
fn definition(txn: &Txn, request: &ecs::CreateServiceRequest) -> Result<Arc<TaskDefinitionRow>, Error> {
    let named = request.task_definition.as_deref().filter(|name| !name.is_empty());
    let named = named.ok_or_else(|| errors::invalid_parameter("TaskDefinition cannot be empty."))?;
    run::active_definition(txn, named, errors::client)
}

/// What is refused whatever the service runs, and who deploys it.
fn admit(txn: &Txn, request: &ecs::CreateServiceRequest) -> Result<DeploymentControllerType, Error> {
    if limits::is_full(limits::SERVICES, txn.state.counts().0, || txn.state.totals().services_live()) {
        return Err(errors::client("The number of services in this cluster has reached its limit."));
    }
    let controller = configuration::controller(request.deployment_controller.as_ref())?.unwrap_or_default();
    if controller == DeploymentControllerType::External {
        external(request)?;
    }
    Ok(controller)
}

/// What a service of task sets runs, each of them says.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-external.html>
fn external(request: &ecs::CreateServiceRequest) -> Result<(), Error> {
    for (member, is_given) in [
        ("taskDefinition", request.task_definition.is_some()),
        ("launchType", request.launch_type.is_some()),
        ("capacityProviderStrategy", request.capacity_provider_strategy.iter().flatten().next().is_some()),
        ("networkConfiguration", request.network_configuration.is_some()),
    ] {
        if is_given {
            return Err(errors::invalid_parameter(format!(
                "{member} is not supported for services with the EXTERNAL deployment controller. Specify it for their task \
                 sets."
            )));
        }
    }
    match request.scheduling_strategy {
        Some(SchedulingStrategy::Daemon) => Err(errors::invalid_parameter(
            "The EXTERNAL deployment controller does not support the DAEMON scheduling strategy.",
        )),
        _ => Ok(()),
    }
}

/// The same request with the same client token gives the same service again; another one of that name is refused.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
fn existing(
    txn: &Txn,
    name: &ServiceName,
    digest: &str,
) -> Result<Option<ecs::CreateServiceResponse>, Error> {
    let Some(row) = txn.state.service(name) else { return Ok(None) };
    match row.status {
        ServiceStatus::Inactive => Ok(None),
        ServiceStatus::Draining => {
            Err(errors::invalid_parameter("Unable to Start a service that is still Draining."))
        }
        ServiceStatus::Active if txn.state.service_token(name).is_some_and(|made| made.request == digest) => {
            let service = Some(describe::service(txn.state, txn.ctx, row, true));
            Ok(Some(ecs::CreateServiceResponse { service }))
        }
        ServiceStatus::Active => Err(errors::invalid_parameter("Creation of service was not idempotent.")),
    }
}

fn name(given: &str) -> Result<String, Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if given.is_empty() {
        return Err(errors::invalid_parameter("Service name cannot be empty."));
    }
    if given.len() > 255 {
        return Err(errors::invalid_parameter("Service name longer than 255."));
    }
    if !given.chars().all(fits) {
        return Err(errors::invalid_parameter("Service name contains invalid characters."));
    }
    Ok(given.to_owned())
}

/// The desired count that a request gives.
pub fn desired_count(scheduling: Scheduling, given: Option<i32>) -> Result<i32, Error> {
    match (scheduling, given) {
        (Scheduling::Daemon, Some(_)) => Err(errors::invalid_parameter(
            "The daemon scheduling strategy does not support a desired count for services. Remove the desired count \
             value and try again",
        )),
        (Scheduling::Daemon, None) => Ok(0),
        (Scheduling::Replica, None) => Err(errors::invalid_parameter("DesiredCount is missing")),
        (Scheduling::Replica, Some(count)) if count < 0 => {
            Err(errors::invalid_parameter("DesiredCount can not be lesser than 0"))
        }
        (Scheduling::Replica, Some(count)) if count > limits::SERVICE_DESIRED_COUNT => {
            Err(errors::invalid_parameter(format!(
                "The desiredCount must be at most {}.",
                limits::SERVICE_DESIRED_COUNT
            )))
        }
        (Scheduling::Replica, Some(count)) => Ok(count),
    }
}

/// Constraints and strategies must read well before they are kept.
pub fn check_placement(
    scheduling: Scheduling,
    definition: Option<&TaskDefinitionRow>,
    constraints: &[PlacementConstraint],
    strategy: &[PlacementStrategy],
) -> Result<(), Error> {
    if scheduling == Scheduling::Daemon {
        let distinct = Some(PlacementConstraintType::DistinctInstance);
        if !strategy.is_empty() || constraints.iter().any(|c| c.r#type == distinct) {
            return Err(errors::invalid_parameter(
                "placementStrategy and distinctInstance are not valid for services with DAEMON scheduling strategy.",
            ));
        }
    }
    match definition {
        Some(definition) => {
            placement::Request::new(definition, &Default::default(), "", constraints, strategy).map(|_| ())
        }
        None => placement::check(constraints, strategy),
    }
}
