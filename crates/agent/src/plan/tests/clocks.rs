//! Clocks that are set while a task is at work.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::plan::{Clock, shift};

const HOUR: i64 = 3_600_000;

#[test]
fn a_step_is_told_from_time_that_passes() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let mut clock = Clock::new(start, 0);
    for (at, wall, step) in [
        (1, 1_000, 0),
        // Corrected a little.
        (2, 2_900, 0),
        (3, 3_900 + HOUR, HOUR),
        (4, 4_900 + HOUR, 0),
        (3604, 4_900, -2 * HOUR),
        (3605, 5_900, 0),
    ] {
        assert_eq!(clock.step(start + second * at, wall), step, "after {at} s");
    }
}

#[test]
fn an_end_counts_though_the_clock_was_set_back_since_the_start() {
    let mut w = World::new(vec![container("app")]);
    w.settle();
    w.now -= HOUR;
    w.exit(0, 3);
    assert_eq!((w.state.known, w.state.containers[0].exit_code()), (Known::Stopped, Some(3)));
}

#[test]
fn the_end_of_an_earlier_run_is_known_when_it_is_heard_again() {
    let policy = RestartPolicy { ignored_exit_codes: Vec::new(), attempt_period_ms: 60_000 };
    let mut w = World::new(vec![Container { restart: Some(policy), ..container("app") }]);
    w.settle();
    w.now += 60_000;
    let first = Exit { code: Some(1), oom_killed: false, exited_at_ms: w.now, reason: None };
    w.fact(Fact::Exited(0, first.clone()));
    w.settle();
    assert_eq!(w.state.containers[0].restarts, 1);
    // At the same moment as the new start, and with the clock set back.
    w.fact(Fact::Exited(0, first.clone()));
    w.now -= HOUR;
    w.fact(Fact::Exited(0, first));
    w.settle();
    assert_eq!((w.state.containers[0].restarts, w.state.containers[0].phase), (1, Phase::Running));
    // That run lasted, for all that anybody knows.
    w.exit(0, 1);
    assert_eq!(w.state.containers[0].restarts, 2);
}

#[test]
fn what_waits_goes_on_waiting_for_as_long() {
    for by in [HOUR, -HOUR] {
        let check = HealthCheck {
            interval_ms: 10_000,
            retries: 1,
            start_period_ms: 30_000,
            command: Vec::new(),
            timeout_ms: 5_000,
        };
        let slow = Container { health_check: Some(check), start_timeout_ms: Some(60_000), ..container("db") };
        let waits = Container { depends_on: on(0, Condition::Healthy), ..container("web") };
        let mut w = World::new(vec![slow, waits]);
        w.settle();
        w.now += by;
        shift(&mut w.state, by);
        w.now += 9_000;
        assert_eq!(w.settle(), Some(w.now + 1_000), "the probe, {by}");
        w.now += 1_000;
        w.settle();
        w.probed(0, false);
        assert_eq!(w.state.containers[0].health.failures, 0, "in its start period, {by}");
        w.now += 49_000;
        w.settle();
        assert_eq!(w.state.containers[1].phase, Phase::Pulled, "not timed out yet, {by}");
        w.now += 1_000;
        w.settle();
        assert_eq!(w.state.containers[1].phase, Phase::Stopped, "timed out, {by}");
    }
}

#[test]
fn a_stop_is_asked_for_again_whatever_the_clock_says() {
    let mut w = World::new(vec![container("app")]);
    w.settle();
    w.fact(Fact::StopWanted);
    assert_eq!(step(&w.task, &mut w.state, w.now).actions, [Action::Stop(0)]);
    // Set back while the agent was away: nothing has moved the times.
    w.now -= HOUR;
    assert_eq!(step(&w.task, &mut w.state, w.now).actions, [Action::Stop(0)]);
    assert_eq!(step(&w.task, &mut w.state, w.now).wake_at_ms, Some(w.now + 60_000));
}
