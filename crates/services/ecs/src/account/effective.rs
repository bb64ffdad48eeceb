//! The task definition that a registration makes: what was given, with the defaults that ECS fills in, and
//! what it derives (compatibilities, required attributes). The request has been validated.

use std::collections::BTreeSet;

use ecs_model::{self as ecs, Compatibility, NetworkMode, TransportProtocol};

use super::units;
use crate::{
    convert::Stored,
    rows::{Attribute, ContainerDefinition, LogDriver, TaskDefinition},
};

/// All but revision, status and who registered it when.
pub(super) fn task_definition(request: ecs::RegisterTaskDefinitionRequest) -> TaskDefinition {
    let mut definition = filled(request).stored();
    let attributes = required_attributes(&definition).into_iter();
    definition.requires_attributes = attributes.map(|name| Attribute { name, value: None }).collect();
    definition
}

/// What was given, with the defaults.
pub(crate) fn filled(request: ecs::RegisterTaskDefinitionRequest) -> ecs::TaskDefinition {
    let mode = request.network_mode.unwrap_or(NetworkMode::Bridge);
    let containers = request.container_definitions.into_iter().map(|c| container(c, mode)).collect();
    let number = |text: Option<String>, read: fn(&str) -> Option<i64>| {
        text.filter(|text| !text.is_empty()).map(|text| match read(&text) {
            Some(number) => number.to_string(),
            None => text,
        })
    };
    ecs::TaskDefinition {
        container_definitions: Some(containers),
        family: Some(request.family),
        execution_role_arn: request.execution_role_arn.filter(|arn| !arn.is_empty()),
        network_mode: request.network_mode,
        volumes: Some(request.volumes.unwrap_or_default().into_iter().map(volume).collect()),
        placement_constraints: Some(request.placement_constraints.unwrap_or_default()),
        // What is not built is refused, and nothing that is built needs EC2 itself.
        compatibilities: Some(vec![Compatibility::External, Compatibility::Ec2]),
        runtime_platform: request.runtime_platform,
        requires_compatibilities: request.requires_compatibilities.filter(|list| !list.is_empty()),
        cpu: number(request.cpu, units::cpu_units),
        memory: number(request.memory, units::memory_mib),
        enable_fault_injection: request.enable_fault_injection,
        ..ecs::TaskDefinition::default()
    }
}

fn container(mut container: ecs::ContainerDefinition, mode: NetworkMode) -> ecs::ContainerDefinition {
    container.cpu.get_or_insert(0);
    container.essential.get_or_insert(true);
    for mapping in container.port_mappings.get_or_insert_default() {
        let host_port = match mode {
            NetworkMode::Host => mapping.container_port,
            _ => Some(0),
        };
        if mapping.container_port_range.is_none() && mapping.host_port.unwrap_or(0) == 0 {
            mapping.host_port = host_port;
        }
        mapping.protocol.get_or_insert(TransportProtocol::Tcp);
    }
    container.environment.get_or_insert_default();
    container.mount_points.get_or_insert_default();
    container.volumes_from.get_or_insert_default();
    container.system_controls.get_or_insert_default();
    if let Some(check) = &mut container.health_check {
        check.interval.get_or_insert(30);
        check.timeout.get_or_insert(5);
        check.retries.get_or_insert(3);
    }
    container
}

fn volume(mut volume: ecs::Volume) -> ecs::Volume {
    volume.host.get_or_insert_default();
    volume
}

/// The attribute of a host whose Docker API has version 1.N, without the N.
const DOCKER_API: &str = "com.amazonaws.ecs.capability.docker-remote-api.1.";

/// The oldest of them that agents register.
const OLDEST_DOCKER_API: u32 = 17;

/// What a container instance must be able to do, by the names that agents register.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-capabilities.html>
fn required_attributes(definition: &TaskDefinition) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if definition.cpu.is_some() || definition.memory.is_some() {
        names.insert("ecs.capability.task-cpu-mem-limit".to_owned());
    }
    let cpu = definition.cpu.as_deref().and_then(units::cpu_units);
    if cpu.is_some_and(|units| units > 10 * 1024) {
        names.insert("ecs.capability.increased-task-cpu-limit".to_owned());
    }
    let with_role = definition.execution_role_arn.is_some();
    for container in &definition.container_definitions {
        of_container(container, with_role, &mut names);
    }
    names
}

/// The version of Docker's API that has all that the container is made with: the highest that it requires.
pub(super) fn docker_api(container: &ContainerDefinition) -> String {
    let mut names = BTreeSet::new();
    of_container(container, false, &mut names);
    let minors = names.iter().filter_map(|name| name.strip_prefix(DOCKER_API)?.parse::<u32>().ok());
    format!("1.{}", minors.max().unwrap_or(OLDEST_DOCKER_API))
}

fn of_container(container: &ContainerDefinition, with_role: bool, names: &mut BTreeSet<String>) {
    let mut need = |wanted: bool, name: &str| {
        if wanted {
            names.insert(name.to_owned());
        }
    };
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let linux = container.linux_parameters.as_ref();
    let api = |minor: u32| format!("{DOCKER_API}{minor}");
    need(container.privileged == Some(true), "com.amazonaws.ecs.capability.privileged-container");
    need(container.ulimits.as_ref().is_some_and(|list| !list.is_empty()), &api(18));
    need(container.memory_reservation.is_some(), &api(21));
    let tmpfs = linux.and_then(|linux| linux.tmpfs.as_ref()).is_some_and(|list| !list.is_empty());
    need(tmpfs || linux.is_some_and(|linux| linux.shared_memory_size.is_some()), &api(22));
    need(!container.system_controls.is_empty(), &api(24));
    need(linux.is_some_and(|linux| linux.init_process_enabled == Some(true)), &api(25));
    need(container.health_check.is_some(), "ecs.capability.container-health-check");
    need(container.health_check.is_some(), &api(24));
    let ordered = container.depends_on.as_ref().is_some_and(|list| !list.is_empty());
    let timed = container.start_timeout.is_some() || container.stop_timeout.is_some();
    need(ordered || timed, "ecs.capability.container-ordering");
    need(
        container.restart_policy.as_ref().is_some_and(|p| p.enabled),
        "ecs.capability.container-restart-policy",
    );
    if some(&container.docker_security_options) {
        for option in container.docker_security_options.iter().flatten() {
            need(option.starts_with("label:"), "com.amazonaws.ecs.capability.selinux");
            need(option.starts_with("apparmor:"), "com.amazonaws.ecs.capability.apparmor");
        }
    }
    if let Some(log) = &container.log_configuration {
        let awslogs = log.log_driver == LogDriver::Awslogs;
        need(true, &format!("com.amazonaws.ecs.capability.logging-driver.{}", log.log_driver));
        need(awslogs, &api(19));
        need(awslogs && with_role, "ecs.capability.execution-role-awslogs");
    }
    let ecr = is_ecr(&container.image);
    need(ecr, "com.amazonaws.ecs.capability.ecr-auth");
    need(ecr && with_role, "ecs.capability.execution-role-ecr-pull");
}

/// `<account>.dkr.ecr.<region>.amazonaws.com/…`.
fn is_ecr(image: &str) -> bool {
    let host = image.split('/').next().unwrap_or_default();
    host.contains(".dkr.ecr.") && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}
