//! DescribeContainerInstances, ListContainerInstances, and an instance as the API shows it.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerInstance.html>

use ecs_model::{self as ecs, ContainerInstanceField, ContainerInstanceStatus, errors};
use wire::Error;

use super::health;
use crate::{
    Ctx, arn, capacity,
    cluster::{Cluster, InstanceFacet, InstanceId, InstanceRow, InstanceStatus, Resources, seek::Seek},
    convert::Shown,
    limits, paging,
    placement::query,
    task::describe::missing,
};

/// Describes container instances; the ones that are not there are among the failures.
pub fn describe_container_instances(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::DescribeContainerInstancesRequest,
) -> Result<ecs::DescribeContainerInstancesResponse, Error> {
    if request.container_instances.is_empty() {
        return Err(errors::invalid_parameter("Container instances cannot be empty."));
    }
    if request.container_instances.len() > limits::DESCRIBE {
        return Err(errors::invalid_parameter("Container instances cannot have more than 100 elements."));
    }
    let include = request.include.as_deref().unwrap_or_default();
    let with_health = include.contains(&ContainerInstanceField::ContainerInstanceHealth);
    let with_tags = include.contains(&ContainerInstanceField::Tags);
    let (mut instances, mut failures) = (Vec::new(), Vec::new());
    for named in &request.container_instances {
        let id = arn::container_instance_id(ctx, &state.row.name, named)?;
        match InstanceId::parse(&id).and_then(|id| state.instance(&id)) {
            Some(row) => instances.push(ecs::ContainerInstance {
                health_status: with_health.then(|| health::shown(row)),
                ..instance(state, ctx, row, with_tags)
            }),
            None => failures.push(missing(arn::container_instance(ctx, &state.row.name, &id))),
        }
    }
    Ok(ecs::DescribeContainerInstancesResponse {
        container_instances: Some(instances),
        failures: Some(failures),
    })
}

/// Lists the ARNs of container instances, in the order of their ids.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListContainerInstances.html>
pub fn list_container_instances(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::ListContainerInstancesRequest,
) -> Result<ecs::ListContainerInstancesResponse, Error> {
    let page = paging::read(request.max_results, request.next_token.as_deref())?;
    let filter = request.filter.as_deref().filter(|text| !text.is_empty());
    let filter =
        filter.map(query::parse).transpose().map_err(|e| errors::invalid_parameter(e.to_string()))?;
    let statuses: &[InstanceStatus] = match request.status {
        None => &[InstanceStatus::Active, InstanceStatus::Draining, InstanceStatus::Registering],
        Some(ContainerInstanceStatus::Active) => &[InstanceStatus::Active],
        Some(ContainerInstanceStatus::Draining) => &[InstanceStatus::Draining],
        Some(ContainerInstanceStatus::Registering) => &[InstanceStatus::Registering],
        // An instance is there at once, or not at all.
        Some(_) => &[],
    };
    let mut found = vec![of_status(state, statuses)];
    found.extend(filter.as_ref().and_then(|query| query.narrowed(state)));
    let rows = Seek::All(found).after(paging::behind(&page, InstanceId::parse)?);
    let rows = rows.filter_map(|id| state.instance(&id)).filter(|row| statuses.contains(&row.status));
    let rows = rows.filter(|row| filter.as_ref().is_none_or(|query| query.matches(state, row)));
    let (rows, next_token) = page.cut(rows, |row| row.id.to_string());
    let arns = rows.iter().map(|row| arn::container_instance(ctx, &state.row.name, row.id)).collect();
    Ok(ecs::ListContainerInstancesResponse { container_instance_arns: Some(arns), next_token })
}

/// The container instances of some statuses, in order.
pub(super) fn of_status<'a>(state: &'a Cluster, statuses: &[InstanceStatus]) -> Seek<'a, InstanceId> {
    Seek::Any(statuses.iter().map(|of| state.seek_instances(InstanceFacet::Status(*of))).collect())
}

/// A container instance as the API shows it; without its tags the list of them is empty.
pub fn instance(state: &Cluster, ctx: &Ctx, row: &InstanceRow, with_tags: bool) -> ecs::ContainerInstance {
    let usage = state.usage(&row.id).cloned().unwrap_or_default();
    let mut left = row.registered.clone();
    left.cpu -= usage.used.cpu;
    left.memory -= usage.used.memory;
    left.ports_tcp.extend(&usage.used.ports_tcp);
    left.ports_udp.extend(&usage.used.ports_udp);
    left.gpus = left.gpus.without(&usage.used.gpus);
    let with_gpus = !row.registered.gpus.is_empty();
    ecs::ContainerInstance {
        container_instance_arn: Some(arn::container_instance(ctx, &state.row.name, row.id)),
        ec2_instance_id: row.ec2_instance_id.clone(),
        capacity_provider_name: capacity::of_instance(row).map(str::to_owned),
        version: Some(row.version),
        version_info: Some(row.version_info.shown()),
        remaining_resources: Some(resources(&left, with_gpus)),
        registered_resources: Some(resources(&row.registered, with_gpus)),
        status: Some(row.status.as_str().to_owned()),
        agent_connected: Some(row.agent_connected),
        running_tasks_count: Some(usage.running),
        pending_tasks_count: Some(usage.pending),
        attributes: Some(row.attributes.shown()),
        registered_at: Some(row.registered_at),
        attachments: Some(Vec::new()),
        tags: Some(if with_tags { row.tags.shown() } else { Vec::new() }),
        ..Default::default()
    }
}

/// Of a host without GPUs nothing is said of them.
fn resources(of: &Resources, with_gpus: bool) -> Vec<ecs::Resource> {
    let number = |name: &str, value: i64| ecs::Resource {
        name: Some(name.to_owned()),
        r#type: Some("INTEGER".to_owned()),
        double_value: Some(0.0),
        long_value: Some(0),
        integer_value: Some(i32::try_from(value.max(0)).unwrap_or(i32::MAX)),
        string_set_value: None,
    };
    let set = |name: &str, values: Vec<String>| ecs::Resource {
        name: Some(name.to_owned()),
        r#type: Some("STRINGSET".to_owned()),
        double_value: Some(0.0),
        long_value: Some(0),
        integer_value: Some(0),
        string_set_value: Some(values),
    };
    let ports = |ports: &std::collections::BTreeSet<u16>| ports.iter().map(u16::to_string).collect();
    let mut all = vec![
        number("CPU", of.cpu),
        number("MEMORY", of.memory),
        set("PORTS", ports(&of.ports_tcp)),
        set("PORTS_UDP", ports(&of.ports_udp)),
    ];
    all.extend(with_gpus.then(|| set("GPU", of.gpus.iter().cloned().collect())));
    all
}
