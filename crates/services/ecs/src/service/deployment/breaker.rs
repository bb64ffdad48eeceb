//! The circuit breaker of deployments: how many failures it has counted, and at how many it gives up.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html>

use wire::Timestamp;

use super::Failure;
use crate::{
    cluster::{
        BreakerRow, DeploymentRolloutState, DeploymentRow, HealthStatus,
        ServiceDeploymentRollbackMonitorsStatus, ServiceDeploymentRow, ServiceRow, TaskRow,
        ThresholdConfiguration, ThresholdType, tally::Share,
    },
    limits,
    service::configuration,
    task::describe,
};

/// It gives a deployment up, and that is rolled back.
pub const ROLLS_BACK: Failure = Failure {
    rollout_reason: "ECS deployment circuit breaker: tasks failed to start.",
    said: "tasks failed to start.",
    rolls_back: Some("ECS deployment circuit breaker"),
    status_reason: "Service deployment rolled back because the circuit breaker threshold was exceeded.",
};

/// It gives a deployment up.
pub const STOPS: Failure = Failure {
    rolls_back: None,
    status_reason: "Service deployment stopped because the circuit breaker threshold was exceeded.",
    ..ROLLS_BACK
};

/// At how many failures it gives up, of a service that wants so many tasks: at least at one.
pub fn threshold(configuration: &ThresholdConfiguration, desired: i32) -> i32 {
    let share = (i64::from(desired.max(0)) * i64::from(configuration.value.max(0)) + 99) / 100;
    let share = i32::try_from(share).unwrap_or(i32::MAX);
    let (least, most) = limits::BREAKER_THRESHOLD;
    match configuration.r#type {
        ThresholdType::Count => configuration.value.max(1),
        ThresholdType::BoundedPercent => share.clamp(least, most),
        ThresholdType::UnboundedPercent => share.max(1),
    }
}

/// Whether it gives the PRIMARY deployment up.
pub fn has_tripped(service: &ServiceRow) -> bool {
    let going = |primary: &&DeploymentRow| primary.rollout == DeploymentRolloutState::InProgress;
    let Some(primary) = service.deployments.first().filter(going) else { return false };
    let breaker = configuration::breaker(service);
    breaker.enable && primary.failures >= threshold(&breaker.threshold, service.desired_count)
}

/// What it has counted of a deployment that goes on.
pub fn counted(service: &ServiceRow, row: &ServiceDeploymentRow) -> BreakerRow {
    use ServiceDeploymentRollbackMonitorsStatus::{Disabled, Monitoring, Triggered};
    let breaker = configuration::breaker(service);
    let target = service.deployments.iter().find(|deployment| deployment.id == row.target);
    let failures = target.map_or(0, |target| target.failures);
    let threshold = threshold(&breaker.threshold, service.desired_count);
    let status = match breaker.enable {
        false => Disabled,
        true if failures >= threshold => Triggered,
        true => Monitoring,
    };
    BreakerRow { status, failures, threshold }
}

/// It watches no longer.
pub fn done(counted: BreakerRow) -> BreakerRow {
    use ServiceDeploymentRollbackMonitorsStatus::{Monitoring, MonitoringComplete};
    match counted.status {
        Monitoring => BreakerRow { status: MonitoringComplete, ..counted },
        _ => counted,
    }
}

/// A task of a deployment failed at `now`. Since the last one that did, others may have become healthy, which begins the
/// count anew unless the service says otherwise.
pub fn count(
    service: &ServiceRow,
    deployment: &mut DeploymentRow,
    task: &TaskRow,
    share: &Share,
    now: Timestamp,
) {
    let resets = configuration::breaker(service).resets;
    let since = deployment.failed_at.unwrap_or(Timestamp(0)).plus_millis(-limits::HEALTHY_AFTER_MS);
    let until = now.plus_millis(-limits::HEALTHY_AFTER_MS);
    if resets && !task.is_checked() && share.has_started_within(since, until) {
        deployment.failures = 0;
    }
    deployment.failures = deployment.failures.saturating_add(1);
    deployment.failed_at = Some(now);
}

/// A task whose health is checked has become healthy.
pub fn reset(service: &ServiceRow, deployment: &mut DeploymentRow) {
    if configuration::breaker(service).resets {
        deployment.failures = 0;
    }
}

/// Whether a task that ended by itself was never healthy: a failure to start.
pub fn was_never_healthy(task: &TaskRow, lived: Option<i64>) -> bool {
    match task.is_checked() {
        true => describe::health(task) != HealthStatus::Healthy,
        false => lived.is_none_or(|ms| (0..limits::HEALTHY_AFTER_MS).contains(&ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_of_the_desired_count_within_bounds() {
        let of = |r#type, value, desired| threshold(&ThresholdConfiguration { r#type, value }, desired);
        for (desired, at) in [(0, 3), (1, 3), (6, 3), (7, 4), (25, 13), (400, 200), (800, 200)] {
            assert_eq!(of(ThresholdType::BoundedPercent, 50, desired), at, "{desired}");
        }
        for (desired, value, at) in [(0, 50, 1), (1, 50, 1), (7, 50, 4), (800, 50, 400), (10, 100, 10)] {
            assert_eq!(of(ThresholdType::UnboundedPercent, value, desired), at, "{desired}");
        }
        assert_eq!(of(ThresholdType::Count, 7, 100), 7);
    }
}
