//! Port mappings, which depend on the network mode.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html>

use std::{collections::BTreeSet, ops::RangeInclusive};

use ecs_model::{self as ecs, NetworkMode, TransportProtocol, errors};

use super::{Outcome, Task, require, require_of};

const MAX_PORT: i32 = 65_535;
/// Of one container.
const MAX_RANGES: usize = 100;

pub(super) fn check(task: &Task<'_>) -> Outcome {
    let mut taken = Taken::default();
    for container in task.containers {
        let name = container.name.as_deref().unwrap_or_default();
        let mappings = container.port_mappings.as_deref().unwrap_or_default();
        require(task.mode != NetworkMode::None || mappings.is_empty(), || {
            "Port mappings are not supported when networkMode=none.".to_owned()
        })?;
        let ranges = mappings.iter().filter(|mapping| mapping.container_port_range.is_some()).count();
        require_of(name, ranges <= MAX_RANGES, || {
            format!("'portMappings' can not have more than {MAX_RANGES} port ranges.")
        })?;
        if task.mode != NetworkMode::Awsvpc {
            taken.inside.clear();
        }
        for mapping in mappings {
            one(name, mapping, task, &mut taken)?;
        }
    }
    Ok(())
}

/// What mappings before had.
#[derive(Default)]
struct Taken {
    /// Ports of containers, with those that are in a range marked: of the whole task in `awsvpc`, else of one container.
    inside: BTreeSet<(TransportProtocol, i32, bool)>,
    /// Ports of the host.
    host: BTreeSet<(TransportProtocol, i32)>,
    names: BTreeSet<String>,
}

fn one(name: &str, mapping: &ecs::PortMapping, task: &Task<'_>, taken: &mut Taken) -> Outcome {
    let protocol = mapping.protocol.unwrap_or(TransportProtocol::Tcp);
    let (inside, is_range) = match mapping.container_port_range.as_deref() {
        Some(text) => {
            let single = mapping.container_port.is_some() || mapping.host_port.is_some();
            (ranged(name, text, single, task)?, true)
        }
        None => {
            let port = mapping.container_port.unwrap_or(0);
            if !(1..=MAX_PORT).contains(&port) {
                return Err(invalid(name, "containerPort"));
            }
            if mapping.host_port.is_some_and(|port| !(0..=MAX_PORT).contains(&port)) {
                return Err(invalid(name, "hostPort"));
            }
            let outside = host_port(mapping, task, port)?;
            require_of(name, outside == 0 || taken.host.insert((protocol, outside)), || {
                format!("Host port {outside}/{protocol} is mapped more than once in the task definition.")
            })?;
            (port..=port, false)
        }
    };
    for port in inside {
        let (in_range, alone) = ((protocol, port, true), (protocol, port, false));
        // One port on several ports of the host is no overlap.
        let held = taken.inside.contains(&in_range)
            || (is_range || task.mode == NetworkMode::Awsvpc) && taken.inside.contains(&alone);
        require(!held, || {
            let word = protocol.as_str().to_uppercase();
            match task.mode {
                NetworkMode::Awsvpc => {
                    format!(
                        "{word} container port '{port}' is used multiple times in task when networkMode=awsvpc."
                    )
                }
                _ => format!("{word} container port '{port}' is used multiple times in container '{name}'."),
            }
        })?;
        taken.inside.insert(if is_range { in_range } else { alone });
    }
    let Some(given) = &mapping.name else { return Ok(()) };
    require_of(name, is_name(given), || {
        "'portMappings.name' must have up to 64 lowercase letters, numbers, underscores and hyphens, and must not \
         begin with a hyphen."
            .to_owned()
    })?;
    let new = taken.names.insert(given.clone()) || task.mode != NetworkMode::Awsvpc;
    require(new, || "When networkMode=awsvpc, port mapping name is already used".to_owned())
}

/// The port of the host, 0 for any. In `awsvpc` there is none: the ports are on the task's own address.
fn host_port(mapping: &ecs::PortMapping, task: &Task<'_>, inside: i32) -> Result<i32, wire::Error> {
    let (outside, mode) = (mapping.host_port.unwrap_or(0), task.mode);
    let same = matches!(mode, NetworkMode::Host | NetworkMode::Awsvpc);
    require(!same || outside == 0 || outside == inside, || {
        format!("When networkMode={mode}, the host ports and container ports in port mappings must match.")
    })?;
    Ok(match mode {
        NetworkMode::Host => inside,
        NetworkMode::Awsvpc => 0,
        _ => outside,
    })
}

fn ranged(name: &str, text: &str, single: bool, task: &Task<'_>) -> Result<RangeInclusive<i32>, wire::Error> {
    require(!single, || {
        format!(
            "Invalid port mapping for container '{name}', cannot specify both single port and port range."
        )
    })?;
    let mode = task.mode;
    require(matches!(mode, NetworkMode::Bridge | NetworkMode::Awsvpc), || {
        format!("Port ranges are not supported when networkMode={mode}.")
    })?;
    let ports = range(text).map(|ports| i32::from(*ports.start())..=i32::from(*ports.end()));
    ports.ok_or_else(|| invalid(name, "containerPortRange"))
}

/// What ECS says of a port that cannot be.
fn invalid(container: &str, member: &str) -> wire::Error {
    errors::client(format!("Invalid '{member}' setting for container '{container}'."))
}

/// Reads `FIRST-LAST`, of which the first is less.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| {
        let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0)
    };
    let (first, last) = text.split_once('-')?;
    let (first, last) = (port(first)?, port(last)?);
    (first < last).then_some(first..=last)
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('-')
}
