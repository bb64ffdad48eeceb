//! PutRule, DeleteRule, EnableRule, DisableRule.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html>

use std::sync::Arc;

use events_model::{
    DeleteRuleRequest, DeleteRuleResponse, DisableRuleRequest, DisableRuleResponse, EnableRuleRequest,
    EnableRuleResponse, PutRuleRequest, PutRuleResponse, RuleState, errors,
};
use state::{
    Ctx,
    schedule::{Dialect, Expression},
};
use wire::Error;

use super::{tags, target};
use crate::{
    arn::{self, DEFAULT},
    limits,
    pattern::Pattern,
    plan::schedule,
    refuse,
    rows::{Key, RuleRow},
    state::{Events, Txn},
};

/// The event bus that a request means.
///
/// # Errors
/// `ResourceNotFoundException` if there is none.
pub fn bus(state: &Events, ctx: &Ctx, name: Option<&str>) -> Result<String, Error> {
    let name = arn::bus_name(ctx, name)?;
    let row = state.bus(&name).ok_or_else(|| refuse::no_bus(&name))?;
    Ok(row.name.clone())
}

/// The rule that a request means.
///
/// # Errors
/// `ResourceNotFoundException` if there is none.
pub fn rule<'a>(
    state: &'a Events,
    ctx: &Ctx,
    bus_name: Option<&str>,
    name: &str,
) -> Result<&'a Arc<RuleRow>, Error> {
    let bus = bus(state, ctx, bus_name)?;
    state.rule(&bus, name).ok_or_else(|| refuse::no_rule(name, &bus))
}

/// What an AWS service made for itself is changed by force alone.
///
/// # Errors
/// `ManagedRuleException`.
pub fn guard(rule: &RuleRow, force: Option<bool>) -> Result<(), Error> {
    match &rule.managed_by {
        Some(who) if force != Some(true) => {
            let message = format!("Rule {} is managed by {who} and cannot be modified.", rule.name);
            Err(errors::managed_rule(message))
        }
        _ => Ok(()),
    }
}

/// PutRule. A rule that is there is replaced, but for its tags and targets.
pub fn put_rule(txn: &mut Txn, request: PutRuleRequest) -> Result<PutRuleResponse, Error> {
    let bus = bus(txn.state, txn.ctx, request.event_bus_name.as_deref())?;
    let name = request.name;
    let there = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (pattern, expression) = (there(request.event_pattern), there(request.schedule_expression));
    check(&bus, pattern.as_deref(), expression.as_deref())?;
    let role_arn = there(request.role_arn);
    target::check_role(txn, role_arn.as_deref())?;
    let enabled = match request.state.unwrap_or(RuleState::Enabled) {
        RuleState::Enabled => true,
        RuleState::Disabled => false,
        RuleState::EnabledWithAllCloudtrailManagementEvents => {
            return Err(refuse::not_built("State ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS of rules"));
        }
    };
    let old = txn.state.rule(&bus, &name).cloned();
    let tags = match &old {
        // The tags of a request are for a new rule alone.
        Some(old) => {
            guard(old, None)?;
            old.tags.clone()
        }
        None if txn.state.rule_count(&bus) >= limits::RULES => return Err(refuse::too_many()),
        None => tags::read(request.tags.unwrap_or_default())?,
    };
    let goes_on = |old: &&RuleRow| old.schedule == expression && old.enabled && enabled;
    let row = RuleRow {
        anchor: old.as_deref().filter(goes_on).map_or(txn.now(), |old| old.anchor),
        created_by: old.map_or_else(|| txn.ctx.account.to_string(), |old| old.created_by.clone()),
        bus,
        name,
        pattern,
        schedule: expression,
        enabled,
        description: there(request.description),
        role_arn,
        managed_by: None,
        tags,
    };
    let arn = arn::rule(txn.ctx, &row.bus, &row.name);
    write(txn, row);
    Ok(PutRuleResponse { rule_arn: Some(arn) })
}

fn check(bus: &str, pattern: Option<&str>, expression: Option<&str>) -> Result<(), Error> {
    if pattern.is_none() && expression.is_none() {
        let message = "Parameter(s) EventPattern or ScheduleExpression must be specified.";
        return Err(refuse::validation(message));
    }
    if let Some(text) = expression {
        if bus != DEFAULT {
            return Err(refuse::validation("ScheduleExpression is supported only on the default event bus."));
        }
        Expression::parse(text, Dialect::Rules).map_err(|error| refuse::validation(error.to_string()))?;
    }
    if let Some(text) = pattern {
        Pattern::parse(text).map_err(|error| errors::invalid_event_pattern(error.to_string()))?;
    }
    Ok(())
}

fn write(txn: &mut Txn, row: RuleRow) {
    txn.put(row.clone());
    if row.bus == DEFAULT {
        schedule::plan(txn, &row);
    }
}

/// DeleteRule: one that is not there is deleted already.
pub fn delete_rule(txn: &mut Txn, request: DeleteRuleRequest) -> Result<DeleteRuleResponse, Error> {
    let bus = bus(txn.state, txn.ctx, request.event_bus_name.as_deref())?;
    let Some(row) = txn.state.rule(&bus, &request.name).cloned() else { return Ok(DeleteRuleResponse {}) };
    guard(&row, request.force)?;
    if txn.state.targets_after(&row.key(), "").next().is_some() {
        return Err(refuse::validation("Rule can't be deleted since it has targets."));
    }
    txn.delete(Key::Rule(row.key()));
    schedule::forget(txn, &row);
    Ok(DeleteRuleResponse {})
}

/// EnableRule.
pub fn enable_rule(txn: &mut Txn, request: EnableRuleRequest) -> Result<EnableRuleResponse, Error> {
    switch(txn, request.event_bus_name.as_deref(), &request.name, true)?;
    Ok(EnableRuleResponse {})
}

/// DisableRule.
pub fn disable_rule(txn: &mut Txn, request: DisableRuleRequest) -> Result<DisableRuleResponse, Error> {
    switch(txn, request.event_bus_name.as_deref(), &request.name, false)?;
    Ok(DisableRuleResponse {})
}

fn switch(txn: &mut Txn, bus: Option<&str>, name: &str, enabled: bool) -> Result<(), Error> {
    let row = rule(txn.state, txn.ctx, bus, name)?.clone();
    guard(&row, None)?;
    if row.enabled != enabled {
        let anchor = if enabled { txn.now() } else { row.anchor };
        write(txn, RuleRow { enabled, anchor, ..row.as_ref().clone() });
    }
    Ok(())
}
