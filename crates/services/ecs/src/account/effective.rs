//! The task definition that a registration makes: what was given, with the defaults that ECS fills in, no others,
//! and what it derives (compatibilities, required attributes). The request has been validated.

use ecs_model::{self as ecs, NetworkMode, TransportProtocol};

use super::{required, units, validate};
use crate::{
    convert::Stored,
    rows::{Attribute, TaskDefinition},
};

/// All but revision, status and who registered it when.
pub(super) fn task_definition(request: ecs::RegisterTaskDefinitionRequest) -> TaskDefinition {
    let mut definition = filled(request).stored();
    let attributes = required::attributes(&definition).into_iter();
    definition.requires_attributes = attributes.map(|name| Attribute { name, value: None }).collect();
    definition
}

/// What was given, with the defaults.
pub(crate) fn filled(request: ecs::RegisterTaskDefinitionRequest) -> ecs::TaskDefinition {
    let compatibilities = validate::compatibilities(&request);
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
        compatibilities: Some(compatibilities),
        runtime_platform: request.runtime_platform,
        requires_compatibilities: request.requires_compatibilities,
        cpu: number(request.cpu, units::cpu_units),
        memory: number(request.memory, units::memory_mib),
        pid_mode: request.pid_mode,
        ipc_mode: request.ipc_mode,
        ephemeral_storage: request.ephemeral_storage,
        trusted_execution_configuration: request.trusted_execution_configuration,
        enable_fault_injection: request.enable_fault_injection,
        ..ecs::TaskDefinition::default()
    }
}

fn container(mut container: ecs::ContainerDefinition, mode: NetworkMode) -> ecs::ContainerDefinition {
    container.cpu.get_or_insert(0);
    container.essential.get_or_insert(true);
    for mapping in container.port_mappings.get_or_insert_default() {
        let host_port = match mode {
            NetworkMode::Host | NetworkMode::Awsvpc => mapping.container_port,
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
