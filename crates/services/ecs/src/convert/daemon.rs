//! Daemons. Their task definitions are task definitions of fewer members: here they become one, and are shown as what
//! they were.

use ecs_model as ecs;

use super::{Shown, Stored, convert_enum};
use crate::rows::*;

convert_enum! { DaemonTaskDefinitionStatus: Active, DeleteInProgress, Deleted }

convert_enum! { DaemonPropagateTags: Daemon, None }

convert_enum! { DaemonDeploymentStatus: Pending, Successful, Stopped, StopRequested, InProgress, RollbackInProgress, RollbackSuccessful, RollbackFailed }

convert_enum! { DaemonPidMode: None, Shared }

convert_enum! { DaemonIpcMode: None, Shared }

impl Shown for DaemonStatus {
    type Api = Option<ecs::DaemonStatus>;

    /// Of one that is deleted nothing is shown.
    fn shown(&self) -> Option<ecs::DaemonStatus> {
        match self {
            DaemonStatus::Active => Some(ecs::DaemonStatus::Active),
            DaemonStatus::DeleteInProgress => Some(ecs::DaemonStatus::DeleteInProgress),
            DaemonStatus::Deleted => None,
        }
    }
}

impl Shown for BreakerRow {
    type Api = ecs::DaemonCircuitBreaker;

    /// As of a daemon's deployment.
    fn shown(&self) -> ecs::DaemonCircuitBreaker {
        use ServiceDeploymentRollbackMonitorsStatus::{Disabled, Monitoring, MonitoringComplete, Triggered};
        let status = match self.status {
            Triggered => ecs::DaemonDeploymentRollbackMonitorsStatus::Triggered,
            Monitoring => ecs::DaemonDeploymentRollbackMonitorsStatus::Monitoring,
            MonitoringComplete => ecs::DaemonDeploymentRollbackMonitorsStatus::MonitoringComplete,
            Disabled => ecs::DaemonDeploymentRollbackMonitorsStatus::Disabled,
        };
        ecs::DaemonCircuitBreaker {
            failure_count: Some(self.failures),
            status: Some(status),
            threshold: Some(self.threshold),
        }
    }
}

impl Shown for DaemonDeploymentConfiguration {
    type Api = ecs::DaemonDeploymentConfiguration;

    fn shown(&self) -> ecs::DaemonDeploymentConfiguration {
        ecs::DaemonDeploymentConfiguration {
            drain_percent: Some(self.drain_percent),
            bake_time_in_minutes: Some(self.bake_time_in_minutes),
            alarms: None,
        }
    }
}

/// The registration of a task definition that has the members of a daemon's. What reads the logs of others has no place in
/// it, and has to be refused before.
///
/// All daemons of a host share its network, so that other tasks find them at an address of the host.
pub fn of_task(request: ecs::RegisterDaemonTaskDefinitionRequest) -> ecs::RegisterTaskDefinitionRequest {
    let ecs::RegisterDaemonTaskDefinitionRequest {
        family,
        task_role_arn,
        execution_role_arn,
        container_definitions,
        cpu,
        memory,
        volumes,
        tags,
        pid_mode,
        ipc_mode,
    } = request;
    let volume = |volume: ecs::DaemonVolume| {
        let ecs::DaemonVolume { name, host, log_driver_volume_configuration: _ } = volume;
        ecs::Volume { name, host, ..Default::default() }
    };
    ecs::RegisterTaskDefinitionRequest {
        family,
        task_role_arn,
        execution_role_arn,
        network_mode: Some(ecs::NetworkMode::Host),
        container_definitions: container_definitions.into_iter().map(container).collect(),
        volumes: volumes.map(|all| all.into_iter().map(volume).collect()),
        cpu,
        memory,
        tags,
        pid_mode: (pid_mode == Some(ecs::DaemonPidMode::Shared)).then_some(ecs::PidMode::Host),
        ipc_mode: (ipc_mode == Some(ecs::DaemonIpcMode::Shared)).then_some(ecs::IpcMode::Host),
        ..Default::default()
    }
}

/// The members of a container that both have, each by its own name.
macro_rules! containers {
    ($($member:ident),+) => {
        fn container(given: ecs::DaemonContainerDefinition) -> ecs::ContainerDefinition {
            let ecs::DaemonContainerDefinition { image, linux_parameters, $($member,)+ } = given;
            ecs::ContainerDefinition {
                image: Some(image),
                linux_parameters: linux_parameters.map(linux),
                $($member,)+
                ..Default::default()
            }
        }

        fn of_daemon(shown: ecs::ContainerDefinition) -> ecs::DaemonContainerDefinition {
            let ecs::ContainerDefinition { image, linux_parameters, $($member,)+ .. } = shown;
            ecs::DaemonContainerDefinition {
                image: image.unwrap_or_default(),
                linux_parameters: linux_parameters.map(linux_of_daemon),
                $($member,)+
            }
        }
    };
}

containers!(
    name,
    memory,
    memory_reservation,
    repository_credentials,
    health_check,
    cpu,
    essential,
    entry_point,
    command,
    working_directory,
    environment_files,
    environment,
    secrets,
    readonly_root_filesystem,
    mount_points,
    log_configuration,
    firelens_configuration,
    privileged,
    user,
    ulimits,
    depends_on,
    start_timeout,
    stop_timeout,
    system_controls,
    interactive,
    pseudo_terminal,
    restart_policy
);

fn linux(given: ecs::DaemonLinuxParameters) -> ecs::LinuxParameters {
    let ecs::DaemonLinuxParameters { capabilities, devices, init_process_enabled, tmpfs } = given;
    ecs::LinuxParameters { capabilities, devices, init_process_enabled, tmpfs, ..Default::default() }
}

fn linux_of_daemon(shown: ecs::LinuxParameters) -> ecs::DaemonLinuxParameters {
    let ecs::LinuxParameters { capabilities, devices, init_process_enabled, tmpfs, .. } = shown;
    ecs::DaemonLinuxParameters { capabilities, devices, init_process_enabled, tmpfs }
}

impl Shown for DaemonDefinitionRow {
    type Api = ecs::DaemonTaskDefinition;

    fn shown(&self) -> ecs::DaemonTaskDefinition {
        let definition = self.made_of.registered.shown();
        let containers = definition.container_definitions.unwrap_or_default().into_iter();
        let volume = |volume: ecs::Volume| ecs::DaemonVolume {
            name: volume.name,
            host: volume.host,
            log_driver_volume_configuration: None,
        };
        ecs::DaemonTaskDefinition {
            daemon_task_definition_arn: definition.task_definition_arn,
            family: definition.family,
            revision: definition.revision,
            task_role_arn: definition.task_role_arn,
            execution_role_arn: definition.execution_role_arn,
            container_definitions: Some(containers.map(of_daemon).collect()),
            volumes: definition.volumes.map(|all| all.into_iter().map(volume).collect()),
            cpu: definition.cpu,
            memory: definition.memory,
            status: Some(self.status.shown()),
            registered_at: definition.registered_at,
            delete_requested_at: definition.delete_requested_at,
            registered_by: definition.registered_by,
            pid_mode: self.pid_mode.shown(),
            ipc_mode: self.ipc_mode.shown(),
        }
    }
}
