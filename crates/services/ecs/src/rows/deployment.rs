//! What a service is deployed by: its revisions, and each way from those that it had to another one.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use state::{Id128, row::KeyPart};
use wire::{Timestamp, string_enum};

use super::{
    CapacityProviderStrategyItem, DeploymentConfiguration, DeploymentLifecycleHookAction,
    DeploymentLifecycleHookStage, LaunchType, NetworkRow, PlatformRow, ServiceName, TaskDefinitionId,
    is_nought,
};

/// Names a revision of a service by a number of 19 digits, and `ecs-svc/` with these the tasks of it that are there:
/// a deployment, as DescribeServices lists it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId(pub u64);

/// A text that is not `ecs-svc/` and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a deployment is named by `ecs-svc/` and digits")]
pub struct NotADeployment;

impl DeploymentId {
    /// The last part of the ARN of its revision.
    pub fn digits(self) -> String {
        format!("{:019}", self.0)
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ecs-svc/{:019}", self.0)
    }
}

impl FromStr for DeploymentId {
    type Err = NotADeployment;

    fn from_str(text: &str) -> Result<DeploymentId, NotADeployment> {
        let digits = text.strip_prefix("ecs-svc/").filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).map(DeploymentId).ok_or(NotADeployment)
    }
}

impl Serialize for DeploymentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeploymentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DeploymentId, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl KeyPart for DeploymentId {
    fn write(&self, out: &mut String) {
        out.push_str(&self.digits());
    }
}

/// All of a service that only a deployment changes. It is never changed itself.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-revision.html>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRevisionRow {
    pub service: ServiceName,
    pub id: DeploymentId,
    pub created_at: Timestamp,
    pub task_definition: TaskDefinitionId,
    pub launch_type: LaunchType,
    /// None where the launch type counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    /// None where its tasks are not of mode `awsvpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Box<NetworkRow>>,
    /// What its tasks on Fargate run on, never `LATEST`; none where they are not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Box<PlatformRow>>,
    /// Of its task definition; none where that was not known any more.
    #[serde(default)]
    pub images: Vec<ContainerImage>,
}

/// Which image a container has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerImage {
    pub container_name: String,
    pub image: String,
}

/// Which image each container of a revision runs, once that is known: what the first agent that resolved a container's
/// image says is kept, and tasks that come later run the same. A container whose image is not resolved is not among them.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html#deployment-container-image-stability>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceImagesRow {
    pub service: ServiceName,
    /// That of the revision.
    pub id: DeploymentId,
    /// In the order in which they became known.
    pub digests: Vec<ImageDigest>,
}

/// What the image of a container was resolved to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageDigest {
    pub container_name: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// When that became known.
    pub at: Timestamp,
}

/// The way of a service to a revision.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceDeploymentRow {
    pub service: ServiceName,
    /// Counts up by one with each of the service.
    pub number: u64,
    /// The last part of its ARN: 21 characters of base64url.
    pub id: String,
    pub status: ServiceDeploymentStatus,
    pub status_reason: Option<String>,
    /// The revisions that had tasks when it began; the newest first.
    pub sources: Vec<DeploymentId>,
    pub target: DeploymentId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub rollback: Option<RollbackRow>,
    /// How many tasks of the revision that served when it began are not replaced yet: lost ones are made up for.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub keeps: i32,
    /// What the circuit breaker had counted when it gave up, or was done.
    pub breaker: Option<BreakerRow>,
    /// How it was when it ended; until then it is as its service is.
    pub end: Option<EndRow>,
    /// When one that has ended is forgotten.
    pub forget_at: Option<Timestamp>,
    /// The alarms that it is watched by; none where it is by none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarms: Option<AlarmsRow>,
    /// By what stages it goes, as its service was configured when it began; none where it goes by none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<DeploymentConfiguration>,
    /// The stage that it is at, or was at when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageRow>,
}

/// What the alarms of a deployment have said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmsRow {
    /// DISABLED where one of them was in ALARM when it began: none of them counts then.
    pub status: ServiceDeploymentRollbackMonitorsStatus,
    /// Those that were in ALARM when it was given up for them.
    pub triggered: Vec<String>,
}

/// The stage that a deployment is at.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRow {
    pub stage: Stage,
    /// When it came to it.
    pub since: Timestamp,
    /// Look at it again at this time, whatever happens before.
    pub wake_at: Option<Timestamp>,
    /// How many steps of the shift of production traffic have begun.
    pub step: u32,
    /// How much of the test traffic is to go to the target, in tenths of a percent: the sources have the rest.
    pub test: i32,
    /// Likewise of the production traffic.
    pub production: i32,
    /// The hooks of the last stage that had any.
    pub hooks: Vec<HookRow>,
}

/// A hook that a deployment came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRow {
    /// `ecs-pause-` and 43 characters of base64url; of one that calls a function, the UUID of its execution.
    pub id: String,
    pub stage: Stage,
    pub status: DeploymentLifecycleHookStatus,
    pub expires_at: Timestamp,
    /// What comes when it expires.
    pub timeout_action: DeploymentLifecycleHookAction,
    /// Whom it calls; none of one that pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Box<HookFunctionRow>>,
}

/// The function that a hook calls until it says something else than IN_PROGRESS.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HookFunctionRow {
    pub arn: String,
    /// The ARN of the role as which it is called.
    pub role: String,
    /// What it is told, without the details: JSON.
    pub event: String,
    /// The details of the hook, or what the function said last of them: JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// It is called at this time, or has been and no answer is known.
    pub call_at: Timestamp,
    /// How many calls in a row had no answer.
    #[serde(skip_serializing_if = "is_nought")]
    pub attempts: i32,
    /// Why the last call had none, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// That a deployment rolls back, or has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollbackRow {
    pub reason: String,
    pub started_at: Timestamp,
    /// Which revision is deployed instead; none where there was none.
    pub to: Option<DeploymentId>,
}

/// What a circuit breaker has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerRow {
    pub status: ServiceDeploymentRollbackMonitorsStatus,
    pub failures: i32,
    pub threshold: i32,
}

/// How a deployment was when it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndRow {
    pub configuration: DeploymentConfiguration,
    /// The target's, then the sources'.
    pub tasks: Vec<RevisionTasks>,
}

/// How many tasks there are of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionTasks {
    pub revision: DeploymentId,
    pub requested: i32,
    pub running: i32,
    pub pending: i32,
}

string_enum! {
    ServiceDeploymentStatus {
        Pending = "PENDING",
        Successful = "SUCCESSFUL",
        Stopped = "STOPPED",
        StopRequested = "STOP_REQUESTED",
        InProgress = "IN_PROGRESS",
        RollbackRequested = "ROLLBACK_REQUESTED",
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        RollbackSuccessful = "ROLLBACK_SUCCESSFUL",
        RollbackFailed = "ROLLBACK_FAILED",
    }
}

string_enum! {
    ServiceDeploymentRollbackMonitorsStatus {
        Triggered = "TRIGGERED",
        Monitoring = "MONITORING",
        MonitoringComplete = "MONITORING_COMPLETE",
        Disabled = "DISABLED",
    }
}

string_enum! {
    DeploymentLifecycleHookStatus {
        AwaitingAction = "AWAITING_ACTION",
        InProgress = "IN_PROGRESS",
        Succeeded = "SUCCEEDED",
        Failed = "FAILED",
        TimedOut = "TIMED_OUT",
    }
}

string_enum! {
    Stage {
        ReconcileService = "RECONCILE_SERVICE",
        PreScaleUp = "PRE_SCALE_UP",
        ScaleUp = "SCALE_UP",
        PostScaleUp = "POST_SCALE_UP",
        TestTrafficShift = "TEST_TRAFFIC_SHIFT",
        PostTestTrafficShift = "POST_TEST_TRAFFIC_SHIFT",
        PreProductionTrafficShift = "PRE_PRODUCTION_TRAFFIC_SHIFT",
        ProductionTrafficShift = "PRODUCTION_TRAFFIC_SHIFT",
        PostProductionTrafficShift = "POST_PRODUCTION_TRAFFIC_SHIFT",
        BakeTime = "BAKE_TIME",
        CleanUp = "CLEAN_UP",
    }
}

impl Stage {
    /// What hooks call it that run at it; the others have none.
    pub fn of_hooks(self) -> Option<DeploymentLifecycleHookStage> {
        use DeploymentLifecycleHookStage as Hooked;
        Some(match self {
            Stage::ReconcileService => Hooked::ReconcileService,
            Stage::PreScaleUp => Hooked::PreScaleUp,
            Stage::PostScaleUp => Hooked::PostScaleUp,
            Stage::TestTrafficShift => Hooked::TestTrafficShift,
            Stage::PostTestTrafficShift => Hooked::PostTestTrafficShift,
            Stage::PreProductionTrafficShift => Hooked::PreProductionTrafficShift,
            Stage::ProductionTrafficShift => Hooked::ProductionTrafficShift,
            Stage::PostProductionTrafficShift => Hooked::PostProductionTrafficShift,
            Stage::ScaleUp | Stage::BakeTime | Stage::CleanUp => return None,
        })
    }
}

impl ServiceDeploymentRow {
    /// The earliest time at which it must be looked at again.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        self.stage.as_ref().and_then(|stage| stage.wake_at).into_iter().chain(self.forget_at).min()
    }

    /// The hooks whose functions are to be called, with the id of their execution. One that has ended, or goes back, calls
    /// nobody any more.
    pub fn calls(&self) -> impl Iterator<Item = (Id128, &HookFunctionRow)> {
        let goes_on = self.status == ServiceDeploymentStatus::InProgress && self.rollback.is_none();
        let hooks = self.stage.iter().filter(move |_| goes_on).flat_map(|stage| &stage.hooks);
        let waits = hooks.filter(|hook| hook.status == DeploymentLifecycleHookStatus::InProgress);
        waits.filter_map(|hook| Some((hook.execution()?, hook.function.as_deref()?)))
    }
}

impl HookRow {
    /// The id of the execution of one that calls a function.
    pub fn execution(&self) -> Option<Id128> {
        self.function.as_ref().and_then(|_| self.id.replace('-', "").parse().ok())
    }
}

impl ServiceDeploymentStatus {
    /// Whether nothing happens to it any more.
    pub fn has_ended(self) -> bool {
        use ServiceDeploymentStatus::{RollbackFailed, RollbackSuccessful, Stopped, Successful};
        matches!(self, Successful | Stopped | RollbackSuccessful | RollbackFailed)
    }
}
