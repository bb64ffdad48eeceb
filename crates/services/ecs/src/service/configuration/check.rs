//! What a request may say of how deployments go. Amazon ECS documents the bounds, and of their messages few.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html>

use ecs_model::{self as ecs, DeploymentLifecycleHookStage, DeploymentLifecycleHookTargetType, errors};
use wire::Error;

use super::bounded;
use crate::{
    cluster::{DeploymentConfiguration, DeploymentStrategy, Scheduling},
    convert::Stored,
    limits,
};

/// Checks all of it, of a service with the strategy `standing` before.
///
/// # Errors
/// `InvalidParameterException` for what cannot be, `UnsupportedFeatureException` for what is not built.
pub(super) fn all(
    scheduling: Scheduling,
    standing: DeploymentStrategy,
    given: &ecs::DeploymentConfiguration,
) -> Result<(), Error> {
    threshold(given)?;
    let strategy = given.strategy.stored().unwrap_or(standing);
    if scheduling == Scheduling::Daemon && strategy != DeploymentStrategy::Rolling {
        return Err(errors::invalid_parameter(format!(
            "The daemon scheduling strategy does not support the {strategy} deployment strategy. Use ROLLING, and try \
             again."
        )));
    }
    if given.alarms.as_ref().is_some_and(|alarms| alarms.enable && alarms.alarm_names.is_empty()) {
        return Err(errors::invalid_parameter(
            "alarmNames cannot be empty when deployment alarms are enabled.",
        ));
    }
    if given.alarms.as_ref().is_some_and(|alarms| alarms.alarm_names.len() > limits::DEPLOYMENT_ALARMS) {
        let most = limits::DEPLOYMENT_ALARMS;
        return Err(errors::invalid_parameter(format!("alarmNames can have at most {most} elements.")));
    }
    if let Some(minutes) = given.bake_time_in_minutes {
        bounded("bakeTimeInMinutes", minutes, 0, limits::BAKE_MINUTES)?;
    }
    shift(strategy, given)?;
    hooks(given.lifecycle_hooks.as_deref().unwrap_or_default())
}

fn threshold(given: &ecs::DeploymentConfiguration) -> Result<(), Error> {
    let breaker = given.deployment_circuit_breaker.as_ref();
    let Some(threshold) = breaker.and_then(|breaker| breaker.threshold_configuration.as_ref()) else {
        return Ok(());
    };
    let most = if threshold.r#type == ecs::ThresholdType::Count { i32::MAX } else { 100 };
    bounded("thresholdConfiguration value", threshold.value, 1, most)
}

/// How traffic shifts: by steps of the strategy that is to stand.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LinearConfiguration.html>
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CanaryConfiguration.html>
fn shift(strategy: DeploymentStrategy, given: &ecs::DeploymentConfiguration) -> Result<(), Error> {
    for (member, is_given, of) in [
        ("linearConfiguration", given.linear_configuration.is_some(), DeploymentStrategy::Linear),
        ("canaryConfiguration", given.canary_configuration.is_some(), DeploymentStrategy::Canary),
    ] {
        if is_given && strategy != of {
            return Err(errors::invalid_parameter(format!(
                "{member} is only valid when the deployment strategy is {of}."
            )));
        }
    }
    let linear = given.linear_configuration.clone().unwrap_or_default();
    let canary = given.canary_configuration.clone().unwrap_or_default();
    let (least_step, least_canary) = (limits::LEAST_STEP_TENTHS, limits::LEAST_CANARY_TENTHS);
    percent("linearConfiguration stepPercent", linear.step_percent, least_step)?;
    percent("canaryConfiguration canaryPercent", canary.canary_percent, least_canary)?;
    for (what, minutes) in [
        ("linearConfiguration stepBakeTimeInMinutes", linear.step_bake_time_in_minutes),
        ("canaryConfiguration canaryBakeTimeInMinutes", canary.canary_bake_time_in_minutes),
    ] {
        bounded(what, minutes.unwrap_or(0), 0, limits::BAKE_MINUTES)?;
    }
    Ok(())
}

/// A percentage of traffic goes by tenths.
fn percent(what: &str, given: Option<f64>, least: i32) -> Result<(), Error> {
    let Some(given) = given else { return Ok(()) };
    let least = f64::from(least) / 10.0;
    let tenths = given * 10.0;
    if !(least..=100.0).contains(&given) || (tenths - tenths.round()).abs() > 1e-6 {
        return Err(errors::invalid_parameter(format!(
            "{what} must be a multiple of 0.1 between {least:.1} and 100.0"
        )));
    }
    Ok(())
}

/// Hooks pause, or call a function.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-lifecycle-hooks.html>
fn hooks(given: &[ecs::DeploymentLifecycleHook]) -> Result<(), Error> {
    let pauses = |hook: &&ecs::DeploymentLifecycleHook| {
        hook.target_type == Some(DeploymentLifecycleHookTargetType::Pause)
    };
    for hook in given {
        if hook.lifecycle_stages.as_deref().unwrap_or_default().is_empty() {
            return Err(errors::invalid_parameter("lifecycleStages cannot be empty."));
        }
        if pauses(&hook) {
            pause(hook)?
        } else {
            lambda(hook)?
        }
        let timeout = hook.timeout_configuration.as_ref().and_then(|timeout| timeout.timeout_in_minutes);
        bounded("timeoutConfiguration timeoutInMinutes", timeout.unwrap_or(1), 1, limits::PAUSE_MINUTES)?;
    }
    let (most, most_pauses) = (limits::HOOKS, limits::PAUSE_HOOKS);
    if given.iter().filter(pauses).count() > most_pauses {
        let text = format!("lifecycleHooks can have at most {most_pauses} PAUSE hooks");
        return Err(errors::invalid_parameter(text));
    }
    if given.len() > most {
        return Err(errors::invalid_parameter(format!("lifecycleHooks can have at most {most} elements.")));
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentLifecycleHook.html>
fn lambda(hook: &ecs::DeploymentLifecycleHook) -> Result<(), Error> {
    let Some(target) = hook.hook_target_arn.as_deref() else {
        return Err(errors::invalid_parameter("hookTargetArn is required for AWS_LAMBDA lifecycle hooks."));
    };
    let Some(role) = hook.role_arn.as_deref() else {
        return Err(errors::invalid_parameter("roleArn is required for AWS_LAMBDA lifecycle hooks."));
    };
    let parts = |arn: &str| {
        let mut parts: Vec<String> = arn.splitn(6, ':').map(str::to_owned).collect();
        parts.resize(6, String::new());
        (parts[0] == "arn" && arn.len() <= limits::HOOK_ARN).then_some(parts)
    };
    let rest = |text: &str, prefix: &str| text.strip_prefix(prefix).is_some_and(|name| !name.is_empty());
    if !parts(target).is_some_and(|arn| arn[2] == "lambda" && rest(&arn[5], "function:")) {
        return Err(errors::invalid_parameter("hookTargetArn must be the ARN of a Lambda function."));
    }
    if !parts(role).is_some_and(|arn| arn[2] == "iam" && arn[3].is_empty() && rest(&arn[5], "role/")) {
        return Err(errors::invalid_parameter("roleArn must be the ARN of an IAM role."));
    }
    match &hook.hook_details {
        Some(details) if !details.is_object() => {
            Err(errors::invalid_parameter("hookDetails must be a JSON object."))
        }
        Some(details) if details.to_string().len() > limits::HOOK_DETAILS => {
            let most = limits::HOOK_DETAILS;
            Err(errors::invalid_parameter(format!("hookDetails can have at most {most} bytes.")))
        }
        _ => Ok(()),
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html>
fn pause(hook: &ecs::DeploymentLifecycleHook) -> Result<(), Error> {
    let given = [
        ("hookTargetArn", hook.hook_target_arn.is_some()),
        ("roleArn", hook.role_arn.is_some()),
        ("hookDetails", hook.hook_details.is_some()),
    ];
    if let Some((member, _)) = given.iter().find(|(_, is_given)| *is_given) {
        return Err(errors::invalid_parameter(format!(
            "{member} is not supported for PAUSE lifecycle hooks."
        )));
    }
    let stages = hook.lifecycle_stages.as_deref().unwrap_or_default();
    let shifts = [
        DeploymentLifecycleHookStage::TestTrafficShift,
        DeploymentLifecycleHookStage::ProductionTrafficShift,
    ];
    match stages.iter().find(|stage| shifts.contains(stage)) {
        Some(stage) => Err(errors::invalid_parameter(format!(
            "PAUSE lifecycle hooks are not supported at the {stage} lifecycle stage."
        ))),
        None => Ok(()),
    }
}

/// Checks when deployments are to succeed early, of a service that keeps so many percent of its tasks healthy.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/early-success-criteria.html>
///
/// # Errors
/// `InvalidParameterException`.
pub fn early(standing: Option<&DeploymentConfiguration>, minimum_healthy_percent: i32) -> Result<(), Error> {
    let early = standing.and_then(|standing| standing.early_success_criteria.as_ref());
    let Some(early) = early.filter(|early| early.enable) else { return Ok(()) };
    let strategy = standing.and_then(|standing| standing.strategy).unwrap_or_default();
    if strategy != DeploymentStrategy::Rolling {
        return Err(errors::invalid_parameter(format!(
            "earlySuccessCriteria is only valid when the deployment strategy is ROLLING, and it is {strategy}."
        )));
    }
    let (Some(percent), Some(_)) = (early.healthy_percent, early.source_service_revision_cleanup) else {
        return Err(errors::invalid_parameter(
            "healthyPercent and sourceServiceRevisionCleanup are required when earlySuccessCriteria is enabled.",
        ));
    };
    if !(minimum_healthy_percent..=100).contains(&percent) {
        return Err(errors::invalid_parameter(format!(
            "earlySuccessCriteria healthyPercent must be between minimumHealthyPercent ({minimum_healthy_percent}) and 100."
        )));
    }
    Ok(())
}
