//! A target as the API shows it: as it was given, with the retry policy filled in.

use scheduler_model::{
    AwsVpcConfiguration, CapacityProviderStrategyItem, DeadLetterConfig, EcsParameters, NetworkConfiguration,
    PlacementConstraint, PlacementStrategy, RetryPolicy, Target,
};

use crate::rows::{Action, RunTaskRow, TargetRow};

pub(super) fn shown(row: &TargetRow) -> Target {
    Target {
        arn: row.arn.clone(),
        role_arn: row.role_arn.clone(),
        dead_letter_config: row.dead_letter.clone().map(|arn| DeadLetterConfig { arn: Some(arn) }),
        retry_policy: Some(RetryPolicy {
            maximum_event_age_in_seconds: Some(row.max_age),
            maximum_retry_attempts: Some(row.max_retries),
        }),
        input: row.input.clone(),
        ecs_parameters: match &row.action {
            Action::RunTask(run) => Some(parameters(run)),
            Action::Universal { .. } => None,
        },
        ..Target::default()
    }
}

fn parameters(run: &RunTaskRow) -> EcsParameters {
    let vpc = run.network.as_ref().map(|net| AwsVpcConfiguration {
        subnets: net.subnets.clone(),
        security_groups: net.security_groups.clone(),
        assign_public_ip: word(&net.public_ip),
    });
    let providers = run.capacity_providers.as_ref().map(|items| {
        let item = |item: &crate::rows::ProviderRow| CapacityProviderStrategyItem {
            capacity_provider: item.provider.clone(),
            weight: item.weight,
            base: item.base,
        };
        items.iter().map(item).collect()
    });
    let constraints = run.constraints.as_ref().map(|items| {
        let item = |item: &crate::rows::ConstraintRow| PlacementConstraint {
            r#type: word(&item.kind),
            expression: item.expression.clone(),
        };
        items.iter().map(item).collect()
    });
    let strategies = run.strategies.as_ref().map(|items| {
        let item = |item: &crate::rows::StrategyRow| PlacementStrategy {
            r#type: word(&item.kind),
            field: item.field.clone(),
        };
        items.iter().map(item).collect()
    });
    EcsParameters {
        task_definition_arn: run.task_definition.clone(),
        task_count: run.count,
        launch_type: word(&run.launch_type),
        network_configuration: vpc.map(|vpc| NetworkConfiguration { awsvpc_configuration: Some(vpc) }),
        platform_version: run.platform_version.clone(),
        group: run.group.clone(),
        capacity_provider_strategy: providers,
        enable_ecs_managed_tags: run.managed_tags,
        enable_execute_command: run.execute_command,
        placement_constraints: constraints,
        placement_strategy: strategies,
        propagate_tags: word(&run.propagate_tags),
        reference_id: run.reference_id.clone(),
        tags: run.tags.clone(),
    }
}

/// A word that the API has; one that it has no longer is not shown.
fn word<T: std::str::FromStr>(text: &Option<String>) -> Option<T> {
    text.as_ref().and_then(|text| text.parse().ok())
}
