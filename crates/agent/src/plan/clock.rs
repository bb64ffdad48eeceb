//! Clocks that are set. What waits for a time waits for as long as it would have: times that lie in the past move
//! with the clock. The agent knows of a step when the wall clock and the time since it last looked disagree.

use tokio::time::Instant;

use crate::task::TaskState;

/// A clock that is off by less was corrected bit by bit, or the host was busy.
const STEP_MS: i64 = 5_000;

/// The wall clock, and whether it was set.
#[derive(Debug)]
pub struct Clock {
    at: Instant,
    wall_ms: i64,
}

impl Clock {
    /// Begins at a time of the wall clock.
    pub fn new(at: Instant, wall_ms: i64) -> Clock {
        Clock { at, wall_ms }
    }

    /// By how many milliseconds the wall clock was set since the last look; 0 where it was not.
    pub fn step(&mut self, at: Instant, wall_ms: i64) -> i64 {
        let passed = i64::try_from(at.duration_since(self.at).as_millis()).unwrap_or(i64::MAX);
        let off = wall_ms.saturating_sub(self.wall_ms.saturating_add(passed));
        (self.at, self.wall_ms) = (at, wall_ms);
        if off.abs() < STEP_MS { 0 } else { off }
    }
}

/// Moves every time of a task by that much.
pub fn shift(state: &mut TaskState, by_ms: i64) {
    let move_one = |at: &mut i64| *at = at.saturating_add(by_ms);
    let task =
        [&mut state.pull_started_at_ms, &mut state.pull_stopped_at_ms, &mut state.execution_stopped_at_ms];
    task.into_iter().flatten().for_each(move_one);
    for container in &mut state.containers {
        let times = [
            &mut container.retry_at_ms,
            &mut container.stop_sent_at_ms,
            &mut container.health.next_probe_at_ms,
        ];
        times.into_iter().flatten().for_each(move_one);
        move_one(&mut container.health.since_ms);
        if let Some(started) = &mut container.started {
            move_one(&mut started.started_at_ms);
        }
    }
}

/// What happened while the agent was away cannot have been later than now: the clock was set back meanwhile.
pub fn not_ahead(state: &mut TaskState, now_ms: i64) {
    for container in &mut state.containers {
        if let Some(started) = &mut container.started {
            started.started_at_ms = started.started_at_ms.min(now_ms);
        }
        container.health.since_ms = container.health.since_ms.min(now_ms);
    }
}
