//! When schedules run: at their times, late after an absence, and by a clock that is set.

use serde_json::json;
use wire::Timestamp;

use crate::testing::{HOUR, MINUTE, World, at, id, schedule, with};

const DAY: i64 = 24 * HOUR;

/// The scheduled times of the runs on their way, as `10:00`.
fn times(world: &World) -> Vec<String> {
    let mut times: Vec<Timestamp> = world.state.invocations().map(|run| run.run).collect();
    times.sort();
    times.iter().map(|time| time.to_iso8601()[11..16].to_owned()).collect()
}

#[test]
fn runs_come_at_their_times() {
    let now = World::new().ctx.now.as_seconds();
    for (expression, more, expected) in [
        // A rate begins at once, or at its StartDate.
        ("rate(20 minutes)", json!({}), vec!["10:00", "10:20", "10:40", "11:00"]),
        ("rate(20 minutes)", json!({"StartDate": now + 1800}), vec!["10:30", "10:50"]),
        ("rate(20 minutes)", json!({"EndDate": now + 1200}), vec!["10:00", "10:20"]),
        ("rate(20 minutes)", json!({"State": "DISABLED"}), vec![]),
        ("cron(0/30 * * * ? *)", json!({}), vec!["10:00", "10:30", "11:00"]),
        ("cron(15 18 * * ? *)", json!({"ScheduleExpressionTimezone": "Asia/Shanghai"}), vec!["10:15"]),
        ("at(2026-11-23T10:45:00)", json!({"EndDate": 5}), vec!["10:45"]),
        ("at(2026-11-23T12:00:00)", json!({}), vec![]),
    ] {
        let mut world = World::new();
        world.schedule("s", expression, more);
        world.pass(HOUR);
        assert_eq!(times(&world), expected, "{expression}");
    }
}

#[test]
fn a_flexible_run_is_once_in_its_window() {
    let mut world = World::new();
    let window = json!({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 90}});
    world.schedule("s", "rate(30 minutes)", window);
    let mut offsets = std::collections::BTreeSet::new();
    for _ in 0..200 {
        world.pass(30 * MINUTE);
        for run in world.state.invocations() {
            let offset = run.at.millis_since(run.run);
            assert!((0..90 * MINUTE).contains(&offset) && run.not_before == run.at);
            offsets.insert(offset);
        }
        for (id, _) in world.ready() {
            assert!(world.state.invocation(&id).unwrap().at <= world.ctx.now);
            world.told(id, Ok(json!({})));
        }
    }
    assert!(offsets.len() > 190 && offsets.last().unwrap() - offsets.first().unwrap() > 80 * MINUTE);
    assert!(world.state.invocation_count() <= 4);
}

#[test]
fn a_one_time_schedule_whose_time_has_passed_runs_at_once() {
    let mut world = World::new();
    world.schedule("past", "at(2022-12-31T23:59:59)", json!({}));
    world.pass(0);
    assert_eq!(world.carry_all(), 1);
    // It stays, and runs no more, whatever else of it is changed.
    world
        .call(
            "UpdateSchedule",
            with(schedule("past", "at(2022-12-31T23:59:59)"), json!({"Description": "d"})),
        )
        .unwrap();
    world.pass(DAY);
    assert_eq!((world.carry_all(), world.row("past").is_complete()), (0, true));
    // One that is enabled after its time.
    world.schedule("off", "at(2026-11-24T10:30:00)", json!({"State": "DISABLED"}));
    world.pass(DAY);
    assert_eq!(world.carry_all(), 0);
    world.call("UpdateSchedule", schedule("off", "at(2026-11-24T10:30:00)")).unwrap();
    world.pass(0);
    assert_eq!(world.carry_all(), 1);
}

#[test]
fn a_schedule_deletes_itself_after_its_last_run() {
    let end = World::new().ctx.now.as_seconds() + 3600;
    let delete = json!({"ActionAfterCompletion": "DELETE"});
    for (expression, more, runs) in [
        ("at(2026-11-23T11:00:00)", json!({}), 1),
        ("rate(30 minutes)", json!({"EndDate": end}), 3),
        ("at(2022-12-31T23:59:59)", json!({}), 1),
    ] {
        let mut world = World::new();
        world.schedule("s", expression, with(delete.clone(), more));
        world.pass(HOUR);
        assert_eq!(world.ready().len(), runs);
        while let Some((run, _)) = world.ready().into_iter().next() {
            assert!(world.state.schedule(&id("s")).is_some(), "it is there while a run is on its way");
            // Also where the target refuses for good.
            world.told(run, Err(wire::Error::new("ClientException", 400, "no")));
        }
        assert!(world.state.schedule(&id("s")).is_none());
        assert_eq!(world.state.failures().count(), runs);
    }
    // Without an end it is never complete; without the wish it stays.
    let mut world = World::new();
    world.schedule("ever", "rate(1 hour)", delete);
    world.schedule("stays", "at(2026-11-23T11:00:00)", json!({}));
    world.pass(10 * DAY);
    while world.carry_all() > 0 {}
    assert_eq!(world.state.counts(), (0, 2));
}

#[test]
fn what_is_disabled_or_deleted_in_its_window_does_not_run() {
    let window = json!({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1440}});
    for disable in [true, false] {
        let mut world = World::new();
        world.schedule("s", "rate(1 minute)", window.clone());
        world.pass(DAY - 1);
        let waiting = world.state.invocation_count();
        assert!(waiting > 600);
        let due = world.ready().len();
        if disable {
            let off = with(schedule("s", "rate(1 minute)"), json!({"State": "DISABLED"}));
            world.call("UpdateSchedule", off).unwrap();
            assert_eq!(world.state.invocation_count(), due);
        } else {
            world.call("DeleteSchedule", json!({"Name": "s"})).unwrap();
            // A new one of the same name knows nothing of them.
            world.schedule("s", "rate(1 day)", json!({"State": "DISABLED"}));
            world.pass(0);
            assert_eq!(world.state.invocation_count(), 0);
        }
    }
}

#[test]
fn what_was_missed_runs_late_unless_it_is_too_old() {
    let mut world = World::new();
    let policy = json!({"Target": {"RetryPolicy": {"MaximumEventAgeInSeconds": 3600}}});
    world.schedule("hourly", "cron(0 * * * ? *)", json!({}));
    world.schedule("often", "rate(20 minutes)", policy);
    world.pass(0);
    assert_eq!(world.carry_all(), 2);
    // Nothing runs here for five hours.
    world.restart();
    world.ctx.now = at("2026-11-23T15:10:00Z");
    world.settle();
    assert_eq!(times(&world), ["11:00", "12:00", "13:00", "14:00", "14:20", "14:40", "15:00", "15:00"]);
    assert_eq!(world.carry_all(), 8);
    let missed = world.state.failures().next().unwrap();
    assert_eq!((missed.runs, missed.run, missed.attempts), (12, at("2026-11-23T14:00:00Z"), 0));
    assert_eq!(world.failed(), [("Roadstead.Missed".into(), Some("MaximumEventAgeInSeconds".into()))]);
    world.pass(20 * MINUTE);
    assert_eq!(times(&world), ["15:20"]);
}

#[test]
fn a_long_absence_costs_steps_that_fit() {
    let mut world = World::new();
    world.schedule("s", "rate(1 minute)", json!({}));
    world.ctx.now = world.ctx.now.plus_millis(400 * DAY);
    world.tick();
    assert!(world.state.invocation_count() <= crate::limits::RUNS_A_STEP);
    world.settle();
    assert_eq!(world.state.invocation_count(), 1441);
    assert_eq!(world.state.failures().map(|row| row.runs).sum::<u64>(), 399 * 1440);
}

#[test]
fn a_clock_that_is_set_back_a_little_repeats_no_run_and_much_begins_from_what_it_says() {
    for (back, runs) in [(2 * HOUR, vec![]), (4 * HOUR, vec!["08:00", "09:00"])] {
        let mut world = World::new();
        world.schedule("s", "cron(0 * * * ? *)", json!({}));
        world.pass(2 * HOUR);
        assert_eq!(world.carry_all(), 3);
        let ahead = world.ctx.now;
        world.set_clock(ahead.plus_millis(-back));
        world.pass(HOUR + HOUR / 2);
        let expected: Vec<&str> = runs.into_iter().skip(1).collect();
        assert_eq!(times(&world), expected, "set back by {back}");
        // What was done while it was ahead comes again at most once.
        world.carry_all();
        world.pass(DAY);
        assert!(world.carry_all() >= 21);
    }
}

#[test]
fn a_run_in_its_pause_does_not_wait_for_a_time_that_never_was() {
    let mut world = World::new();
    world.schedule("s", "at(2026-11-23T10:00:00)", json!({}));
    world.pass(0);
    world.carry(Err(wire::Error::unavailable("busy")));
    world.set_clock(world.ctx.now.plus_millis(-30 * DAY));
    world.pass(crate::limits::BACKOFF_LONGEST_MS);
    assert_eq!(world.carry_all(), 1);
}
