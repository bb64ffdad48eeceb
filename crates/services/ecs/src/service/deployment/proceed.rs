//! ContinueServiceDeployment.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContinueServiceDeployment.html>

use ecs_model::{self as ecs, DeploymentLifecycleHookAction, errors};
use wire::Error;

use super::named::{self, Kind};
use crate::cluster::{
    DeploymentLifecycleHookStatus, ServiceDeploymentRow, ServiceDeploymentStatus, StageRow, Txn, Writes,
};

/// Says of a hook that a deployment pauses at whether it goes on or back. It goes on once all hooks of the stage say so;
/// one that says the other thing is enough.
///
/// # Errors
/// `ServiceDeploymentNotFoundException`; `InvalidParameterException` for a deployment that does not go on, and a hook that
/// does not wait.
pub fn continue_service_deployment(
    txn: &mut Txn,
    request: ecs::ContinueServiceDeploymentRequest,
) -> Result<ecs::ContinueServiceDeploymentResponse, Error> {
    let arn = request.service_deployment_arn;
    let named = named::read(txn.ctx, Kind::Deployment, std::slice::from_ref(&arn))?;
    let absent = || errors::service_deployment_not_found("The service deployment does not exist.");
    let row = txn.state.service_deployment_by_id(&named.service, &named.ids[0]).ok_or_else(absent)?;
    let mut row = row.as_ref().clone();
    if row.status != ServiceDeploymentStatus::InProgress {
        return Err(errors::invalid_parameter(
            "Continuing a service deployment is only allowed for service deployments in the IN_PROGRESS state.",
        ));
    }
    let hook = row.stage.iter_mut().flat_map(|stage: &mut StageRow| &mut stage.hooks);
    let hook = hook.into_iter().find(|hook| hook.id == request.hook_id);
    let unknown = || errors::invalid_parameter("The lifecycle hook does not exist.");
    let hook = hook.ok_or_else(unknown)?;
    if hook.status != DeploymentLifecycleHookStatus::AwaitingAction {
        return Err(errors::invalid_parameter("The lifecycle hook is not in the AWAITING_ACTION status."));
    }
    hook.status = match request.action.unwrap_or(DeploymentLifecycleHookAction::Continue) {
        DeploymentLifecycleHookAction::Continue => DeploymentLifecycleHookStatus::Succeeded,
        DeploymentLifecycleHookAction::Rollback => DeploymentLifecycleHookStatus::Failed,
    };
    let service = row.service.clone();
    txn.put_service_deployment(ServiceDeploymentRow { updated_at: txn.now(), ..row });
    txn.touch(&service);
    Ok(ecs::ContinueServiceDeploymentResponse { service_deployment_arn: Some(arn) })
}
