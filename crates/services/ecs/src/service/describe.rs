//! DescribeServices, and a service as the API shows it.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{configuration, has_run, plan::stages, task_sets, view::revision_tasks};
use crate::{
    Ctx, arn,
    cluster::{
        Cluster, DeploymentControllerType, DeploymentId, DeploymentRow, Scheduling, ServiceDeploymentStatus,
        ServiceEventRow, ServiceName, ServiceRow, ServiceStatus, Tally,
    },
    convert::Shown,
    limits,
    task::describe::missing,
};

/// Describes services; the ones that are not there are among the failures.
pub fn describe_services(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::DescribeServicesRequest,
) -> Result<ecs::DescribeServicesResponse, Error> {
    if request.services.is_empty() {
        return Err(errors::invalid_parameter("Services cannot be empty."));
    }
    if request.services.len() > limits::DESCRIBE_SERVICES {
        return Err(errors::invalid_parameter("Services cannot have more than 10 elements."));
    }
    let with_tags = request.include.iter().flatten().any(|field| *field == ecs::ServiceField::Tags);
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for named in &request.services {
        let name = ServiceName(arn::service_name(ctx, &state.row.name, named)?);
        match state.service(&name) {
            Some(row) => services.push(service(state, ctx, row, with_tags)),
            None => failures.push(missing(arn::service(ctx, &state.row.name, &name.0))),
        }
    }
    Ok(ecs::DescribeServicesResponse { services: Some(services), failures: Some(failures) })
}

/// A service as the API shows it.
pub fn service(state: &Cluster, ctx: &Ctx, row: &ServiceRow, with_tags: bool) -> ecs::Service {
    let cluster = &state.row.name;
    let tally = state.tally(&row.name);
    let (running, pending) = tally.counts();
    let going = state.service_deployment(&row.name).map(AsRef::as_ref);
    let counts = stages::counts(row, going, &tally).unwrap_or_default();
    let definition = &row.task_definition;
    let by_type = row.capacity_provider_strategy.is_empty();
    let external = row.controller == DeploymentControllerType::External;
    let deployments: &[DeploymentRow] = if external { &[] } else { &row.deployments };
    let task_sets = external.then(|| {
        state
            .task_sets(&row.name)
            .map(|set| task_sets::describe::shown(state, ctx, row, set, with_tags))
            .collect()
    });
    ecs::Service {
        service_arn: Some(arn::service(ctx, cluster, &row.name.0)),
        service_name: Some(row.name.0.clone()),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        load_balancers: Some(Vec::new()),
        service_registries: Some(Vec::new()),
        status: Some(status(row.status).to_owned()),
        desired_count: Some(row.desired_count),
        running_count: Some(running),
        pending_count: Some(pending),
        launch_type: by_type.then(|| row.launch_type.shown()),
        capacity_provider_strategy: (!by_type).then(|| row.capacity_provider_strategy.shown()),
        network_configuration: row.network.as_ref().map(|network| network.shown()),
        platform_version: row.platform.as_ref().map(|of| of.version.clone()),
        platform_family: row.platform.as_ref().map(|of| of.family.clone()),
        // Without a PRIMARY task set there is none.
        task_definition: Some(definition)
            .filter(|definition| !definition.family.is_empty())
            .map(|definition| arn::task_definition(ctx, &definition.family, definition.revision)),
        deployment_configuration: Some(configuration::effective(row).shown()),
        deployments: Some(deployments.iter().map(|d| deployment(&tally, ctx, row, d, &counts)).collect()),
        role_arn: row.role_arn.clone(),
        current_service_deployment: current_deployment(state, ctx, row),
        current_service_revisions: Some(current_revisions(&tally, ctx, cluster, row, deployments)),
        events: Some(state.service_events(&row.name).map(|row| event(row)).collect()),
        created_at: Some(row.created_at),
        placement_constraints: Some(row.given_constraints().to_vec().shown()),
        placement_strategy: Some(row.placement_strategy.shown()),
        health_check_grace_period_seconds: Some(row.health_check_grace_period_seconds),
        scheduling_strategy: Some(match row.scheduling {
            Scheduling::Replica => ecs::SchedulingStrategy::Replica,
            Scheduling::Daemon => ecs::SchedulingStrategy::Daemon,
        }),
        deployment_controller: Some(ecs::DeploymentController { r#type: row.controller.shown() }),
        task_sets,
        tags: with_tags.then(|| row.tags.shown()),
        created_by: row.created_by.clone(),
        enable_ecs_managed_tags: Some(row.enable_ecs_managed_tags),
        propagate_tags: Some(row.propagate_tags.shown().unwrap_or(ecs::PropagateTags::None)),
        enable_execute_command: Some(row.enable_execute_command),
        availability_zone_rebalancing: Some(row.availability_zone_rebalancing.shown()),
        // Express services, which ECS manages itself, are not built.
        resource_management_type: Some(ecs::ResourceManagementType::Customer),
    }
}

fn status(status: ServiceStatus) -> &'static str {
    match status {
        ServiceStatus::Active => "ACTIVE",
        ServiceStatus::Draining => "DRAINING",
        ServiceStatus::Inactive => "INACTIVE",
    }
}

/// The deployment that goes on.
fn current_deployment(state: &Cluster, ctx: &Ctx, row: &ServiceRow) -> Option<String> {
    let newest = state.service_deployment(&row.name)?;
    let goes_on = newest.status != ServiceDeploymentStatus::Pending && !newest.status.has_ended();
    goes_on.then(|| arn::service_deployment(ctx, &state.row.name, &row.name.0, &newest.id))
}

fn current_revisions(
    tally: &Tally,
    ctx: &Ctx,
    cluster: &str,
    row: &ServiceRow,
    deployments: &[DeploymentRow],
) -> Vec<ecs::ServiceCurrentRevisionSummary> {
    let one = |deployment: &DeploymentRow| {
        let tasks = revision_tasks(row, tally, deployment.id);
        ecs::ServiceCurrentRevisionSummary {
            arn: Some(arn::service_revision(ctx, cluster, &row.name.0, deployment.id)),
            requested_task_count: Some(tasks.requested),
            running_task_count: Some(tasks.running),
            pending_task_count: Some(tasks.pending),
        }
    };
    deployments.iter().map(one).collect()
}

/// `counts`: how many tasks revisions are to have, where each has a count of its own.
fn deployment(
    tally: &Tally,
    ctx: &Ctx,
    service: &ServiceRow,
    row: &DeploymentRow,
    counts: &[(DeploymentId, i32)],
) -> ecs::Deployment {
    let share = tally.share(&row.id);
    let of_its_own = counts.iter().find(|(id, _)| *id == row.id).map_or(0, |(_, count)| *count);
    let definition = &row.task_definition;
    let by_type = row.capacity_provider_strategy.is_empty();
    ecs::Deployment {
        id: Some(row.id.to_string()),
        status: Some(if row.primary { "PRIMARY" } else { "ACTIVE" }.to_owned()),
        task_definition: Some(arn::task_definition(ctx, &definition.family, definition.revision)),
        desired_count: Some(if row.primary { service.desired_count } else { of_its_own }),
        pending_count: Some(share.pending),
        running_count: Some(share.running),
        failed_tasks: Some(if has_run(row, &share, ctx.now) { 0 } else { row.failed_tasks }),
        created_at: Some(row.created_at),
        updated_at: Some(row.updated_at),
        launch_type: by_type.then(|| service.launch_type.shown()),
        capacity_provider_strategy: (!by_type).then(|| row.capacity_provider_strategy.shown()),
        network_configuration: row.network.as_ref().map(|network| network.shown()),
        platform_version: row.platform.as_ref().map(|of| of.version.clone()),
        platform_family: row.platform.as_ref().map(|of| of.family.clone()),
        rollout_state: Some(row.rollout.shown()),
        rollout_state_reason: Some(row.rollout_reason.clone()),
        ..Default::default()
    }
}

fn event(row: &ServiceEventRow) -> ecs::ServiceEvent {
    ecs::ServiceEvent {
        id: Some(row.id.clone()),
        created_at: Some(row.at),
        message: Some(row.message.clone()),
    }
}
