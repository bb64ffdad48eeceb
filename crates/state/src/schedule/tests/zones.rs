//! Runs in time zones: what "Daylight savings time on EventBridge Scheduler" promises, where clocks were put
//! forward, back, by half an hour and by a day.

use super::*;
use crate::schedule::Runs;

fn in_zone(text: &str, name: &str, after: &str, count: usize) -> Vec<String> {
    runs(&schedule(text), &zone(name), after, count)
}

#[test]
fn the_guides_example_is_skipped_in_spring_and_runs_once_in_fall() {
    let runs = |after| in_zone("cron(30 2 * * ? *)", "America/Los_Angeles", after, 3);
    assert_eq!(
        runs("2026-03-06T12:00:00Z"),
        ["2026-03-07T10:30Z", "2026-03-09T09:30Z", "2026-03-10T09:30Z"],
        "2:30 of March 8 does not exist"
    );
    // There it is 1:00 to 1:59 that comes again.
    let runs = |after| in_zone("cron(30 1 * * ? *)", "America/Los_Angeles", after, 3);
    assert_eq!(runs("2026-10-31T12:00:00Z"), ["2026-11-01T08:30Z", "2026-11-02T09:30Z", "2026-11-03T09:30Z"]);
    // From within the second pass, too.
    assert_eq!(runs("2026-11-01T09:15:00Z"), ["2026-11-02T09:30Z", "2026-11-03T09:30Z", "2026-11-04T09:30Z"]);
}

#[test]
fn an_hour_that_comes_again_has_no_runs() {
    let quarterly = "cron(0/30 * * * ? *)";
    let london = in_zone(quarterly, "Europe/London", "2026-10-24T23:59:00Z", 4);
    // Clocks go back from 2:00 BST (1:00Z) to 1:00 GMT.
    assert_eq!(london, ["2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-25T02:00Z", "2026-10-25T02:30Z"]);
    let lord_howe = in_zone(quarterly, "Australia/Lord_Howe", "2026-04-04T14:00:00Z", 3);
    // From 2:00 (+11) to 1:30 (+10:30): half an hour comes again.
    assert_eq!(lord_howe, ["2026-04-04T14:30Z", "2026-04-04T15:30Z", "2026-04-04T16:00Z"]);
}

#[test]
fn what_a_zone_leaves_out_has_no_runs() {
    // From 2:00 (+10:30) to 2:30 (+11).
    let lord_howe = in_zone("cron(0/10 * * * ? *)", "Australia/Lord_Howe", "2026-10-03T15:10:00Z", 3);
    assert_eq!(lord_howe, ["2026-10-03T15:20Z", "2026-10-03T15:30Z", "2026-10-03T15:40Z"]);
    assert_eq!(
        in_zone("cron(15 2 * * ? *)", "Australia/Lord_Howe", "2026-10-02T00:00:00Z", 2),
        ["2026-10-02T15:45Z", "2026-10-04T15:15Z"]
    );
    // Samoa had no 30 December 2011.
    assert_eq!(
        in_zone("cron(0 12 * * ? *)", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
        ["2011-12-29T22:00Z", "2011-12-30T22:00Z", "2011-12-31T22:00Z"]
    );
    assert!(in_zone("cron(* * 30 12 ? 2011)", "Pacific/Apia", "2000-01-01T00:00:00Z", 1).is_empty());
    let apia = zone("Pacific/Apia");
    let minutely = schedule("cron(* * * * ? *)");
    let between =
        minutely.runs_between(EPOCH, time("2011-12-30T09:30:00Z"), time("2011-12-30T10:30:00Z"), &apia);
    assert_eq!(between, Some(Runs { count: 60, last: time("2011-12-30T10:30:00Z") }));
    // An expression that hits gaps alone, in all years there are.
    assert!(in_zone("cron(30 2 ? 3 SUN#2 2007/1)", "America/New_York", "2007-01-01T00:00:00Z", 1).is_empty());
}

#[test]
fn zones_without_daylight_saving_have_all_runs() {
    assert_eq!(
        in_zone("cron(30 8 * * ? *)", "Asia/Kolkata", "2026-03-28T00:00:00Z", 2),
        ["2026-03-28T03:00Z", "2026-03-29T03:00Z"]
    );
    // An offset with seconds: Liberia was 0:44:30 behind until 1972.
    let monrovia = in_zone("cron(44 0 * * ? *)", "Africa/Monrovia", "1972-01-05T00:00:00Z", 2);
    assert_eq!(monrovia, ["1972-01-05T01:28:30.000Z", "1972-01-06T01:28:30.000Z"]);
    let monrovia = in_zone("cron(0/15 0 * * ? *)", "Africa/Monrovia", "1972-01-07T00:00:00Z", 1);
    assert_eq!(monrovia, ["1972-01-07T00:45Z"]);
}

#[test]
fn a_one_time_schedule_is_read_in_its_zone() {
    let once = |text: &str, name: &str| schedule(text).next_after(EPOCH, EPOCH, &zone(name));
    // The guide's example.
    assert_eq!(once("at(2022-11-20T13:00:00)", "America/Los_Angeles"), Some(time("2022-11-20T21:00:00Z")));
    // Left out by the clock: as if it had not been put forward yet.
    assert_eq!(once("at(2026-03-08T02:30:00)", "America/New_York"), Some(time("2026-03-08T07:30:00Z")));
    // Shown twice: the first.
    assert_eq!(once("at(2026-11-01T01:30:00)", "America/New_York"), Some(time("2026-11-01T05:30:00Z")));
    let past = schedule("at(2022-12-31T23:59:59)");
    assert_eq!(past.next_after(EPOCH, time("2026-11-28T00:00:00Z"), &Zone::utc()), None);
    assert_eq!(
        past.last_until(EPOCH, time("2026-11-28T00:00:00Z"), &Zone::utc()),
        Some(time("2022-12-31T23:59:59Z"))
    );
}

#[test]
fn a_day_of_a_rate_is_24_hours() {
    let daily = schedule("rate(1 days)");
    let anchor = time("2026-03-07T10:00:00Z");
    let next = daily.next_after(anchor, anchor, &zone("America/New_York"));
    assert_eq!(next, Some(time("2026-03-08T10:00:00Z")));
}

#[test]
fn zones_are_named_as_the_database_names_them() {
    for name in
        ["UTC", "Etc/UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Asia/Calcutta", "US/Pacific"]
    {
        assert_eq!(zone(name).name(), name);
    }
    let long = "A".repeat(10_000);
    for name in [
        "",
        "america/new_york",
        "New York",
        "JST",
        "PST8",
        "GMT+9",
        "+01:00",
        "../UTC",
        "/etc/localtime",
        &long,
    ] {
        assert!(Zone::named(name).is_none(), "{name}");
    }
}
