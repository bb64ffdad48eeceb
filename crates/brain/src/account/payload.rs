//! A task as its agent gets it over ACS. What the protocol has no member for goes into the two Docker texts
//! of `dockerConfig`. Overrides are merged here: the agent knows no other override than a command.

mod docker;

use wire::{
    acs,
    ecs::{self, LaunchType, NetworkMode},
};

use super::{TaskDefinitionRow, needs::override_of};
use crate::{
    Ctx, arn,
    cluster::{
        Cluster,
        rows::{Desired, TaskRow},
    },
};

/// The version of the Docker API that the texts keep to.
const DOCKER_API: &str = "1.17";

/// The task for its agent.
pub fn payload(task: &TaskRow, definition: &TaskDefinitionRow, cluster: &Cluster, ctx: &Ctx) -> acs::Task {
    let cluster = cluster.row.name.as_str();
    let registered = &definition.registered;
    let (cpu, memory) = definition.size(&task.overrides);
    let containers = definition.containers().iter();
    acs::Task {
        arn: Some(arn::task(ctx, cluster, &task.id.0)),
        task_cluster_arn: Some(arn::cluster(ctx, cluster)),
        containers: containers.map(|c| container(task, definition, c, cluster, ctx)).collect(),
        desired_status: Some(match task.desired {
            Desired::Running => "RUNNING".to_owned(),
            Desired::Stopped => "STOPPED".to_owned(),
        }),
        family: registered.family.clone(),
        // Container overrides are merged already.
        overrides: Some("{}".to_owned()),
        version: registered.revision.map(|revision| revision.to_string()),
        task_definition_account_id: Some(ctx.account.clone()),
        volumes: registered.volumes.iter().flatten().map(volume).collect(),
        // vCPUs.
        cpu: cpu.map(|units| units as f64 / 1024.0),
        memory,
        launch_type: Some(LaunchType::Ec2.as_str().to_owned()),
        network_mode: Some(mode(registered).as_str().to_owned()),
        service_name: task.service.as_ref().map(|(name, _)| name.0.clone()),
        group: Some(task.group.clone()),
        ..acs::Task::default()
    }
}

fn mode(definition: &ecs::TaskDefinition) -> NetworkMode {
    definition.network_mode.unwrap_or(NetworkMode::Bridge)
}

fn volume(volume: &ecs::Volume) -> acs::Volume {
    let source = volume.host.as_ref().and_then(|host| host.source_path.clone());
    acs::Volume {
        name: volume.name.clone(),
        r#type: Some("host".to_owned()),
        host: Some(acs::HostVolumeProperties { source_path: source.filter(|path| !path.is_empty()) }),
        ..acs::Volume::default()
    }
}

fn container(
    task: &TaskRow,
    definition: &TaskDefinitionRow,
    given: &ecs::ContainerDefinition,
    cluster: &str,
    ctx: &Ctx,
) -> acs::Container {
    let over = override_of(&task.overrides, given);
    let name = given.name.clone().unwrap_or_default();
    let row = task.containers.iter().find(|row| row.name == name);
    let number = |over: Option<i32>, given: Option<i32>| over.or(given).map(i64::from);
    let linux = given.linux_parameters.clone();
    acs::Container {
        command: over.and_then(|over| over.command.clone()).or(given.command.clone()).unwrap_or_default(),
        cpu: number(over.and_then(|over| over.cpu), given.cpu),
        entry_point: given.entry_point.clone().unwrap_or_default(),
        environment: environment(given, over),
        essential: Some(given.essential.unwrap_or(true)),
        restart_policy: given.restart_policy.as_ref().map(restart_policy),
        image: given.image.clone(),
        links: given.links.clone().unwrap_or_default(),
        memory: number(over.and_then(|over| over.memory), given.memory).filter(|mib| *mib > 0),
        name: Some(name),
        overrides: Some("{}".to_owned()),
        port_mappings: given.port_mappings.iter().flatten().map(port_mapping).collect(),
        mount_points: given.mount_points.iter().flatten().map(mount_point).collect(),
        linux_parameters: linux.map(linux_parameters),
        privileged: given.privileged,
        volumes_from: given.volumes_from.iter().flatten().map(volume_from).collect(),
        docker_config: Some(acs::DockerConfig {
            version: Some(DOCKER_API.to_owned()),
            config: Some(docker::config(given)),
            host_config: Some(docker::host_config(
                given,
                over,
                mode(&definition.registered),
                &definition.log_mode,
            )),
        }),
        health_check_type: given.health_check.as_ref().map(|_| "docker".to_owned()),
        depends_on: given.depends_on.iter().flatten().map(dependency).collect(),
        start_timeout: given.start_timeout.map(i64::from),
        stop_timeout: given.stop_timeout.map(i64::from),
        container_arn: row.map(|row| arn::container(ctx, cluster, &task.id.0, &row.id)),
        ..acs::Container::default()
    }
}

fn environment(
    given: &ecs::ContainerDefinition,
    over: Option<&ecs::ContainerOverride>,
) -> std::collections::BTreeMap<String, String> {
    let over = over.and_then(|over| over.environment.as_deref()).unwrap_or_default();
    let pairs = given.environment.iter().flatten().chain(over);
    pairs.filter_map(|pair| Some((pair.name.clone()?, pair.value.clone().unwrap_or_default()))).collect()
}

fn restart_policy(given: &ecs::ContainerRestartPolicy) -> acs::RestartPolicy {
    acs::RestartPolicy {
        enabled: Some(given.enabled),
        ignored_exit_codes: given.ignored_exit_codes.iter().flatten().map(|code| i64::from(*code)).collect(),
        restart_attempt_period: given.restart_attempt_period.map(i64::from),
    }
}

fn port_mapping(given: &ecs::PortMapping) -> acs::PortMapping {
    acs::PortMapping {
        container_port: given.container_port.map(i64::from),
        host_port: given.host_port.map(i64::from),
        protocol: Some(given.protocol.unwrap_or(ecs::TransportProtocol::Tcp).as_str().to_owned()),
        ..acs::PortMapping::default()
    }
}

fn mount_point(given: &ecs::MountPoint) -> acs::MountPoint {
    acs::MountPoint {
        source_volume: given.source_volume.clone(),
        container_path: given.container_path.clone(),
        read_only: Some(given.read_only.unwrap_or(false)),
    }
}

fn volume_from(given: &ecs::VolumeFrom) -> acs::VolumeFrom {
    acs::VolumeFrom {
        source_container: given.source_container.clone(),
        read_only: Some(given.read_only.unwrap_or(false)),
    }
}

fn dependency(given: &ecs::ContainerDependency) -> acs::ContainerDependency {
    acs::ContainerDependency {
        container_name: Some(given.container_name.clone()),
        condition: Some(given.condition.as_str().to_owned()),
    }
}

/// What the protocol has members for; the rest of linuxParameters is in the Docker texts.
fn linux_parameters(given: ecs::LinuxParameters) -> acs::LinuxParameters {
    let capabilities = given.capabilities.map(|capabilities| acs::KernelCapabilities {
        add: capabilities.add.unwrap_or_default(),
        drop: capabilities.drop.unwrap_or_default(),
    });
    let devices = given.devices.unwrap_or_default().into_iter().map(|device| acs::Device {
        host_path: Some(device.host_path),
        container_path: device.container_path,
        permissions: device.permissions.iter().flatten().map(|word| word.as_str().to_owned()).collect(),
    });
    acs::LinuxParameters {
        capabilities,
        devices: devices.collect(),
        init_process_enabled: given.init_process_enabled,
        shared_memory_size: given.shared_memory_size.map(i64::from),
    }
}

#[cfg(test)]
mod tests;
