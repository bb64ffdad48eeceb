//! StopServiceDeployment.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopServiceDeployment.html>

use ecs_model::{self as ecs, StopServiceDeploymentStopType, errors};
use wire::Error;

use super::{
    happens,
    life::Happening,
    named::{self, Kind},
};
use crate::cluster::{Txn, Writes};

/// Asks for a deployment to be rolled back, or with ABORT to be left where it is. One that is rolled back or stopped already
/// goes on with that.
///
/// # Errors
/// `ServiceDeploymentNotFoundException`; `ConflictException` for one that has ended.
pub fn stop_service_deployment(
    txn: &mut Txn,
    request: ecs::StopServiceDeploymentRequest,
) -> Result<ecs::StopServiceDeploymentResponse, Error> {
    let arn = request.service_deployment_arn;
    let named = named::read(txn.ctx, Kind::Deployment, std::slice::from_ref(&arn))?;
    let absent = || errors::service_deployment_not_found("The service deployment does not exist.");
    let service = txn.state.service(&named.service).cloned().ok_or_else(absent)?;
    let row = txn.state.service_deployment_by_id(&service.name, &named.ids[0]).ok_or_else(absent)?;
    if row.status.has_ended() {
        return Err(errors::conflict(
            "Stopping a service deployment is not allowed for service deployment in terminal states.",
        ));
    }
    let wanted = match request.stop_type {
        Some(StopServiceDeploymentStopType::Abort) => Happening::StopRequested,
        _ => Happening::RollbackRequested,
    };
    happens(txn, &service, &wanted);
    txn.touch(&service.name);
    Ok(ecs::StopServiceDeploymentResponse { service_deployment_arn: Some(arn) })
}
