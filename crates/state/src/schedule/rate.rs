//! `rate(value unit)`: a run every so many minutes, hours or days, from an anchor on. A day is 24 hours, whatever
//! the time zone does ("Daylight savings time on EventBridge Scheduler").

use wire::Timestamp;

use super::{Dialect, Reason};

/// Milliseconds from run to run; positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(i64);

/// No guide names a largest value; what AWS stores is an `int`.
const MAX_VALUE: i64 = i32::MAX as i64;

impl Rate {
    pub(super) fn parse(inner: &str, dialect: Dialect) -> Result<Self, Reason> {
        let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
        let (value, rest) = inner.split_at(digits);
        let unit = match dialect {
            Dialect::Rules => rest.strip_prefix(' ').ok_or(Reason::Rate)?,
            Dialect::Scheduler => rest.trim_start_matches(' '),
        };
        let value: i64 = value.parse().map_err(|_| Reason::Rate)?;
        if !(1..=MAX_VALUE).contains(&value) {
            return Err(Reason::Rate);
        }
        Ok(Self(value * unit_millis(unit, value, dialect).ok_or(Reason::Rate)?))
    }

    /// Milliseconds from run to run.
    pub(super) fn millis(self) -> i64 {
        self.0
    }

    pub(super) fn next_after(self, first: Timestamp, after: Timestamp) -> Option<Timestamp> {
        if after < first {
            return Some(first);
        }
        let done = i128::from(after.0) - i128::from(first.0);
        self.nth(first, done / i128::from(self.0) + 1)
    }

    pub(super) fn last_until(self, first: Timestamp, until: Timestamp) -> Option<Timestamp> {
        if until < first {
            return None;
        }
        let done = i128::from(until.0) - i128::from(first.0);
        self.nth(first, done / i128::from(self.0))
    }

    /// How many runs are after `after` and until `last`, which is a run.
    pub(super) fn count(self, first: Timestamp, after: Timestamp, last: Timestamp) -> u64 {
        let Some(from) = self.next_after(first, after).filter(|from| *from <= last) else { return 0 };
        let span = i128::from(last.0) - i128::from(from.0);
        u64::try_from(span / i128::from(self.0) + 1).unwrap_or(u64::MAX)
    }

    fn nth(self, first: Timestamp, n: i128) -> Option<Timestamp> {
        i64::try_from(i128::from(first.0) + n * i128::from(self.0)).ok().map(Timestamp)
    }
}

/// Rules want a singular for one and a plural for more; Scheduler takes either, in any case and without a blank.
fn unit_millis(unit: &str, value: i64, dialect: Dialect) -> Option<i64> {
    let (unit, number) = match dialect {
        Dialect::Rules => (unit.to_owned(), if value == 1 { "" } else { "s" }),
        Dialect::Scheduler => {
            let unit = unit.to_ascii_lowercase();
            let number = if unit.ends_with('s') { "s" } else { "" };
            (unit, number)
        }
    };
    match unit.strip_suffix(number)? {
        "minute" => Some(60_000),
        "hour" => Some(3_600_000),
        "day" => Some(86_400_000),
        _ => None,
    }
}
