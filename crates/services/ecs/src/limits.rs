//! Every limit and fixed time of ECS, with its source.

/// Tasks that one RunTask may start. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
pub const RUN_TASK_COUNT: i32 = 10;
/// Container instances that one StartTask may name.
pub const START_TASK_INSTANCES: usize = 10;
/// Container instances whose state one UpdateContainerInstancesState may change.
pub const UPDATE_INSTANCES: usize = 10;
/// Things that one Describe call may name (tasks, container instances, clusters).
pub const DESCRIBE: usize = 100;
/// Tasks whose protection one UpdateTaskProtection may change.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateTaskProtection.html>
pub const UPDATE_PROTECTION: usize = 10;
/// How many minutes a task is protected for unless it is said, and the least and the most that can be said.
pub const PROTECTION_MINUTES: i32 = 120;
/// Likewise.
pub const PROTECTION_MINUTES_BOUNDS: (i32, i32) = (1, 2880);
/// Services that one DescribeServices may name.
pub const DESCRIBE_SERVICES: usize = 10;
/// Tasks that a service may want. <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
pub const SERVICE_DESIRED_COUNT: i32 = 5000;
/// Services in a cluster.
pub const SERVICES: usize = 5000;
/// Container instances in a cluster (ECS: 5,000; the design promises 10,000).
pub const INSTANCES: usize = 10_000;
/// Subnets of an `awsvpcConfiguration`, and security groups of one.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html>
pub const SUBNETS: usize = 16;
/// Likewise.
pub const SECURITY_GROUPS: usize = 5;
/// Clusters of an account. <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
pub const CLUSTERS: usize = 10_000;
/// What was deleted or deregistered is remembered for an hour; at most as many of a kind as may live.
pub const WITH_INACTIVE: usize = 2;
/// Whether there is no room for another of a kind of which `all` are remembered; `live` counts those not INACTIVE,
/// and is asked only where it matters.
pub fn is_full(most: usize, all: usize, live: impl FnOnce() -> usize) -> bool {
    all >= most && (all >= most * WITH_INACTIVE || live() >= most)
}

/// STOPPED tasks that a cluster remembers; beyond, the oldest are forgotten before their hour is over.
pub const STOPPED_TASKS: usize = 100_000;
/// RunTask client tokens that a cluster remembers, besides one for each service; beyond, the oldest are forgotten before
/// their day is over.
pub const TOKENS: usize = 200_000;
/// Families of task definitions (ECS names no limit).
pub const FAMILIES: usize = 100_000;
/// Task definitions of all families and statuses (ECS: 1,000,000 of each family).
pub const TASK_DEFINITIONS: usize = 250_000;
/// Task definitions of daemons, of all families and statuses (ECS names no limit).
pub const DAEMON_DEFINITIONS: usize = 100_000;
/// Daemons of a cluster (ECS names no limit). What a container instance waits for is found by a look at each.
pub const DAEMONS: usize = 100;
/// Capacity providers of a daemon (ECS names no limit).
pub const DAEMON_PROVIDERS: usize = 20;
/// Keys of agents: what the clusters of a control plane may hold, and those that were deregistered lately.
pub const AGENT_KEYS: usize = 100_000;
/// A key whose container instance was never written is forgotten after this.
pub const UNUSED_KEY_KEPT_MS: i64 = 86_400_000;
/// Tags on a resource.
pub const TAGS: usize = 50;
/// Events that a service keeps, the newest.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html>
pub const SERVICE_EVENTS: usize = 100;
/// A deployment of a service that has ended is shown for 90 days.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html>
pub const DEPLOYMENT_KEPT_MS: i64 = 90 * 86_400_000;
/// Deployments that a service keeps, the newest (ECS names no limit).
pub const SERVICE_DEPLOYMENTS: usize = 100;
/// Deployments, or revisions, of services that one Describe call may name.
pub const DESCRIBE_DEPLOYMENTS: usize = 20;
/// A task whose health nobody checks is healthy once it was RUNNING for so long.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html>
pub const HEALTHY_AFTER_MS: i64 = 40_000;
/// The least and the most failures at which the circuit breaker of a deployment gives up, unless it is told otherwise.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html>
pub const BREAKER_THRESHOLD: (i32, i32) = (3, 200);
/// The longest bake time of a deployment, or of a step of one, in minutes.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LinearConfiguration.html>
pub const BAKE_MINUTES: i32 = 1440;
/// The least step of a LINEAR deployment, in tenths of a percent; its step and bake time where nothing is said.
pub const LEAST_STEP_TENTHS: i32 = 30;
/// In percent.
pub const STEP_PERCENT: f64 = 10.0;
/// Between two steps.
pub const STEP_BAKE_MINUTES: i32 = 6;
/// The least first step of a CANARY deployment, in tenths of a percent; the step and its bake time where nothing is said.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CanaryConfiguration.html>
pub const LEAST_CANARY_TENTHS: i32 = 1;
/// In percent.
pub const CANARY_PERCENT: f64 = 5.0;
/// Before all traffic follows.
pub const CANARY_BAKE_MINUTES: i32 = 10;
/// PAUSE hooks of a service.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html>
pub const PAUSE_HOOKS: usize = 10;
/// Hooks of a service, of both kinds (ECS names no limit of those that call functions).
pub const HOOKS: usize = 20;
/// Bytes of the `hookDetails` of one, as JSON (ECS names no limit).
pub const HOOK_DETAILS: usize = 4096;
/// Characters of the ARN of a function, and of a role (ECS names no limit).
pub const HOOK_ARN: usize = 2048;
/// After so long a function that says IN_PROGRESS is called again, where it says nothing of it.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/lambda-lifecycle-hooks.html>
pub const HOOK_CALLED_AGAIN_MS: i64 = 30_000;
/// The shortest and the longest time that it may say (ECS names no bounds).
pub const HOOK_CALL_BACK_MS: (i64, i64) = (1000, 86_400_000);
/// Calls in a row without an answer after which a hook has failed (ECS does not say how often it calls): three minutes, with
/// pauses that grow from the first of these to the second.
pub const HOOK_ATTEMPTS: i32 = 10;
/// See there.
pub const HOOK_PAUSES_MS: (i64, i64) = (1000, 30_000);
/// Characters that are kept of why a hook failed.
pub const HOOK_REASON: usize = 512;
/// The longest time that a hook pauses, or calls, in minutes.
pub const PAUSE_MINUTES: i32 = 20_160;
/// Where nothing is said.
pub const PAUSE_DEFAULT_MINUTES: i32 = 1440;
/// How often the alarms of a deployment are looked at (ECS polls them, and does not say how often).
pub const ALARMS_LOOKED_AT_MS: i64 = 15_000;
/// The longest bake time that ECS derives from alarms: it is less than five minutes.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html>
pub const ALARM_BAKE_MINUTES: i32 = 5;
/// Alarms of a service's deployments (ECS names no limit).
pub const DEPLOYMENT_ALARMS: usize = 100;
/// A stage without a hook lasts no longer; then its deployment fails.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html>
pub const STAGE_MS: i64 = 86_400_000;
/// Nor does a deployment that goes by stages.
pub const STAGED_DEPLOYMENT_MS: i64 = 30 * 86_400_000;
/// Task sets of a service, those that are being deleted included (ECS documents no number; it refuses the sixth).
pub const TASK_SETS: usize = 5;
/// Attributes that one RegisterContainerInstance may bring (ECS names no limit).
pub const ATTRIBUTES: usize = 200;
/// Attributes that a container instance has: its agent's of all registrations, and its users' own.
pub const ATTRIBUTES_KEPT: usize = 256;

/// Capacity providers of an account and region (ECS names no limit).
pub const CAPACITY_PROVIDERS: usize = 1000;
/// Capacity providers of a cluster, and of a strategy.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
pub const CLUSTER_CAPACITY_PROVIDERS: usize = 20;
/// The greatest base of a capacity provider in a strategy, and the greatest weight.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html>
pub const STRATEGY_BASE: i32 = 100_000;
/// Likewise.
pub const STRATEGY_WEIGHT: i32 = 1000;
/// Bytes of an Auto Scaling group's ARN.
/// <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingGroup.html>
pub const GROUP_ARN_LENGTH: usize = 1600;
/// The longest that managed instances are idle before they go, in seconds; -1 is for ever.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_InfrastructureOptimization.html>
pub const SCALE_IN_AFTER_SECONDS: i32 = 3600;
/// Bytes of all that is asked of managed instances.
pub const MANAGED_SETTINGS_BYTES: usize = 65_536;

/// GPUs of a container instance.
pub const GPUS: usize = 256;
/// Bytes of a GPU's id.
pub const GPU_ID_LENGTH: usize = 128;

/// Characters of a wrong text that an error repeats.
pub const ARN_SHOWN: usize = 256;
/// Characters in the reason why a task stopped, and in that of a container.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Container.html>
pub const REASON_LENGTH: usize = 1024;
/// A STOPPED task can be described for an hour.
pub const STOPPED_TASK_KEPT_MS: i64 = 3_600_000;
/// An INACTIVE cluster, service or container instance can be described for an hour.
pub const INACTIVE_KEPT_MS: i64 = 3_600_000;
/// A client token is good for a day; that of a service no longer than the service is remembered.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html> (it says so of RunTask alone)
pub const TOKEN_KEPT_MS: i64 = 86_400_000;
/// An event that says the same is repeated after six hours.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages.html>
pub const EVENT_REPEATED_MS: i64 = 6 * 3_600_000;
/// A service that has no room for a task looks again after this, whatever happens before.
pub const PLACEMENT_RETRY_MS: i64 = 15_000;

/// Tasks of a cluster that wait in PROVISIONING for capacity.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
pub const PROVISIONING_TASKS: usize = 500;
/// So many of them at the most because a tag has them wait: what is left is for those whose capacity provider grows.
pub const QUEUED_TASKS: usize = 250;
/// One that has waited for so long fails.
pub const PROVISIONING_MS: i64 = 30 * 60_000;

/// The longest that the tag `roadstead:queue` has a task wait, in seconds.
pub const QUEUE_SECONDS: u32 = 86_400;
/// The greatest value of the tag `roadstead:max-concurrent`.
pub const MAX_CONCURRENT: u32 = 1000;

/// A zone that has no room for a task of a service that is rebalanced, or where those that started for it have ended, is
/// tried again after this, whatever happens before.
pub const REBALANCING_RETRY_MS: i64 = 300_000;

/// A task that ends by itself sooner than this after it started counts as failed for the back-off.
pub const SHORT_LIFE_MS: i64 = 60_000;
/// Failures in a row before starts are spaced out.
pub const FREE_FAILURES: u32 = 2;
/// The first pause; each further failure doubles it.
pub const BACKOFF_FIRST_MS: i64 = 1_000;
/// The longest pause. ECS documents 27 minutes; a laptop's user is not made to wait that long.
pub const BACKOFF_LONGEST_MS: i64 = 300_000;

/// Tasks that a service starts or stops before the other services have their turn.
pub const SETTLE_TASKS: usize = 100;
/// Container instances without room that the events of a daemon name in one turn.
pub const REFUSED_NAMED: usize = 10;
/// Characters in a RunTask client token. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
pub const TOKEN_LENGTH: usize = 64;
/// Characters in a CreateService client token. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html>
pub const SERVICE_TOKEN_LENGTH: usize = 36;
/// Characters in `startedBy` of RunTask.
pub const STARTED_BY_RUN: usize = 128;
/// Characters in `startedBy` of StartTask. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StartTask.html>
pub const STARTED_BY_START: usize = 36;
/// Attributes that users set on a container instance. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutAttributes.html>
pub const CUSTOM_ATTRIBUTES: usize = 10;

const _: () = assert!(BACKOFF_FIRST_MS < BACKOFF_LONGEST_MS);

/// `text` with at most `length` characters.
pub fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((at, _)) => text[..at].to_owned(),
        None => text.to_owned(),
    }
}

/// Seconds from the warning of a task of FARGATE_SPOT to its stop where nobody says how many, and how many may be said.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html>
pub const SPOT_WARNING: u32 = 120;
/// See [`SPOT_WARNING`].
pub const SPOT_WARNING_MOST: u32 = 3600;
