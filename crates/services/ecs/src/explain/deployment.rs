//! Why a deployment of a service is in its state.

use ecs_model::errors;
use wire::Error;

use super::{Explanation, Look, count, service, stage};
use crate::{
    arn::{Arn, Resource},
    cluster::{ServiceDeploymentRollbackMonitorsStatus, ServiceDeploymentRow, ServiceName, ServiceRow},
    service::deployment::breaker,
};

pub fn explain(look: Look<'_>, named: &str) -> Result<Explanation, Error> {
    let missing = || errors::client("The service deployment was not found: give its ARN, or SERVICE/ID.");
    let (service, id) = match Arn::parse(named).map(|arn| arn.resource) {
        Some(Resource::ServiceDeployment { service, id, .. }) => (service, id),
        Some(_) => return Err(missing()),
        None => match named.split_once('/') {
            Some((service, id)) => (service.to_owned(), id.to_owned()),
            None => return Err(missing()),
        },
    };
    let name = ServiceName(service);
    let row = look.state.service_deployment_by_id(&name, &id).ok_or_else(missing)?;
    let owner = look.state.service(&name).ok_or_else(missing)?;
    let since = row.finished_at.or(row.stopped_at).or(row.started_at).unwrap_or(row.created_at);
    let what = format!("deployment {id} of service {name}");
    let mut told = Explanation::new(what, row.status.as_str().to_owned(), Some(since));
    told.because.extend(row.status_reason.clone());
    if let Some(rollback) = &row.rollback {
        let to = rollback.to.map(|to| format!(" to revision {}", to.digits())).unwrap_or_default();
        let at = rollback.started_at.to_iso8601();
        told.because.push(format!("it rolls back{to} since {at}: {}", rollback.reason));
    }
    stage::alarms(row, &mut told);
    if !row.status.has_ended() {
        goes_on(look, row, owner, &mut told);
        service::wants(look, owner, &look.state.tally(&owner.name), &mut told);
        told.would_change.push("StopServiceDeployment".to_owned());
    }
    Ok(told)
}

/// What a deployment that goes on waits for, besides the tasks of its service.
pub fn goes_on(look: Look<'_>, row: &ServiceDeploymentRow, owner: &ServiceRow, told: &mut Explanation) {
    let breaker = breaker::counted(owner, row);
    if breaker.status == ServiceDeploymentRollbackMonitorsStatus::Monitoring {
        let failures = usize::try_from(breaker.failures).unwrap_or(0);
        let (failures, at) = (count(failures, "failure"), breaker.threshold);
        told.because.push(format!("its circuit breaker has counted {failures}, and gives it up at {at}"));
    }
    stage::add(look, row, owner, told);
}
