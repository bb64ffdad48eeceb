//! Parts of services.

use ecs_model as ecs;
use serde_json::Value;

use super::{Shown, Stored, convert, convert_enum};
use crate::rows::*;

convert! { DeploymentConfiguration:
    given deployment_circuit_breaker, maximum_percent, minimum_healthy_percent, alarms, strategy, bake_time_in_minutes, lifecycle_hooks, linear_configuration, canary_configuration, early_success_criteria;
}

convert! { DeploymentEarlySuccessCriteria:
    given enable, healthy_percent, source_service_revision_cleanup;
}

convert_enum! { ServiceRevisionCleanup: Blocking, Deferred }

convert! { DeploymentLifecycleHook:
    given target_type, lifecycle_stages, timeout_configuration, hook_target_arn, role_arn, hook_details;
}

impl Stored for Value {
    type Row = JsonText;

    fn stored(self) -> JsonText {
        JsonText(self.to_string())
    }
}

impl Shown for JsonText {
    type Api = Value;

    fn shown(&self) -> Value {
        // It was JSON when it was stored.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

convert! { DeploymentLifecycleHookTimeoutConfiguration:
    given timeout_in_minutes, action;
}

convert! { LinearConfiguration:
    given step_percent, step_bake_time_in_minutes;
}

convert! { CanaryConfiguration:
    given canary_percent, canary_bake_time_in_minutes;
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

convert_enum! { ServiceDeploymentStatus: Pending, Successful, Stopped, StopRequested, InProgress, RollbackRequested, RollbackInProgress, RollbackSuccessful, RollbackFailed }

impl Shown for Stage {
    type Api = ecs::ServiceDeploymentLifecycleStage;

    /// What is shown has no name of its own for the stage before a shift.
    fn shown(&self) -> Self::Api {
        use ecs::ServiceDeploymentLifecycleStage as Shown;
        match self {
            Stage::ReconcileService => Shown::ReconcileService,
            Stage::PreScaleUp => Shown::PreScaleUp,
            Stage::ScaleUp => Shown::ScaleUp,
            Stage::PostScaleUp => Shown::PostScaleUp,
            Stage::TestTrafficShift => Shown::TestTrafficShift,
            Stage::PostTestTrafficShift => Shown::PostTestTrafficShift,
            Stage::PreProductionTrafficShift | Stage::ProductionTrafficShift => Shown::ProductionTrafficShift,
            Stage::PostProductionTrafficShift => Shown::PostProductionTrafficShift,
            Stage::BakeTime => Shown::BakeTime,
            Stage::CleanUp => Shown::CleanUp,
        }
    }
}

convert_enum! { ServiceDeploymentRollbackMonitorsStatus: Triggered, Monitoring, MonitoringComplete, Disabled }

impl Shown for DeploymentControllerType {
    type Api = ecs::DeploymentControllerType;

    fn shown(&self) -> Self::Api {
        match self {
            DeploymentControllerType::Ecs => ecs::DeploymentControllerType::Ecs,
            DeploymentControllerType::External => ecs::DeploymentControllerType::External,
        }
    }
}

convert_enum! { DeploymentLifecycleHookTargetType: AwsLambda, Pause }

convert_enum! { DeploymentLifecycleHookStage: ReconcileService, PreScaleUp, PostScaleUp, TestTrafficShift, PostTestTrafficShift, PreProductionTrafficShift, ProductionTrafficShift, PostProductionTrafficShift }

convert_enum! { DeploymentLifecycleHookAction: Rollback, Continue }

convert_enum! { DeploymentLifecycleHookStatus: AwaitingAction, InProgress, Succeeded, Failed, TimedOut }

convert_enum! { DeploymentRolloutState: Completed, Failed, InProgress }

convert_enum! { PlacementConstraintType: DistinctInstance, MemberOf }

convert_enum! { PlacementStrategyType: Random, Spread, Binpack }

convert_enum! { PropagateTags: TaskDefinition, Service, None }

convert_enum! { AvailabilityZoneRebalancing: Enabled, Disabled }
