//! Parts of services.

use ecs_model as ecs;

use super::{Shown, Stored, convert, convert_enum};
use crate::rows::*;

convert! { DeploymentConfiguration:
    given deployment_circuit_breaker, maximum_percent, minimum_healthy_percent, alarms, strategy, bake_time_in_minutes;
    never lifecycle_hooks, linear_configuration, canary_configuration, early_success_criteria;
}

convert! { DeploymentCircuitBreaker:
    given enable, rollback, reset_on_healthy_task, threshold_configuration;
}

convert! { ThresholdConfiguration:
    given r#type, value;
}

convert! { DeploymentAlarms:
    given alarm_names, rollback, enable;
}

convert! { PlacementConstraint:
    given r#type, expression;
}

convert! { PlacementStrategy:
    given r#type, field;
}

convert_enum! { ThresholdType: Count, BoundedPercent, UnboundedPercent }

convert_enum! { DeploymentStrategy: Rolling, BlueGreen, Linear, Canary }

convert! { ContainerImage:
    always container_name, image;
    never image_digest;
}

convert_enum! { ServiceDeploymentStatus: Pending, Successful, Stopped, StopRequested, InProgress, RollbackRequested, RollbackInProgress, RollbackSuccessful, RollbackFailed }

convert_enum! { ServiceDeploymentRollbackMonitorsStatus: Triggered, Monitoring, MonitoringComplete, Disabled }

convert_enum! { DeploymentRolloutState: Completed, Failed, InProgress }

convert_enum! { PlacementConstraintType: DistinctInstance, MemberOf }

convert_enum! { PlacementStrategyType: Random, Spread, Binpack }

convert_enum! { PropagateTags: TaskDefinition, Service, None }

convert_enum! { AvailabilityZoneRebalancing: Enabled, Disabled }
