//! `requiresAttributes`: what a container instance must be able to do for a task definition, by the names that agents
//! register. Derived from what ECS answers for definitions of every kind; where it is not known to ask for anything, nothing is
//! asked for.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-capabilities.html>

use std::collections::BTreeSet;

use super::{image::is_ecr, units, validate::no_new_privileges};
use crate::rows::{ContainerDefinition, IpcMode, LogDriver, NetworkMode, TaskDefinition};

/// The attribute of a host whose Docker API has version 1.N, without the N.
const DOCKER_API: &str = "com.amazonaws.ecs.capability.docker-remote-api.1.";

/// The oldest of them that agents register.
const OLDEST_DOCKER_API: u32 = 17;

/// What a definition may ask for.
enum Asks {
    /// The attribute of this name.
    Name(&'static str),
    /// Version 1.N of Docker's API.
    Docker(u32),
}

use Asks::{Docker, Name};

/// What is asked for, and what asks for it.
type Row<T> = (Asks, fn(&T) -> bool);

/// What a container asks for, by what it has.
const OF_CONTAINER: &[Row<ContainerDefinition>] = &[
    (Docker(17), |c| c.user.as_ref().is_some_and(|user| !user.is_empty())),
    (Docker(17), |c| c.linux_parameters.as_ref().is_some_and(|linux| linux.capabilities.is_some())),
    (Docker(17), |c| c.readonly_root_filesystem == Some(true)),
    (Docker(18), |c| some(&c.ulimits)),
    (Docker(18), |c| c.docker_labels.as_ref().is_some_and(|labels| !labels.is_empty())),
    (Docker(18), |c| logs(c, |driver| driver != LogDriver::Awslogs)),
    (Docker(19), |c| logs(c, |driver| driver == LogDriver::Awslogs)),
    (Docker(21), |c| c.memory_reservation.is_some()),
    (Docker(22), |c| {
        c.linux_parameters
            .as_ref()
            .is_some_and(|linux| linux.shared_memory_size.is_some() || some(&linux.tmpfs))
    }),
    (Docker(23), |c| c.docker_security_options.iter().flatten().any(|o| no_new_privileges(o).is_some())),
    (Docker(24), |c| c.health_check.is_some()),
    (Docker(24), |c| !c.system_controls.is_empty()),
    (Docker(25), |c| {
        c.linux_parameters.as_ref().is_some_and(|linux| linux.init_process_enabled == Some(true))
    }),
    (Docker(28), |c| log_option(c, &["mode", "max-buffer-size"])),
    (Docker(29), |c| {
        log_option(c, &["awslogs-create-group", "awslogs-datetime-format", "awslogs-multiline-pattern"])
    }),
    (Name("com.amazonaws.ecs.capability.privileged-container"), |c| c.privileged == Some(true)),
    (Name("com.amazonaws.ecs.capability.selinux"), |c| security(c, "label:")),
    (Name("com.amazonaws.ecs.capability.apparmor"), |c| security(c, "apparmor:")),
    (Name("com.amazonaws.ecs.capability.ecr-auth"), |c| is_ecr(&c.image)),
    (Name("ecs.capability.container-health-check"), |c| c.health_check.is_some()),
    (Name("ecs.capability.container-ordering"), |c| {
        some(&c.depends_on) || c.start_timeout.is_some() || c.stop_timeout.is_some()
    }),
    (Name("ecs.capability.container-restart-policy"), |c| {
        c.restart_policy.as_ref().is_some_and(|policy| policy.enabled)
    }),
    (Name("ecs.capability.network.container-port-range"), |c| {
        c.port_mappings.iter().any(|mapping| mapping.container_port_range.is_some())
    }),
];

/// What the task as a whole asks for. Its size asks for nothing, but for more CPU than agents once could give.
const OF_TASK: &[Row<TaskDefinition>] = &[
    (Name("ecs.capability.task-eni"), |t| t.network_mode == Some(NetworkMode::Awsvpc)),
    (Docker(18), |t| matches!(t.network_mode, Some(NetworkMode::Awsvpc | NetworkMode::Host))),
    (Name("ecs.capability.increased-task-cpu-limit"), |t| {
        t.cpu.as_deref().and_then(units::cpu_units).is_some_and(|units| units > 10 * 1024)
    }),
    (Name("ecs.capability.pid-ipc-namespace-sharing"), |t| t.pid_mode.is_some() || t.ipc_mode.is_some()),
    (Docker(32), |t| t.ipc_mode == Some(IpcMode::None)),
    (Name("ecs.capability.execution-role-awslogs"), |t| {
        let mut all = t.container_definitions.iter();
        t.execution_role_arn.is_some() && all.any(|c| logs(c, |driver| driver == LogDriver::Awslogs))
    }),
    (Name("ecs.capability.execution-role-ecr-pull"), |t| {
        let mut all = t.container_definitions.iter();
        t.execution_role_arn.is_some() && all.any(|c| is_ecr(&c.image))
    }),
];

/// All that a definition asks for, sorted.
pub(super) fn attributes(definition: &TaskDefinition) -> BTreeSet<String> {
    let task = OF_TASK.iter().filter(|(_, has)| has(definition)).map(|(asks, _)| asks);
    let containers = definition.container_definitions.iter().flat_map(of_container);
    let name = |asks: &Asks| match asks {
        Name(name) => (*name).to_owned(),
        Docker(minor) => format!("{DOCKER_API}{minor}"),
    };
    let drivers = definition.container_definitions.iter().filter_map(|c| c.log_configuration.as_ref());
    let drivers =
        drivers.map(|log| format!("com.amazonaws.ecs.capability.logging-driver.{}", log.log_driver));
    task.chain(containers).map(name).chain(drivers).collect()
}

/// The version of Docker's API that has all that the container is made with.
pub(super) fn docker_api(container: &ContainerDefinition) -> String {
    let minors = of_container(container).map(|asks| match asks {
        Docker(minor) => *minor,
        Name(_) => OLDEST_DOCKER_API,
    });
    format!("1.{}", minors.max().unwrap_or(OLDEST_DOCKER_API))
}

fn of_container(container: &ContainerDefinition) -> impl Iterator<Item = &'static Asks> {
    OF_CONTAINER.iter().filter(|(_, has)| has(container)).map(|(asks, _)| asks)
}

fn some<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

fn logs(container: &ContainerDefinition, by: fn(LogDriver) -> bool) -> bool {
    container.log_configuration.as_ref().is_some_and(|log| by(log.log_driver))
}

fn log_option(container: &ContainerDefinition, names: &[&str]) -> bool {
    let options = container.log_configuration.as_ref().and_then(|log| log.options.as_ref());
    options.is_some_and(|options| names.iter().any(|name| options.contains_key(*name)))
}

fn security(container: &ContainerDefinition, start: &str) -> bool {
    container.docker_security_options.iter().flatten().any(|option| option.starts_with(start))
}

#[cfg(test)]
mod tests;
