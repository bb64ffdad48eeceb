//! One target as PutTargets gives it: what is built is read, everything else refused by name.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html>

use events_model as model;
use state::Id128;
use wire::Error;

use super::tags;
use crate::{
    arn::{self, Arn, Resource},
    limits, refuse,
    rows::{CapacityProvider, EcsTask, Network, Retry, RuleRow, TargetRow, Transformer},
    state::{self as domain, Txn},
};

/// Reads a target for a rule.
///
/// # Errors
/// `ValidationException` for what AWS refuses, and for what is not built.
pub fn read(txn: &Txn, rule: &RuleRow, target: model::Target) -> Result<TargetRow, Error> {
    not_built(&target)?;
    let there = |text: Option<String>| text.filter(|text| !text.is_empty());
    let row = TargetRow {
        bus: rule.bus.clone(),
        rule: rule.name.clone(),
        id: target.id,
        arn: target.arn,
        role_arn: there(target.role_arn),
        input: target.input,
        input_path: target.input_path,
        transformer: target
            .input_transformer
            .map(|input| Transformer { paths: input.input_paths_map, template: input.input_template }),
        ecs: target.ecs_parameters.map(ecs).transpose()?,
        dead_letter: there(target.dead_letter_config.and_then(|config| config.arn)),
        retry: target.retry_policy.map(|policy| Retry {
            attempts: policy.maximum_retry_attempts,
            age_seconds: policy.maximum_event_age_in_seconds,
        }),
        stream: Id128(0),
    };
    domain::input(&row).map_err(|error| refuse::validation(error.to_string()))?;
    check_queue(row.dead_letter.as_deref())?;
    check_role(txn, row.role_arn.as_deref())?;
    kind(txn, rule, &row)?;
    Ok(row)
}

/// Parameters of targets that are not built.
fn not_built(target: &model::Target) -> Result<(), Error> {
    let given = [
        ("KinesisParameters", target.kinesis_parameters.is_some()),
        ("RunCommandParameters", target.run_command_parameters.is_some()),
        ("BatchParameters", target.batch_parameters.is_some()),
        ("SqsParameters", target.sqs_parameters.is_some()),
        ("HttpParameters", target.http_parameters.is_some()),
        ("RedshiftDataParameters", target.redshift_data_parameters.is_some()),
        ("SageMakerPipelineParameters", target.sage_maker_pipeline_parameters.is_some()),
        ("AppSyncParameters", target.app_sync_parameters.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(refuse::not_built(&format!("{name} of targets (target {})", target.id))),
        None => Ok(()),
    }
}

/// What its ARN is of, and what that wants.
fn kind(txn: &Txn, rule: &RuleRow, row: &TargetRow) -> Result<(), Error> {
    let bad = || refuse::bad_arn(&row.arn);
    let to = Arn::parse(&row.arn).ok_or_else(bad)?;
    let resource = |prefix: &str| to.resource.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    if row.ecs.is_some() && to.service != "ecs" {
        return Err(refuse::validation(format!("EcsParameters is not supported for target {}.", row.arn)));
    }
    match to.service {
        "ecs" => {
            resource("cluster/").filter(|name| !name.contains('/')).ok_or_else(bad)?;
            if row.ecs.is_none() {
                let message = format!("Parameter(s) EcsParameters must be specified for target: {}.", row.id);
                return Err(refuse::validation(message));
            }
            if row.role_arn.is_none() && rule.role_arn.is_none() {
                return Err(refuse::validation(format!("RoleArn is required for target {}.", row.arn)));
            }
        }
        "logs" => {
            let group = resource("log-group:").ok_or_else(bad)?;
            if group.strip_suffix(":*").unwrap_or(group).contains(':') {
                return Err(bad());
            }
            log_group(row)?;
        }
        "events" if resource("event-bus/").is_some() => return bus(txn, rule, row, &to),
        service => {
            let what = to.resource.split(['/', ':']).next().unwrap_or_default();
            let what = if service == "events" { format!("{service} {what}") } else { service.to_owned() };
            return Err(refuse::not_built(&format!("targets of {what} (target {}, {})", row.id, row.arn)));
        }
    }
    foreign(txn, row, &to, "targets of other accounts and Regions")
}

fn foreign(txn: &Txn, row: &TargetRow, to: &Arn, what: &str) -> Result<(), Error> {
    match to.is_own(txn.ctx) {
        true => Ok(()),
        false => Err(refuse::not_built(&format!("{what} (target {}, {})", row.id, row.arn))),
    }
}

fn log_group(row: &TargetRow) -> Result<(), Error> {
    if row.role_arn.is_some() {
        return Err(refuse::validation(format!("RoleArn is not supported for target {}.", row.arn)));
    }
    if row.input.is_some() || row.input_path.is_some() {
        return Err(refuse::validation(format!(
            "Input and InputPath are not valid forms of input for target {}. \
             The only valid form of input is InputTransformer.",
            row.id
        )));
    }
    Ok(())
}

fn bus(txn: &Txn, rule: &RuleRow, row: &TargetRow, to: &Arn) -> Result<(), Error> {
    foreign(txn, row, to, "event buses of other accounts and Regions as targets")?;
    let Resource::Bus(name) = arn::resource(txn.ctx, &row.arn)? else {
        return Err(refuse::bad_arn(&row.arn));
    };
    if txn.state.bus(&name).is_none() {
        return Err(refuse::no_bus(&name));
    }
    if name == rule.bus {
        let message = format!(
            "Parameter {} is not valid. Reason: A rule cannot have its own event bus as a target.",
            row.arn
        );
        return Err(refuse::validation(message));
    }
    if row.input.is_some() || row.input_path.is_some() || row.transformer.is_some() {
        let message =
            format!("Input, InputPath and InputTransformer are not supported for target {}.", row.arn);
        return Err(refuse::validation(message));
    }
    Ok(())
}

/// Checks a dead-letter queue's ARN: a standard queue of SQS.
///
/// # Errors
/// `ValidationException`.
pub fn check_queue(arn: Option<&str>) -> Result<(), Error> {
    let Some(text) = arn else { return Ok(()) };
    let queue = Arn::parse(text).filter(|arn| arn.service == "sqs" && !arn.resource.ends_with(".fifo"));
    queue.map(|_| ()).ok_or_else(|| {
        refuse::validation(format!(
            "Parameter DeadLetterConfig.Arn is not valid. Reason: {text} is not the ARN of a standard SQS queue."
        ))
    })
}

/// Checks a role that targets are called as.
///
/// # Errors
/// `ValidationException`.
pub fn check_role(txn: &Txn, arn: Option<&str>) -> Result<(), Error> {
    match arn {
        Some(arn) if !txn.ports.may_assume(arn) => Err(refuse::no_role(arn)),
        _ => Ok(()),
    }
}

fn ecs(given: model::EcsParameters) -> Result<EcsTask, Error> {
    let count = given.task_count.unwrap_or(1);
    if count > limits::TASKS {
        return Err(refuse::not_built(&format!("EcsParameters.TaskCount of more than {}", limits::TASKS)));
    }
    let tags = given.tags.map(tags::read).transpose()?;
    Ok(EcsTask {
        task_definition: given.task_definition_arn,
        count,
        launch_type: given.launch_type.map(|kind| kind.as_str().to_owned()),
        network: given.network_configuration.and_then(|all| all.awsvpc_configuration).map(|config| Network {
            subnets: config.subnets,
            security_groups: config.security_groups,
            public_ip: config.assign_public_ip.map(|assign| assign.as_str().to_owned()),
        }),
        platform_version: given.platform_version,
        group: given.group,
        capacity_providers: given.capacity_provider_strategy.map(|all| {
            let one = |item: model::CapacityProviderStrategyItem| CapacityProvider {
                name: item.capacity_provider,
                weight: item.weight,
                base: item.base,
            };
            all.into_iter().map(one).collect()
        }),
        managed_tags: given.enable_ecs_managed_tags.unwrap_or(false),
        execute_command: given.enable_execute_command.unwrap_or(false),
        constraints: given.placement_constraints.map(|all| {
            let one = |item: model::PlacementConstraint| {
                (item.r#type.map(|kind| kind.as_str().to_owned()), item.expression)
            };
            all.into_iter().map(one).collect()
        }),
        strategy: given.placement_strategy.map(|all| {
            let one = |item: model::PlacementStrategy| {
                (item.r#type.map(|kind| kind.as_str().to_owned()), item.field)
            };
            all.into_iter().map(one).collect()
        }),
        propagate_tags: given.propagate_tags.map(|from| from.as_str().to_owned()),
        reference_id: given.reference_id,
        tags: tags.map(|tags| tags.into_iter().collect()),
    })
}
