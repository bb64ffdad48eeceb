//! Parts of tasks.

use ecs_model as ecs;

use super::{Shown, Stored, convert, convert_enum};
use crate::rows::*;

convert! { TaskOverride:
    given container_overrides, cpu, execution_role_arn, memory, ephemeral_storage;
    never inference_accelerator_overrides, task_role_arn;
}

convert! { ContainerOverride:
    always name;
    given command, environment, cpu, memory, memory_reservation;
    never environment_files, resource_requirements;
}

convert! { NetworkBinding:
    given bind_ip, container_port, host_port, protocol, container_port_range, host_port_range;
}

convert_enum! { LaunchType: Ec2, Fargate, External, ManagedInstances }

convert_enum! { HealthStatus: Healthy, Unhealthy, Unknown }

convert_enum! { TaskStopCode: TaskFailedToStart, EssentialContainerExited, UserInitiated, ServiceSchedulerInitiated, SpotInterruption, TerminationNotice, InfrastructureHealth }
