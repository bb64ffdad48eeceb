//! ListServices. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServices.html>

use ecs_model as ecs;
use wire::Error;

use crate::{
    Ctx, arn,
    cluster::{Cluster, Scheduling, ServiceRow, ServiceStatus},
    paging,
};

/// ECS pages services by ten.
const PAGE: i32 = 10;

/// Lists the ARNs of services that are not INACTIVE, in the order of their names.
pub fn list_services(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::ListServicesRequest,
) -> Result<ecs::ListServicesResponse, Error> {
    let page = paging::read_up_to(PAGE, 100, request.max_results, request.next_token.as_deref())?;
    let keeps = |row: &ServiceRow| {
        let scheduling = match request.scheduling_strategy {
            Some(ecs::SchedulingStrategy::Daemon) => row.scheduling == Scheduling::Daemon,
            Some(ecs::SchedulingStrategy::Replica) => row.scheduling == Scheduling::Replica,
            None => true,
        };
        let launch_type = request.launch_type.is_none_or(|launch_type| row.launch_type == launch_type);
        row.status != ServiceStatus::Inactive && scheduling && launch_type
    };
    let (rows, next_token) = page.take(state.services(), |row| keeps(row), |row| row.name.0.clone());
    let arns = rows.iter().map(|row| arn::service(ctx, &state.row.name, &row.name.0)).collect();
    Ok(ecs::ListServicesResponse { service_arns: Some(arns), next_token })
}
