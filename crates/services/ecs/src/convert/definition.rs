//! Task definitions.

use ecs_model as ecs;

use super::{Shown, Stored, convert, convert_enum};
use crate::rows::*;

convert! { TaskDefinition:
    always task_definition_arn, container_definitions, family, revision, volumes, status, requires_attributes, placement_constraints, compatibilities;
    given execution_role_arn, network_mode, runtime_platform, requires_compatibilities, cpu, memory, pid_mode, ipc_mode, ephemeral_storage, trusted_execution_configuration, registered_at, deregistered_at, delete_requested_at, registered_by, enable_fault_injection;
    never task_role_arn, inference_accelerators, proxy_configuration;
}

convert! { Volume:
    always name, host;
    given configured_at_launch;
    never docker_volume_configuration, efs_volume_configuration, s3files_volume_configuration, fsx_windows_file_server_volume_configuration;
}

convert! { HostVolumeProperties:
    given source_path;
}

convert! { TaskDefinitionPlacementConstraint:
    given r#type, expression;
}

convert! { RuntimePlatform:
    given cpu_architecture, operating_system_family;
}

convert! { EphemeralStorage:
    given size_in_gib;
}

convert! { TrustedExecutionConfiguration:
    given isolation_mode;
    never attestation_policy;
}

convert_enum! { IsolationMode: Shared, IsolatedSandbox, ConfidentialSandbox }

convert_enum! { PidMode: Host, Task }

convert_enum! { IpcMode: Host, Task, None }

convert_enum! { NetworkMode: Bridge, Host, Awsvpc, None }

convert_enum! { TaskDefinitionStatus: Active, Inactive, DeleteInProgress }

convert_enum! { Compatibility: Ec2, Fargate, External, ManagedInstances }

convert_enum! { CPUArchitecture: X8664, Arm64 }

convert_enum! { OSFamily: WindowsServer2019Full, WindowsServer2019Core, WindowsServer2016Full, WindowsServer2004Core, WindowsServer2022Core, WindowsServer2022Full, WindowsServer2025Core, WindowsServer2025Full, WindowsServer20h2Core, Linux }

convert_enum! { TaskDefinitionPlacementConstraintType: MemberOf }
