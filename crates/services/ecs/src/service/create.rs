//! CreateService. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html>

use ecs_model::{self as ecs, SchedulingStrategy, errors};
use wire::Error;

use super::{describe, rebalancing};
use crate::{
    cluster::{
        DeploymentId, DeploymentRolloutState, DeploymentRow, LaunchType, PlacementConstraint,
        PlacementConstraintType, PlacementStrategy, Scheduling, ServiceName, ServiceRow, ServiceStatus,
        ServiceTokenRow, TaskDefinitionId, Txn, Writes,
    },
    convert::Stored,
    limits, placement, tags,
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
    admit(txn, &request)?;
    let named = request.task_definition.as_deref().filter(|name| !name.is_empty());
    let named = named.ok_or_else(|| errors::invalid_parameter("TaskDefinition cannot be empty."))?;
    let definition = run::active_definition(txn, named, errors::client)?;
    let scheduling = match request.scheduling_strategy {
        Some(SchedulingStrategy::Daemon) => Scheduling::Daemon,
        _ => Scheduling::Replica,
    };
    let desired_count = desired_count(scheduling, request.desired_count)?;
    let percents = percents(scheduling, request.deployment_configuration.as_ref(), None)?;
    let constraints = request.placement_constraints.unwrap_or_default().stored();
    let strategy = request.placement_strategy.unwrap_or_default().stored();
    check_placement(scheduling, &definition, &constraints, &strategy)?;
    tags::check(request.tags.as_deref().unwrap_or_default())?;
    let rebalancing = rebalancing::of_new(
        request.availability_zone_rebalancing.stored(),
        &rebalancing::Service {
            scheduling,
            maximum_percent: percents.1,
            constraints: &constraints,
            strategy: &strategy,
        },
    )?;
    let row = ServiceRow {
        name: name.clone(),
        status: ServiceStatus::Active,
        scheduling,
        desired_count,
        task_definition: definition.id(),
        launch_type: LaunchType::Ec2,
        minimum_healthy_percent: percents.0,
        maximum_percent: percents.1,
        deployment_configuration: request.deployment_configuration.stored(),
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
        deployments: vec![deployment(txn, definition.id())],
        steady: false,
        unplaced: None,
        wake_at: None,
        forget_at: None,
        held: None,
    };
    // Of an INACTIVE one of this name.
    super::forget_history(txn, &name);
    if request.client_token.is_some() {
        let forget_at = txn.now().plus_millis(limits::TOKEN_KEPT_MS);
        txn.put(ServiceTokenRow { service: name, request: digest, forget_at });
    }
    txn.put_service(row.clone());
    Ok(ecs::CreateServiceResponse { service: Some(describe::service(&txn.state, txn.ctx, &row, true)) })
}

/// What is refused whatever the service runs.
fn admit(txn: &Txn, request: &ecs::CreateServiceRequest) -> Result<(), Error> {
    if limits::is_full(limits::SERVICES, txn.state.counts().0, || txn.state.totals().services_live()) {
        return Err(errors::client("The number of services in this cluster has reached its limit."));
    }
    run::launch_type(request.launch_type)?;
    if request.network_configuration.is_some() {
        return Err(errors::invalid_parameter(
            "Network Configuration is not valid for the given networkMode of this task definition.",
        ));
    }
    controller(request.deployment_controller.as_ref())
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
            let service = Some(describe::service(&txn.state, txn.ctx, row, true));
            Ok(Some(ecs::CreateServiceResponse { service }))
        }
        ServiceStatus::Active => Err(errors::invalid_parameter("Creation of service was not idempotent.")),
    }
}

/// A PRIMARY deployment of a task definition that begins now.
pub fn deployment(txn: &mut Txn, task_definition: TaskDefinitionId) -> DeploymentRow {
    let id = DeploymentId(format!("ecs-svc/{}", txn.ids.digits19()));
    DeploymentRow {
        rollout_reason: format!("ECS deployment {id} in progress."),
        id,
        primary: true,
        task_definition,
        created_at: txn.now(),
        updated_at: txn.now(),
        rollout: DeploymentRolloutState::InProgress,
        failed_tasks: 0,
        consecutive_failures: 0,
        not_before: None,
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

/// Only the rolling controller is built.
pub fn controller(given: Option<&ecs::DeploymentController>) -> Result<(), Error> {
    match given.map(|controller| &controller.r#type) {
        None | Some(ecs::DeploymentControllerType::Ecs) => Ok(()),
        Some(other) => Err(errors::unsupported_feature(format!(
            "deploymentController.type {} is not built yet; use ECS. See docs/support.md.",
            other.as_str()
        ))),
    }
}

/// The desired count that a request gives.
pub fn desired_count(scheduling: Scheduling, given: Option<i32>) -> Result<i32, Error> {
    match (scheduling, given) {
        (Scheduling::Daemon, Some(_)) => Err(errors::invalid_parameter(
            "desiredCount cannot be specified for services with DAEMON scheduling strategy.",
        )),
        (Scheduling::Daemon, None) => Ok(0),
        (Scheduling::Replica, None) => Err(errors::invalid_parameter("The desiredCount must be specified.")),
        (Scheduling::Replica, Some(count)) if count < 0 => {
            Err(errors::invalid_parameter("The desiredCount must not be negative."))
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

/// The effective minimumHealthyPercent and maximumPercent: what is given, else what stands, else the default.
pub fn percents(
    scheduling: Scheduling,
    given: Option<&ecs::DeploymentConfiguration>,
    standing: Option<(i32, i32)>,
) -> Result<(i32, i32), Error> {
    let default = match scheduling {
        Scheduling::Replica => (100, 200),
        Scheduling::Daemon => (0, 100),
    };
    let (minimum, maximum) = standing.unwrap_or(default);
    let minimum = given.and_then(|c| c.minimum_healthy_percent).unwrap_or(minimum);
    let maximum = given.and_then(|c| c.maximum_percent).unwrap_or(maximum);
    if !(0..=100).contains(&minimum) {
        return Err(errors::invalid_parameter("minimumHealthyPercent must be between 0 and 100."));
    }
    if scheduling == Scheduling::Daemon && maximum != 100 {
        return Err(errors::invalid_parameter(
            "maximumPercent must be 100 for services with DAEMON scheduling strategy.",
        ));
    }
    if !(100..=200).contains(&maximum) {
        return Err(errors::invalid_parameter("maximumPercent must be between 100 and 200."));
    }
    if let Some(given) = given {
        unbuilt(given)?;
    }
    if (minimum, maximum) == (100, 100) {
        return Err(errors::invalid_parameter(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
        ));
    }
    Ok((minimum, maximum))
}

/// What a deployment configuration may hold that is not built is refused by name.
fn unbuilt(given: &ecs::DeploymentConfiguration) -> Result<(), Error> {
    let breaker = given.deployment_circuit_breaker.as_ref().is_some_and(|breaker| breaker.enable);
    let strategy = given.strategy.is_some_and(|strategy| strategy != ecs::DeploymentStrategy::Rolling);
    let named = [
        ("deploymentCircuitBreaker", breaker),
        ("alarms", given.alarms.as_ref().is_some_and(|alarms| alarms.enable)),
        ("strategy", strategy),
        ("bakeTimeInMinutes", given.bake_time_in_minutes.is_some_and(|minutes| minutes != 0)),
        ("lifecycleHooks", given.lifecycle_hooks.as_ref().is_some_and(|hooks| !hooks.is_empty())),
        ("linearConfiguration", given.linear_configuration.is_some()),
        ("canaryConfiguration", given.canary_configuration.is_some()),
        ("earlySuccessCriteria", given.early_success_criteria.is_some()),
    ];
    match named.iter().find(|(_, present)| *present) {
        Some((member, _)) => Err(errors::unsupported_feature(format!(
            "deploymentConfiguration.{member} is not built yet. See docs/support.md."
        ))),
        None => Ok(()),
    }
}

/// Constraints and strategies must read well before they are kept.
pub fn check_placement(
    scheduling: Scheduling,
    definition: &crate::account::TaskDefinitionRow,
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
    placement::Request::new(definition, &Default::default(), "", constraints, strategy).map(|_| ())
}
