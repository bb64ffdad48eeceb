//! DescribeTaskDefinition, ListTaskDefinitions, ListTaskDefinitionFamilies.

use ecs_model::{self as ecs, TaskDefinitionFamilyStatus, errors};
use wire::Error;

use super::{Account, TaskDefinitionRow};
use crate::{
    Ctx, arn,
    convert::{Shown, Stored},
    paging,
    rows::{TaskDefinitionId, TaskDefinitionStatus},
};

/// A task definition by family (the newest ACTIVE one), family and revision, or ARN.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTaskDefinition.html>
pub fn describe_task_definition(
    state: &Account,
    ctx: &Ctx,
    request: &ecs::DescribeTaskDefinitionRequest,
) -> Result<ecs::DescribeTaskDefinitionResponse, Error> {
    let missing = || errors::client("Unable to describe task definition.");
    let row = state.find(ctx, &request.task_definition)?.ok_or_else(missing)?;
    let include = request.include.as_deref().unwrap_or_default();
    let with_tags = include.contains(&ecs::TaskDefinitionField::Tags);
    // When it was asked to be deleted is told by that operation alone.
    let shown = ecs::TaskDefinition { delete_requested_at: None, ..row.registered.shown() };
    Ok(ecs::DescribeTaskDefinitionResponse {
        task_definition: Some(shown),
        tags: Some(if with_tags { row.tags.shown() } else { Vec::new() }),
    })
}

/// ARNs of task definitions, by family and revision.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTaskDefinitions.html>
pub fn list_task_definitions(
    state: &Account,
    ctx: &Ctx,
    request: &ecs::ListTaskDefinitionsRequest,
) -> Result<ecs::ListTaskDefinitionsResponse, Error> {
    let page = paging::read(request.max_results, request.next_token.as_deref())?;
    let status = request.status.stored().unwrap_or(TaskDefinitionStatus::Active);
    // The name is historic: it is the whole family.
    let family = request.family_prefix.clone().filter(|family| !family.is_empty());
    let after = paging::behind(&page, read_key)?;
    let least = TaskDefinitionId { family: family.clone().unwrap_or_default(), revision: 0 };
    let within = |id: &TaskDefinitionId| family.as_ref().is_none_or(|family| id.family == *family);
    let keeps = |(id, row): (&TaskDefinitionId, &std::sync::Arc<TaskDefinitionRow>)| {
        (row.status() == status).then(|| id.clone())
    };
    let (ids, next_token) = if request.sort == Some(ecs::SortOrder::Desc) {
        let before = |id: &TaskDefinitionId| after.as_ref().is_none_or(|after| id < after);
        let to = match (&after, &family) {
            (Some(after), _) => after.clone(),
            (None, Some(family)) => TaskDefinitionId { family: family.clone(), revision: i32::MAX },
            (None, None) => TaskDefinitionId { family: "\u{7f}".to_owned(), revision: i32::MAX },
        };
        let rows = if to < least { None } else { Some(state.definitions.range(least..=to).rev()) };
        let rows = rows.into_iter().flatten().take_while(|(id, _)| within(id));
        page.cut(rows.filter(|(id, _)| before(id)).filter_map(keeps), key)
    } else {
        let behind = |id: &TaskDefinitionId| after.as_ref().is_none_or(|after| id > after);
        let from = after.clone().filter(|after| *after > least).unwrap_or(least);
        let rows = state.definitions.range(from..).take_while(|(id, _)| within(id));
        page.cut(rows.filter(|(id, _)| behind(id)).filter_map(keeps), key)
    };
    let arns = ids.iter().map(|id| arn::task_definition(ctx, &id.family, id.revision)).collect();
    Ok(ecs::ListTaskDefinitionsResponse { task_definition_arns: Some(arns), next_token })
}

/// Names of families.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTaskDefinitionFamilies.html>
pub fn list_task_definition_families(
    state: &Account,
    _ctx: &Ctx,
    request: &ecs::ListTaskDefinitionFamiliesRequest,
) -> Result<ecs::ListTaskDefinitionFamiliesResponse, Error> {
    let page = paging::read(request.max_results, request.next_token.as_deref())?;
    let prefix = request.family_prefix.as_deref().unwrap_or_default();
    let status = request.status.unwrap_or(TaskDefinitionFamilyStatus::All);
    let after = page.after().unwrap_or_default();
    let from = after.max(prefix).to_owned();
    let families = state.families.range(from..).map(|(name, _)| name);
    let families = families.take_while(|name| name.starts_with(prefix)).filter(|name| {
        let wanted = match status {
            TaskDefinitionFamilyStatus::All => state.has_any(name),
            TaskDefinitionFamilyStatus::Active => state.active.contains_key(*name),
            TaskDefinitionFamilyStatus::Inactive => !state.active.contains_key(*name) && state.has_any(name),
        };
        wanted && name.as_str() > after
    });
    let (families, next_token) = page.cut(families.cloned(), String::clone);
    Ok(ecs::ListTaskDefinitionFamiliesResponse { families: Some(families), next_token })
}

impl Account {
    /// Whether a family has any task definition left.
    fn has_any(&self, family: &str) -> bool {
        let id = |revision| TaskDefinitionId { family: family.to_owned(), revision };
        self.definitions.range(id(0)..=id(i32::MAX)).next().is_some()
    }
}

pub(super) fn key(id: &TaskDefinitionId) -> String {
    id.to_string()
}

pub(super) fn read_key(text: &str) -> Option<TaskDefinitionId> {
    let (family, revision) = text.rsplit_once(':')?;
    Some(TaskDefinitionId { family: family.to_owned(), revision: revision.parse().ok()? })
}
