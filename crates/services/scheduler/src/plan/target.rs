//! Whether a target can be called. What AWS can call and Roadstead cannot is refused by name.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets.html>

use std::collections::BTreeMap;

use scheduler_model::{self as model, LaunchType, errors};
use serde_json::Value;
use wire::Error;

use crate::{
    Ctx, Others, arn, limits,
    plan::{names, tags},
    rows::{Action, ConstraintRow, NetworkRow, ProviderRow, RunTaskRow, StrategyRow, TargetRow},
};

/// What operations begin with that only read.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html>
const READ_ONLY: &[&str] = &[
    "get",
    "describe",
    "list",
    "poll",
    "receive",
    "search",
    "scan",
    "query",
    "select",
    "read",
    "lookup",
    "discover",
    "validate",
    "batchGet",
    "batchDescribe",
    "batchRead",
    "transactGet",
    "adminGet",
    "adminList",
    "testMigration",
    "retrieve",
    "testConnection",
    "translateDocument",
    "isAuthorized",
    "invokeModel",
];

/// The services with a templated target, but for ECS, and what they are called.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html>
const NOT_BUILT: &[(&str, &str)] = &[
    ("codebuild", "CodeBuild"),
    ("codepipeline", "CodePipeline"),
    ("events", "EventBridge"),
    ("firehose", "Firehose"),
    ("inspector", "Inspector"),
    ("kinesis", "Kinesis"),
    ("lambda", "Lambda"),
    ("sagemaker", "SageMaker"),
    ("sns", "SNS"),
    ("sqs", "SQS"),
    ("states", "Step Functions"),
];

/// The stored form of a target.
///
/// # Errors
/// `ValidationException` for what does not fit, or is not built.
pub fn accept(ctx: &Ctx, others: &dyn Others, given: model::Target) -> Result<TargetRow, Error> {
    let action = match universal(&given.arn) {
        Some((service, action)) => call(others, &given, service, action)?,
        None => templated(ctx, &given)?,
    };
    if !others.may_assume(&given.role_arn) {
        return Err(errors::validation(
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
        ));
    }
    let retry = given.retry_policy.unwrap_or_default();
    Ok(TargetRow {
        arn: given.arn,
        role_arn: given.role_arn,
        input: given.input,
        max_age: retry.maximum_event_age_in_seconds.unwrap_or(limits::EVENT_AGE),
        max_retries: retry.maximum_retry_attempts.unwrap_or(limits::RETRIES),
        dead_letter: given.dead_letter_config.and_then(|config| config.arn),
        action,
    })
}

/// Service and operation of `arn:aws:scheduler:::aws-sdk:service:apiAction`.
fn universal(text: &str) -> Option<(&str, &str)> {
    let parts = arn::parse(text)?;
    let universal = parts.service == "scheduler" && parts.region.is_empty() && parts.account.is_empty();
    let (service, action) = parts.resource.strip_prefix("aws-sdk:").filter(|_| universal)?.split_once(':')?;
    Some((service, action))
}

fn call(others: &dyn Others, given: &model::Target, service: &str, action: &str) -> Result<Action, Error> {
    if let Some(block) = blocks(given).into_iter().find_map(|(name, there)| there.then_some(name)) {
        return Err(wrong_block(block));
    }
    if READ_ONLY.iter().any(|prefix| begins(action, prefix)) {
        return Err(errors::validation(format!("{action} API is not supported.")));
    }
    let known = others.operation(service, action).ok_or_else(|| {
        errors::validation(format!(
            "The operation {action} of {service} is not built, so that no schedule can call it. See docs/support.md."
        ))
    })?;
    let Some(input) = &given.input else {
        return Err(errors::validation("You must provide an input to set this target for your schedule"));
    };
    let written: Value = object(input)?;
    let mut fitted = written.clone();
    if let Some(shape) = known.operation.input {
        names::fit(shape, &mut fitted);
    }
    Ok(Action::Universal {
        service: known.service.to_owned(),
        operation: known.operation.name.to_owned(),
        fitted: (fitted != written).then(|| fitted.to_string()),
    })
}

/// Whether an operation is one of those that begin with a word: `getItem` begins with `get`, `getaway` does not.
fn begins(action: &str, word: &str) -> bool {
    let rest = action.strip_prefix(word);
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_lowercase()))
}

fn templated(ctx: &Ctx, given: &model::Target) -> Result<Action, Error> {
    let parts = arn::parse(&given.arn)
        .ok_or_else(|| errors::validation(format!("The target ARN {} is not valid.", given.arn)))?;
    let not_built = NOT_BUILT.iter().find(|(service, _)| *service == parts.service);
    match (parts.service, not_built) {
        ("ecs", _) => {}
        (_, Some((_, called))) => {
            return Err(errors::validation(format!(
                "Targets of {called} are not built yet: {}. See docs/support.md.",
                given.arn
            )));
        }
        (service, None) => {
            return Err(errors::validation(format!("{service} is not a supported service for a target")));
        }
    }
    if parts.region != &*ctx.region {
        return Err(errors::validation(format!(
            "The target ARN provided does not match the current region {}.",
            ctx.region
        )));
    }
    let cluster = parts.resource.strip_prefix("cluster/").unwrap_or_default();
    if cluster.is_empty() || cluster.contains('/') {
        return Err(errors::validation(format!("The target ARN {} is not that of a cluster.", given.arn)));
    }
    let other = |(name, there): (&'static str, bool)| (there && name != "EcsParameters").then_some(name);
    if let Some(block) = blocks(given).into_iter().find_map(other) {
        return Err(wrong_block(block));
    }
    if let Some(input) = &given.input {
        object(input)?;
    }
    let parameters = given.ecs_parameters.as_ref();
    let parameters =
        parameters.ok_or_else(|| errors::validation("Parameters EcsParameters must be specified"))?;
    run_task(parameters).map(|row| Action::RunTask(Box::new(row)))
}

/// The blocks of parameters that a target can have, and whether this one has them.
fn blocks(given: &model::Target) -> [(&'static str, bool); 7] {
    [
        ("EcsParameters", given.ecs_parameters.is_some()),
        ("EventBridgeParameters", given.event_bridge_parameters.is_some()),
        ("EventBridgePutEventsV2Parameters", given.event_bridge_put_events_v2_parameters.is_some()),
        ("EventBridgePutRawEventsParameters", given.event_bridge_put_raw_events_parameters.is_some()),
        ("KinesisParameters", given.kinesis_parameters.is_some()),
        ("SageMakerPipelineParameters", given.sage_maker_pipeline_parameters.is_some()),
        ("SqsParameters", given.sqs_parameters.is_some()),
    ]
}

fn wrong_block(name: &str) -> Error {
    errors::validation(format!("Parameters {name} not supported for the target."))
}

/// RunTask takes an object, and so does every operation.
fn object(input: &str) -> Result<Value, Error> {
    let read: Option<Value> = serde_json::from_str(input).ok();
    let broken = || errors::validation("JSON syntax error in input for the target");
    read.filter(Value::is_object).ok_or_else(broken)
}

fn run_task(given: &model::EcsParameters) -> Result<RunTaskRow, Error> {
    let network = given.network_configuration.as_ref().and_then(|net| net.awsvpc_configuration.as_ref());
    if given.launch_type == Some(LaunchType::Fargate) && network.is_none() {
        return Err(errors::validation(
            "Parameter NetworkConfiguration must be specified for the target when launch type is FARGATE",
        ));
    }
    check_tags(given.tags.as_deref().unwrap_or_default())?;
    Ok(RunTaskRow {
        task_definition: given.task_definition_arn.clone(),
        count: given.task_count,
        launch_type: given.launch_type.map(|word| word.to_string()),
        network: network.map(|net| NetworkRow {
            subnets: net.subnets.clone(),
            security_groups: net.security_groups.clone(),
            public_ip: net.assign_public_ip.map(|word| word.to_string()),
        }),
        platform_version: given.platform_version.clone(),
        group: given.group.clone(),
        capacity_providers: given.capacity_provider_strategy.as_ref().map(|items| {
            let item = |item: &model::CapacityProviderStrategyItem| ProviderRow {
                provider: item.capacity_provider.clone(),
                weight: item.weight,
                base: item.base,
            };
            items.iter().map(item).collect()
        }),
        managed_tags: given.enable_ecs_managed_tags,
        execute_command: given.enable_execute_command,
        constraints: given.placement_constraints.as_ref().map(|items| {
            let item = |item: &model::PlacementConstraint| ConstraintRow {
                kind: item.r#type.map(|word| word.to_string()),
                expression: item.expression.clone(),
            };
            items.iter().map(item).collect()
        }),
        strategies: given.placement_strategy.as_ref().map(|items| {
            let item = |item: &model::PlacementStrategy| StrategyRow {
                kind: item.r#type.map(|word| word.to_string()),
                field: item.field.clone(),
            };
            items.iter().map(item).collect()
        }),
        propagate_tags: given.propagate_tags.map(|word| word.to_string()),
        reference_id: given.reference_id.clone(),
        tags: given.tags.clone(),
    })
}

/// The model has a tag as a map; RunTask knows the two members alone.
fn check_tags(given: &[BTreeMap<String, String>]) -> Result<(), Error> {
    for tag in given {
        let only = tag.keys().all(|name| name == "key" || name == "value");
        let Some(key) = tag.get("key").filter(|_| only) else {
            return Err(errors::validation("A tag of EcsParameters has the members key and value."));
        };
        tags::check(key, tag.get("value").map_or("", String::as_str))?;
    }
    Ok(())
}
