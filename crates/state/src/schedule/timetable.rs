//! A schedule of EventBridge Scheduler as data: its expression with a zone, the dates between which it runs, and
//! the window in which a run may be. A rule's schedule is one in UTC without dates and window.

use wire::Timestamp;

use super::{Expression, Runs, Zone};

/// When something runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// `ScheduleExpression`.
    pub expression: Expression,
    /// `ScheduleExpressionTimezone`.
    pub zone: Zone,
    /// When the schedule or rule was created.
    pub created: Timestamp,
    /// `StartDate`: no run is before it; a rate begins at it.
    pub start: Option<Timestamp>,
    /// `EndDate`: no run is after it.
    pub end: Option<Timestamp>,
    /// `FlexibleTimeWindow`.
    pub window: FlexibleTimeWindow,
}

/// `FlexibleTimeWindow`: how long after its time a run may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlexibleTimeWindow {
    /// `OFF`: at its time.
    #[default]
    Off,
    /// `FLEXIBLE`: at some time of the window that begins at its time.
    Flexible {
        /// `MaximumWindowInMinutes`, 1 to 1440.
        minutes: u16,
    },
}

impl Timetable {
    /// The first run after `after`; `None` when the schedule is complete.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = self.start().map_or(after, |start| after.max(start.plus_millis(-1)));
        let next = self.expression.next_after(self.anchor(), after, &self.zone)?;
        self.end().is_none_or(|end| next <= end).then_some(next)
    }

    /// The runs after `after` and until `until`: what was missed between the two. `None` when there are none.
    pub fn runs_between(&self, after: Timestamp, until: Timestamp) -> Option<Runs> {
        let after = self.start().map_or(after, |start| after.max(start.plus_millis(-1)));
        let until = self.end().map_or(until, |end| until.min(end));
        self.expression.runs_between(self.anchor(), after, until, &self.zone)
    }

    /// When a run begins whose time is `run`. `seed` is any number, chosen anew for each run, and decides where in
    /// the window it is.
    pub fn invocation(&self, run: Timestamp, seed: u64) -> Timestamp {
        match self.window {
            FlexibleTimeWindow::Off => run,
            FlexibleTimeWindow::Flexible { minutes } => {
                let window = u64::from(minutes.max(1)) * 60_000;
                run.plus_millis((seed % window) as i64)
            }
        }
    }

    fn anchor(&self) -> Timestamp {
        self.start.unwrap_or(self.created)
    }

    // "When you configure a one-time schedule, EventBridge Scheduler ignores the StartDate and EndDate."
    fn start(&self) -> Option<Timestamp> {
        self.start.filter(|_| !self.expression.is_one_time())
    }

    fn end(&self) -> Option<Timestamp> {
        self.end.filter(|_| !self.expression.is_one_time())
    }
}
