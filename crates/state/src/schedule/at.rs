//! `at(yyyy-mm-ddThh:mm:ss)`: one run, at a time on the clock of a time zone. The seconds may be left out: the guide
//! does not say so, the service takes it.

use jiff::civil::{Date, DateTime, Time};
use wire::Timestamp;

use super::{Reason, Zone};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At(DateTime);

impl At {
    pub(super) fn parse(inner: &str) -> Result<Self, Reason> {
        let bytes = inner.as_bytes();
        // Each place has its own sign, so that what jiff would read besides (`+`, blanks, fractions) is out.
        let shape = b"0000-00-00T00:00:00";
        let fits = matches!(bytes.len(), 16 | 19)
            && bytes.iter().zip(shape).all(|(byte, place)| match place {
                b'0' => byte.is_ascii_digit(),
                _ => byte == place,
            });
        if !fits {
            return Err(Reason::At);
        }
        let number = |from: usize, to: usize| {
            inner.get(from..to).and_then(|digits| digits.parse::<i16>().ok()).unwrap_or(-1)
        };
        // Two digits fit into an i8.
        let small = |from: usize| number(from, from + 2) as i8;
        let date = Date::new(number(0, 4), small(5), small(8)).map_err(|_| Reason::At)?;
        let seconds = if bytes.len() == 19 { small(17) } else { 0 };
        let time = Time::new(small(11), small(14), seconds, 0).map_err(|_| Reason::At)?;
        Ok(Self(DateTime::from_parts(date, time)))
    }

    /// When it is. A time that a zone repeats is its first pass. About one that a zone leaves out the guide says
    /// nothing ("skipped" is said of cron expressions): it is read with the clock that was not put forward yet,
    /// as 2:30 that becomes 3:30, for a one-time schedule that is skipped would never run. `None` only at the
    /// very ends of the calendar.
    pub(super) fn instant(self, zone: &Zone) -> Option<Timestamp> {
        zone.first_instant(self.0)
    }
}
