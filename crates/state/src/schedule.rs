//! Schedule expressions of EventBridge rules and of EventBridge Scheduler: `rate(…)`, `cron(…)`, `at(…)`.
//!
//! Pure: an expression is text that is read once; the next run after a time, the last run until a time and the
//! count between two follow from it alone. Nothing here steps through minutes: a cron expression goes from field
//! to field, a gap or a fold of a time zone is left in one stride, a rate is a division.
//!
//! Sources: [EventBridge, scheduled rules](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html);
//! [Scheduler, schedule types](https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html). Where
//! the guides are silent, what the services were seen to take decides: they read cron as the Quartz scheduler does,
//! and so does [`cron`].

mod at;
mod cron;
mod days;
mod fields;
mod rate;
mod timetable;
mod zone;

use wire::Timestamp;

pub use timetable::{FlexibleTimeWindow, Timetable};
pub use zone::Zone;

use at::At;
use cron::Cron;
use rate::Rate;

/// The longest expression, in characters: the constraint of both APIs on `ScheduleExpression`.
pub const MAX_LENGTH: usize = 256;

/// Which service reads the expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `PutRule` of EventBridge: `rate` and `cron`, in UTC.
    Rules,
    /// EventBridge Scheduler: `at` too, a year may be left out of `cron`, and a time zone belongs to it.
    Scheduler,
}

/// Why an expression was refused. Displays the words of the service, for a `ValidationException`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    dialect: Dialect,
    text: String,
    reason: Reason,
}

impl ParseError {
    /// What is wrong, which AWS does not tell.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self.dialect {
            Dialect::Rules => f.write_str("Parameter ScheduleExpression is not valid."),
            Dialect::Scheduler => write!(f, "Invalid Schedule Expression {}.", self.text),
        }
    }
}

impl std::error::Error for ParseError {}

/// What is wrong with an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it is longer than {MAX_LENGTH} characters")]
    TooLong,
    #[error("it is none of rate(value unit), cron(fields), at(yyyy-mm-ddThh:mm:ss)")]
    Form,
    #[error(
        "a rate is a positive number and minutes, hours or days; a unit of one is singular, of more plural"
    )]
    Rate,
    #[error("a one-time schedule is a date and time as yyyy-mm-ddThh:mm:ss, without a zone")]
    At,
    #[error("a cron expression has the fields minutes, hours, day-of-month, month, day-of-week and year")]
    FieldCount,
    #[error("the field {0} is not valid")]
    Field(&'static str),
    #[error("one of day-of-month and day-of-week, and only one, must be ?")]
    DayFields,
}

/// An expression that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expression {
    dialect: Dialect,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rate(Rate),
    Cron(Cron),
    At(At),
}

/// Runs in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runs {
    /// How many, counted up to [`Runs::LIMIT`] for cron expressions.
    pub count: u64,
    /// The last of them, exact whatever the count.
    pub last: Timestamp,
}

impl Runs {
    /// Runs of a cron expression are not counted beyond this: who was away for so many does not need to know
    /// how many more, and the work stays bounded.
    pub const LIMIT: u64 = 1000;
}

impl Expression {
    /// Reads `text`, which is taken as it is: blanks around it are an error, as they are for AWS.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, ParseError> {
        let kind = read(text, dialect);
        let error = |reason| ParseError { dialect, text: text.chars().take(MAX_LENGTH).collect(), reason };
        kind.map(|kind| Self { dialect, kind }).map_err(error)
    }

    /// Whether it runs once at most: `at(…)`.
    pub fn is_one_time(&self) -> bool {
        matches!(self.kind, Kind::At(_))
    }

    /// The first run after `after`; `None` when none is left.
    ///
    /// `anchor` is when a rate begins: the schedule's StartDate, else its or the rule's creation. A schedule runs
    /// at its anchor for the first time, a rule one interval later. `zone` is where `cron` and `at` are read; for
    /// rules, [`Zone::utc`].
    pub fn next_after(&self, anchor: Timestamp, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        match &self.kind {
            Kind::Rate(rate) => rate.next_after(self.first(*rate, anchor)?, after),
            Kind::Cron(cron) => cron.next_after(after, zone),
            Kind::At(at) => at.instant(zone).filter(|time| *time > after),
        }
    }

    /// The last run until `until`, which may be a run itself; `None` when there was none.
    pub fn last_until(&self, anchor: Timestamp, until: Timestamp, zone: &Zone) -> Option<Timestamp> {
        match &self.kind {
            Kind::Rate(rate) => rate.last_until(self.first(*rate, anchor)?, until),
            Kind::Cron(cron) => cron.last_until(until, zone),
            Kind::At(at) => at.instant(zone).filter(|time| *time <= until),
        }
    }

    /// The runs after `after` and until `until`: what was missed between the two. `None` when there are none.
    pub fn runs_between(
        &self,
        anchor: Timestamp,
        after: Timestamp,
        until: Timestamp,
        zone: &Zone,
    ) -> Option<Runs> {
        let last = self.last_until(anchor, until, zone).filter(|last| *last > after)?;
        let count = match &self.kind {
            Kind::Rate(rate) => rate.count(self.first(*rate, anchor)?, after, last),
            Kind::Cron(_) => {
                let next = |time: &Timestamp| self.next_after(anchor, *time, zone);
                let runs = std::iter::successors(next(&after), next);
                runs.take_while(|time| *time <= last).take(Runs::LIMIT as usize).count() as u64
            }
            Kind::At(_) => 1,
        };
        Some(Runs { count, last })
    }

    /// The first run of a rate.
    fn first(&self, rate: Rate, anchor: Timestamp) -> Option<Timestamp> {
        match self.dialect {
            Dialect::Rules => anchor.0.checked_add(rate.millis()).map(Timestamp),
            Dialect::Scheduler => Some(anchor),
        }
    }
}

fn read(text: &str, dialect: Dialect) -> Result<Kind, Reason> {
    if text.chars().count() > MAX_LENGTH {
        return Err(Reason::TooLong);
    }
    let (name, rest) = text.split_once('(').ok_or(Reason::Form)?;
    let inner = rest.strip_suffix(')').ok_or(Reason::Form)?;
    // Scheduler takes its keywords in any case.
    let name = match dialect {
        Dialect::Rules => name.to_owned(),
        Dialect::Scheduler => name.to_ascii_lowercase(),
    };
    match (name.as_str(), dialect) {
        ("rate", _) => Rate::parse(inner, dialect).map(Kind::Rate),
        ("cron", _) => Cron::parse(inner, dialect).map(Kind::Cron),
        ("at", Dialect::Scheduler) => At::parse(inner).map(Kind::At),
        _ => Err(Reason::Form),
    }
}

#[cfg(test)]
mod tests;
