//! Parts of several rows.

use ecs_model as ecs;

use super::{Shown, Stored, convert, convert_enum};
use crate::rows::*;

convert! { Tag:
    always key;
    given value;
}

convert! { Attribute:
    given name, value;
    never target_type, target_id;
}

convert! { VersionInfo:
    given agent_version, agent_hash, docker_version;
}

convert! { ClusterSetting:
    given name, value;
}

convert! { ClusterConfiguration:
    never execute_command_configuration, managed_storage_configuration;
}

convert! { CapacityProviderStrategyItem:
    given capacity_provider, weight, base;
}

convert! { ClusterServiceConnectDefaults:
    given namespace;
}

convert_enum! { ClusterSettingName: ContainerInsights }

convert_enum! { SettingName: ServiceLongArnFormat, TaskLongArnFormat, ContainerInstanceLongArnFormat, AwsvpcTrunking, ContainerInsights, FargateFIPSMode, TagResourceAuthorization, FargateTaskRetirementWaitPeriod, GuardDutyActivate, DefaultLogDriverMode, FargateEventWindows }
