//! Properties against an oracle that watches the clock of a zone minute by minute, and knows nothing of the
//! algorithm: the sets of a cron expression are made first, and its text from them.

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use proptest::collection::btree_set;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::*;

const ZONES: [&str; 6] =
    ["UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"];
const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;

/// `None` is a star.
type Set = Option<BTreeSet<i16>>;

#[derive(Debug, Clone)]
enum DaySet {
    OfMonth(Set),
    Nearest(i16),
    BeforeLast(i16),
    LastWeekday,
    OfWeek(Set),
    LastOfWeek(i16),
    Nth(i16, i16),
}

#[derive(Debug, Clone)]
struct Model {
    minutes: Set,
    hours: Set,
    days: DaySet,
    months: Set,
    years: Set,
}

fn within(set: &Set, value: i16) -> bool {
    set.as_ref().is_none_or(|set| set.contains(&value))
}

fn list(set: &Set) -> String {
    let Some(set) = set else { return "*".to_owned() };
    set.iter().map(i16::to_string).collect::<Vec<_>>().join(",")
}

impl Model {
    fn text(&self) -> String {
        let (of_month, of_week) = match &self.days {
            DaySet::OfMonth(set) => (list(set), "?".to_owned()),
            DaySet::Nearest(day) => (format!("{day}W"), "?".to_owned()),
            DaySet::BeforeLast(0) => ("L".to_owned(), "?".to_owned()),
            DaySet::BeforeLast(days) => (format!("L-{days}"), "?".to_owned()),
            DaySet::LastWeekday => ("LW".to_owned(), "?".to_owned()),
            DaySet::OfWeek(set) => ("?".to_owned(), list(set)),
            DaySet::LastOfWeek(day) => ("?".to_owned(), format!("{day}L")),
            DaySet::Nth(day, nth) => ("?".to_owned(), format!("{day}#{nth}")),
        };
        let (minutes, hours) = (list(&self.minutes), list(&self.hours));
        format!("cron({minutes} {hours} {of_month} {} {of_week} {})", list(&self.months), list(&self.years))
    }

    fn means(&self, wall: DateTime) -> bool {
        within(&self.minutes, wall.minute().into())
            && within(&self.hours, wall.hour().into())
            && within(&self.months, wall.month().into())
            && within(&self.years, wall.year())
            && self.means_day(wall)
    }

    fn means_day(&self, wall: DateTime) -> bool {
        let date = wall.date();
        let (day, length) = (i16::from(date.day()), i16::from(date.days_in_month()));
        let weekday = |day: i16| {
            let date = jiff::civil::date(date.year(), date.month(), day as i8);
            i16::from(date.weekday().to_sunday_one_offset())
        };
        // The weekday of the month with the least distance.
        let nearest = |to: i16| {
            let weekdays = (1..=length).filter(|day| (2..=6).contains(&weekday(*day)));
            weekdays.min_by_key(|day| (day - to).abs())
        };
        match &self.days {
            DaySet::OfMonth(set) => within(set, day),
            DaySet::Nearest(to) => *to <= length && nearest(*to) == Some(day),
            DaySet::BeforeLast(days) => length - day == *days,
            DaySet::LastWeekday => nearest(length) == Some(day),
            DaySet::OfWeek(set) => within(set, weekday(day)),
            DaySet::LastOfWeek(of) => weekday(day) == *of && day + 7 > length,
            DaySet::Nth(of, nth) => weekday(day) == *of && (day - 1) / 7 + 1 == *nth,
        }
    }
}

/// What the clock of a zone shows for the first time, in each minute from one time until before another.
fn shown(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, DateTime)> {
    // What was shown in the day before may come again.
    let mut latest = DateTime::MIN;
    let mut shown = Vec::new();
    for millis in (from.0 - DAY..to.0).step_by(MINUTE as usize) {
        let instant = jiff::Timestamp::from_millisecond(millis).expect("in range");
        let wall = zone.to_datetime(instant);
        if wall > latest {
            latest = wall;
            if millis >= from.0 {
                shown.push((Timestamp(millis), wall));
            }
        }
    }
    shown
}

fn zone_of(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).expect(name)
}

fn set(values: RangeInclusive<i16>, most: usize) -> impl Strategy<Value = Set> {
    prop_oneof![Just(None), btree_set(values, 1..=most).prop_map(Some)]
}

fn day_set() -> impl Strategy<Value = DaySet> {
    prop_oneof![
        4 => set(1..=31, 20).prop_map(DaySet::OfMonth),
        1 => (1i16..=31).prop_map(DaySet::Nearest),
        1 => (0i16..=30).prop_map(DaySet::BeforeLast),
        1 => Just(DaySet::LastWeekday),
        3 => set(1..=7, 6).prop_map(DaySet::OfWeek),
        1 => (1i16..=7).prop_map(DaySet::LastOfWeek),
        1 => (1i16..=7, 1i16..=5).prop_map(|(day, nth)| DaySet::Nth(day, nth)),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    (set(0..=59, 6), set(0..=23, 12), day_set(), set(1..=12, 10), set(2010..=2031, 15))
        .prop_map(|(minutes, hours, days, months, years)| Model { minutes, hours, days, months, years })
}

/// Days around which the clocks of these zones were or will be changed, and others.
fn moment() -> impl Strategy<Value = Timestamp> {
    let changes = prop_oneof![
        Just("2026-03-08T06:00:00Z"),
        Just("2026-11-01T06:00:00Z"),
        Just("2026-03-29T01:00:00Z"),
        Just("2026-10-25T01:00:00Z"),
        Just("2026-04-04T15:00:00Z"),
        Just("2026-10-03T15:00:00Z"),
        Just("2011-12-30T10:00:00Z"),
        Just("2012-04-01T00:00:00Z"),
        Just("2028-02-29T00:00:00Z"),
        Just("2029-12-31T23:00:00Z"),
    ];
    (changes, -2880i64..2880).prop_map(|(near, minutes)| time(near).plus_millis(minutes * MINUTE))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn runs_are_what_the_clock_shows(
        model in model(),
        name in prop::sample::select(&ZONES[..]),
        from in moment(),
        late in 0i64..MINUTE,
    ) {
        let to = from.plus_millis(5 * DAY);
        let expected: Vec<_> = shown(&zone_of(name), from, to)
            .into_iter()
            .filter(|(_, wall)| model.means(*wall))
            .map(|(time, _)| time)
            .collect();
        let expression = schedule(&model.text());
        let zone = zone(name);
        let next = |time: &Timestamp| expression.next_after(EPOCH, *time, &zone);
        let found: Vec<_> = std::iter::successors(next(&from.plus_millis(-1)), next)
            .take_while(|time| *time < to)
            .collect();
        prop_assert_eq!(&found, &expected, "{}", model.text());
        // The last run and the count say the same, from any point within a minute.
        let after = from.plus_millis(late);
        let missed = expected.iter().filter(|time| **time > after).count() as u64;
        let between = expression.runs_between(EPOCH, after, to.plus_millis(-1), &zone);
        prop_assert_eq!(between.map_or(0, |runs| runs.count), missed.min(crate::schedule::Runs::LIMIT));
        prop_assert_eq!(between.map(|runs| runs.last), expected.last().copied().filter(|last| *last > after));
        for pair in expected.windows(2) {
            prop_assert_eq!(expression.last_until(EPOCH, pair[1].plus_millis(-1), &zone), Some(pair[0]));
        }
    }

    #[test]
    fn the_next_run_is_found_however_far(model in model(), from in moment()) {
        let expression = schedule(&model.text());
        let zone = Zone::utc();
        let date = |time: Timestamp| zone_of("UTC").to_datetime(jiff::Timestamp::from_millisecond(time.0).expect("in range"));
        // Day by day, from tomorrow until all years of a model are over.
        let days = (1..).map(|day| date(from.plus_millis(day * DAY))).take_while(|wall| wall.year() < 2032);
        let day = days
            .filter(|wall| within(&model.months, wall.month().into()) && within(&model.years, wall.year()))
            .find(|wall| model.means_day(*wall));
        let found = expression.next_after(EPOCH, from, &zone).map(|found| date(found).date());
        let today = date(from).date();
        match day {
            Some(day) => prop_assert!(found == Some(day.date()) || found == Some(today), "{} {:?}", model.text(), found),
            None if model.years.is_none() => {}
            None => prop_assert!(found.is_none_or(|found| found == today), "{} {:?}", model.text(), found),
        }
    }
}

/// Whole years, for a handful of expressions in all zones.
#[test]
fn years_of_runs_are_what_the_clock_shows() {
    let set = |values: &[i16]| Some(values.iter().copied().collect::<BTreeSet<_>>());
    let all = |days| Model { minutes: set(&[0, 30]), hours: None, days, months: None, years: None };
    let models = [
        all(DaySet::OfMonth(None)),
        Model { hours: set(&[1, 2, 23]), ..all(DaySet::OfWeek(set(&[1, 7]))) },
        Model { hours: set(&[2]), ..all(DaySet::LastOfWeek(1)) },
        Model { hours: set(&[0, 2]), ..all(DaySet::Nth(1, 2)) },
        Model { hours: set(&[12]), ..all(DaySet::Nearest(31)) },
        Model { months: set(&[2, 10]), ..all(DaySet::BeforeLast(28)) },
        Model { hours: set(&[3]), years: set(&[2012]), ..all(DaySet::LastWeekday) },
    ];
    for name in ZONES {
        let (from, to) = (time("2011-06-01T00:00:00Z"), time("2013-01-01T00:00:00Z"));
        let shown = shown(&zone_of(name), from, to);
        for model in &models {
            let expected = shown.iter().filter(|(_, wall)| wall.minute() % 30 == 0 && model.means(*wall));
            let expression = schedule(&model.text());
            let zone = zone(name);
            let mut at = from.plus_millis(-1);
            for (run, wall) in expected {
                let next = expression.next_after(EPOCH, at, &zone);
                assert_eq!(next, Some(*run), "{} in {name} at {wall}", model.text());
                at = *run;
            }
            let next = expression.next_after(EPOCH, at, &zone);
            assert!(next.is_none_or(|next| next >= to), "{} in {name}", model.text());
        }
    }
}
