//! What is shown: the operations that read.

use std::sync::Arc;

use events_model::{self as model, errors};
use state::{Ctx, paging};
use wire::{Error, StringEnum};

use crate::{
    api::{permissions, rules},
    arn::{self, Arn, Resource},
    envelope,
    pattern::Pattern,
    refuse,
    rows::{BusRow, EcsTask, RuleRow, Tags, TargetRow},
    state::Events,
};

/// Items of a page, at most.
const PAGE: i32 = 100;

fn page(limit: Option<i32>, token: Option<&str>) -> Result<paging::Request, Error> {
    let read = paging::Request::read(PAGE, PAGE, limit, token);
    read.map_err(|refused| match refused {
        paging::Refused::Size { .. } => refuse::validation(format!("Limit must be between 1 and {PAGE}.")),
        paging::Refused::Token => refuse::validation("Parameter NextToken is not valid."),
    })
}

/// DescribeEventBus.
pub fn describe_event_bus(
    state: &Events,
    ctx: &Ctx,
    request: &model::DescribeEventBusRequest,
) -> Result<model::DescribeEventBusResponse, Error> {
    let name = rules::bus(state, ctx, request.name.as_deref())?;
    let row = state.bus(&name).ok_or_else(|| refuse::no_bus(&name))?;
    Ok(model::DescribeEventBusResponse {
        arn: Some(arn::bus(ctx, &name)),
        description: row.description.clone(),
        dead_letter_config: dead_letter_config(row.dead_letter.as_ref()),
        log_config: log_config(row),
        policy: state.policy(&name).map(|row| permissions::text(row)),
        creation_time: row.created_at,
        last_modified_time: row.modified_at,
        name: Some(name),
        ..Default::default()
    })
}

/// ListEventBuses.
pub fn list_event_buses(
    state: &Events,
    ctx: &Ctx,
    request: &model::ListEventBusesRequest,
) -> Result<model::ListEventBusesResponse, Error> {
    let page = page(request.limit, request.next_token.as_deref())?;
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    let all = state.buses_after(page.after().unwrap_or_default());
    let (found, next_token) =
        page.cut(all.filter(|row| row.name.starts_with(prefix)), |row| row.name.clone());
    let one = |row: &Arc<BusRow>| model::EventBus {
        name: Some(row.name.clone()),
        arn: Some(arn::bus(ctx, &row.name)),
        description: row.description.clone(),
        policy: state.policy(&row.name).map(|row| permissions::text(row)),
        creation_time: row.created_at,
        last_modified_time: row.modified_at,
        managed_by: None,
    };
    Ok(model::ListEventBusesResponse { event_buses: Some(found.into_iter().map(one).collect()), next_token })
}

/// `DeadLetterConfig`.
pub fn dead_letter_config(arn: Option<&String>) -> Option<model::DeadLetterConfig> {
    arn.map(|arn| model::DeadLetterConfig { arn: Some(arn.clone()) })
}

/// `LogConfig`.
pub fn log_config(row: &BusRow) -> Option<model::LogConfig> {
    let (level, include_detail) = (parse(&row.log_level), parse(&row.log_detail));
    (level.is_some() || include_detail.is_some()).then_some(model::LogConfig { include_detail, level })
}

fn parse<E: StringEnum>(text: &Option<String>) -> Option<E> {
    text.as_deref().and_then(E::parse)
}

fn rule_state(row: &RuleRow) -> model::RuleState {
    if row.enabled { model::RuleState::Enabled } else { model::RuleState::Disabled }
}

/// DescribeRule.
pub fn describe_rule(
    state: &Events,
    ctx: &Ctx,
    request: &model::DescribeRuleRequest,
) -> Result<model::DescribeRuleResponse, Error> {
    let row = rules::rule(state, ctx, request.event_bus_name.as_deref(), &request.name)?;
    Ok(model::DescribeRuleResponse {
        name: Some(row.name.clone()),
        arn: Some(arn::rule(ctx, &row.bus, &row.name)),
        event_pattern: row.pattern.clone(),
        schedule_expression: row.schedule.clone(),
        state: Some(rule_state(row)),
        description: row.description.clone(),
        role_arn: row.role_arn.clone(),
        managed_by: row.managed_by.clone(),
        event_bus_name: Some(row.bus.clone()),
        created_by: Some(row.created_by.clone()),
    })
}

/// ListRules.
pub fn list_rules(
    state: &Events,
    ctx: &Ctx,
    request: &model::ListRulesRequest,
) -> Result<model::ListRulesResponse, Error> {
    let bus = rules::bus(state, ctx, request.event_bus_name.as_deref())?;
    let page = page(request.limit, request.next_token.as_deref())?;
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    let all = state.rules_after(&bus, page.after().unwrap_or_default());
    let (found, next_token) =
        page.cut(all.filter(|row| row.name.starts_with(prefix)), |row| row.name.clone());
    let one = |row: &Arc<RuleRow>| model::Rule {
        name: Some(row.name.clone()),
        arn: Some(arn::rule(ctx, &row.bus, &row.name)),
        event_pattern: row.pattern.clone(),
        state: Some(rule_state(row)),
        description: row.description.clone(),
        schedule_expression: row.schedule.clone(),
        role_arn: row.role_arn.clone(),
        managed_by: row.managed_by.clone(),
        event_bus_name: Some(row.bus.clone()),
    };
    Ok(model::ListRulesResponse { rules: Some(found.into_iter().map(one).collect()), next_token })
}

/// ListRuleNamesByTarget.
pub fn list_rule_names_by_target(
    state: &Events,
    ctx: &Ctx,
    request: &model::ListRuleNamesByTargetRequest,
) -> Result<model::ListRuleNamesByTargetResponse, Error> {
    let bus = rules::bus(state, ctx, request.event_bus_name.as_deref())?;
    if Arn::parse(&request.target_arn).is_none() {
        return Err(refuse::bad_arn(&request.target_arn));
    }
    let page = page(request.limit, request.next_token.as_deref())?;
    let all = state.rules_by_target(&bus, &request.target_arn, page.after().unwrap_or_default());
    let (found, next_token) = page.cut(all.map(str::to_owned), String::clone);
    Ok(model::ListRuleNamesByTargetResponse { rule_names: Some(found), next_token })
}

/// ListTargetsByRule.
pub fn list_targets_by_rule(
    state: &Events,
    ctx: &Ctx,
    request: &model::ListTargetsByRuleRequest,
) -> Result<model::ListTargetsByRuleResponse, Error> {
    let key = rules::rule(state, ctx, request.event_bus_name.as_deref(), &request.rule)?.key();
    let page = page(request.limit, request.next_token.as_deref())?;
    let all = state.targets_after(&key, page.after().unwrap_or_default());
    let (found, next_token) = page.cut(all.map(|target| &target.row), |row| row.id.clone());
    let targets = found.into_iter().map(|row| target(row)).collect();
    Ok(model::ListTargetsByRuleResponse { targets: Some(targets), next_token })
}

fn target(row: &TargetRow) -> model::Target {
    model::Target {
        id: row.id.clone(),
        arn: row.arn.clone(),
        role_arn: row.role_arn.clone(),
        input: row.input.clone(),
        input_path: row.input_path.clone(),
        input_transformer: row.transformer.as_ref().map(|input| model::InputTransformer {
            input_paths_map: input.paths.clone(),
            input_template: input.template.clone(),
        }),
        ecs_parameters: row.ecs.as_ref().map(ecs),
        dead_letter_config: dead_letter_config(row.dead_letter.as_ref()),
        retry_policy: row.retry.map(|retry| model::RetryPolicy {
            maximum_retry_attempts: retry.attempts,
            maximum_event_age_in_seconds: retry.age_seconds,
        }),
        ..Default::default()
    }
}

fn ecs(task: &EcsTask) -> model::EcsParameters {
    let network = task.network.as_ref().map(|network| model::NetworkConfiguration {
        awsvpc_configuration: Some(model::AwsVpcConfiguration {
            subnets: network.subnets.clone(),
            security_groups: network.security_groups.clone(),
            assign_public_ip: parse(&network.public_ip),
        }),
    });
    let providers =
        task.capacity_providers.iter().flatten().map(|provider| model::CapacityProviderStrategyItem {
            capacity_provider: provider.name.clone(),
            weight: provider.weight,
            base: provider.base,
        });
    let constraints = task.constraints.iter().flatten();
    let constraints = constraints.map(|(kind, expression)| model::PlacementConstraint {
        r#type: parse(kind),
        expression: expression.clone(),
    });
    let strategy = task.strategy.iter().flatten();
    let strategy =
        strategy.map(|(kind, field)| model::PlacementStrategy { r#type: parse(kind), field: field.clone() });
    let tags = task.tags.iter().flatten();
    let tags = tags.map(|(key, value)| model::Tag { key: key.clone(), value: value.clone() });
    model::EcsParameters {
        task_definition_arn: task.task_definition.clone(),
        task_count: Some(task.count),
        launch_type: parse(&task.launch_type),
        network_configuration: network,
        platform_version: task.platform_version.clone(),
        group: task.group.clone(),
        capacity_provider_strategy: task.capacity_providers.is_some().then(|| providers.collect()),
        enable_ecs_managed_tags: Some(task.managed_tags),
        enable_execute_command: Some(task.execute_command),
        placement_constraints: task.constraints.is_some().then(|| constraints.collect()),
        placement_strategy: task.strategy.is_some().then(|| strategy.collect()),
        propagate_tags: parse(&task.propagate_tags),
        reference_id: task.reference_id.clone(),
        tags: task.tags.is_some().then(|| tags.collect()),
    }
}

/// ListTagsForResource.
pub fn list_tags_for_resource(
    state: &Events,
    ctx: &Ctx,
    request: &model::ListTagsForResourceRequest,
) -> Result<model::ListTagsForResourceResponse, Error> {
    let tags: &Tags = match arn::resource(ctx, &request.resource_arn)? {
        Resource::Bus(name) => &state.bus(&name).ok_or_else(|| refuse::no_bus(&name))?.tags,
        Resource::Rule { bus, name } => &rules::rule(state, ctx, Some(&bus), &name)?.tags,
    };
    let one = |(key, value): (&String, &String)| model::Tag { key: key.clone(), value: value.clone() };
    Ok(model::ListTagsForResourceResponse { tags: Some(tags.iter().map(one).collect()) })
}

/// TestEventPattern.
pub fn test_event_pattern(
    _state: &Events,
    _ctx: &Ctx,
    request: &model::TestEventPatternRequest,
) -> Result<model::TestEventPatternResponse, Error> {
    let pattern = Pattern::parse(&request.event_pattern)
        .map_err(|error| errors::invalid_event_pattern(error.to_string()))?;
    let bad = || refuse::validation("Parameter Event is not valid.");
    if !envelope::is_event(&request.event) {
        return Err(bad());
    }
    let result = pattern.matches(&request.event).map_err(|_| bad())?;
    Ok(model::TestEventPatternResponse { result: Some(result) })
}
