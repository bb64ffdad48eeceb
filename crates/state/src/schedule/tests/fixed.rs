//! Runs in UTC, by hand: the guides' examples, the wildcards, the ends of the calendar, rates.

use super::*;
use crate::schedule::{FlexibleTimeWindow, Runs, Timetable};

/// An expression, a time, and the first runs that follow it. 2026-11-28 is a Saturday.
const RUNS: &[(&str, &str, &[&str])] = &[
    ("cron(0 10 * * ? *)", "2026-11-28T10:00:00Z", &["2026-11-29T10:00Z", "2026-11-30T10:00Z"]),
    ("cron(15 12 * * ? *)", "2026-11-28T12:14:59.999Z", &["2026-11-28T12:15Z", "2026-11-29T12:15Z"]),
    ("cron(0 18 ? * MON-FRI *)", "2026-11-26T18:00:00Z", &["2026-11-27T18:00Z", "2026-11-30T18:00Z"]),
    ("cron(0 8 1 * ? *)", "2026-11-28T00:00:00Z", &["2026-12-01T08:00Z", "2027-01-01T08:00Z"]),
    ("cron(0/15 * * * ? *)", "2026-12-31T23:31:00Z", &["2026-12-31T23:45Z", "2027-01-01T00:00Z"]),
    ("cron(0/10 * ? * MON-FRI *)", "2026-11-27T23:45:00Z", &["2026-11-27T23:50Z", "2026-11-30T00:00Z"]),
    ("cron(0/5 8-17 ? * MON-FRI *)", "2026-11-30T17:51:00Z", &["2026-11-30T17:55Z", "2026-12-01T08:00Z"]),
    // The hours run over midnight, the day is that of the run.
    (
        "cron(0/30 20-2 ? * FRI *)",
        "2026-11-27T01:45:00Z",
        &["2026-11-27T02:00Z", "2026-11-27T02:30Z", "2026-11-27T20:00Z"],
    ),
    ("cron(5,35 14 * * ? *)", "2026-11-28T14:05:00Z", &["2026-11-28T14:35Z", "2026-11-29T14:05Z"]),
    (
        "cron(15 10 ? * 6L 2019-2022)",
        "2019-01-01T00:00:00Z",
        &["2019-01-25T10:15Z", "2019-02-22T10:15Z", "2019-03-29T10:15Z"],
    ),
    ("cron(15 10 ? * 6L 2019-2022)", "2022-12-30T10:14:00Z", &["2022-12-30T10:15Z", NO_MORE]),
    ("cron(15 10 ? * 6L 2019-2022)", "2022-12-30T10:15:00Z", &[NO_MORE]),
    // Every tenth minute from the first: "the 11th, 21st, and 31st minute, and so on".
    (
        "cron(1/10 0 * * ? *)",
        "2026-11-28T00:00:00Z",
        &["2026-11-28T00:01Z", "2026-11-28T00:11Z", "2026-11-28T00:21Z"],
    ),
    (
        "cron(1-31/30 1-1 ? * 1,7 *)",
        "2026-11-28T00:00:00Z",
        &["2026-11-28T01:01Z", "2026-11-28T01:31Z", "2026-11-29T01:01Z"],
    ),
    // "3W specifies the weekday closest to the third day of the month": a Sunday, a Saturday, a Wednesday.
    (
        "cron(0 0 3W 1-3 ? 2027)",
        "2026-11-28T00:00:00Z",
        &["2027-01-04T00:00Z", "2027-02-03T00:00Z", "2027-03-03T00:00Z"],
    ),
    (
        "cron(0 0 3W 4,7,10 ? 2027)",
        "2026-11-28T00:00:00Z",
        &["2027-04-02T00:00Z", "2027-07-02T00:00Z", "2027-10-04T00:00Z"],
    ),
    // Never into another month: 2027-05-01 is a Saturday, 2027-10-31 a Sunday; April has no 31st.
    ("cron(0 0 1W 5 ? 2027)", "2026-11-28T00:00:00Z", &["2027-05-03T00:00Z"]),
    ("cron(0 0 31W 3,4,10 ? 2027)", "2026-11-28T00:00:00Z", &["2027-03-31T00:00Z", "2027-10-29T00:00Z"]),
    (
        "cron(0 0 L 1-3 ? 2028)",
        "2026-11-28T00:00:00Z",
        &["2028-01-31T00:00Z", "2028-02-29T00:00Z", "2028-03-31T00:00Z"],
    ),
    ("cron(0 0 L-3 2 ? 2027-2028)", "2026-11-28T00:00:00Z", &["2027-02-25T00:00Z", "2028-02-26T00:00Z"]),
    ("cron(0 0 L-30 1-3 ? 2027)", "2026-11-28T00:00:00Z", &["2027-01-01T00:00Z", "2027-03-01T00:00Z"]),
    // 2027-01-31 and 2027-02-28 are Sundays.
    ("cron(0 0 LW 1-2 ? 2027)", "2026-11-28T00:00:00Z", &["2027-01-29T00:00Z", "2027-02-26T00:00Z"]),
    // "3#2 would be the second Tuesday of the month."
    ("cron(0 0 ? 1-2 3#2 2027)", "2026-11-28T00:00:00Z", &["2027-01-12T00:00Z", "2027-02-09T00:00Z"]),
    (
        "cron(0 0 ? * SUN#5 2027)",
        "2026-11-28T00:00:00Z",
        &["2027-01-31T00:00Z", "2027-05-30T00:00Z", "2027-08-29T00:00Z", "2027-10-31T00:00Z"],
    ),
    // The last day of the week is a Saturday.
    ("cron(0 0 ? * L *)", "2026-11-28T00:00:00Z", &["2026-12-05T00:00Z", "2026-12-12T00:00Z"]),
    (
        "cron(0 0 ? * FRI-MON *)",
        "2026-11-28T00:00:00Z",
        &["2026-11-29T00:00Z", "2026-11-30T00:00Z", "2026-12-04T00:00Z"],
    ),
    ("cron(0 0 1 NOV-FEB ? *)", "2027-02-01T00:00:00Z", &["2027-11-01T00:00Z", "2027-12-01T00:00Z"]),
    ("cron(0 0 29 2 ? *)", "2096-02-29T00:00:00Z", &["2104-02-29T00:00Z"]),
    (
        "cron(0 0 1 1 ? */50)",
        "2026-11-28T00:00:00Z",
        &["2070-01-01T00:00Z", "2120-01-01T00:00Z", "2170-01-01T00:00Z"],
    ),
    ("cron(59 23 31 12 ? *)", "2199-01-01T00:00:00Z", &["2199-12-31T23:59Z", NO_MORE]),
    ("cron(0 0 1 1 ? 1970)", "0001-01-01T00:00:00Z", &["1970-01-01T00:00Z", NO_MORE]),
    (
        "cron(0 0 1 1 ? 1960-2030/10)",
        "2010-06-01T00:00:00Z",
        &["2020-01-01T00:00Z", "2030-01-01T00:00Z", NO_MORE],
    ),
    // Never.
    ("cron(0 20 * * ? 2500)", "2026-11-28T00:00:00Z", &[NO_MORE]),
    ("cron(0 20 * * ? 1969)", "0001-01-01T00:00:00Z", &[NO_MORE]),
    ("cron(0 0 29 2 ? 2100)", "2026-11-28T00:00:00Z", &[NO_MORE]),
    ("cron(0 0 30 2 ? *)", "2026-11-28T00:00:00Z", &[NO_MORE]),
    ("cron(0 0 31 4,6,9,11 ? *)", "2026-11-28T00:00:00Z", &[NO_MORE]),
    ("cron(0 0 * * ? *)", "9999-01-01T00:00:00Z", &[NO_MORE]),
];

const NO_MORE: &str = "no more";

#[test]
fn runs_follow_the_guide() {
    for (text, after, expected) in RUNS {
        let mut found = of_rule(text, after, expected.len());
        if found.len() < expected.len() {
            found.push(NO_MORE.to_owned());
        }
        assert_eq!(found, *expected, "{text} after {after}");
    }
}

#[test]
fn the_last_run_mirrors_the_next() {
    for (text, after, expected) in RUNS {
        let expression = rule(text);
        let last = |until| expression.last_until(EPOCH, until, &Zone::utc());
        let runs = expected.iter().filter(|run| **run != NO_MORE);
        let mut before: Option<Timestamp> = None;
        for run in runs.map(|run| time(&run.replace('Z', ":00Z"))) {
            assert_eq!(last(run), Some(run), "{text}");
            assert_eq!(last(run.plus_millis(59_999)), Some(run), "{text}");
            match before {
                Some(before) => assert_eq!(last(run.plus_millis(-1)), Some(before), "{text}"),
                None => assert!(last(run.plus_millis(-1)).is_none_or(|last| last <= time(after)), "{text}"),
            }
            before = Some(run);
        }
        if expected.last() == Some(&NO_MORE) {
            assert_eq!(last(Timestamp(i64::MAX)), before.or(last(time(after))), "{text}");
        }
    }
}

#[test]
fn a_rate_begins_at_its_anchor() {
    let anchor = time("2026-11-28T10:00:30Z");
    let created = Timetable {
        expression: schedule("rate(5 minutes)"),
        zone: Zone::utc(),
        created: anchor,
        start: None,
        end: Some(time("2026-11-28T10:10:30Z")),
        window: FlexibleTimeWindow::Off,
    };
    // "If you do not provide a StartDate, your schedule starts invoking the target immediately."
    let before = anchor.plus_millis(-1);
    assert_eq!(created.next_after(before), Some(anchor));
    assert_eq!(created.next_after(anchor), Some(time("2026-11-28T10:05:30Z")));
    assert_eq!(created.next_after(time("2026-11-28T10:05:30Z")), created.end);
    assert_eq!(created.next_after(time("2026-11-28T10:10:30Z")), None);
    assert_eq!(
        created.runs_between(before, Timestamp(i64::MAX)),
        Some(Runs { count: 3, last: time("2026-11-28T10:10:30Z") })
    );
    // "You use the StartDate property to set the first occurrence of the schedule."
    let started = Timetable { start: Some(time("2026-11-28T12:00:00Z")), end: None, ..created.clone() };
    assert_eq!(started.next_after(before), started.start);
    assert_eq!(started.next_after(time("2026-11-28T12:01:00Z")), Some(time("2026-11-28T12:05:00Z")));
    // A rule's first run is one interval after its creation.
    let rule = rule("rate(5 minutes)");
    assert_eq!(rule.next_after(anchor, before, &Zone::utc()), Some(time("2026-11-28T10:05:30Z")));
    assert_eq!(rule.last_until(anchor, anchor, &Zone::utc()), None);
    let whole = rule.runs_between(anchor, anchor, time("2027-11-28T10:00:30Z"), &Zone::utc());
    assert_eq!(whole, Some(Runs { count: 365 * 288, last: time("2027-11-28T10:00:30Z") }));
}

#[test]
fn a_timetable_keeps_its_dates_and_its_window() {
    let daily = Timetable {
        expression: schedule("cron(0 10 * * ? *)"),
        zone: Zone::utc(),
        created: time("2026-11-01T00:00:00Z"),
        start: Some(time("2026-11-10T10:00:00Z")),
        end: Some(time("2026-11-12T10:00:00Z")),
        window: FlexibleTimeWindow::Flexible { minutes: 15 },
    };
    // "Invocations might occur on, or after, the StartDate", "might stop on, or before, the EndDate".
    assert_eq!(daily.next_after(EPOCH), daily.start);
    assert_eq!(daily.next_after(time("2026-11-11T10:00:00Z")), daily.end);
    assert_eq!(daily.next_after(time("2026-11-12T10:00:00Z")), None);
    assert_eq!(
        daily.runs_between(EPOCH, Timestamp(i64::MAX)),
        Some(Runs { count: 3, last: time("2026-11-12T10:00:00Z") })
    );
    assert_eq!(daily.runs_between(time("2026-11-12T10:00:00Z"), Timestamp(i64::MAX)), None);
    // Any seed is in the window; both ends of it come up.
    let run = time("2026-11-10T10:00:00Z");
    for seed in [0, 1, 899_999, 900_000, u64::MAX] {
        let late = daily.invocation(run, seed).millis_since(run);
        assert!((0..15 * 60_000).contains(&late), "{seed}: {late}");
    }
    assert_eq!(daily.invocation(run, 0), run);
    assert_eq!(daily.invocation(run, 899_999), time("2026-11-10T10:14:59.999Z"));
    let off = Timetable { window: FlexibleTimeWindow::Off, ..daily.clone() };
    assert_eq!(off.invocation(run, 77), run);
    // "EventBridge Scheduler ignores the StartDate and EndDate you specify" for a one-time schedule.
    let once = Timetable { expression: schedule("at(2026-11-20T10:00:07)"), ..daily };
    assert_eq!(once.next_after(EPOCH), Some(time("2026-11-20T10:00:07Z")));
    assert_eq!(
        once.runs_between(EPOCH, Timestamp(i64::MAX)),
        Some(Runs { count: 1, last: time("2026-11-20T10:00:07Z") })
    );
}

#[test]
fn missed_runs_are_counted_to_a_limit() {
    let minutely = rule("cron(* * * * ? *)");
    let (from, to) = (time("2026-01-01T00:00:30Z"), time("2026-01-01T01:00:00Z"));
    let between = |from, to| minutely.runs_between(EPOCH, from, to, &Zone::utc());
    assert_eq!(between(from, to), Some(Runs { count: 60, last: to }));
    assert_eq!(between(to, to), None);
    assert_eq!(between(to, from), None);
    let end = time("2199-12-31T23:59:00Z");
    assert_eq!(between(from, Timestamp(i64::MAX)), Some(Runs { count: Runs::LIMIT, last: end }));
    assert_eq!(between(Timestamp(i64::MIN), Timestamp(i64::MIN)), None);
}
