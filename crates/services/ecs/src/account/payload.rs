//! A task as its agent gets it over ACS. What the protocol has no member for goes into the two Docker texts
//! of `dockerConfig`; so do `privileged` and `linuxParameters`, whose members no stock agent reads.
//! Overrides are merged here: the agent knows no other override than a command.

mod docker;
mod network;

use agent_protocol::acs;

use super::{TaskDefinitionRow, needs::override_of, required::docker_api};
use crate::{
    Ctx, arn,
    cluster::Cluster,
    fargate,
    rows::{
        ContainerDefinition, ContainerDependency, ContainerOverride, ContainerRestartPolicy, Desired,
        MountPoint, NetworkMode, PortMapping, Resources, TaskDefinition, TaskRow, Volume, VolumeFrom,
    },
    service,
};

/// The task for its agent. `endpoint` is the URL of this control plane, as the agent's host reaches it.
pub fn payload(
    task: &TaskRow,
    definition: &TaskDefinitionRow,
    cluster: &Cluster,
    endpoint: &str,
    ctx: &Ctx,
) -> acs::Task {
    let place = Place { task, definition, state: cluster, endpoint, ctx };
    let cluster = &cluster.row.name;
    let registered = &definition.registered;
    let (cpu, memory) = definition.size(&task.overrides);
    let containers = definition.containers().iter();
    acs::Task {
        arn: Some(arn::task(ctx, cluster, task.id)),
        task_cluster_arn: Some(arn::cluster(ctx, cluster)),
        containers: containers.map(|c| container(&place, c)).collect(),
        desired_status: Some(match task.desired_for_agent() {
            Desired::Running => "RUNNING".to_owned(),
            Desired::Stopped => "STOPPED".to_owned(),
        }),
        family: Some(registered.family.clone()),
        // Container overrides are merged already.
        overrides: Some("{}".to_owned()),
        version: Some(registered.revision.to_string()),
        task_definition_account_id: Some(ctx.account.to_string()),
        volumes: registered.volumes.iter().map(volume).collect(),
        // vCPUs.
        cpu: cpu.map(|units| units as f64 / 1024.0),
        memory,
        launch_type: Some(task.launch_type.as_str().to_owned()),
        fargate: task.fargate.as_deref().map(|of| acs::FargateTask {
            platform_version: of.platform.version.clone(),
            spot: task.capacity_provider.as_deref() == Some(fargate::SPOT),
            ephemeral_storage_gib: u32::try_from(of.ephemeral_storage).unwrap_or_default(),
            isolation: None,
        }),
        trusted_execution_configuration: trusted(task),
        network_mode: Some(mode(registered).as_str().to_owned()),
        pid_mode: registered.pid_mode.map(|mode| mode.as_str().to_owned()),
        ipc_mode: registered.ipc_mode.map(|mode| mode.as_str().to_owned()),
        service_name: task.service.as_ref().map(|(name, _)| name.0.clone()),
        group: Some(task.group.clone()),
        needs: Some(needs(&task.needs)),
        associations: associations(task),
        elastic_network_interfaces: network::interfaces(ctx, task),
        ..acs::Task::default()
    }
}

/// The wall that a task on Fargate asks for.
fn trusted(task: &TaskRow) -> Option<acs::TrustedExecutionConfiguration> {
    let mode = task.fargate.as_deref()?.isolation_mode?;
    Some(acs::TrustedExecutionConfiguration { isolation_mode: Some(mode.as_str().to_owned()) })
}

/// What a container is part of.
struct Place<'a> {
    task: &'a TaskRow,
    definition: &'a TaskDefinitionRow,
    state: &'a Cluster,
    endpoint: &'a str,
    ctx: &'a Ctx,
}

fn mode(definition: &TaskDefinition) -> NetworkMode {
    definition.network_mode.unwrap_or(NetworkMode::Bridge)
}

/// As placement has counted them, so that the agent lets in what fits by the same count.
fn needs(counted: &Resources) -> acs::TaskNeeds {
    acs::TaskNeeds {
        cpu: u64::try_from(counted.cpu).unwrap_or(0),
        memory: u64::try_from(counted.memory).unwrap_or(0),
        ports_tcp: counted.ports_tcp.iter().copied().collect(),
        ports_udp: counted.ports_udp.iter().copied().collect(),
        gpus: counted.gpus.iter().cloned().collect(),
    }
}

/// Each GPU with its container.
fn associations(task: &TaskRow) -> Vec<acs::Association> {
    let all = task.containers.iter().enumerate();
    let of = all.flat_map(|(at, container)| task.gpus_of(at).map(move |id| (id, container)));
    of.map(|(id, container)| acs::Association {
        name: Some(id.clone()),
        r#type: Some("gpu".to_owned()),
        content: Some(acs::EncodedString { value: Some(String::new()), encoding: Some("base64".to_owned()) }),
        containers: vec![container.name.clone()],
    })
    .collect()
}

fn volume(volume: &Volume) -> acs::Volume {
    let source = volume.host.source_path.clone();
    acs::Volume {
        name: Some(volume.name.clone()),
        r#type: Some("host".to_owned()),
        host: Some(acs::HostVolumeProperties { source_path: source.filter(|path| !path.is_empty()) }),
        ..acs::Volume::default()
    }
}

fn container(place: &Place, given: &ContainerDefinition) -> acs::Container {
    let task = place.task;
    let over = override_of(&task.overrides, given);
    let logs = docker::Logs {
        mode: &place.definition.log_mode,
        task: &task.id.to_string(),
        endpoint: place.endpoint,
    };
    let name = given.name.clone();
    let row = task.containers.iter().find(|row| row.name == name);
    let number = |over: Option<i32>, given: Option<i32>| over.or(given).map(i64::from);
    acs::Container {
        command: over.and_then(|over| over.command.clone()).or(given.command.clone()).unwrap_or_default(),
        cpu: number(over.and_then(|over| over.cpu), Some(given.cpu)),
        entry_point: given.entry_point.clone().unwrap_or_default(),
        environment: environment(given, over),
        essential: Some(given.essential.unwrap_or(true)),
        restart_policy: given.restart_policy.as_ref().map(restart_policy),
        image: Some(service::images::assigned(place.state, task, given)),
        links: given.links.clone().unwrap_or_default(),
        memory: number(over.and_then(|over| over.memory), given.memory).filter(|mib| *mib > 0),
        name: Some(name),
        overrides: Some("{}".to_owned()),
        port_mappings: given.port_mappings.iter().map(port_mapping).collect(),
        mount_points: given.mount_points.iter().map(mount_point).collect(),
        volumes_from: given.volumes_from.iter().map(volume_from).collect(),
        docker_config: Some(acs::DockerConfig {
            version: Some(docker_api(given)),
            config: Some(docker::config(given)),
            host_config: Some(docker::host_config(given, over, mode(&place.definition.registered), &logs)),
        }),
        health_check_type: given.health_check.as_ref().map(|_| "docker".to_owned()),
        depends_on: given.depends_on.iter().flatten().map(dependency).collect(),
        start_timeout: given.start_timeout.map(i64::from),
        stop_timeout: given.stop_timeout.map(i64::from),
        container_arn: row.map(|row| arn::container(place.ctx, &place.state.row.name, task.id, &row.id)),
        ..acs::Container::default()
    }
}

fn environment(
    given: &ContainerDefinition,
    over: Option<&ContainerOverride>,
) -> std::collections::BTreeMap<String, String> {
    let over = over.and_then(|over| over.environment.as_deref()).unwrap_or_default();
    let pairs = given.environment.iter().chain(over);
    pairs.map(|pair| (pair.name.clone(), pair.value.clone().unwrap_or_default())).collect()
}

fn restart_policy(given: &ContainerRestartPolicy) -> acs::RestartPolicy {
    acs::RestartPolicy {
        enabled: Some(given.enabled),
        ignored_exit_codes: given.ignored_exit_codes.iter().flatten().map(|code| i64::from(*code)).collect(),
        restart_attempt_period: given.restart_attempt_period.map(i64::from),
    }
}

fn port_mapping(given: &PortMapping) -> acs::PortMapping {
    acs::PortMapping {
        container_port: given.container_port.map(i64::from),
        host_port: given.host_port.map(i64::from),
        container_port_range: given.container_port_range.clone(),
        protocol: Some(given.protocol.as_str().to_owned()),
    }
}

fn mount_point(given: &MountPoint) -> acs::MountPoint {
    acs::MountPoint {
        source_volume: Some(given.source_volume.clone()),
        container_path: Some(given.container_path.clone()),
        read_only: Some(given.read_only.unwrap_or(false)),
    }
}

fn volume_from(given: &VolumeFrom) -> acs::VolumeFrom {
    acs::VolumeFrom {
        source_container: Some(given.source_container.clone()),
        read_only: Some(given.read_only.unwrap_or(false)),
    }
}

fn dependency(given: &ContainerDependency) -> acs::ContainerDependency {
    acs::ContainerDependency {
        container_name: Some(given.container_name.clone()),
        condition: Some(given.condition.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests;
