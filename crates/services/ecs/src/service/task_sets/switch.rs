//! A service changes its controller, between deployments: what runs goes on to run.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html>

use ecs_model::errors;
use wire::Error;

use crate::{
    cluster::{
        DeploymentControllerType, DeploymentRolloutState, DeploymentRow, Key, ServiceDeploymentRow,
        ServiceRevisionRow, ServiceRow, TaskSetRow, Txn,
    },
    fargate,
    service::configuration,
};

/// Gives a service this controller; says whether it had another one.
///
/// # Errors
/// `InvalidParameterException` where it cannot have that.
pub fn to(
    txn: &mut Txn,
    service: &mut ServiceRow,
    controller: DeploymentControllerType,
) -> Result<bool, Error> {
    let switches = service.controller != controller;
    match controller {
        DeploymentControllerType::External if switches => to_external(txn, service)?,
        DeploymentControllerType::External => {
            configuration::of_task_sets(service.deployment_configuration.as_ref())?;
        }
        DeploymentControllerType::Ecs if switches => to_ecs(txn, service)?,
        DeploymentControllerType::Ecs => {}
    }
    Ok(switches)
}

/// ECS to EXTERNAL: what was deployed last is the PRIMARY task set, under its number, and has all of the desired count.
///
/// # Errors
/// `InvalidParameterException` while a deployment goes on, or where its configuration is none of task sets.
fn to_external(txn: &mut Txn, service: &mut ServiceRow) -> Result<(), Error> {
    let newest = txn.state.service_deployment(&service.name);
    let goes_on = newest.is_some_and(|row: &std::sync::Arc<ServiceDeploymentRow>| !row.status.has_ended());
    if goes_on || service.deployments.len() != 1 || service.daemon() {
        return Err(errors::invalid_parameter(
            "The deployment controller cannot be changed to EXTERNAL while deployments are active, nor of services with \
             DAEMON scheduling strategy.",
        ));
    }
    configuration::of_task_sets(service.deployment_configuration.as_ref())?;
    let now = txn.now();
    for deployment in &service.deployments {
        txn.put(TaskSetRow {
            service: service.name.clone(),
            id: deployment.id,
            external_id: None,
            task_definition: deployment.task_definition.clone(),
            launch_type: service.launch_type,
            capacity_provider_strategy: deployment.capacity_provider_strategy.clone(),
            network: deployment.network.clone(),
            platform: deployment.platform.clone(),
            scale: 100.0,
            draining: false,
            steady: false,
            steady_at: now,
            tags: Vec::new(),
            created_at: deployment.created_at,
            updated_at: now,
            token: None,
        });
    }
    service.controller = DeploymentControllerType::External;
    service.completed = None;
    Ok(())
}

/// EXTERNAL to ECS: the task sets are revisions that the next deployment replaces. It is to be of the service's task
/// definition, which is that of its PRIMARY task set where the request names none.
///
/// # Errors
/// `InvalidParameterException` where there is none.
fn to_ecs(txn: &mut Txn, service: &mut ServiceRow) -> Result<(), Error> {
    if service.task_definition.family.is_empty() {
        return Err(errors::invalid_parameter("TaskDefinition cannot be empty."));
    }
    let sets: Vec<_> = txn.state.task_sets(&service.name).cloned().collect();
    for set in sets {
        // That which was deployed before it was a task set is there already.
        if txn.state.revision(&service.name, set.id).is_none() {
            txn.put(ServiceRevisionRow {
                capacity_provider_strategy: set.capacity_provider_strategy.clone(),
                network: set.network.clone(),
                platform: set.platform.as_deref().map(|given| Box::new(fargate::resolved(given))),
                service: service.name.clone(),
                id: set.id,
                created_at: set.created_at,
                task_definition: set.task_definition.clone(),
                launch_type: set.launch_type,
                images: Vec::new(),
            });
        }
        txn.delete(Key::TaskSet((set.service.clone(), set.id)));
    }
    let completed = |deployment: DeploymentRow| DeploymentRow {
        rollout: DeploymentRolloutState::Completed,
        rollout_reason: format!("ECS deployment {} completed.", deployment.id),
        ..deployment
    };
    service.deployments = std::mem::take(&mut service.deployments).into_iter().map(completed).collect();
    service.completed = service.deployments.iter().find(|old| old.primary).map(|old| old.id);
    service.controller = DeploymentControllerType::Ecs;
    Ok(())
}
