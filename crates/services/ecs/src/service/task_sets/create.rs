//! CreateTaskSet. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateTaskSet.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{added, describe, of_sets};
use crate::{
    capacity::wanted::{self, Wanted},
    cluster::{DeploymentId, ServiceRow, TaskSetRow, Txn, Writes},
    convert::Stored,
    fargate, limits, network, tags,
    task::run,
};

/// Makes a task set of a service; its tasks are started as its scale says.
///
/// # Errors
/// `InvalidParameterException` for a service of another controller, too many task sets, and what cannot be; those of task
/// definitions, launch types and capacity provider strategies as of CreateService.
pub fn create_task_set(
    txn: &mut Txn,
    request: ecs::CreateTaskSetRequest,
) -> Result<ecs::CreateTaskSetResponse, Error> {
    let mut service = of_sets(txn, &request.service)?;
    run::check_token(request.client_token.as_deref(), limits::SERVICE_TOKEN_LENGTH)?;
    let digest = run::fingerprint(&request);
    if let Some(answer) = existing(txn, &service, request.client_token.as_deref(), &digest)? {
        return Ok(answer);
    }
    let sets = txn.state.task_sets(&service.name).count();
    if sets >= limits::TASK_SETS {
        return Err(errors::invalid_parameter(format!(
            "{sets} deployments exist on the service. Unable to create new TaskSet since this exceeds the maximum limit."
        )));
    }
    let Wanted { strategy, launch_type } =
        wanted::capacity(txn, request.launch_type, request.capacity_provider_strategy)?;
    let definition = run::active_definition(txn, &request.task_definition, errors::client)?;
    let network = network::of_request(txn, &definition, launch_type, request.network_configuration.as_ref())?;
    let asked = fargate::Asked {
        launch_type,
        definition: &definition,
        platform_version: request.platform_version.as_deref(),
        has_constraints: !service.given_constraints().is_empty(),
        has_strategy: !service.placement_strategy.is_empty(),
    };
    let platform = asked.platform()?;
    super::super::create::check_placement(
        service.scheduling,
        Some(&definition),
        &service.placement_constraints,
        &service.placement_strategy,
    )?;
    let scale = scale(request.scale.as_ref())?;
    tags::check(request.tags.as_deref().unwrap_or_default())?;
    let id = DeploymentId(txn.ids.number19());
    let row = TaskSetRow {
        service: service.name.clone(),
        id,
        external_id: request.external_id,
        task_definition: definition.id(),
        launch_type,
        capacity_provider_strategy: strategy,
        network,
        platform,
        scale,
        draining: false,
        steady: false,
        steady_at: txn.now(),
        tags: request.tags.unwrap_or_default().stored(),
        created_at: txn.now(),
        updated_at: txn.now(),
        token: request.client_token.map(|token| (token, digest)),
    };
    service.deployments.push(added(txn, &row));
    txn.put(row.clone());
    txn.put_service(service.clone());
    let task_set = Some(describe::shown(txn.state, txn.ctx, &service, &row, true));
    Ok(ecs::CreateTaskSetResponse { task_set })
}

/// The same request with the same client token gives the same task set again.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
fn existing(
    txn: &Txn,
    service: &ServiceRow,
    token: Option<&str>,
    digest: &str,
) -> Result<Option<ecs::CreateTaskSetResponse>, Error> {
    let made = |row: &&std::sync::Arc<TaskSetRow>| {
        row.token.as_ref().is_some_and(|(made, _)| token == Some(made.as_str()))
    };
    let Some(row) = txn.state.task_sets(&service.name).find(made) else { return Ok(None) };
    if row.token.as_ref().is_none_or(|(_, made)| made != digest) {
        return Err(errors::invalid_parameter("Creation of task set was not idempotent."));
    }
    let task_set = Some(describe::shown(txn.state, txn.ctx, service, row, true));
    Ok(Some(ecs::CreateTaskSetResponse { task_set }))
}

/// The share of a request, in percent; nothing where nothing is said.
///
/// # Errors
/// `InvalidParameterException` for what is no percentage.
pub(super) fn scale(given: Option<&ecs::Scale>) -> Result<f64, Error> {
    let scale = given.and_then(|scale| scale.value).unwrap_or(0.0);
    if !(0.0..=100.0).contains(&scale) {
        return Err(errors::invalid_parameter("scale value must be between 0.0 and 100.0"));
    }
    Ok(scale)
}
