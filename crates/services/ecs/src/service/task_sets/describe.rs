//! DescribeTaskSets, and a task set as the API shows it.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTaskSets.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::has_sets;
use crate::{
    Ctx, arn,
    cluster::{Cluster, ServiceName, ServiceRow, ServiceStatus, TaskSetRow},
    convert::Shown,
    limits,
    service::plan::external,
    task::describe::missing,
};

/// Describes task sets of a service, all of them where none is named; the ones that are not there are among the failures.
///
/// # Errors
/// `ServiceNotFoundException`, `ServiceNotActiveException`; `InvalidParameterException` for a service of another controller,
/// and too many names.
pub fn describe_task_sets(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::DescribeTaskSetsRequest,
) -> Result<ecs::DescribeTaskSetsResponse, Error> {
    let cluster = &state.row.name;
    let name = ServiceName(arn::service_name(ctx, cluster, &request.service)?);
    let service = state.service(&name).ok_or_else(|| errors::service_not_found("Service not found."))?;
    if service.status == ServiceStatus::Inactive {
        return Err(errors::service_not_active("Service was not ACTIVE."));
    }
    has_sets(service)?;
    let named = request.task_sets.as_deref().unwrap_or_default();
    if named.len() > limits::DESCRIBE {
        return Err(errors::invalid_parameter("TaskSets cannot have more than 100 elements."));
    }
    let with_tags = request.include.iter().flatten().any(|field| *field == ecs::TaskSetField::Tags);
    let one = |row: &TaskSetRow| shown(state, ctx, service, row, with_tags);
    let (mut sets, mut failures) = (Vec::new(), Vec::new());
    if named.is_empty() {
        sets.extend(state.task_sets(&name).map(|row| one(row)));
    }
    for named in named {
        match arn::task_set_id(ctx, cluster, &name.0, named)?.and_then(|id| state.task_set(&name, id)) {
            Some(row) => sets.push(one(row)),
            None if named.starts_with("arn:") => failures.push(missing(named.clone())),
            None => failures.push(missing(format!("{}/{named}", arn::task_sets(ctx, cluster, &name.0)))),
        }
    }
    Ok(ecs::DescribeTaskSetsResponse { task_sets: Some(sets), failures: Some(failures) })
}

/// A task set as the API shows it.
pub fn shown(
    state: &Cluster,
    ctx: &Ctx,
    service: &ServiceRow,
    row: &TaskSetRow,
    with_tags: bool,
) -> ecs::TaskSet {
    let (cluster, name) = (&state.row.name, &service.name.0);
    let share = state.tally(&service.name).share(&row.id);
    let definition = &row.task_definition;
    let by_type = row.capacity_provider_strategy.is_empty();
    let status = match (row.draining, super::change::primary(service) == Some(row.id)) {
        (true, _) => "DRAINING",
        (_, true) => "PRIMARY",
        _ => "ACTIVE",
    };
    ecs::TaskSet {
        id: Some(row.id.to_string()),
        task_set_arn: Some(arn::task_set(ctx, cluster, name, row.id)),
        service_arn: Some(arn::service(ctx, cluster, name)),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        external_id: row.external_id.clone(),
        status: Some(status.to_owned()),
        task_definition: Some(arn::task_definition(ctx, &definition.family, definition.revision)),
        computed_desired_count: Some(external::computed(service.desired_count, row.scale)),
        pending_count: Some(share.pending),
        running_count: Some(share.running),
        created_at: Some(row.created_at),
        updated_at: Some(row.updated_at),
        launch_type: by_type.then(|| row.launch_type.shown()),
        capacity_provider_strategy: (!by_type).then(|| row.capacity_provider_strategy.shown()),
        network_configuration: row.network.as_ref().map(|network| network.shown()),
        platform_version: row.platform.as_ref().map(|of| of.version.clone()),
        platform_family: row.platform.as_ref().map(|of| of.family.clone()),
        load_balancers: Some(Vec::new()),
        service_registries: Some(Vec::new()),
        scale: Some(ecs::Scale { value: Some(row.scale), unit: Some(ecs::ScaleUnit::Percent) }),
        stability_status: Some(match row.steady {
            true => ecs::StabilityStatus::SteadyState,
            false => ecs::StabilityStatus::Stabilizing,
        }),
        stability_status_at: Some(row.steady_at),
        tags: with_tags.then(|| row.tags.shown()),
        ..Default::default()
    }
}
