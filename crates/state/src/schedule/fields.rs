//! One field of a cron expression: lists of values, ranges and increments.
//!
//! A range may run past the end and on from the beginning (`FRI-MON`, `20-2`): the guides' examples had such
//! ones, and the services take them. Names are read in any case, and an empty item of a list is passed over:
//! `cron(0/5, 9-18, ?, *, MON-FRI, *)` is taken by PutRule (github.com/aws/aws-sdk/issues/161).

/// What a field may hold.
pub(super) struct Field {
    pub name: &'static str,
    pub first: u16,
    pub last: u16,
    /// Names of the values from `first` on.
    pub names: &'static [&'static str],
    /// The largest increment: `*/60` is no minute.
    pub max_step: u16,
    /// Whether the values come again: a range may wrap around the end, and there is nothing outside of it.
    pub cyclic: bool,
}

pub(super) const MINUTES: Field =
    Field { name: "minutes", first: 0, last: 59, names: &[], max_step: 59, cyclic: true };
pub(super) const HOURS: Field =
    Field { name: "hours", first: 0, last: 23, names: &[], max_step: 23, cyclic: true };
pub(super) const DAY_OF_MONTH: Field =
    Field { name: "day-of-month", first: 1, last: 31, names: &[], max_step: 31, cyclic: true };
pub(super) const MONTH: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    max_step: 12,
    cyclic: true,
};
pub(super) const DAY_OF_WEEK: Field = Field {
    name: "day-of-week",
    first: 1,
    last: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    max_step: 7,
    cyclic: true,
};
/// The guides name the range 1970-2199, but the services take any year: one that is outside never comes.
pub(super) const YEAR: Field =
    Field { name: "year", first: 1970, last: 2199, names: &[], max_step: u16::MAX, cyclic: false };

impl Field {
    /// The set of values in `text`, each as a bit: the value itself, which is below 64.
    pub(super) fn bits(&self, text: &str) -> Option<u64> {
        let mut bits = 0;
        self.each(text, |value| bits |= 1 << value)?;
        Some(bits)
    }

    /// Calls `add` for all values in `text`; `None` if it is not valid.
    pub(super) fn each(&self, text: &str, mut add: impl FnMut(u16)) -> Option<()> {
        let mut some = false;
        for item in items(text) {
            self.item(item, &mut add)?;
            some = true;
        }
        some.then_some(())
    }

    /// Calls `add` for all values of one item of a list.
    pub(super) fn item(&self, item: &str, add: &mut impl FnMut(u16)) -> Option<()> {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => {
                (base, Some(number(step).filter(|step| (1..=self.max_step).contains(step))?))
            }
            None => (item, None),
        };
        let (from, to) = match (base.split_once('-'), step) {
            _ if base == "*" => (self.first, self.last),
            (Some((from, to)), _) => (self.value(from)?, self.value(to)?),
            (None, Some(_)) => (self.value(base)?, self.last),
            (None, None) => (self.value(base)?, self.value(base)?),
        };
        let step = usize::from(step.unwrap_or(1));
        if self.cyclic {
            let size = self.last - self.first + 1;
            let span = if from > to { to + size - from } else { to - from };
            (0..=span).step_by(step).for_each(|offset| add((from - self.first + offset) % size + self.first));
        } else if from <= to {
            let years = (from..=to.min(self.last)).step_by(step);
            years.filter(|year| *year >= self.first).for_each(add);
        } else {
            return None;
        }
        Some(())
    }

    /// A number or a name.
    pub(super) fn value(&self, text: &str) -> Option<u16> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        match named {
            Some(place) => Some(self.first + place as u16),
            None => number(text).filter(|value| !self.cyclic || (self.first..=self.last).contains(value)),
        }
    }
}

/// The items of a list.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}

/// A number of digits alone.
pub(super) fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}
