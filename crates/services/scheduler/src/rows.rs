//! What is stored, and all that is stored. Texts of the API that can only be certain words are kept as these words;
//! times are [`Timestamp`]s, and a timer is a time in a row.

mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use state::{
    Id128, Row,
    row::KeyPart,
    schedule::{Dialect, Expression, FlexibleTimeWindow, Timetable, Zone},
};
use wire::Timestamp;

pub use target::{Action, ConstraintRow, NetworkRow, ProviderRow, RunTaskRow, StrategyRow, TargetRow};

/// A row without its long texts.
const ROW: usize = 512;
/// An element of a list without its texts.
const ELEMENT: usize = 96;

/// Where a schedule is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScheduleId {
    pub group: String,
    pub name: String,
}

impl KeyPart for ScheduleId {
    /// Names hold no `/`.
    fn write(&self, out: &mut String) {
        out.push_str(&self.group);
        out.push('/');
        out.push_str(&self.name);
    }
}

/// A schedule group; there is none of `default`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRow {
    pub name: String,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    /// DELETING: its schedules go, and then it goes itself.
    pub deleting: bool,
    pub tags: BTreeMap<String, String>,
}

/// A run that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextRun {
    /// What the schedule says: the scheduled time that the target is told.
    pub run: Timestamp,
    /// When it is due: the same, or when a one-time schedule was made or enabled whose time had passed.
    pub at: Timestamp,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRow {
    pub id: ScheduleId,
    /// Which making of a schedule of this name it is.
    pub uid: Id128,
    pub arn: String,
    pub expression: String,
    /// A name of the IANA database.
    pub zone: String,
    /// `MaximumWindowInMinutes`; none where the window is OFF.
    pub window: Option<u16>,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub description: Option<String>,
    pub enabled: bool,
    /// `ActionAfterCompletion` is DELETE.
    pub delete_after: bool,
    pub target: TargetRow,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    /// Rises with each update.
    pub version: u32,
    /// When a rate without a StartDate begins: at the creation, or when the expression was changed.
    pub anchor: Timestamp,
    /// None: it is disabled, or complete.
    pub next: Option<NextRun>,
    /// The last run that was taken, by its scheduled time.
    pub last: Option<Timestamp>,
}

/// A run on its way: it waits for its time in the window, for room, for its call to be carried out, or for a retry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvocationRow {
    /// Its upper half is the execution id.
    pub id: Id128,
    pub schedule: ScheduleId,
    /// Which making of the schedule it is of; of another one than there is, it is void.
    pub uid: Id128,
    /// The scheduled time.
    pub run: Timestamp,
    /// When it was to be called: the scheduled time, or one in the window behind it.
    pub at: Timestamp,
    /// Not called after this: `MaximumEventAgeInSeconds` after `at`.
    pub ends: Timestamp,
    /// Not called, or where it waits for room not looked at, before this.
    pub not_before: Timestamp,
    /// It waits for an earlier run to end.
    pub waits: bool,
    /// Calls whose outcome is known.
    pub attempts: u32,
    /// Calls that were surely not carried out: a part of the idempotency token.
    pub refused: u32,
    /// Tasks that are still to be started, where some of them had no room.
    pub left: Option<i32>,
    /// What came of the last attempt.
    pub error: Option<ErrorRow>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorRow {
    pub code: String,
    pub message: String,
}

/// Runs that did not reach their target, for people to see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureRow {
    pub id: Id128,
    pub schedule_arn: String,
    pub target_arn: String,
    /// The scheduled time; of several, the last.
    pub run: Timestamp,
    /// How many; more than one where they were missed while nothing ran here.
    pub runs: u64,
    pub failed_at: Timestamp,
    pub attempts: u32,
    pub error: ErrorRow,
    /// `MaximumRetryAttempts` or `MaximumEventAgeInSeconds`, where a limit of the retry policy was met.
    pub exhausted: Option<String>,
    pub forget_at: Timestamp,
}

/// A client token, and the answer to the request that it came with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRow {
    pub token: String,
    /// Of the request: the same token with another one is refused.
    pub digest: String,
    /// Of what was created or changed.
    pub arn: Option<String>,
    pub forget_at: Timestamp,
}

impl ScheduleRow {
    /// When it runs, whether it is enabled or not; `None` only if a row holds what this program cannot read.
    pub fn timetable(&self) -> Option<Timetable> {
        Some(Timetable {
            expression: Expression::parse(&self.expression, Dialect::Scheduler).ok()?,
            zone: Zone::named(&self.zone)?,
            created: self.anchor,
            start: self.start,
            end: self.end,
            window: self
                .window
                .map_or(FlexibleTimeWindow::Off, |minutes| FlexibleTimeWindow::Flexible { minutes }),
        })
    }

    /// Whether no run is left.
    pub fn is_complete(&self) -> bool {
        self.enabled && self.next.is_none()
    }
}

impl InvocationRow {
    /// 16 hexadecimal digits.
    pub fn execution_id(&self) -> String {
        format!("{:016x}", (self.id.0 >> 64) as u64)
    }
}

fn length(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

fn tags(tags: &BTreeMap<String, String>) -> usize {
    tags.iter().map(|(key, value)| ELEMENT + key.len() + value.len()).sum()
}

impl Row for GroupRow {
    fn weight(&self) -> usize {
        ROW + tags(&self.tags)
    }
}

impl Row for ScheduleRow {
    fn weight(&self) -> usize {
        let own = self.arn.len() + self.expression.len() + 6 * length(&self.description);
        ROW * 2 + own + self.target.weight()
    }
}

impl Row for InvocationRow {
    fn weight(&self) -> usize {
        ROW * 2 + self.error.as_ref().map_or(0, |error| error.code.len() + 4 * error.message.len())
    }
}

impl Row for FailureRow {
    fn weight(&self) -> usize {
        let arns = self.schedule_arn.len() + self.target_arn.len();
        ROW * 2 + arns + self.error.code.len() + 4 * self.error.message.len()
    }
}

impl Row for TokenRow {
    fn weight(&self) -> usize {
        ROW + length(&self.arn)
    }
}
