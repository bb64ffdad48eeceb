//! Whether a request can be a schedule. Messages are those that AWS was seen to give, where one was.
//!
//! Sources: [CreateSchedule](https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html) and
//! [flexible time windows](https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-flexible-time-windows.html).

use scheduler_model::{
    self as model, ActionAfterCompletion, CreateScheduleInput, FlexibleTimeWindowMode, ScheduleState,
    UpdateScheduleInput, errors,
};
use state::schedule::{Dialect, Expression, Zone};
use wire::{Error, Timestamp};

use crate::{
    Txn, arn, limits,
    plan::target,
    rows::{ScheduleId, ScheduleRow},
};

/// What CreateSchedule and UpdateSchedule have in common: all but what is done with it.
pub struct Wanted {
    pub id: ScheduleId,
    expression: String,
    zone: Option<String>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    description: Option<String>,
    state: Option<ScheduleState>,
    kms_key: Option<String>,
    target: model::Target,
    window: model::FlexibleTimeWindow,
    after: Option<ActionAfterCompletion>,
}

/// Both inputs have the same members.
macro_rules! wanted {
    ($input:ty) => {
        impl From<$input> for Wanted {
            fn from(input: $input) -> Wanted {
                Wanted {
                    id: id(input.group_name, input.name),
                    expression: input.schedule_expression,
                    zone: input.schedule_expression_timezone,
                    start: input.start_date,
                    end: input.end_date,
                    description: input.description,
                    state: input.state,
                    kms_key: input.kms_key_arn,
                    target: input.target,
                    window: input.flexible_time_window,
                    after: input.action_after_completion,
                }
            }
        }
    };
}
wanted!(CreateScheduleInput);
wanted!(UpdateScheduleInput);

/// The schedule of a request, which is in the group `default` if it names none.
pub fn id(group: Option<String>, name: String) -> ScheduleId {
    ScheduleId { group: group.unwrap_or_else(|| arn::DEFAULT_GROUP.to_owned()), name }
}

/// The row of a schedule as it is wanted, without the time of its next run. "If you do not set an optional field, that
/// field will be set to its system-default value": of `old` only what nobody sets is kept.
///
/// # Errors
/// `ValidationException` for what does not fit.
pub fn row(txn: &mut Txn, wanted: Wanted, old: Option<&ScheduleRow>) -> Result<ScheduleRow, Error> {
    if wanted.kms_key.is_some() {
        return Err(errors::validation("KmsKeyArn is not built yet. See docs/support.md."));
    }
    let now = txn.now();
    let parsed = Expression::parse(&wanted.expression, Dialect::Scheduler);
    let expression = parsed.map_err(|refused| errors::validation(refused.to_string()))?;
    let name = wanted.zone.as_deref().unwrap_or("UTC");
    let zone = Zone::named(name)
        .ok_or_else(|| errors::validation(format!("Invalid Schedule Expression Timezone {name}.")))?;
    let dates = (wanted.start, wanted.end, old.and_then(|old| old.start));
    check_dates(now, &expression, dates)?;
    let after = wanted.start.map_or(now, |start| start.max(now)).plus_millis(-1);
    if !expression.is_one_time() && expression.next_after(wanted.start.unwrap_or(now), after, &zone).is_none()
    {
        let text = &wanted.expression;
        return Err(errors::validation(format!("The schedule expression {text} will never schedule.")));
    }
    Ok(ScheduleRow {
        window: window(&wanted.window)?,
        target: target::accept(txn.ctx, txn.ports.as_ref(), wanted.target)?,
        uid: old.map_or_else(|| txn.ids.id(), |old| old.uid),
        arn: arn::schedule(txn.ctx, &wanted.id.group, &wanted.id.name),
        id: wanted.id,
        expression: wanted.expression,
        zone: name.to_owned(),
        start: wanted.start,
        end: wanted.end,
        description: wanted.description,
        enabled: wanted.state != Some(ScheduleState::Disabled),
        delete_after: wanted.after == Some(ActionAfterCompletion::Delete),
        created_at: old.map_or(now, |old| old.created_at),
        modified_at: now,
        version: old.map_or(1, |old| old.version.saturating_add(1)),
        anchor: old.map_or(now, |old| old.anchor),
        next: None,
        last: old.and_then(|old| old.last),
    })
}

type Dates = (Option<Timestamp>, Option<Timestamp>, Option<Timestamp>);

/// A one-time schedule ignores both dates. An update that leaves an old StartDate as it was keeps it.
fn check_dates(now: Timestamp, expression: &Expression, (start, end, had): Dates) -> Result<(), Error> {
    if expression.is_one_time() {
        return Ok(());
    }
    let Some(start) = start else { return Ok(()) };
    if start < now.plus_millis(-limits::START_BACK_MS) && had != Some(start) {
        return Err(errors::validation("The StartDate you specify cannot be earlier than 5 minutes ago."));
    }
    if end.is_some_and(|end| end <= start) {
        return Err(errors::validation("The StartDate you specify must come before the EndDate."));
    }
    Ok(())
}

fn window(given: &model::FlexibleTimeWindow) -> Result<Option<u16>, Error> {
    match (given.mode, given.maximum_window_in_minutes) {
        (FlexibleTimeWindowMode::Off, None) => Ok(None),
        (FlexibleTimeWindowMode::Off, Some(_)) => Err(errors::validation(
            "MaximumWindowInMinutes must not be provided when FlexibleTimeWindowMode is set to OFF.",
        )),
        (FlexibleTimeWindowMode::Flexible, None) => Err(errors::validation(
            "MaximumWindowInMinutes must be provided when FlexibleTimeWindowMode is set to FLEXIBLE",
        )),
        // The model allows 1 to 1440.
        (FlexibleTimeWindowMode::Flexible, Some(minutes)) => Ok(u16::try_from(minutes).ok()),
    }
}
