//! The rows, by kind.

use crate::rows::{FailureRow, GroupRow, InvocationRow, ScheduleId, ScheduleRow, TokenRow};
use state::Id128;

state::rows! {
    /// A row of the scheduler.
    "group" Group(GroupRow, String): |row| row.name.clone(),
    "schedule" Schedule(ScheduleRow, ScheduleId): |row| row.id.clone(),
    "invocation" Invocation(InvocationRow, Id128): |row| row.id,
    "failure" Failure(FailureRow, Id128): |row| row.id,
    "token" Token(TokenRow, String): |row| row.token.clone(),
}

/// A change to one row.
pub type Change = state::Change<Row>;
