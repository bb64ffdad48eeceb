//! ListServices. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServices.html>

use ecs_model::{self as ecs, errors};
use wire::{Error, StringEnum};

use crate::{
    Account, Ctx, arn,
    cluster::{Cluster, LaunchType, Scheduling, ServiceName},
    convert::Stored,
    paging,
};

/// ECS pages services by ten.
const PAGE: i32 = 10;

/// Lists the ARNs of services that are ACTIVE, in the order of their names: one that was deleted is not listed, though it
/// may be DRAINING. ECS itself manages none of them.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteService.html>
///
/// # Errors
/// `InvalidParameterException` for a page that cannot be.
pub fn list_services(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::ListServicesRequest,
) -> Result<ecs::ListServicesResponse, Error> {
    let page = paging::read_up_to(PAGE, 100, request.max_results, request.next_token.as_deref())?;
    let by_ecs = request.resource_management_type == Some(ecs::ResourceManagementType::Ecs);
    let scheduling: &[Scheduling] = match request.scheduling_strategy {
        _ if by_ecs => &[],
        Some(ecs::SchedulingStrategy::Daemon) => &[Scheduling::Daemon],
        Some(ecs::SchedulingStrategy::Replica) => &[Scheduling::Replica],
        None => &[Scheduling::Replica, Scheduling::Daemon],
    };
    let launch_type = request.launch_type.stored();
    let launch_types = launch_type.as_ref().map_or(LaunchType::ALL, std::slice::from_ref);
    let after = page.after().map(ServiceName::from);
    let found = state.seek_services(scheduling, launch_types).after(after);
    let (names, next_token) = page.cut(found, |name| name.0.clone());
    let arns = names.iter().map(|name| arn::service(ctx, &state.row.name, &name.0)).collect();
    Ok(ecs::ListServicesResponse { service_arns: Some(arns), next_token })
}

/// ListServicesByNamespace: no service can be in a namespace, and there is none, until Service Connect is built.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServicesByNamespace.html>
///
/// # Errors
/// `NamespaceNotFoundException`; `InvalidParameterException` for a page that cannot be.
pub fn list_services_by_namespace(
    _state: &Account,
    _ctx: &Ctx,
    request: &ecs::ListServicesByNamespaceRequest,
) -> Result<ecs::ListServicesByNamespaceResponse, Error> {
    paging::read_up_to(PAGE, 100, request.max_results, request.next_token.as_deref())?;
    Err(errors::namespace_not_found("The specified namespace was not found."))
}
