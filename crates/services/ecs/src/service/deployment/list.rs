//! ListServiceDeployments.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServiceDeployments.html>

use ecs_model as ecs;
use wire::Error;

use super::named;
use crate::{
    Ctx, arn,
    cluster::{Cluster, ServiceDeploymentRow, ServiceName},
    convert::Shown,
    paging,
};

/// ECS pages them by twenty.
const PAGE: i32 = 20;

/// Lists the deployments of a service, the newest first.
///
/// # Errors
/// `ServiceNotFoundException`; `InvalidParameterException` for an INACTIVE service, and pages that cannot be.
pub fn list_service_deployments(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::ListServiceDeploymentsRequest,
) -> Result<ecs::ListServiceDeploymentsResponse, Error> {
    let page = paging::read_up_to(PAGE, 100, request.max_results, request.next_token.as_deref())?;
    let below = paging::behind(&page, |text| text.parse().ok())?.unwrap_or(u64::MAX);
    let cluster = &state.row.name;
    let service = ServiceName(arn::service_name(ctx, cluster, &request.service)?);
    named::known(state, &service, "ListServiceDeployments")?;
    let wanted = |row: &ServiceDeploymentRow| {
        let statuses = request.status.as_deref().unwrap_or_default();
        let within = request.created_at.as_ref().is_none_or(|range| {
            range.after.is_none_or(|after| row.created_at >= after)
                && range.before.is_none_or(|before| row.created_at <= before)
        });
        within && (statuses.is_empty() || statuses.contains(&row.status.shown()))
    };
    let found = state.service_deployments(&service, below).filter(|row| wanted(row));
    let (rows, next_token) = page.cut(found, |row| row.number.to_string());
    let service_deployments = Some(rows.into_iter().map(|row| brief(ctx, cluster, row)).collect());
    Ok(ecs::ListServiceDeploymentsResponse { service_deployments, next_token })
}

fn brief(ctx: &Ctx, cluster: &str, row: &ServiceDeploymentRow) -> ecs::ServiceDeploymentBrief {
    let service = &row.service.0;
    ecs::ServiceDeploymentBrief {
        service_deployment_arn: Some(arn::service_deployment(ctx, cluster, service, &row.id)),
        service_arn: Some(arn::service(ctx, cluster, service)),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        started_at: row.started_at,
        created_at: Some(row.created_at),
        finished_at: row.finished_at,
        target_service_revision_arn: Some(arn::service_revision(ctx, cluster, service, row.target)),
        status: Some(row.status.shown()),
        status_reason: row.status_reason.clone(),
    }
}
