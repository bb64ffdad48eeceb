//! DescribeTasks, and a task as the API shows it.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html>

use ecs_model::{self as ecs, Connectivity, errors};
use wire::Error;

use crate::{
    Ctx, arn,
    cluster::{Cluster, ContainerRow, HealthStatus, InstanceRow, TaskId, TaskRow},
    convert::Shown,
    fargate, instance, limits, network,
    rows::IsolationMode,
};

/// The wall that isolationMode ISOLATED_SANDBOX comes to, as agents name it.
const SANDBOX: &str = "gvisor";

/// Describes tasks; the ones that are not there are among the failures.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>
///
/// # Errors
/// `InvalidParameterException` for none or too many tasks, and for what can name none of this cluster.
pub fn describe_tasks(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::DescribeTasksRequest,
) -> Result<ecs::DescribeTasksResponse, Error> {
    if request.tasks.is_empty() {
        return Err(errors::invalid_parameter("Tasks cannot be empty."));
    }
    if request.tasks.len() > limits::DESCRIBE {
        return Err(errors::invalid_parameter("Tasks cannot have more than 100 elements."));
    }
    let with_tags = request.include.iter().flatten().any(|field| *field == ecs::TaskField::Tags);
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for named in &request.tasks {
        let id = arn::task_id(ctx, &state.row.name, named)?;
        match TaskId::parse(&id).and_then(|id| state.task(&id)) {
            Some(row) => {
                let tags = if with_tags { row.tags.shown() } else { Vec::new() };
                tasks.push(ecs::Task { tags: Some(tags), ..task(state, ctx, row) });
            }
            None => failures.push(missing(arn::task(ctx, &state.row.name, &id))),
        }
    }
    Ok(ecs::DescribeTasksResponse { tasks: Some(tasks), failures: Some(failures) })
}

/// The failure for something that is not there.
pub fn missing(arn: String) -> ecs::Failure {
    ecs::Failure { arn: Some(arn), reason: Some("MISSING".to_owned()), ..Default::default() }
}

/// A task as the API shows it, without its tags.
pub fn task(state: &Cluster, ctx: &Ctx, row: &TaskRow) -> ecs::Task {
    let cluster = &state.row.name;
    let task_arn = arn::task(ctx, cluster, row.id);
    let host = row.instance.as_ref().and_then(|id| state.instance(id));
    let connectivity = match host {
        Some(host) if host.agent_connected => Connectivity::Connected,
        _ => Connectivity::Disconnected,
    };
    let (storage, fargate_ephemeral_storage) = row.fargate.as_deref().map(fargate::storage).unzip();
    ecs::Task {
        attachments: Some(network::attachments(row)),
        attributes: Some(host.map(|host| attributes(row, host)).unwrap_or_default()),
        capacity_provider_name: row.capacity_provider.as_deref().map(str::to_owned),
        availability_zone: host.and_then(|host| instance::attribute(host, instance::ZONE)),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        connectivity: row.connectivity_at.map(|_| connectivity),
        connectivity_at: row.connectivity_at,
        container_instance_arn: row
            .instance
            .filter(|_| !row.is_on_fargate())
            .map(|id| arn::container_instance(ctx, cluster, id)),
        containers: Some(
            (0..row.containers.len()).map(|at| container(ctx, cluster, row, &task_arn, at)).collect(),
        ),
        cpu: Some(row.needs.cpu.to_string()),
        created_at: Some(row.created_at),
        desired_status: Some(row.desired.as_str().to_owned()),
        enable_execute_command: Some(row.enable_execute_command),
        ephemeral_storage: storage,
        fargate_ephemeral_storage,
        execution_stopped_at: row.execution_stopped_at,
        group: Some(row.group.clone()),
        health_status: Some(health(row).shown()),
        inference_accelerators: Some(Vec::new()),
        last_status: Some(row.last.as_str().to_owned()),
        launch_type: Some(row.launch_type.shown()),
        memory: Some(row.needs.memory.to_string()),
        overrides: Some(overrides(row)),
        platform_version: row.fargate.as_ref().map(|of| of.platform.version.clone()),
        platform_family: row.fargate.as_ref().map(|of| of.platform.family.clone()),
        pull_started_at: row.pull_started_at,
        pull_stopped_at: row.pull_stopped_at,
        started_at: row.started_at,
        started_by: row.started_by.clone(),
        stop_code: row.stop.as_ref().map(|stop| stop.code.shown()),
        stopped_at: row.stopped_at,
        stopped_reason: row.stop.as_ref().map(|stop| stop.reason.clone()),
        stopping_at: row.stopping_at,
        tags: Some(Vec::new()),
        task_definition_arn: Some(definition_arn(ctx, row)),
        task_arn: Some(task_arn),
        trusted_execution_summary: row.fargate.as_deref().and_then(fargate::isolation),
        version: Some(row.version),
    }
}

/// What a task shows of its host: on Fargate, where nobody sees that, also which wall is between them.
fn attributes(row: &TaskRow, host: &InstanceRow) -> Vec<ecs::Attribute> {
    let mut all = instance::architecture(host);
    let wall = row.fargate.as_deref().and_then(|of| match of.isolation_mode {
        Some(IsolationMode::IsolatedSandbox) => Some(SANDBOX.to_owned()),
        _ => instance::attribute(host, agent_protocol::ISOLATION),
    });
    let attribute = |wall| ecs::Attribute {
        name: agent_protocol::ISOLATION.to_owned(),
        value: Some(wall),
        ..Default::default()
    };
    all.extend(wall.map(attribute));
    all
}

fn definition_arn(ctx: &Ctx, row: &TaskRow) -> String {
    let of = if row.daemon.is_some() { arn::daemon_task_definition } else { arn::task_definition };
    of(ctx, &row.task_definition.family, row.task_definition.revision)
}

/// A task is UNHEALTHY when an essential container is, HEALTHY when all that are checked are, else UNKNOWN.
pub fn health(row: &TaskRow) -> HealthStatus {
    let mut checked = row.containers.iter().filter(|c| c.essential && c.health_checked).peekable();
    if checked.peek().is_none() {
        return HealthStatus::Unknown;
    }
    let worst = |worst: HealthStatus, c: &ContainerRow| match (worst, c.health) {
        (HealthStatus::Unhealthy, _) | (_, HealthStatus::Unhealthy) => HealthStatus::Unhealthy,
        (HealthStatus::Unknown, _) | (_, HealthStatus::Unknown) => HealthStatus::Unknown,
        _ => HealthStatus::Healthy,
    };
    checked.fold(HealthStatus::Healthy, worst)
}

/// The container at a place of the task.
fn container(ctx: &Ctx, cluster: &str, task: &TaskRow, task_arn: &str, at: usize) -> ecs::Container {
    let row = &task.containers[at];
    ecs::Container {
        container_arn: Some(arn::container(ctx, cluster, task.id, &row.id)),
        task_arn: Some(task_arn.to_owned()),
        name: Some(row.name.clone()),
        image: Some(row.image.clone()),
        image_digest: row.image_digest.clone(),
        runtime_id: row.runtime_id.clone(),
        last_status: Some(row.status.as_str().to_owned()),
        exit_code: row.exit_code,
        reason: row.reason.clone(),
        network_bindings: Some(row.network_bindings.shown()),
        network_interfaces: Some(network::interfaces(task)),
        health_status: Some(row.health.shown()),
        cpu: Some(row.cpu.to_string()),
        memory: row.memory.map(|mib| mib.to_string()),
        memory_reservation: row.memory_reservation.map(|mib| mib.to_string()),
        gpu_ids: (row.gpus > 0).then(|| task.gpus_of(at).cloned().collect()),
        ..Default::default()
    }
}

/// ECS names every container in the overrides, whether the request did or not.
fn overrides(row: &TaskRow) -> ecs::TaskOverride {
    let mut shown = row.overrides.shown();
    let given = shown.container_overrides.get_or_insert_default();
    for container in &row.containers {
        if !given.iter().any(|o| o.name.as_ref() == Some(&container.name)) {
            given.push(ecs::ContainerOverride { name: Some(container.name.clone()), ..Default::default() });
        }
    }
    shown.inference_accelerator_overrides.get_or_insert_default();
    shown
}
