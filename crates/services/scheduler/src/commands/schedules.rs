//! CreateSchedule, UpdateSchedule and DeleteSchedule.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule.html>

use scheduler_model::{
    CreateScheduleInput, CreateScheduleOutput, DeleteScheduleInput, DeleteScheduleOutput,
    UpdateScheduleInput, UpdateScheduleOutput, errors,
};
use wire::Error;

use super::{groups, tokens};
use crate::{
    Txn, arn, limits,
    plan::{
        accept::{self, Wanted},
        timer,
    },
    rows::ScheduleId,
    table::Key,
};

/// CreateSchedule.
pub fn create_schedule(txn: &mut Txn, input: CreateScheduleInput) -> Result<CreateScheduleOutput, Error> {
    let request = tokens::Request::of("CreateSchedule", input.client_token.as_ref(), &input);
    if let Some(arn) = request.answered(txn)? {
        return Ok(CreateScheduleOutput { schedule_arn: arn.unwrap_or_default() });
    }
    let wanted = Wanted::from(input);
    check_group(txn, &wanted.id.group)?;
    if txn.state.schedule(&wanted.id).is_some() {
        return Err(errors::conflict(format!("Schedule {} already exists.", wanted.id.name)));
    }
    if txn.state.counts().1 >= limits::SCHEDULES {
        return Err(errors::service_quota_exceeded(format!(
            "The quota of {} schedules is exceeded.",
            limits::SCHEDULES
        )));
    }
    let mut row = accept::row(txn, wanted, None)?;
    row.next = timer::first(&row, txn.now());
    let schedule_arn = row.arn.clone();
    txn.put(row);
    request.remember(txn, Some(&schedule_arn));
    Ok(CreateScheduleOutput { schedule_arn })
}

/// UpdateSchedule: all of it is replaced.
pub fn update_schedule(txn: &mut Txn, input: UpdateScheduleInput) -> Result<UpdateScheduleOutput, Error> {
    let request = tokens::Request::of("UpdateSchedule", input.client_token.as_ref(), &input);
    if let Some(arn) = request.answered(txn)? {
        return Ok(UpdateScheduleOutput { schedule_arn: arn.unwrap_or_default() });
    }
    let wanted = Wanted::from(input);
    check_group(txn, &wanted.id.group)?;
    let old = txn.state.schedule(&wanted.id).ok_or_else(|| missing(&wanted.id))?.clone();
    let mut row = accept::row(txn, wanted, Some(&old))?;
    timer::updated(&old, &mut row, txn.now());
    let schedule_arn = row.arn.clone();
    if !row.enabled {
        not_begun(txn, &row.id);
    }
    txn.put(row);
    request.remember(txn, Some(&schedule_arn));
    Ok(UpdateScheduleOutput { schedule_arn })
}

/// Runs of a schedule that was disabled do not begin any more; those that were called are retried.
fn not_begun(txn: &mut Txn, id: &ScheduleId) {
    let now = txn.now();
    let begun = |run: &crate::rows::InvocationRow| !run.waits && (run.attempts > 0 || run.not_before <= now);
    // At most as many as the longest window has minutes.
    let runs: Vec<_> = txn.state.invocations_of(id).filter(|run| !begun(run)).map(|run| run.id).collect();
    runs.into_iter().for_each(|run| txn.delete(Key::Invocation(run)));
}

/// DeleteSchedule. Runs of it that are on their way end with it.
pub fn delete_schedule(txn: &mut Txn, input: DeleteScheduleInput) -> Result<DeleteScheduleOutput, Error> {
    let request = tokens::Request::of("DeleteSchedule", input.client_token.as_ref(), &input);
    if request.answered(txn)?.is_some() {
        return Ok(DeleteScheduleOutput {});
    }
    let id = accept::id(input.group_name, input.name);
    if id.group != arn::DEFAULT_GROUP && txn.state.group(&id.group).is_none() {
        return Err(groups::missing(&id.group));
    }
    if txn.state.schedule(&id).is_none() {
        return Err(missing(&id));
    }
    txn.delete(Key::Schedule(id));
    request.remember(txn, None);
    Ok(DeleteScheduleOutput {})
}

/// A group in which schedules can be made and changed.
fn check_group(txn: &Txn, name: &str) -> Result<(), Error> {
    if name == arn::DEFAULT_GROUP {
        return Ok(());
    }
    let row = txn.state.group(name).ok_or_else(|| groups::missing(name))?;
    if row.deleting {
        return Err(errors::conflict(format!("Schedule group {name} is being deleted.")));
    }
    Ok(())
}

/// A schedule that is not there.
pub(crate) fn missing(id: &ScheduleId) -> Error {
    errors::resource_not_found(format!("Schedule {} does not exist.", id.name))
}
