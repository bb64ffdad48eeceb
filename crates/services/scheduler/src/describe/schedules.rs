//! GetSchedule and ListSchedules.

use std::sync::Arc;

use scheduler_model::{
    ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, GetScheduleInput, GetScheduleOutput,
    ListSchedulesInput, ListSchedulesOutput, ScheduleState, ScheduleSummary, TargetSummary,
};
use wire::Error;

use super::target;
use crate::{
    Ctx, Scheduler, arn,
    commands::{groups, schedules},
    describe,
    plan::accept,
    rows::ScheduleRow,
};

/// GetSchedule.
pub fn get_schedule(
    state: &Scheduler,
    _ctx: &Ctx,
    input: &GetScheduleInput,
) -> Result<GetScheduleOutput, Error> {
    let id = accept::id(input.group_name.clone(), input.name.clone());
    check_group(state, &id.group)?;
    let row = state.schedule(&id).ok_or_else(|| schedules::missing(&id))?;
    let after = if row.delete_after { ActionAfterCompletion::Delete } else { ActionAfterCompletion::None };
    Ok(GetScheduleOutput {
        arn: Some(row.arn.clone()),
        group_name: Some(row.id.group.clone()),
        name: Some(row.id.name.clone()),
        schedule_expression: Some(row.expression.clone()),
        start_date: row.start,
        end_date: row.end,
        description: row.description.clone(),
        schedule_expression_timezone: Some(row.zone.clone()),
        state: Some(state_of(row)),
        creation_date: Some(row.created_at),
        last_modification_date: Some(row.modified_at),
        kms_key_arn: None,
        target: Some(target::shown(&row.target)),
        flexible_time_window: Some(FlexibleTimeWindow {
            mode: row.window.map_or(FlexibleTimeWindowMode::Off, |_| FlexibleTimeWindowMode::Flexible),
            maximum_window_in_minutes: row.window.map(i32::from),
        }),
        action_after_completion: Some(after),
    })
}

/// ListSchedules: in order of group and name.
pub fn list_schedules(
    state: &Scheduler,
    _ctx: &Ctx,
    input: &ListSchedulesInput,
) -> Result<ListSchedulesOutput, Error> {
    let page = describe::page(input.max_results, input.next_token.as_deref())?;
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let groups: Vec<&str> = match &input.group_name {
        Some(name) => {
            check_group(state, name)?;
            vec![name.as_str()]
        }
        None => {
            let mut all: Vec<&str> = state.groups().map(|row| row.name.as_str()).collect();
            all.push(arn::DEFAULT_GROUP);
            all.sort_unstable();
            all
        }
    };
    let after = page.after().and_then(|after| after.split_once('/'));
    let shown = groups
        .into_iter()
        .filter(|group| after.is_none_or(|(last, _)| *group >= last))
        .flat_map(|group| {
            let last = after.filter(|(last, _)| *last == group).map(|(_, name)| name);
            let rows = state.schedules_of(group, prefix, last.unwrap_or_default());
            rows.filter(move |row| last.is_none_or(|last| row.id.name.as_str() > last))
        })
        .filter(|row| input.state.is_none_or(|wanted| wanted == state_of(row)));
    let (shown, next_token) = page.cut(shown, |row| format!("{}/{}", row.id.group, row.id.name));
    Ok(ListSchedulesOutput { next_token, schedules: shown.into_iter().map(summary).collect() })
}

fn summary(row: &Arc<ScheduleRow>) -> ScheduleSummary {
    ScheduleSummary {
        arn: Some(row.arn.clone()),
        name: Some(row.id.name.clone()),
        group_name: Some(row.id.group.clone()),
        state: Some(state_of(row)),
        creation_date: Some(row.created_at),
        last_modification_date: Some(row.modified_at),
        target: Some(TargetSummary { arn: row.target.arn.clone() }),
    }
}

fn state_of(row: &ScheduleRow) -> ScheduleState {
    if row.enabled { ScheduleState::Enabled } else { ScheduleState::Disabled }
}

fn check_group(state: &Scheduler, name: &str) -> Result<(), Error> {
    if name == arn::DEFAULT_GROUP || state.group(name).is_some() {
        Ok(())
    } else {
        Err(groups::missing(name))
    }
}
