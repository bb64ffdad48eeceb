//! GetScheduleGroup, ListScheduleGroups and ListTagsForResource.

use std::sync::Arc;

use scheduler_model::{
    GetScheduleGroupInput, GetScheduleGroupOutput, ListScheduleGroupsInput, ListScheduleGroupsOutput,
    ListTagsForResourceInput, ListTagsForResourceOutput, ScheduleGroupState, ScheduleGroupSummary, Tag,
};
use wire::Error;

use crate::{
    Ctx, Scheduler, arn,
    commands::{groups, tags},
    describe,
    rows::GroupRow,
};

/// GetScheduleGroup.
pub fn get_schedule_group(
    state: &Scheduler,
    ctx: &Ctx,
    input: &GetScheduleGroupInput,
) -> Result<GetScheduleGroupOutput, Error> {
    let name = &input.name;
    let row = state.group(name);
    if row.is_none() && name != arn::DEFAULT_GROUP {
        return Err(groups::missing(name));
    }
    let ScheduleGroupSummary { arn, name, state, creation_date, last_modification_date } =
        summary(ctx, name, row);
    Ok(GetScheduleGroupOutput { arn, name, state, creation_date, last_modification_date })
}

/// ListScheduleGroups: `default` first, then the newest.
pub fn list_schedule_groups(
    state: &Scheduler,
    ctx: &Ctx,
    input: &ListScheduleGroupsInput,
) -> Result<ListScheduleGroupsOutput, Error> {
    let page = describe::page(input.max_results, input.next_token.as_deref())?;
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let default = [(arn::DEFAULT_GROUP, None)];
    let made = state.groups().map(|row| (row.name.as_str(), Some(row)));
    let mut all: Vec<(String, &str, Option<&Arc<GroupRow>>)> = default
        .into_iter()
        .chain(made)
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, row)| (order(name, row), name, row))
        .collect();
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let later = all.iter().filter(|(key, ..)| page.after().is_none_or(|after| key.as_str() > after));
    let (shown, next_token) = page.cut(later, |(key, ..)| key.clone());
    let schedule_groups = shown.into_iter().map(|(_, name, row)| summary(ctx, name, *row)).collect();
    Ok(ListScheduleGroupsOutput { next_token, schedule_groups })
}

/// A text that sorts as the list does.
fn order(name: &str, row: Option<&Arc<GroupRow>>) -> String {
    let newest = row.map_or(0, |row| i64::MAX.saturating_sub(row.created_at.0.max(0)));
    format!("{newest:020}/{name}")
}

fn summary(ctx: &Ctx, name: &str, row: Option<&Arc<GroupRow>>) -> ScheduleGroupSummary {
    let deleting = row.is_some_and(|row| row.deleting);
    ScheduleGroupSummary {
        arn: Some(arn::group(ctx, name)),
        name: Some(name.to_owned()),
        state: Some(if deleting { ScheduleGroupState::Deleting } else { ScheduleGroupState::Active }),
        creation_date: row.map(|row| row.created_at),
        last_modification_date: row.map(|row| row.modified_at),
    }
}

/// ListTagsForResource.
pub fn list_tags_for_resource(
    state: &Scheduler,
    ctx: &Ctx,
    input: &ListTagsForResourceInput,
) -> Result<ListTagsForResourceOutput, Error> {
    let name = arn::group_name(ctx, &input.resource_arn).ok_or_else(|| tags::missing(&input.resource_arn))?;
    let row = state.group(name);
    if row.is_none() && name != arn::DEFAULT_GROUP {
        return Err(groups::missing(name));
    }
    let own = row.into_iter().flat_map(|row| &row.tags);
    let own = own.map(|(key, value)| Tag { key: key.clone(), value: value.clone() });
    Ok(ListTagsForResourceOutput { tags: Some(own.collect()) })
}
