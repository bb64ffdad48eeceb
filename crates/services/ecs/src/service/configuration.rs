//! How deployments of a service go: what requests give of it, what stands, and what ECS fills in.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use crate::{
    cluster::{
        CanaryConfiguration, DeploymentAlarms, DeploymentCircuitBreaker, DeploymentConfiguration,
        DeploymentControllerType, DeploymentStrategy, LinearConfiguration, Scheduling, ServiceDeploymentRow,
        ServiceRevisionCleanup, ServiceRow, ThresholdConfiguration, ThresholdType,
    },
    convert::Stored,
    limits,
    service::deployment::alarms,
};

pub mod check;
#[cfg(test)]
mod tests;

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
    let strategy = given.strategy.unwrap_or_default();
    let of = |which: DeploymentStrategy| strategy == which;
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
        strategy: Some(strategy),
        bake_time_in_minutes: given.bake_time_in_minutes.or(Some(0)),
        lifecycle_hooks: given.lifecycle_hooks.filter(|hooks| !hooks.is_empty()),
        linear_configuration: of(DeploymentStrategy::Linear).then(|| linear(given.linear_configuration)),
        canary_configuration: of(DeploymentStrategy::Canary).then(|| canary(given.canary_configuration)),
        early_success_criteria: given.early_success_criteria,
    }
}

fn linear(given: Option<LinearConfiguration>) -> LinearConfiguration {
    let given = given.unwrap_or_default();
    LinearConfiguration {
        step_percent: given.step_percent.or(Some(limits::STEP_PERCENT)),
        step_bake_time_in_minutes: given.step_bake_time_in_minutes.or(Some(limits::STEP_BAKE_MINUTES)),
    }
}

fn canary(given: Option<CanaryConfiguration>) -> CanaryConfiguration {
    let given = given.unwrap_or_default();
    CanaryConfiguration {
        canary_percent: given.canary_percent.or(Some(limits::CANARY_PERCENT)),
        canary_bake_time_in_minutes: given.canary_bake_time_in_minutes.or(Some(limits::CANARY_BAKE_MINUTES)),
    }
}

/// The stages of a deployment that begins now, with what ECS fills in; none where it just rolls. What is written of them
/// later is of the next deployment. `bake`: for how many minutes alarms are watched after the last task, where a service that rolls does not say.
pub fn course(
    service: &ServiceRow,
    bake: impl Fn(&DeploymentAlarms) -> i32,
) -> Option<DeploymentConfiguration> {
    let mut given = effective(service);
    let rolls = given.strategy == Some(DeploymentStrategy::Rolling);
    let said = service.deployment_configuration.as_ref().and_then(|given| given.bake_time_in_minutes);
    let watched = alarms::of(&given).is_some();
    if let Some(alarms) = alarms::of(&given).filter(|_| rolls && said.is_none()) {
        given.bake_time_in_minutes = Some(bake(alarms));
    }
    let bakes = given.bake_time_in_minutes != Some(0);
    let early = early(&given).is_some();
    let plain = rolls && !bakes && !watched && !early && given.lifecycle_hooks.is_none();
    (!plain).then_some(given)
}

/// What holds for a deployment of a service: by what stages it goes stands since it began, and the rest is as it is now.
pub fn of_deployment(service: &ServiceRow, row: &ServiceDeploymentRow) -> DeploymentConfiguration {
    let now = effective(service);
    let Some(course) = row.course.clone() else {
        let (strategy, bake_time_in_minutes) = (Some(DeploymentStrategy::Rolling), Some(0));
        let (linear_configuration, canary_configuration, lifecycle_hooks) = (None, None, None);
        let early_success_criteria = None;
        return DeploymentConfiguration {
            strategy,
            bake_time_in_minutes,
            lifecycle_hooks,
            linear_configuration,
            canary_configuration,
            early_success_criteria,
            ..now
        };
    };
    DeploymentConfiguration {
        deployment_circuit_breaker: now.deployment_circuit_breaker,
        maximum_percent: now.maximum_percent,
        minimum_healthy_percent: now.minimum_healthy_percent,
        ..course
    }
}

/// What stands once `given` has been taken in: each member that it has replaces the one that stood, and so do those of
/// the circuit breaker. Steps of another strategy than the one that stands then are forgotten.
///
/// # Errors
/// `InvalidParameterException` for what cannot be, `UnsupportedFeatureException` for what is not built.
pub fn merged(
    scheduling: Scheduling,
    standing: Option<DeploymentConfiguration>,
    given: Option<ecs::DeploymentConfiguration>,
) -> Result<Option<DeploymentConfiguration>, Error> {
    let Some(given) = given else { return Ok(standing) };
    let old = standing.unwrap_or_default();
    check::all(scheduling, old.strategy.unwrap_or_default(), &given)?;
    let new = given.stored();
    let breaker = match (old.deployment_circuit_breaker, new.deployment_circuit_breaker) {
        (Some(old), Some(new)) => Some(DeploymentCircuitBreaker {
            reset_on_healthy_task: new.reset_on_healthy_task.or(old.reset_on_healthy_task),
            threshold_configuration: new.threshold_configuration.or(old.threshold_configuration),
            ..new
        }),
        (old, new) => new.or(old),
    };
    let strategy = new.strategy.or(old.strategy);
    let of = |which: DeploymentStrategy| strategy == Some(which);
    let linear = new.linear_configuration.or(old.linear_configuration);
    let canary = new.canary_configuration.or(old.canary_configuration);
    Ok(Some(DeploymentConfiguration {
        deployment_circuit_breaker: breaker,
        maximum_percent: new.maximum_percent.or(old.maximum_percent),
        minimum_healthy_percent: new.minimum_healthy_percent.or(old.minimum_healthy_percent),
        alarms: new.alarms.or(old.alarms),
        strategy,
        bake_time_in_minutes: new.bake_time_in_minutes.or(old.bake_time_in_minutes),
        lifecycle_hooks: new.lifecycle_hooks.or(old.lifecycle_hooks),
        linear_configuration: linear.filter(|_| of(DeploymentStrategy::Linear)),
        canary_configuration: canary.filter(|_| of(DeploymentStrategy::Canary)),
        early_success_criteria: new.early_success_criteria.or(old.early_success_criteria),
    }))
}

/// When a deployment has succeeded, where that is before all of it is done.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/early-success-criteria.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Early {
    healthy_percent: i32,
    /// Whether what runs of earlier revisions goes before it has.
    pub blocking: bool,
}

impl Early {
    /// How many healthy tasks of so many that are wanted are enough: the percentage of them, rounded up, and never none.
    pub fn enough(&self, desired: i32) -> i32 {
        let share = i64::from(desired.max(0)) * i64::from(self.healthy_percent.max(0));
        let share = i32::try_from((share + 99) / 100).unwrap_or(i32::MAX);
        share.max(desired.clamp(0, 1))
    }
}

/// When a deployment that goes as this says has succeeded early; none where that is not wanted.
pub fn early(configuration: &DeploymentConfiguration) -> Option<Early> {
    let given = configuration.early_success_criteria.as_ref().filter(|given| given.enable)?;
    let rolls = configuration.strategy.unwrap_or_default() == DeploymentStrategy::Rolling;
    let cleanup = given.source_service_revision_cleanup.unwrap_or(ServiceRevisionCleanup::Blocking);
    let blocking = cleanup == ServiceRevisionCleanup::Blocking;
    rolls.then(|| Early { healthy_percent: given.healthy_percent.unwrap_or(100), blocking })
}

/// What a service is created with: its percentages, and what is given.
///
/// # Errors
/// As [`percents`], [`merged`] and [`check::early`].
pub fn of_new(
    scheduling: Scheduling,
    given: Option<ecs::DeploymentConfiguration>,
) -> Result<((i32, i32), Option<DeploymentConfiguration>), Error> {
    let percents = percents(scheduling, given.as_ref(), None)?;
    let configuration = merged(scheduling, None, given)?;
    check::early(configuration.as_ref(), percents.0)?;
    Ok((percents, configuration))
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
    // The reference names no most, and tools give 300.
    bounded("maximumPercent", maximum, 100, i32::MAX)?;
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

/// Who deploys a service, where a request says so.
///
/// # Errors
/// `InvalidParameterException` for CODE_DEPLOY, as no service can have a load balancer.
pub fn controller(
    given: Option<&ecs::DeploymentController>,
) -> Result<Option<DeploymentControllerType>, Error> {
    match given.map(|controller| &controller.r#type) {
        None => Ok(None),
        Some(ecs::DeploymentControllerType::Ecs) => Ok(Some(DeploymentControllerType::Ecs)),
        Some(ecs::DeploymentControllerType::External) => Ok(Some(DeploymentControllerType::External)),
        Some(ecs::DeploymentControllerType::CodeDeploy) => Err(errors::invalid_parameter(
            "When specifying the CODE_DEPLOY deployment controller type, the service requires an Application Load \
             Balancer or Network Load Balancer.",
        )),
    }
}

/// How a service of task sets is deployed is not for us to say: of its configuration only the percentages hold.
///
/// # Errors
/// `InvalidParameterException` for anything else.
pub fn of_task_sets(configuration: Option<&DeploymentConfiguration>) -> Result<(), Error> {
    let Some(given) = configuration else { return Ok(()) };
    let strategy = given.strategy.unwrap_or_default() != DeploymentStrategy::Rolling;
    let breaker = given.deployment_circuit_breaker.as_ref().is_some_and(|breaker| breaker.enable);
    let hooks = given.lifecycle_hooks.as_ref().is_some_and(|hooks| !hooks.is_empty());
    for (member, is_given) in [
        ("strategy", strategy),
        ("deploymentCircuitBreaker", breaker),
        ("alarms", given.alarms.as_ref().is_some_and(|alarms| alarms.enable)),
        ("lifecycleHooks", hooks),
        ("earlySuccessCriteria", given.early_success_criteria.as_ref().is_some_and(|early| early.enable)),
        ("bakeTimeInMinutes", given.bake_time_in_minutes.is_some_and(|minutes| minutes > 0)),
    ] {
        if is_given {
            return Err(errors::invalid_parameter(format!(
                "deploymentConfiguration.{member} is only supported for services with the ECS deployment controller."
            )));
        }
    }
    Ok(())
}
