//! What rows of services are made of.

use serde::{Deserialize, Serialize};
use wire::{Timestamp, string_enum};

use super::{
    CapacityProviderStrategyItem, DeploymentId, InstanceId, NetworkRow, PlatformRow, ServiceDeploymentRow,
    ServiceName, ServiceRevisionRow, TaskDefinitionId,
};

/// How a service spreads its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheduling {
    Replica,
    Daemon,
}

/// A service's status, as the API words it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceStatus {
    Active,
    Draining,
    Inactive,
}

/// A revision of a service that is wanted, or that still has tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentRow {
    pub id: DeploymentId,
    /// One is PRIMARY, the others are ACTIVE (being replaced).
    pub primary: bool,
    /// That of its revision: indexes, and starts, need no other row.
    pub task_definition: TaskDefinitionId,
    /// Likewise; none where there is a launch type instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    /// Likewise; none where its tasks are not of mode `awsvpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Box<NetworkRow>>,
    /// What its tasks on Fargate run on, never `LATEST`; none where they are not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Box<PlatformRow>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub rollout: DeploymentRolloutState,
    pub rollout_reason: String,
    /// Tasks of this deployment that failed before any of it ran well.
    pub failed_tasks: i32,
    /// Failures since the last task that stayed; the exponent of the back-off.
    pub consecutive_failures: u32,
    /// Start no task of this deployment before this time.
    pub not_before: Option<Timestamp>,
    /// Failures that its circuit breaker counts.
    #[serde(default)]
    pub failures: i32,
    /// When the last of these was.
    #[serde(default)]
    pub failed_at: Option<Timestamp>,
    /// A task of it has run well: `failed_tasks` is nought from then on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_run: bool,
}

/// Rows of their own that the row of a service held in an earlier version, or that follow from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Held {
    pub events: Vec<ServiceEventRow>,
    pub token: Option<ServiceTokenRow>,
    pub revisions: Vec<ServiceRevisionRow>,
    pub deployment: Option<ServiceDeploymentRow>,
}

/// What version 1 of the row of a service had besides.
#[derive(Debug, Deserialize)]
pub struct ServiceInVersion1 {
    client_token: Option<String>,
    /// SHA-256 of the request that made it, token and all; the first ones had none.
    #[serde(default)]
    request: String,
    /// Newest first.
    events: Vec<ServiceEventInVersion1>,
}

/// An event in it.
#[derive(Debug, Deserialize)]
struct ServiceEventInVersion1 {
    id: String,
    at: Timestamp,
    message: String,
}

impl ServiceInVersion1 {
    /// The rows that are made of it; the client token is good until `forget_at`.
    pub fn apart(self, service: &ServiceName, forget_at: Timestamp) -> Held {
        let request = Some(self.request).filter(|request| self.client_token.is_some() && !request.is_empty());
        let token = request.map(|request| ServiceTokenRow { service: service.clone(), request, forget_at });
        let event = |(number, event): (u64, ServiceEventInVersion1)| {
            let ServiceEventInVersion1 { id, at, message } = event;
            ServiceEventRow { service: service.clone(), number, id, at, message }
        };
        let events = (1..).zip(self.events.into_iter().rev()).map(event).collect();
        Held { events, token, ..Held::default() }
    }
}

/// How far a service is rebalanced: over zones, or onto fewer container instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RebalancingRow {
    /// How many tasks it has for that beyond those that it wants: as many stop elsewhere once all are healthy.
    pub extra: i32,
    /// Start none before this time: some of the last ones have ended, or nothing was to be gained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The container instance that is being emptied of its tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<InstanceId>,
}

/// How deployments go, as it was given: what holds stands beside it in the row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentConfiguration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_circuit_breaker: Option<DeploymentCircuitBreaker>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_percent: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_healthy_percent: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarms: Option<DeploymentAlarms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<DeploymentStrategy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bake_time_in_minutes: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle_hooks: Option<Vec<DeploymentLifecycleHook>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear_configuration: Option<LinearConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_configuration: Option<CanaryConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_success_criteria: Option<DeploymentEarlySuccessCriteria>,
}

/// That a deployment succeeds before all of its tasks are there, or those before it gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentEarlySuccessCriteria {
    pub enable: bool,
    /// Of the desired count, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_percent: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_service_revision_cleanup: Option<ServiceRevisionCleanup>,
}

string_enum! {
    ServiceRevisionCleanup {
        Blocking = "BLOCKING",
        Deferred = "DEFERRED",
    }
}

/// Where a deployment pauses, or calls a function.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentLifecycleHook {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_type: Option<DeploymentLifecycleHookTargetType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle_stages: Option<Vec<DeploymentLifecycleHookStage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_configuration: Option<DeploymentLifecycleHookTimeoutConfiguration>,
    /// The function's ARN; none of one that pauses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_target_arn: Option<String>,
    /// As whom it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// What it is given with each call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_details: Option<JsonText>,
}

/// JSON as it came: what is in it is nothing to us.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonText(pub String);

/// For how long it pauses at the most, and what comes then.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentLifecycleHookTimeoutConfiguration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_in_minutes: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<DeploymentLifecycleHookAction>,
}

/// The steps of a LINEAR deployment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinearConfiguration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_bake_time_in_minutes: Option<i32>,
}

/// The first step of a CANARY deployment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CanaryConfiguration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_bake_time_in_minutes: Option<i32>,
}

/// When a deployment is given up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentCircuitBreaker {
    pub enable: bool,
    pub rollback: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_on_healthy_task: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_configuration: Option<ThresholdConfiguration>,
}

/// How many failures give a deployment up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ThresholdConfiguration {
    pub r#type: ThresholdType,
    pub value: i32,
}

/// What gives a deployment up. Not built: alarms that are off, where these were given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentAlarms {
    pub alarm_names: Vec<String>,
    pub rollback: bool,
    pub enable: bool,
}

/// Where tasks may be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PlacementConstraint {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<PlacementConstraintType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

/// Which place comes first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PlacementStrategy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<PlacementStrategyType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// An event of a service, as DescribeServices lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceEventRow {
    pub service: ServiceName,
    /// Counts up by one with each event of the service.
    pub number: u64,
    pub id: String,
    pub at: Timestamp,
    pub message: String,
}

/// That a CreateService with a client token made a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceTokenRow {
    pub service: ServiceName,
    /// SHA-256 of the request, token and all.
    pub request: String,
    pub forget_at: Timestamp,
}

string_enum! {
    ThresholdType {
        Count = "COUNT",
        BoundedPercent = "BOUNDED_PERCENT",
        UnboundedPercent = "UNBOUNDED_PERCENT",
    }
}

string_enum! {
    DeploymentControllerType {
        Ecs = "ECS",
        External = "EXTERNAL",
    }
}

string_enum! {
    DeploymentStrategy {
        Rolling = "ROLLING",
        BlueGreen = "BLUE_GREEN",
        Linear = "LINEAR",
        Canary = "CANARY",
    }
}

string_enum! {
    DeploymentLifecycleHookTargetType {
        AwsLambda = "AWS_LAMBDA",
        Pause = "PAUSE",
    }
}

string_enum! {
    DeploymentLifecycleHookStage {
        ReconcileService = "RECONCILE_SERVICE",
        PreScaleUp = "PRE_SCALE_UP",
        PostScaleUp = "POST_SCALE_UP",
        TestTrafficShift = "TEST_TRAFFIC_SHIFT",
        PostTestTrafficShift = "POST_TEST_TRAFFIC_SHIFT",
        PreProductionTrafficShift = "PRE_PRODUCTION_TRAFFIC_SHIFT",
        ProductionTrafficShift = "PRODUCTION_TRAFFIC_SHIFT",
        PostProductionTrafficShift = "POST_PRODUCTION_TRAFFIC_SHIFT",
    }
}

string_enum! {
    DeploymentLifecycleHookAction {
        Rollback = "ROLLBACK",
        Continue = "CONTINUE",
    }
}

string_enum! {
    DeploymentRolloutState {
        Completed = "COMPLETED",
        Failed = "FAILED",
        InProgress = "IN_PROGRESS",
    }
}

string_enum! {
    PlacementConstraintType {
        DistinctInstance = "distinctInstance",
        MemberOf = "memberOf",
    }
}

string_enum! {
    PlacementStrategyType {
        Random = "random",
        Spread = "spread",
        Binpack = "binpack",
    }
}

string_enum! {
    PropagateTags {
        TaskDefinition = "TASK_DEFINITION",
        Service = "SERVICE",
        None = "NONE",
    }
}

string_enum! {
    AvailabilityZoneRebalancing {
        Enabled = "ENABLED",
        Disabled = "DISABLED",
    }
}
