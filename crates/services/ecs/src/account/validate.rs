//! What ECS refuses in a task definition, in its own words, and which compatibilities a definition has. Members that are not built
//! have been refused before (see `members`). Here and below are the rules that hold for every definition;
//! those of network modes are in `mode`, those of compatibilities in `compatibility`.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>

mod compatibility;
mod container;
mod linux;
mod log;
mod mode;
mod order;
mod ports;
mod resources;

use std::collections::BTreeSet;

use ecs_model::{self as ecs, NetworkMode, OSFamily, errors};
use wire::Error;

use super::units;
use crate::{convert::Stored, placement::Constraints};

pub(super) use compatibility::{compatibilities, is_fargate_size};
pub use container::runs as health_check_runs;
pub(super) use linux::no_new_privileges;
pub(super) use resources::gpus;

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const MAX_SIZE: usize = 65_536;
const MAX_CONTAINERS: usize = 10;
const MAX_NAME: usize = 255;

/// Task-level CPU units: 0.125 to 192 vCPU.
pub(super) const TASK_CPU: std::ops::RangeInclusive<i64> = 128..=196_608;
/// Task-level MiB; Docker gives no container less than 4.
pub(super) const TASK_MEMORY: std::ops::RangeInclusive<i64> = 4..=i32::MAX as i64;

type Outcome = Result<(), Error>;

/// A task definition that is asked for, with what all rules look at.
struct Task<'a> {
    request: &'a ecs::RegisterTaskDefinitionRequest,
    /// Bridge, where none is given.
    mode: NetworkMode,
    /// Units.
    cpu: Option<i64>,
    /// MiB.
    memory: Option<i64>,
    containers: &'a [ecs::ContainerDefinition],
}

impl<'a> Task<'a> {
    /// A size that cannot be read is none here, and refused by [`size`].
    fn of(request: &'a ecs::RegisterTaskDefinitionRequest) -> Task<'a> {
        Task {
            request,
            mode: request.network_mode.unwrap_or(NetworkMode::Bridge),
            cpu: request.cpu.as_deref().and_then(units::cpu_units),
            memory: request.memory.as_deref().and_then(units::memory_mib),
            containers: &request.container_definitions,
        }
    }

    fn container(&self, name: &str) -> Option<&'a ecs::ContainerDefinition> {
        self.containers.iter().find(|container| container.name.as_deref() == Some(name))
    }

    fn volumes(&self) -> &'a [ecs::Volume] {
        self.request.volumes.as_deref().unwrap_or_default()
    }

    fn family(&self) -> Option<OSFamily> {
        self.request.runtime_platform.as_ref().and_then(|platform| platform.operating_system_family)
    }

    fn is_windows(&self) -> bool {
        self.family().is_some_and(|family| family != OSFamily::Linux)
    }
}

pub(super) fn check(request: &ecs::RegisterTaskDefinitionRequest) -> Outcome {
    let text = serde_json::to_string(request).expect("requests have string keys and finite numbers only");
    require(text.len() <= MAX_SIZE, || {
        format!("Actual length: '{}'. Max allowed length is '{MAX_SIZE}' bytes.", text.len())
    })?;
    require(!text.contains("\\u0000"), || "Task definition contains invalid characters.".to_owned())?;
    name("Family", &request.family)?;
    let task = Task::of(request);
    require(!task.containers.is_empty(), || "Container list cannot be empty.".to_owned())?;
    require(task.containers.len() <= MAX_CONTAINERS, || "Too many containers.".to_owned())?;
    size("cpu", &request.cpu, task.cpu, &TASK_CPU)?;
    size("memory", &request.memory, task.memory, &TASK_MEMORY)?;
    role(request.execution_role_arn.as_deref().unwrap_or_default())?;
    require(!task.is_windows() || request.pid_mode.is_none() && request.ipc_mode.is_none(), || {
        "Windows containers do not support pidMode and ipcMode.".to_owned()
    })?;
    isolation(request)?;
    volumes(&task)?;
    containers(&task)?;
    sums(&task)?;
    ports::check(&task)?;
    mode::check(&task)?;
    order::check(&task)?;
    compatibility::check(&task)?;
    let constraints = request.placement_constraints.clone().unwrap_or_default().stored();
    Constraints::compile(&constraints, &[]).map(drop)
}

/// Task-level CPU or memory: `read` of what is given must be there, and in the range.
fn size(
    what: &str,
    given: &Option<String>,
    read: Option<i64>,
    range: &std::ops::RangeInclusive<i64>,
) -> Outcome {
    let given = given.as_deref().is_some_and(|text| !text.is_empty());
    let fits = read.is_some_and(|number| range.contains(&number));
    require(!given || fits, || format!("Invalid '{what}' setting for task."))
}

/// What would attest that a task is confidential is not built: none is said to be.
fn isolation(request: &ecs::RegisterTaskDefinitionRequest) -> Outcome {
    let mode = request.trusted_execution_configuration.as_ref().map(|asked| asked.isolation_mode);
    if mode == Some(ecs::IsolationMode::ConfidentialSandbox) {
        return Err(errors::unsupported_feature(
            "trustedExecutionConfiguration.isolationMode CONFIDENTIAL_SANDBOX is not supported: attestation is not built. \
             See docs/support.md.",
        ));
    }
    Ok(())
}

/// A name alone is taken as it is.
fn role(given: &str) -> Outcome {
    let is_role = || given.split(':').nth(2) == Some("iam") && given.contains(":role/");
    require(!given.starts_with("arn:") || is_role(), || "Role is not valid".to_owned())
}

fn volumes(task: &Task<'_>) -> Outcome {
    let mut names = BTreeSet::new();
    for volume in task.volumes() {
        let given = volume.name.as_deref().unwrap_or_default();
        name("Volume.name", given)?;
        require(names.insert(given), || format!("Volume names must be unique. Duplicate name: '{given}'."))?;
        let source = volume.host.as_ref().and_then(|host| host.source_path.as_deref()).unwrap_or("/");
        require(source.is_empty() || is_path(source, task), || {
            format!("Invalid setting for volume '{given}'. 'host.sourcePath' must be an absolute path.")
        })?;
    }
    Ok(())
}

fn containers(task: &Task<'_>) -> Outcome {
    let mut seen = BTreeSet::new();
    for one in task.containers {
        container::check(one, task)?;
        require(seen.insert(one.name.as_deref()), || {
            "Container names must be unique within a task definition".to_owned()
        })?;
    }
    let essential = task.containers.iter().any(|container| container.essential != Some(false));
    require(essential, || "Task definition doesn't have any essential container".to_owned())
}

/// Containers together must fit into the task.
fn sums(task: &Task<'_>) -> Outcome {
    let total: i64 = task.containers.iter().map(|c| i64::from(c.cpu.unwrap_or(0))).sum();
    require(task.cpu.is_none_or(|cpu| total <= cpu), || {
        "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.".to_owned()
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

/// Absolute, without `..`; below a drive where containers are Windows'.
fn is_path(path: &str, task: &Task<'_>) -> bool {
    let below_drive = || {
        let rest =
            path.strip_prefix(|c: char| c.is_ascii_alphabetic()).and_then(|rest| rest.strip_prefix(':'));
        rest.is_some_and(|rest| rest.starts_with(['\\', '/']))
    };
    let absolute = path.starts_with('/') || task.is_windows() && below_drive();
    absolute && path.len() <= 4096 && path.split(['/', '\\']).all(|part| part != "..")
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
