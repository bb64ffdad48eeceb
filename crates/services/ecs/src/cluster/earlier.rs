//! Rows that an earlier version wrote, as this one has them.

use state::{Ids, Unreadable};

use super::rows::*;
use crate::limits;

/// Reads the row of a service of version 1, which had its events and its client token within, or of version 2, which
/// had no revisions and deployments beside it.
pub(super) fn service(version: u32, json: &str) -> Result<ServiceRow, Unreadable> {
    let mut row: ServiceRow = serde_json::from_str(json)?;
    let mut held = match version {
        1 => {
            let held: ServiceInVersion1 = serde_json::from_str(json)?;
            held.apart(&row.name, row.created_at.plus_millis(limits::TOKEN_KEPT_MS))
        }
        2 => Held::default(),
        _ => return Err(Unreadable::Older(version)),
    };
    let completed = |deployment: &&DeploymentRow| deployment.rollout == DeploymentRolloutState::Completed;
    row.completed = row.deployments.iter().find(completed).map(|deployment| deployment.id);
    held.revisions = row.deployments.iter().map(|deployment| revision(&row, deployment)).collect();
    held.deployment = row.deployments.first().map(|primary| deployment(&row, primary));
    Ok(ServiceRow { held: Some(Box::new(held)), ..row })
}

/// Its task definition is all that deployments had of their own.
fn revision(service: &ServiceRow, of: &DeploymentRow) -> ServiceRevisionRow {
    ServiceRevisionRow {
        service: service.name.clone(),
        id: of.id,
        created_at: of.created_at,
        task_definition: of.task_definition.clone(),
        launch_type: service.launch_type,
        capacity_provider_strategy: of.capacity_provider_strategy.clone(),
        network: None,
        platform: None,
        images: Vec::new(),
    }
}

/// The way to the PRIMARY deployment.
fn deployment(service: &ServiceRow, primary: &DeploymentRow) -> ServiceDeploymentRow {
    let status = match primary.rollout {
        DeploymentRolloutState::Completed => ServiceDeploymentStatus::Successful,
        DeploymentRolloutState::InProgress if service.status == ServiceStatus::Active => {
            ServiceDeploymentStatus::InProgress
        }
        DeploymentRolloutState::InProgress | DeploymentRolloutState::Failed => {
            ServiceDeploymentStatus::Stopped
        }
    };
    let at_end = Some(primary.updated_at).filter(|_| status.has_ended());
    let of_target = RevisionTasks {
        revision: primary.id,
        requested: service.desired_count,
        running: service.desired_count,
        pending: 0,
    };
    let configuration = service.deployment_configuration.clone().unwrap_or_default();
    ServiceDeploymentRow {
        service: service.name.clone(),
        number: 1,
        // The same one whenever it is read.
        id: Ids::new(u128::from(primary.id.0)).base64url21(),
        status,
        status_reason: None,
        sources: service.deployments.iter().skip(1).map(|source| source.id).collect(),
        target: primary.id,
        created_at: primary.created_at,
        updated_at: primary.updated_at,
        started_at: Some(primary.created_at),
        stopped_at: at_end.filter(|_| status == ServiceDeploymentStatus::Stopped),
        finished_at: at_end,
        rollback: None,
        keeps: 0,
        breaker: None,
        end: at_end.map(|_| EndRow { configuration, tasks: vec![of_target] }),
        forget_at: at_end.map(|at| at.plus_millis(limits::DEPLOYMENT_KEPT_MS)),
        alarms: None,
        course: None,
        stage: None,
    }
}
