//! The two day fields of a cron expression, of which one is `?`: which days of a month they mean.

use jiff::civil::Date;

use super::Reason;
use super::fields::{DAY_OF_MONTH, DAY_OF_WEEK, items, number};

/// Which days of a month. Sets of days have the day as their bit; sets of days of the week too, from SUN = 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Days {
    /// Days of the month (`1-5`), and days whose nearest weekday is meant (`3W`).
    OfMonth { days: u32, nearest: u32 },
    /// So many days before the last (`L`, `L-3`); the nearest weekday to it with `LW`.
    BeforeLast { days: u8, nearest: bool },
    /// Days of the week.
    OfWeek(u8),
    /// The last such day of the week (`6L`).
    LastOfWeek(u8),
    /// The n-th such day of the week (`3#2`).
    Nth { day: u8, nth: u8 },
}

/// `L-30` is the first of a long month.
const MAX_BEFORE_LAST: u16 = 30;

impl Days {
    pub(super) fn parse(of_month: &str, of_week: &str) -> Result<Self, Reason> {
        // `?,` is `?`, as in all lists.
        let any = |text: &str| items(text).eq(["?"]);
        match (any(of_month), any(of_week)) {
            (false, true) => day_of_month(of_month).ok_or(Reason::Field(DAY_OF_MONTH.name)),
            (true, false) => day_of_week(of_week).ok_or(Reason::Field(DAY_OF_WEEK.name)),
            _ => Err(Reason::DayFields),
        }
    }

    /// The days that are meant in the month that begins at `first`, as bits.
    pub(super) fn of(self, first: Date) -> u32 {
        let length = first.days_in_month() as u8;
        let month = (u32::MAX >> (31 - length)) & !1;
        // The day of the week of the first, from SUN = 1.
        let weekday = first.weekday().to_sunday_one_offset() as u8;
        let found = match self {
            Self::OfMonth { days, nearest } => {
                let moved = bits(nearest & month).map(|day| nearest_weekday(day, length, weekday));
                moved.fold(days, |all, day| all | 1 << day)
            }
            Self::BeforeLast { days, .. } if days >= length => 0,
            Self::BeforeLast { days, nearest: false } => 1 << (length - days),
            Self::BeforeLast { days, nearest: true } => 1 << nearest_weekday(length - days, length, weekday),
            Self::OfWeek(set) => {
                let meant = |day: &u8| set & 1 << weekday_of(*day, weekday) != 0;
                (1..=length).filter(meant).fold(0, |all, day| all | 1 << day)
            }
            Self::LastOfWeek(day) => {
                let first = 1 + (day + 7 - weekday) % 7;
                1 << (first + (length - first) / 7 * 7)
            }
            // A fifth one of a month that has four is beyond its last day.
            Self::Nth { day, nth } => {
                1u32.checked_shl((1 + (day + 7 - weekday) % 7 + (nth - 1) * 7).into()).unwrap_or(0)
            }
        };
        found & month
    }
}

fn day_of_month(text: &str) -> Option<Days> {
    let mut list = items(text);
    let first = list.next()?;
    if first.starts_with(['L', 'l']) {
        // Quartz knows no list with the last day in it.
        return if list.next().is_none() { before_last(first) } else { None };
    }
    let (mut days, mut nearest) = (0, 0);
    for item in items(text) {
        match item.strip_suffix(['W', 'w']) {
            Some(day) => nearest |= 1 << DAY_OF_MONTH.value(day)?,
            None => DAY_OF_MONTH.item(item, &mut |day| days |= 1 << day)?,
        }
    }
    Some(Days::OfMonth { days, nearest })
}

/// `L`, `LW`, `L-3`, `L-3W`.
fn before_last(text: &str) -> Option<Days> {
    let rest = text.get(1..)?;
    let (rest, nearest) = match rest.strip_suffix(['W', 'w']) {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let days = match rest.strip_prefix('-') {
        Some(days) => number(days).filter(|days| *days <= MAX_BEFORE_LAST)?,
        None if rest.is_empty() => 0,
        None => return None,
    };
    Some(Days::BeforeLast { days: days as u8, nearest })
}

fn day_of_week(text: &str) -> Option<Days> {
    let mut list = items(text);
    let (first, only) = (list.next()?, list.next().is_none());
    // The last day of the week.
    if only && first.eq_ignore_ascii_case("L") {
        return Some(Days::OfWeek(1 << 7));
    }
    let day = |text: &str| DAY_OF_WEEK.value(text).map(|day| day as u8);
    if let Some((of, nth)) = first.split_once('#') {
        // "If you use a '#' character, you can define only one expression in the day-of-week field."
        let nth = number(nth).filter(|nth| only && (1..=5).contains(nth))?;
        return Some(Days::Nth { day: day(of)?, nth: nth as u8 });
    }
    if let Some(of) = first.strip_suffix(['L', 'l']) {
        return if only { day(of).map(Days::LastOfWeek) } else { None };
    }
    DAY_OF_WEEK.bits(text).map(|set| Days::OfWeek(set as u8))
}

/// The day of the week of `day` in a month whose first day is a `weekday`.
fn weekday_of(day: u8, weekday: u8) -> u8 {
    (weekday - 1 + day - 1) % 7 + 1
}

/// The weekday (Monday to Friday) nearest to `day`, in the same month.
fn nearest_weekday(day: u8, length: u8, weekday: u8) -> u8 {
    match weekday_of(day, weekday) {
        1 if day == length => day - 2,
        1 => day + 1,
        7 if day == 1 => day + 2,
        7 => day - 1,
        _ => day,
    }
}

/// The bits of a set, from the lowest.
pub(super) fn bits(set: u32) -> impl Iterator<Item = u8> {
    (0..32u8).filter(move |bit| set & 1 << bit != 0)
}
