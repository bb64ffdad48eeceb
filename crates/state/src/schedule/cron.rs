//! `cron(minutes hours day-of-month month day-of-week year)`: times on a clock, found field by field.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use wire::Timestamp;

use super::days::Days;
use super::fields::{Field, HOURS, MINUTES, MONTH, YEAR};
use super::zone::{Wall, to_minute};
use super::{Dialect, Reason, Zone};

/// Sets of values: the value is the bit, for years the years since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: u64,
    hours: u32,
    days: Days,
    months: u16,
    years: [u64; 4],
}

/// The years that an expression can have: no run is outside of them, by more than an offset of a time zone.
const BEGIN: Timestamp = Timestamp(-2 * DAY);
const END: Timestamp = Timestamp::from_seconds(7_258_118_400 + 2 * DAY / 1000);
const DAY: i64 = 86_400_000;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

impl Cron {
    pub(super) fn parse(inner: &str, dialect: Dialect) -> Result<Self, Reason> {
        let mut fields = inner.split([' ', '\t']).filter(|field| !field.is_empty());
        let mut next = || fields.next().ok_or(Reason::FieldCount);
        let (minutes, hours, day_of_month, month, day_of_week) =
            (next()?, next()?, next()?, next()?, next()?);
        // Scheduler's guide calls the year optional; rules have "six required fields".
        let year = match (fields.next(), dialect) {
            (Some(year), _) => year,
            (None, Dialect::Scheduler) => "*",
            (None, Dialect::Rules) => return Err(Reason::FieldCount),
        };
        if fields.next().is_some() {
            return Err(Reason::FieldCount);
        }
        let bits = |field: &Field, text| field.bits(text).ok_or(Reason::Field(field.name));
        let mut years = [0; 4];
        let mut add = |year| {
            let bit = usize::from(year - YEAR.first);
            years[bit / 64] |= 1 << (bit % 64);
        };
        YEAR.each(year, &mut add).ok_or(Reason::Field(YEAR.name))?;
        Ok(Self {
            minutes: bits(&MINUTES, minutes)?,
            hours: bits(&HOURS, hours)? as u32,
            months: bits(&MONTH, month)? as u16,
            days: Days::parse(day_of_month, day_of_week)?,
            years,
        })
    }

    /// The first run after `after`. Times that the zone leaves out are no runs, times that it shows twice are runs
    /// once, at the first ("Daylight savings time on EventBridge Scheduler").
    pub(super) fn next_after(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        if after > END {
            return None;
        }
        let mut wall = zone.horizon(after.max(BEGIN))?.checked_add(MINUTE).ok()?;
        // Each turn but the last leaves one gap of the zone behind, of which there are some hundred until 2199.
        loop {
            match zone.resolve(self.from(wall)?)? {
                Wall::At(time) => return Some(time),
                Wall::Skipped { until, .. } if until.second() == 0 => wall = until,
                Wall::Skipped { until, .. } => wall = to_minute(until).checked_add(MINUTE).ok()?,
            }
        }
    }

    /// The last run until `until`.
    pub(super) fn last_until(&self, until: Timestamp, zone: &Zone) -> Option<Timestamp> {
        if until < BEGIN {
            return None;
        }
        let mut wall = zone.horizon(until.min(END))?;
        loop {
            match zone.resolve(self.until(wall)?)? {
                Wall::At(time) => return Some(time),
                Wall::Skipped { from, .. } => {
                    wall = to_minute(from.checked_sub(SignedDuration::from_nanos(1)).ok()?);
                }
            }
        }
    }

    /// The first time on a clock that is meant, at `wall` or later.
    fn from(&self, wall: DateTime) -> Option<DateTime> {
        let (mut date, mut time) = (wall.date(), wall.time());
        loop {
            let year = date.year();
            if year > YEAR.last as i16 {
                return None;
            }
            // The rest of this month, if it is meant at all, then the next that is.
            if self.has_month(date) {
                let days = self.days.of(date.first_of_month());
                if has(days.into(), date.day())
                    && let Some(time) = self.time_from(time)
                {
                    return Some(DateTime::from_parts(date, time));
                }
                if let Some(day) = above(days.into(), date.day()) {
                    return self.at_first(Date::new(year, date.month(), day).ok()?);
                }
            }
            date = match above(self.months.into(), date.month()) {
                Some(month) if self.has_year(year) => Date::new(year, month, 1).ok()?,
                _ => Date::new(year + 1, 1, 1).ok()?,
            };
            time = Time::MIN;
        }
    }

    /// The last time on a clock that is meant, at `wall` or before.
    fn until(&self, wall: DateTime) -> Option<DateTime> {
        let (mut date, mut time) = (wall.date(), wall.time());
        loop {
            let year = date.year();
            if year < YEAR.first as i16 {
                return None;
            }
            if self.has_month(date) {
                let days = self.days.of(date.first_of_month());
                if has(days.into(), date.day())
                    && let Some(time) = self.time_until(time)
                {
                    return Some(DateTime::from_parts(date, time));
                }
                if let Some(day) = below(days.into(), date.day()) {
                    let date = Date::new(year, date.month(), day).ok()?;
                    return self.time_until(Time::MAX).map(|time| DateTime::from_parts(date, time));
                }
            }
            date = match below(self.months.into(), date.month()) {
                Some(month) if self.has_year(year) => Date::new(year, month, 1).ok()?.last_of_month(),
                _ => Date::new(year - 1, 12, 31).ok()?,
            };
            time = Time::MAX;
        }
    }

    fn at_first(&self, date: Date) -> Option<DateTime> {
        self.time_from(Time::MIN).map(|time| DateTime::from_parts(date, time))
    }

    /// The first time of a day that is meant, from `time` on.
    fn time_from(&self, time: Time) -> Option<Time> {
        let (hour, minute) = (time.hour(), time.minute());
        if has(self.hours.into(), hour)
            && let Some(minute) = above(self.minutes, minute - 1)
        {
            return Time::new(hour, minute, 0, 0).ok();
        }
        Time::new(above(self.hours.into(), hour)?, above(self.minutes, -1)?, 0, 0).ok()
    }

    /// The last time of a day that is meant, until `time`.
    fn time_until(&self, time: Time) -> Option<Time> {
        let (hour, minute) = (time.hour(), time.minute());
        if has(self.hours.into(), hour)
            && let Some(minute) = below(self.minutes, minute + 1)
        {
            return Time::new(hour, minute, 0, 0).ok();
        }
        Time::new(below(self.hours.into(), hour)?, below(self.minutes, 60)?, 0, 0).ok()
    }

    fn has_month(&self, date: Date) -> bool {
        self.has_year(date.year()) && has(self.months.into(), date.month())
    }

    fn has_year(&self, year: i16) -> bool {
        let bit = usize::try_from(year - YEAR.first as i16).unwrap_or(usize::MAX);
        self.years.get(bit / 64).is_some_and(|years| years & 1 << (bit % 64) != 0)
    }
}

/// Whether `bit` is in the set.
fn has(set: u64, bit: i8) -> bool {
    above(set, bit - 1) == Some(bit)
}

/// The lowest bit above `bit`, which is from -1 to 63.
fn above(set: u64, bit: i8) -> Option<i8> {
    let rest = set & u64::MAX.checked_shl((bit + 1) as u32).unwrap_or(0);
    (rest != 0).then(|| rest.trailing_zeros() as i8)
}

/// The highest bit below `bit`, which is from 0 to 64.
fn below(set: u64, bit: i8) -> Option<i8> {
    let rest = set & u64::MAX.checked_shr(64 - bit as u32).unwrap_or(0);
    (rest != 0).then(|| 63 - rest.leading_zeros() as i8)
}
