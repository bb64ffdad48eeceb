//! What ECS refuses in a task definition, for tasks on container instances. Members that are not built have
//! been refused before (see `members`).
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>

mod container;
mod linux;
mod log;
mod order;
mod ports;

use std::collections::BTreeSet;

use ecs_model::{self as ecs, NetworkMode, errors};
use wire::Error;

use super::units;
use crate::{convert::Stored, placement::Constraints};

pub use container::runs as health_check_runs;
pub(super) use linux::no_new_privileges;

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const MAX_SIZE: usize = 65_536;
const MAX_CONTAINERS: usize = 10;
const MAX_NAME: usize = 255;

/// Task-level CPU units: 0.125 to 192 vCPU.
pub(super) const TASK_CPU: std::ops::RangeInclusive<i64> = 128..=196_608;
/// Task-level MiB; Docker gives no container less than 4.
pub(super) const TASK_MEMORY: std::ops::RangeInclusive<i64> = 4..=i32::MAX as i64;

type Outcome = Result<(), Error>;

/// What the containers share.
struct Task<'a> {
    mode: NetworkMode,
    /// MiB.
    memory: Option<i64>,
    containers: &'a [ecs::ContainerDefinition],
    volumes: BTreeSet<&'a str>,
}

impl Task<'_> {
    fn container(&self, name: &str) -> Option<&ecs::ContainerDefinition> {
        self.containers.iter().find(|container| container.name.as_deref() == Some(name))
    }
}

pub(super) fn check(request: &ecs::RegisterTaskDefinitionRequest) -> Outcome {
    let text = serde_json::to_string(request).expect("requests have string keys and finite numbers only");
    require(text.len() <= MAX_SIZE, || {
        format!("Actual length: '{}'. Max allowed length is '{MAX_SIZE}' bytes.", text.len())
    })?;
    require(!text.contains("\\u0000"), || "Task definition contains invalid characters.".to_owned())?;
    name("Family", &request.family)?;
    require(!request.container_definitions.is_empty(), || "Container list cannot be empty.".to_owned())?;
    require(request.container_definitions.len() <= MAX_CONTAINERS, || {
        format!("Too many containers in the task definition. The maximum is {MAX_CONTAINERS}.")
    })?;
    let (cpu, memory) = size(request)?;
    let task = Task {
        mode: request.network_mode.unwrap_or(NetworkMode::Bridge),
        memory,
        containers: &request.container_definitions,
        volumes: volumes(request.volumes.as_deref().unwrap_or_default())?,
    };
    let mut seen = BTreeSet::new();
    for one in task.containers {
        container::check(one, &task)?;
        let name = one.name.as_deref().unwrap_or_default();
        require(seen.insert(name), || format!("Container names must be unique. Duplicate name: '{name}'."))?;
    }
    let essential = task.containers.iter().any(|container| container.essential != Some(false));
    require(essential, || "Task definition does not have any essential container.".to_owned())?;
    sums(&task, cpu)?;
    ports::check(&task)?;
    order::check(&task)?;
    let constraints = request.placement_constraints.clone().unwrap_or_default().stored();
    Constraints::compile(&constraints, &[]).map(drop)
}

/// Task-level CPU and memory.
fn size(request: &ecs::RegisterTaskDefinitionRequest) -> Result<(Option<i64>, Option<i64>), Error> {
    let read = |text: &Option<String>,
                what: &str,
                read: fn(&str) -> Option<i64>,
                range: &std::ops::RangeInclusive<i64>| {
        let Some(text) = text.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        match read(text).filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(errors::client(format!(
                "Invalid '{what}' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
            ))),
        }
    };
    Ok((
        read(&request.cpu, "cpu", units::cpu_units, &TASK_CPU)?,
        read(&request.memory, "memory", units::memory_mib, &TASK_MEMORY)?,
    ))
}

fn volumes(volumes: &[ecs::Volume]) -> Result<BTreeSet<&str>, Error> {
    let mut names = BTreeSet::new();
    for volume in volumes {
        let given = volume.name.as_deref().unwrap_or_default();
        name("Volume.name", given)?;
        require(names.insert(given), || format!("Volume names must be unique. Duplicate name: '{given}'."))?;
        let source = volume.host.as_ref().and_then(|host| host.source_path.as_deref()).unwrap_or("/");
        require(source.is_empty() || is_path(source), || {
            format!("Invalid setting for volume '{given}'. 'host.sourcePath' must be an absolute path.")
        })?;
    }
    Ok(names)
}

/// Containers together must fit into the task.
fn sums(task: &Task<'_>, cpu: Option<i64>) -> Outcome {
    let total: i64 = task.containers.iter().map(|c| i64::from(c.cpu.unwrap_or(0))).sum();
    require(cpu.is_none_or(|cpu| total <= cpu), || {
        format!("The total 'cpu' of the containers ({total}) is greater than the 'cpu' setting for the task.")
    })?;
    let reserved = |c: &ecs::ContainerDefinition| i64::from(c.memory_reservation.or(c.memory).unwrap_or(0));
    let total: i64 = task.containers.iter().map(reserved).sum();
    require(task.memory.is_none_or(|memory| total <= memory), || {
        format!(
            "The total memory of the containers ({total} MiB) is greater than the 'memory' setting for the task."
        )
    })
}

/// Up to 255 letters, digits, underscores and hyphens.
fn name(what: &str, text: &str) -> Outcome {
    require(!text.is_empty(), || format!("{what} should not be null or empty."))?;
    require(text.len() <= MAX_NAME, || format!("{what} longer than {MAX_NAME}."))?;
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    require(plain, || format!("{what} contains invalid characters."))
}

/// Absolute, without `..`.
fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= 4096 && path.split('/').all(|part| part != "..")
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(errors::client(otherwise())) }
}

/// What is wrong in one container.
fn require_of(container: &str, holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    require(holds, || format!("Invalid setting for container '{container}'. {}", otherwise()))
}

#[cfg(test)]
mod tests;
