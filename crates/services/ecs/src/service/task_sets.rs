//! Task sets: what a service of the controller EXTERNAL runs, as somebody else says. Each is an ACTIVE or PRIMARY share of
//! its service until it is deleted, and DRAINING from then on.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-external.html>

pub mod change;
pub mod create;
pub mod describe;
pub mod switch;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ecs_model::errors;
use wire::Error;

use super::{carry, events, find_active, plan, rollout};
use crate::{
    arn,
    cluster::{DeploymentControllerType, DeploymentRow, Key, ServiceRow, TaskSetRow, Txn},
    fargate,
};

/// Does for a service of task sets what can be done now: those that are deleted and have no task any more go, the others
/// get or lose tasks.
pub fn advance(txn: &mut Txn, service: &mut ServiceRow) {
    let tally = txn.state.tally(&service.name);
    let all: Vec<Arc<TaskSetRow>> = txn.state.task_sets(&service.name).cloned().collect();
    let (gone, sets): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|set| set.draining && tally.share(&set.id).live == 0);
    for set in gone {
        service.deployments.retain(|deployment| deployment.id != set.id);
        txn.delete(Key::TaskSet((set.service.clone(), set.id)));
    }
    let counts = plan::external::counts(service.desired_count, sets.iter().map(AsRef::as_ref));
    carry::fleet(txn, service, counts.clone());
    let tally = txn.state.tally(&service.name);
    for (set, (id, count)) in sets.iter().zip(counts) {
        let Some(at) = service.deployments.iter().position(|deployment| deployment.id == id) else {
            continue;
        };
        rollout::impaired(txn, service, at, Some(id));
        let share = tally.share(&id);
        let has_all = plan::external::is_steady(&share, count);
        let steady = has_all && rollout::is_proven(txn, service, at, &share);
        if steady != set.steady {
            let row = TaskSetRow { steady, steady_at: txn.now(), ..set.as_ref().clone() };
            txn.put(row);
            if steady && !set.draining {
                events::add_of(txn, &service.name, Some(id), events::STEADY);
            }
        }
    }
}

/// A task set has come: what of it fails, and whether it is PRIMARY, is kept among the deployments of its service.
fn added(txn: &Txn, set: &TaskSetRow) -> DeploymentRow {
    let fresh =
        super::deployment::fresh(txn, set.id, set.task_definition.clone(), &set.capacity_provider_strategy);
    let platform = set.platform.as_deref().map(|given| Box::new(fargate::resolved(given)));
    DeploymentRow { primary: false, network: set.network.clone(), platform, ..fresh }
}

/// The ACTIVE service of task sets that a request names.
///
/// # Errors
/// `ServiceNotFoundException`, `ServiceNotActiveException`; `InvalidParameterException` for one of another controller.
fn of_sets(txn: &Txn, named: &str) -> Result<ServiceRow, Error> {
    let service = find_active(txn, named)?;
    has_sets(&service)?;
    Ok(service)
}

/// Only services of the controller EXTERNAL have task sets that anybody may change.
///
/// # Errors
/// `InvalidParameterException` for another one.
fn has_sets(service: &ServiceRow) -> Result<(), Error> {
    match service.controller {
        DeploymentControllerType::External => Ok(()),
        DeploymentControllerType::Ecs => Err(errors::invalid_parameter(
            "Amazon ECS only supports task set management on services configured to use external deployment controllers.",
        )),
    }
}

/// The task set that a request names.
///
/// # Errors
/// `TaskSetNotFoundException`.
fn find(txn: &Txn, service: &ServiceRow, named: &str) -> Result<TaskSetRow, Error> {
    let id = arn::task_set_id(txn.ctx, &txn.state.row.name, &service.name.0, named)?;
    let row = id.and_then(|id| txn.state.task_set(&service.name, id));
    let missing = || errors::task_set_not_found("The specified task set wasn't found.");
    row.map(|row| row.as_ref().clone()).ok_or_else(missing)
}
