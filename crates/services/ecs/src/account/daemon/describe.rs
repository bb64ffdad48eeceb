//! DescribeDaemonTaskDefinition and ListDaemonTaskDefinitions.

use std::{
    ops::Bound::{Excluded, Included},
    sync::Arc,
};

use ecs_model::{self as ecs, DaemonTaskDefinitionStatusFilter as Filter};
use wire::Error;

use crate::{
    Account, Ctx,
    account::describe::{key, read_key},
    arn,
    convert::Shown,
    paging,
    rows::{DaemonDefinitionRow, DaemonTaskDefinitionStatus as Status, TaskDefinitionId},
};

/// Behind every family: no name has it.
const LAST: &str = "\u{7f}";

/// A daemon's task definition by family (the newest ACTIVE one), family and revision, or ARN.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeDaemonTaskDefinition.html>
///
/// # Errors
/// `ClientException` if there is none.
pub fn describe_daemon_task_definition(
    state: &Account,
    ctx: &Ctx,
    request: &ecs::DescribeDaemonTaskDefinitionRequest,
) -> Result<ecs::DescribeDaemonTaskDefinitionResponse, Error> {
    let row = state.find_daemon(ctx, &request.daemon_task_definition)?;
    Ok(ecs::DescribeDaemonTaskDefinitionResponse { daemon_task_definition: Some(row.shown()) })
}

/// Daemons' task definitions, by family and revision.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListDaemonTaskDefinitions.html>
///
/// # Errors
/// `InvalidParameterException` for a page that cannot be.
pub fn list_daemon_task_definitions(
    state: &Account,
    ctx: &Ctx,
    request: &ecs::ListDaemonTaskDefinitionsRequest,
) -> Result<ecs::ListDaemonTaskDefinitionsResponse, Error> {
    let page = paging::read(request.max_results, request.next_token.as_deref())?;
    let after = paging::behind(&page, read_key)?;
    let wanted = Wanted::of(request);
    let id = |family: &str, revision| TaskDefinitionId { family: family.to_owned(), revision };
    let (least, most) = match &wanted.family {
        Some(family) => (id(family, 0), id(family, i32::MAX)),
        None => (id(wanted.prefix, 0), id(&format!("{}{LAST}", wanted.prefix), i32::MAX)),
    };
    let downwards = request.sort == Some(ecs::SortOrder::Desc);
    let (least, most) = match (after, downwards) {
        (None, _) => (Included(least), Included(most)),
        (Some(after), true) => (Included(least), Excluded(after.min(most))),
        (Some(after), false) => (Excluded(after.max(least)), Included(most)),
    };
    let empty = match (&least, &most) {
        (Included(least) | Excluded(least), Included(most) | Excluded(most)) => least >= most,
        _ => false,
    };
    let rows = (!empty).then(|| state.daemons.all.range((least, most))).into_iter().flatten();
    let keeps = |(id, row): &(&TaskDefinitionId, &Arc<DaemonDefinitionRow>)| wanted.keeps(state, id, row);
    let named = |row: &&Arc<DaemonDefinitionRow>| key(&row.id());
    let (rows, next_token) = if downwards {
        page.cut(rows.rev().filter(keeps).map(|(_, row)| row), named)
    } else {
        page.cut(rows.filter(keeps).map(|(_, row)| row), named)
    };
    let daemon_task_definitions = Some(rows.into_iter().map(|row| summary(ctx, row)).collect());
    Ok(ecs::ListDaemonTaskDefinitionsResponse { daemon_task_definitions, next_token })
}

/// What is listed.
struct Wanted<'a> {
    prefix: &'a str,
    family: Option<&'a str>,
    /// None is all.
    status: Option<Status>,
    /// Of each family the newest of these alone.
    last: bool,
}

impl Wanted<'_> {
    fn of(request: &ecs::ListDaemonTaskDefinitionsRequest) -> Wanted<'_> {
        Wanted {
            prefix: request.family_prefix.as_deref().unwrap_or_default(),
            family: request.family.as_deref().filter(|family| !family.is_empty()),
            status: match request.status.unwrap_or(Filter::Active) {
                Filter::Active => Some(Status::Active),
                Filter::DeleteInProgress => Some(Status::DeleteInProgress),
                Filter::All => None,
            },
            last: request.revision == Some(ecs::DaemonTaskDefinitionRevisionFilter::LastRegistered),
        }
    }

    fn keeps(&self, state: &Account, id: &TaskDefinitionId, row: &DaemonDefinitionRow) -> bool {
        let is = |row: &DaemonDefinitionRow| self.status.is_none_or(|status| status == row.status);
        let newer = || {
            let last = TaskDefinitionId { family: id.family.clone(), revision: i32::MAX };
            let mut behind = state.daemons.all.range((Excluded(id.clone()), Included(last)));
            behind.any(|(_, row)| is(row))
        };
        id.family.starts_with(self.prefix) && is(row) && !(self.last && newer())
    }
}

fn summary(ctx: &Ctx, row: &DaemonDefinitionRow) -> ecs::DaemonTaskDefinitionSummary {
    let registered = &row.made_of.registered;
    ecs::DaemonTaskDefinitionSummary {
        arn: Some(arn::daemon_task_definition(ctx, &registered.family, registered.revision)),
        registered_at: registered.registered_at,
        registered_by: registered.registered_by.clone(),
        delete_requested_at: registered.delete_requested_at,
        status: Some(row.status.shown()),
    }
}
