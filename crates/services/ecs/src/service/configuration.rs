//! How deployments of a service go: what requests give of it, what stands, and what ECS fills in.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use crate::{
    cluster::{
        DeploymentCircuitBreaker, DeploymentConfiguration, DeploymentStrategy, Scheduling, ServiceRow,
        ThresholdConfiguration, ThresholdType,
    },
    convert::Stored,
};

/// The circuit breaker of a service's deployments, with what ECS fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    pub enable: bool,
    /// Never where it is not enabled.
    pub rollback: bool,
    /// Whether a task that becomes healthy begins the count of failures anew.
    pub resets: bool,
    pub threshold: ThresholdConfiguration,
}

/// The circuit breaker of a service.
pub fn breaker(service: &ServiceRow) -> Breaker {
    let given = service.deployment_configuration.as_ref();
    let given = given.and_then(|given| given.deployment_circuit_breaker.as_ref());
    let threshold = given.and_then(|given| given.threshold_configuration.clone());
    let is_on = |which: fn(&DeploymentCircuitBreaker) -> bool| given.is_some_and(which);
    Breaker {
        enable: is_on(|given| given.enable),
        rollback: is_on(|given| given.enable && given.rollback),
        resets: given.and_then(|given| given.reset_on_healthy_task).unwrap_or(true),
        threshold: threshold
            .unwrap_or(ThresholdConfiguration { r#type: ThresholdType::BoundedPercent, value: 50 }),
    }
}

/// What holds for the deployments of a service, as ECS shows it.
pub fn effective(service: &ServiceRow) -> DeploymentConfiguration {
    let given = service.deployment_configuration.clone().unwrap_or_default();
    let breaker = breaker(service);
    DeploymentConfiguration {
        deployment_circuit_breaker: Some(DeploymentCircuitBreaker {
            enable: breaker.enable,
            rollback: breaker.rollback,
            reset_on_healthy_task: Some(breaker.resets),
            threshold_configuration: Some(breaker.threshold),
        }),
        maximum_percent: Some(service.maximum_percent),
        minimum_healthy_percent: Some(service.minimum_healthy_percent),
        alarms: given.alarms,
        strategy: given.strategy.or(Some(DeploymentStrategy::Rolling)),
        bake_time_in_minutes: given.bake_time_in_minutes.or(Some(0)),
    }
}

/// What stands once `given` has been taken in: each member that it has replaces the one that stood, and so do those of
/// the circuit breaker.
///
/// # Errors
/// `InvalidParameterException` for what cannot be, `UnsupportedFeatureException` for what is not built.
pub fn merged(
    standing: Option<DeploymentConfiguration>,
    given: Option<ecs::DeploymentConfiguration>,
) -> Result<Option<DeploymentConfiguration>, Error> {
    let Some(given) = given else { return Ok(standing) };
    check(&given)?;
    let (old, new) = (standing.unwrap_or_default(), given.stored());
    let breaker = match (old.deployment_circuit_breaker, new.deployment_circuit_breaker) {
        (Some(old), Some(new)) => Some(DeploymentCircuitBreaker {
            reset_on_healthy_task: new.reset_on_healthy_task.or(old.reset_on_healthy_task),
            threshold_configuration: new.threshold_configuration.or(old.threshold_configuration),
            ..new
        }),
        (old, new) => new.or(old),
    };
    Ok(Some(DeploymentConfiguration {
        deployment_circuit_breaker: breaker,
        maximum_percent: new.maximum_percent.or(old.maximum_percent),
        minimum_healthy_percent: new.minimum_healthy_percent.or(old.minimum_healthy_percent),
        alarms: new.alarms.or(old.alarms),
        strategy: new.strategy.or(old.strategy),
        bake_time_in_minutes: new.bake_time_in_minutes.or(old.bake_time_in_minutes),
    }))
}

/// The effective minimumHealthyPercent and maximumPercent: what is given, else what stands, else the default.
///
/// # Errors
/// `InvalidParameterException` for those that cannot be.
pub fn percents(
    scheduling: Scheduling,
    given: Option<&ecs::DeploymentConfiguration>,
    standing: Option<(i32, i32)>,
) -> Result<(i32, i32), Error> {
    let default = match scheduling {
        Scheduling::Replica => (100, 200),
        Scheduling::Daemon => (0, 100),
    };
    let (minimum, maximum) = standing.unwrap_or(default);
    let minimum = given.and_then(|c| c.minimum_healthy_percent).unwrap_or(minimum);
    let maximum = given.and_then(|c| c.maximum_percent).unwrap_or(maximum);
    bounded("minimumHealthyPercent", minimum, 0, 100)?;
    if scheduling == Scheduling::Daemon && maximum > 100 {
        return Err(errors::invalid_parameter(
            "The daemon scheduling strategy does not support values above 100 for maximumPercent on a deployment \
             configuration. Change the maximumPercent value to 100, and try again",
        ));
    }
    bounded("maximumPercent", maximum, 100, 200)?;
    if (minimum, maximum) == (100, 100) {
        return Err(errors::invalid_parameter(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
        ));
    }
    Ok((minimum, maximum))
}

fn bounded(what: &str, value: i32, least: i32, most: i32) -> Result<(), Error> {
    if value < least {
        return Err(errors::invalid_parameter(format!("{what} must be at least {least}")));
    }
    if value > most {
        return Err(errors::invalid_parameter(format!("{what} must be at most {most}")));
    }
    Ok(())
}

/// Only the rolling controller is built.
///
/// # Errors
/// `InvalidParameterException` for CODE_DEPLOY, as no service can have a load balancer; `UnsupportedFeatureException` for
/// another one.
pub fn controller(given: Option<&ecs::DeploymentController>) -> Result<(), Error> {
    match given.map(|controller| &controller.r#type) {
        None | Some(ecs::DeploymentControllerType::Ecs) => Ok(()),
        Some(ecs::DeploymentControllerType::CodeDeploy) => Err(errors::invalid_parameter(
            "When specifying the CODE_DEPLOY deployment controller type, the service requires an Application Load \
             Balancer or Network Load Balancer.",
        )),
        Some(other) => Err(errors::unsupported_feature(format!(
            "deploymentController.type {} is not built yet; use ECS. See docs/support.md.",
            other.as_str()
        ))),
    }
}

fn check(given: &ecs::DeploymentConfiguration) -> Result<(), Error> {
    unbuilt(given)?;
    let breaker = given.deployment_circuit_breaker.as_ref();
    let Some(threshold) = breaker.and_then(|breaker| breaker.threshold_configuration.as_ref()) else {
        return Ok(());
    };
    let most = if threshold.r#type == ecs::ThresholdType::Count { i32::MAX } else { 100 };
    bounded("thresholdConfiguration value", threshold.value, 1, most)
}

/// What a deployment configuration may hold that is not built is refused by name.
fn unbuilt(given: &ecs::DeploymentConfiguration) -> Result<(), Error> {
    let strategy = given.strategy.is_some_and(|strategy| strategy != ecs::DeploymentStrategy::Rolling);
    let named = [
        ("alarms", given.alarms.as_ref().is_some_and(|alarms| alarms.enable)),
        ("strategy", strategy),
        ("bakeTimeInMinutes", given.bake_time_in_minutes.is_some_and(|minutes| minutes != 0)),
        ("lifecycleHooks", given.lifecycle_hooks.as_ref().is_some_and(|hooks| !hooks.is_empty())),
        ("linearConfiguration", given.linear_configuration.is_some()),
        ("canaryConfiguration", given.canary_configuration.is_some()),
        ("earlySuccessCriteria", given.early_success_criteria.is_some()),
    ];
    match named.iter().find(|(_, present)| *present) {
        Some((member, _)) => Err(errors::unsupported_feature(format!(
            "deploymentConfiguration.{member} is not built yet. See docs/support.md."
        ))),
        None => Ok(()),
    }
}
