//! CreateScheduleGroup and DeleteScheduleGroup.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-group.html>

use scheduler_model::{
    CreateScheduleGroupInput, CreateScheduleGroupOutput, DeleteScheduleGroupInput, DeleteScheduleGroupOutput,
    errors,
};
use wire::Error;

use super::{tags, tokens};
use crate::{Txn, arn, limits, rows::GroupRow};

/// CreateScheduleGroup.
pub fn create_schedule_group(
    txn: &mut Txn,
    input: CreateScheduleGroupInput,
) -> Result<CreateScheduleGroupOutput, Error> {
    let request = tokens::Request::of("CreateScheduleGroup", input.client_token.as_ref(), &input);
    if let Some(arn) = request.answered(txn)? {
        return Ok(CreateScheduleGroupOutput { schedule_group_arn: arn.unwrap_or_default() });
    }
    let name = input.name;
    not_default(&name)?;
    if txn.state.group(&name).is_some() {
        return Err(errors::conflict(format!("Schedule group {name} already exists.")));
    }
    if txn.state.counts().0 >= limits::GROUPS {
        return Err(errors::service_quota_exceeded(format!(
            "The quota of {} schedule groups is exceeded.",
            limits::GROUPS
        )));
    }
    let now = txn.now();
    let mut row =
        GroupRow { name, created_at: now, modified_at: now, deleting: false, tags: Default::default() };
    tags::set(&mut row.tags, input.tags.unwrap_or_default())?;
    let schedule_group_arn = arn::group(txn.ctx, &row.name);
    txn.put(row);
    request.remember(txn, Some(&schedule_group_arn));
    Ok(CreateScheduleGroupOutput { schedule_group_arn })
}

/// DeleteScheduleGroup: its schedules go with it, and it is DELETING until they are gone.
pub fn delete_schedule_group(
    txn: &mut Txn,
    input: DeleteScheduleGroupInput,
) -> Result<DeleteScheduleGroupOutput, Error> {
    let request = tokens::Request::of("DeleteScheduleGroup", input.client_token.as_ref(), &input);
    if request.answered(txn)?.is_some() {
        return Ok(DeleteScheduleGroupOutput {});
    }
    not_default(&input.name)?;
    let mut row = txn.state.group(&input.name).ok_or_else(|| missing(&input.name))?.as_ref().clone();
    row.modified_at = txn.now();
    row.deleting = true;
    txn.put(row);
    request.remember(txn, None);
    Ok(DeleteScheduleGroupOutput {})
}

/// Refuses what cannot be done with the group that is always there.
pub(super) fn not_default(name: &str) -> Result<(), Error> {
    if name == arn::DEFAULT_GROUP {
        return Err(errors::validation("This operation cannot be performed on schedule group default."));
    }
    Ok(())
}

/// A group that is not there.
pub(crate) fn missing(name: &str) -> Error {
    errors::resource_not_found(format!("Schedule group {name} does not exist."))
}
