//! UpdateTaskSet, DeleteTaskSet, UpdateServicePrimaryTaskSet.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateTaskSet.html>
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteTaskSet.html>
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateServicePrimaryTaskSet.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{create, describe, find, of_sets};
use crate::{
    cluster::{ServiceRow, TaskDefinitionId, TaskSetRow, Txn, Writes},
    service::plan::external,
};

/// Gives a task set another share of its service.
///
/// # Errors
/// Those of [`find`] and of the service; `InvalidParameterException` for a share that cannot be, and a task set that is
/// deleted.
pub fn update_task_set(
    txn: &mut Txn,
    request: ecs::UpdateTaskSetRequest,
) -> Result<ecs::UpdateTaskSetResponse, Error> {
    let service = of_sets(txn, &request.service)?;
    let set = lasting(find(txn, &service, &request.task_set)?)?;
    let scale = create::scale(Some(&request.scale))?;
    let set = TaskSetRow { scale, updated_at: txn.now(), ..unsettled(txn, set) };
    let task_set = Some(put(txn, &service, set));
    Ok(ecs::UpdateTaskSetResponse { task_set })
}

/// Deletes a task set: it drains until its last task has stopped, then is gone.
///
/// # Errors
/// Those of [`find`] and of the service; `InvalidParameterException` for one that is PRIMARY, or has a share, unless that
/// is forced.
pub fn delete_task_set(
    txn: &mut Txn,
    request: ecs::DeleteTaskSetRequest,
) -> Result<ecs::DeleteTaskSetResponse, Error> {
    let mut service = of_sets(txn, &request.service)?;
    let set = find(txn, &service, &request.task_set)?;
    let is_primary = primary(&service) == Some(set.id);
    if request.force != Some(true) && !set.draining {
        if is_primary {
            return Err(errors::invalid_parameter("Primary TaskSet cannot be deleted"));
        }
        if external::computed(service.desired_count, set.scale) > 0 {
            return Err(errors::invalid_parameter(
                "The TaskSet cannot be deleted while it is scaled above 0.",
            ));
        }
    }
    if is_primary {
        service.deployments.iter_mut().for_each(|deployment| deployment.primary = false);
        service.task_definition = TaskDefinitionId::default();
        service.capacity_provider_strategy.clear();
        service.set_network(None);
        service.platform = None;
    }
    for deployment in service.deployments.iter_mut().filter(|deployment| deployment.id == set.id) {
        deployment.not_before = None;
    }
    let set = TaskSetRow { draining: true, scale: 0.0, updated_at: txn.now(), ..unsettled(txn, set) };
    let task_set = Some(put(txn, &service, set));
    Ok(ecs::DeleteTaskSetResponse { task_set })
}

/// Makes a task set PRIMARY: the service shows what it is made of. The one that was is ACTIVE.
///
/// # Errors
/// Those of [`find`] and of the service; `InvalidParameterException` for one that is deleted.
pub fn update_service_primary_task_set(
    txn: &mut Txn,
    request: ecs::UpdateServicePrimaryTaskSetRequest,
) -> Result<ecs::UpdateServicePrimaryTaskSetResponse, Error> {
    let mut service = of_sets(txn, &request.service)?;
    let set = lasting(find(txn, &service, &request.primary_task_set)?)?;
    for deployment in &mut service.deployments {
        deployment.primary = deployment.id == set.id;
    }
    service.deployments.sort_by_key(|deployment| !deployment.primary);
    service.task_definition = set.task_definition.clone();
    service.launch_type = set.launch_type;
    service.capacity_provider_strategy.clone_from(&set.capacity_provider_strategy);
    service.set_network(set.network.clone());
    service.platform.clone_from(&set.platform);
    let set = TaskSetRow { updated_at: txn.now(), ..set };
    let task_set = Some(put(txn, &service, set));
    Ok(ecs::UpdateServicePrimaryTaskSetResponse { task_set })
}

/// The PRIMARY task set of a service.
pub(super) fn primary(service: &ServiceRow) -> Option<crate::cluster::DeploymentId> {
    service.deployments.iter().find(|deployment| deployment.primary).map(|deployment| deployment.id)
}

fn lasting(set: TaskSetRow) -> Result<TaskSetRow, Error> {
    match set.draining {
        false => Ok(set),
        true => Err(errors::invalid_parameter("The TaskSet is DRAINING.")),
    }
}

/// It has to prove itself anew.
fn unsettled(txn: &Txn, set: TaskSetRow) -> TaskSetRow {
    TaskSetRow { steady: false, steady_at: txn.now(), ..set }
}

fn put(txn: &mut Txn, service: &ServiceRow, set: TaskSetRow) -> ecs::TaskSet {
    txn.put(set.clone());
    txn.put_service(service.clone());
    describe::shown(txn.state, txn.ctx, service, &set, true)
}
