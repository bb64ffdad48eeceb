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
    given execute_command_configuration;
    never managed_storage_configuration;
}

convert! { ExecuteCommandConfiguration:
    given kms_key_id, logging, log_configuration;
}

convert! { ExecuteCommandLogConfiguration:
    given cloud_watch_log_group_name, cloud_watch_encryption_enabled, s3_bucket_name, s3_encryption_enabled, s3_key_prefix;
}

convert! { CapacityProviderStrategyItem:
    given capacity_provider, weight, base;
}

convert! { ClusterServiceConnectDefaults:
    given namespace;
}

convert_enum! { ClusterSettingName: ContainerInsights }

convert_enum! { ExecuteCommandLogging: None, Default, Override }

convert_enum! { SettingName: ServiceLongArnFormat, TaskLongArnFormat, ContainerInstanceLongArnFormat, AwsvpcTrunking, ContainerInsights, FargateFIPSMode, TagResourceAuthorization, FargateTaskRetirementWaitPeriod, GuardDutyActivate, DefaultLogDriverMode, FargateEventWindows }
