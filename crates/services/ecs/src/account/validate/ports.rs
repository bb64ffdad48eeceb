//! Port mappings and links, which depend on the network mode.

use std::collections::BTreeSet;

use ecs_model::{NetworkMode, TransportProtocol};

use super::{Outcome, Task, container::within, require, require_of};

const MAX_PORT: i32 = 65_535;

pub(super) fn check(task: &Task<'_>) -> Outcome {
    let mut taken = BTreeSet::new();
    for container in task.containers {
        let name = container.name.as_deref().unwrap_or_default();
        let mappings = container.port_mappings.as_deref().unwrap_or_default();
        require(task.mode != NetworkMode::None || mappings.is_empty(), || {
            "Port mappings are not supported when networkMode=none.".to_owned()
        })?;
        for mapping in mappings {
            let inside = mapping.container_port.unwrap_or(0);
            within(name, "portMappings.containerPort", Some(inside), 1, MAX_PORT)?;
            within(name, "portMappings.hostPort", mapping.host_port, 0, MAX_PORT)?;
            require_of(name, mapping.name.as_deref().is_none_or(is_name), || {
                "'portMappings.name' must have up to 64 lowercase letters, numbers, underscores and hyphens, \
                 and must not begin with a hyphen."
                    .to_owned()
            })?;
            let mut outside = mapping.host_port.unwrap_or(0);
            if task.mode == NetworkMode::Host {
                require(outside == 0 || outside == inside, || {
                    "When networkMode=host, the host ports and container ports in port mappings must match."
                        .to_owned()
                })?;
                outside = inside;
            }
            let protocol = mapping.protocol.unwrap_or(TransportProtocol::Tcp);
            require_of(name, outside == 0 || taken.insert((outside, protocol)), || {
                format!("Host port {outside}/{protocol} is mapped more than once in the task definition.")
            })?;
        }
        let linked = container.links.as_ref().is_some_and(|links| !links.is_empty());
        require(task.mode == NetworkMode::Bridge || !linked, || {
            format!("Links are not supported when networkMode={}.", task.mode)
        })?;
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html>
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('-')
}
