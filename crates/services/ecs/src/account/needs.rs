//! What a task of a definition takes from its host, and whether overrides fit the definition.

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{
    TaskDefinitionRow, members, units,
    validate::{TASK_CPU, TASK_MEMORY, gpus, is_fargate_size},
};
use crate::{
    placement::Needs,
    rows::{
        Attribute, CPUArchitecture, ContainerDefinition, ContainerOverride, NetworkMode, OSFamily,
        ResourceType, Resources, TaskOverride, TransportProtocol,
    },
};

/// The longest JSON form of overrides, in bytes.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
const MAX_OVERRIDES: usize = 8192;

impl TaskDefinitionRow {
    /// What a task needs: the task's own CPU and memory where given, else the sums of its containers'.
    pub fn needs(&self, overrides: &TaskOverride) -> Needs {
        let mut resources = Resources::default();
        let mut gpus = 0;
        for container in self.containers() {
            gpus += usize::from(container.gpus());
            let over = override_of(overrides, container);
            // Nought is none, as at registration.
            let number = |over: Option<i32>, given: Option<i32>| {
                over.or(given).map(i64::from).filter(|number| *number > 0)
            };
            let cpu = number(over.and_then(|over| over.cpu), Some(container.cpu));
            let hard = number(over.and_then(|over| over.memory), container.memory);
            let soft = number(over.and_then(|over| over.memory_reservation), container.memory_reservation);
            resources.cpu += cpu.unwrap_or(0);
            resources.memory += soft.or(hard).unwrap_or(0);
            // In `awsvpc` the ports are on the task's own address.
            let on_host = self.registered.network_mode != Some(NetworkMode::Awsvpc);
            for mapping in container.port_mappings.iter().filter(|_| on_host) {
                let port =
                    mapping.host_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
                match mapping.protocol {
                    TransportProtocol::Udp => resources.ports_udp.extend(port),
                    TransportProtocol::Tcp => resources.ports_tcp.extend(port),
                }
            }
        }
        let (cpu, memory) = self.size(overrides);
        resources.cpu = cpu.unwrap_or(resources.cpu);
        resources.memory = memory.unwrap_or(resources.memory);
        Needs { resources, gpus, attributes: self.needed_attributes() }
    }

    /// The task's own CPU units and MiB, where given.
    pub(super) fn size(&self, overrides: &TaskOverride) -> (Option<i64>, Option<i64>) {
        let cpu = overrides.cpu.as_deref().or(self.registered.cpu.as_deref());
        let memory = overrides.memory.as_deref().or(self.registered.memory.as_deref());
        (cpu.and_then(units::cpu_units), memory.and_then(units::memory_mib))
    }

    /// Whether a task with these overrides is of a size that Fargate has.
    pub(crate) fn is_of_fargate_size(&self, overrides: &TaskOverride) -> bool {
        let platform = self.registered.runtime_platform.as_ref();
        let family = platform.and_then(|platform| platform.operating_system_family);
        let is_windows = family.is_some_and(|family| family != OSFamily::Linux);
        let (cpu, memory) = self.size(overrides);
        cpu.zip(memory).is_some_and(|(cpu, memory)| is_fargate_size(cpu, memory, is_windows))
    }

    fn needed_attributes(&self) -> Vec<Attribute> {
        let required = self.registered.requires_attributes.iter();
        // The execution role has no effect, so no host has to be able to take it on.
        let required = required.filter(|a| !a.name.starts_with("ecs.capability.execution-role-"));
        let mut attributes: Vec<Attribute> = required.cloned().collect();
        let mut need = |name: &str, value: &str| {
            let (name, value) = (name.to_owned(), Some(value.to_owned()));
            attributes.push(Attribute { name, value });
        };
        let platform = self.registered.runtime_platform.clone().unwrap_or_default();
        match platform.cpu_architecture {
            Some(CPUArchitecture::X8664) => need("ecs.cpu-architecture", "x86_64"),
            Some(CPUArchitecture::Arm64) => need("ecs.cpu-architecture", "arm64"),
            None => {}
        }
        match platform.operating_system_family {
            // What agents have always said of Linux.
            Some(OSFamily::Linux) => need("ecs.os-type", "linux"),
            Some(windows) => need("ecs.os-family", windows.as_str()),
            None => {}
        }
        attributes
    }

    /// Checks the overrides of a RunTask or StartTask.
    ///
    /// # Errors
    /// `InvalidParameterException` for what is wrong, `UnsupportedFeatureException` for what is not built.
    pub fn check_overrides(&self, overrides: &ecs::TaskOverride) -> Result<(), Error> {
        let json = serde_json::to_vec(overrides).expect("requests have string keys and finite numbers only");
        if json.len() > MAX_OVERRIDES {
            return Err(invalid(format!("Overrides length must be at most {MAX_OVERRIDES}.")));
        }
        members::check_overrides(overrides)?;
        let mut seen = std::collections::BTreeSet::new();
        for over in overrides.container_overrides.iter().flatten() {
            let name = over.name.as_deref().unwrap_or_default();
            if name.is_empty() {
                return Err(invalid("Container override name must be specified.".to_owned()));
            }
            let Some(container) = self.containers().iter().find(|c| c.name == name) else {
                return Err(invalid(format!(
                    "Override for container named {name} is not a container in the TaskDefinition."
                )));
            };
            if !seen.insert(name) {
                return Err(invalid(format!("Duplicate override for container named {name}.")));
            }
            check_container(over, container)?;
        }
        type Range = std::ops::RangeInclusive<i64>;
        let bad = |text: &Option<String>, read: fn(&str) -> Option<i64>, range: Range| {
            text.as_deref().is_some_and(|text| read(text).is_none_or(|number| !range.contains(&number)))
        };
        if bad(&overrides.cpu, units::cpu_units, TASK_CPU) {
            return Err(invalid("Invalid 'cpu' setting for task.".to_owned()));
        }
        if bad(&overrides.memory, units::memory_mib, TASK_MEMORY) {
            return Err(invalid("Invalid 'memory' setting for task.".to_owned()));
        }
        Ok(())
    }
}

impl ContainerDefinition {
    /// How many GPUs it has for itself.
    pub fn gpus(&self) -> u16 {
        let all = self.resource_requirements.iter().flatten();
        let counts = all.filter(|one| one.r#type == ResourceType::Gpu).filter_map(|one| one.value.as_deref());
        counts.filter_map(gpus).sum()
    }
}

/// The override of one container.
pub(super) fn override_of<'a>(
    overrides: &'a TaskOverride,
    container: &ContainerDefinition,
) -> Option<&'a ContainerOverride> {
    overrides.container_overrides.iter().flatten().find(|over| over.name == container.name)
}

fn check_container(over: &ecs::ContainerOverride, container: &ContainerDefinition) -> Result<(), Error> {
    let name = container.name.as_str();
    let numbers =
        [("cpu", over.cpu, 0), ("memory", over.memory, 4), ("memoryReservation", over.memory_reservation, 4)];
    for (member, number, least) in numbers {
        if number.is_some_and(|number| number < least) {
            return Err(invalid(format!(
                "Invalid setting for container '{name}'. '{member}' must be at least {least}."
            )));
        }
    }
    let hard = over.memory.or(container.memory);
    let soft = over.memory_reservation.or(container.memory_reservation);
    if hard.zip(soft).is_some_and(|(hard, soft)| soft > hard) {
        return Err(invalid(format!(
            "Invalid setting for container '{name}'. 'memoryReservation' must not be greater than 'memory'."
        )));
    }
    let unnamed = |pair: &ecs::KeyValuePair| pair.name.as_deref().is_none_or(str::is_empty);
    if over.environment.iter().flatten().any(unnamed) {
        return Err(invalid(format!("Environment variable name of container '{name}' must be specified.")));
    }
    Ok(())
}

fn invalid(text: String) -> Error {
    errors::invalid_parameter(text)
}
