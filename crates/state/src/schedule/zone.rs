//! Time zones of the IANA database, as they are built into the program: what a schedule means does not depend on
//! the files of a host.

use std::sync::LazyLock;

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp as Instant};
use wire::Timestamp;

/// The longest name: the constraint on `ScheduleExpressionTimezone`.
const MAX_NAME: usize = 50;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// What a zone makes of a time on its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wall {
    /// It is at this instant, for the first time if it comes twice.
    At(Timestamp),
    /// The clock is put forward over it: it shows nothing from `from` on, and `until` next.
    Skipped { from: DateTime, until: DateTime },
}

impl Zone {
    /// Coordinated universal time: the zone of rules, and of schedules that name none.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of that name, such as `Europe/London`, spelled as the database spells it.
    pub fn named(name: &str) -> Option<Self> {
        if name.len() > MAX_NAME {
            return None;
        }
        let zone = DATABASE.get(name).ok()?;
        (zone.iana_name() == Some(name)).then_some(Self(zone))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What becomes of a time on the clock; `None` at the ends of the calendar.
    pub(super) fn resolve(&self, wall: DateTime) -> Option<Wall> {
        match self.0.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                at(wall, offset).map(Wall::At)
            }
            AmbiguousOffset::Gap { before, after } => {
                // Read with the clock from before, it is at the change or after it.
                let late = before.to_timestamp(wall).ok()?;
                let change = self.last_change(late)?;
                Some(Wall::Skipped { from: before.to_datetime(change), until: after.to_datetime(change) })
            }
        }
    }

    /// The instant of a time on the clock, read with the clock from before if it is left out or comes twice.
    pub(super) fn first_instant(&self, wall: DateTime) -> Option<Timestamp> {
        match self.0.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset }
            | AmbiguousOffset::Gap { before: offset, .. }
            | AmbiguousOffset::Fold { before: offset, .. } => at(wall, offset),
        }
    }

    /// The last minute on the clock that was shown, for the first time, until `time`; what the clock shows later
    /// for the first time is after `time`. While it shows an hour again, that is the last minute of this hour.
    pub(super) fn horizon(&self, time: Timestamp) -> Option<DateTime> {
        let instant = Instant::from_millisecond(time.0).ok()?;
        let offset = self.0.to_offset(instant);
        let wall = offset.to_datetime(instant);
        let end = match self.0.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Fold { before, after } if offset == after && before != after => {
                let change = self.last_change(instant)?;
                let end = before.to_datetime(change);
                // The last minute that is shown twice.
                (end > wall).then(|| end.checked_sub(SignedDuration::from_nanos(1)).ok()).flatten()
            }
            _ => None,
        };
        Some(to_minute(end.unwrap_or(wall)))
    }

    /// The last change of the clock until `instant`.
    fn last_change(&self, instant: Instant) -> Option<Instant> {
        let next = instant.checked_add(SignedDuration::from_nanos(1)).ok()?;
        self.0.preceding(next).next().map(|change| change.timestamp())
    }
}

fn at(wall: DateTime, offset: Offset) -> Option<Timestamp> {
    offset.to_timestamp(wall).ok().map(|instant| Timestamp(instant.as_millisecond()))
}

/// Without seconds.
pub(super) fn to_minute(wall: DateTime) -> DateTime {
    let time = Time::new(wall.hour(), wall.minute(), 0, 0).unwrap_or(Time::MIN);
    DateTime::from_parts(wall.date(), time)
}
