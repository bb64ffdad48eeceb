//! The control plane's clock: the host's wall clock, as it is. One that is set back by little, as time daemons
//! do, stands still here until it has caught up, so that times in rows keep their order. One that is set by more,
//! ahead or back, was wrong before: it is followed, and whoever waits for a time in a row hears of the step. The
//! time that passes meanwhile tells a step from a long wait.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use wire::Timestamp;

use crate::world;

/// The longest sleep without a look at the clock: a clock that is set is noticed within it.
const LONGEST: Duration = Duration::from_secs(30);
/// What is off by no more than this was corrected, not set.
const STEP_MS: i64 = 5_000;
/// A clock that was set ahead is believed by those that delete after this: until then it may be put right.
const DOUBT_MS: i64 = 3_600_000;

static CLOCK: Clock = Clock::new();
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What was seen of a wall clock.
pub(crate) struct Clock {
    /// The newest time that was told.
    newest: AtomicI64,
    /// By how much the wall clock is before the time that has passed since the start; none looked yet at the least.
    offset: AtomicI64,
    /// How often it was set.
    steps: AtomicU64,
    doubt: Mutex<Doubt>,
}

/// By how much the clock was set ahead of late, and until when, in the time since the start, that is doubted.
struct Doubt {
    ahead: i64,
    until: i64,
}

impl Clock {
    pub(crate) const fn new() -> Clock {
        Clock {
            newest: AtomicI64::new(0),
            offset: AtomicI64::new(i64::MIN),
            steps: AtomicU64::new(0),
            doubt: Mutex::new(Doubt { ahead: 0, until: 0 }),
        }
    }

    /// `read` gives the wall clock and the time since the start, in milliseconds.
    fn tell(&self, read: &dyn Fn() -> (i64, i64)) -> i64 {
        let (wall, passed) = read();
        let off = (wall - passed).saturating_sub(self.offset.load(Ordering::Relaxed));
        if off.abs() <= STEP_MS {
            if off != 0 {
                // A correction; of several threads' any will do.
                self.offset.store(wall - passed, Ordering::Relaxed);
            }
            return self.newest.fetch_max(wall, Ordering::Relaxed).max(wall);
        }
        let mut doubt = self.doubt.lock();
        // Read again: another thread may have seen it first, and this one's time be older than the step.
        let (wall, passed) = read();
        let before = self.offset.swap(wall - passed, Ordering::Relaxed);
        let off = (wall - passed).saturating_sub(before);
        if before != i64::MIN && off.abs() > STEP_MS {
            self.steps.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(seconds = off / 1000, "the host's clock was set");
            let before = if passed < doubt.until { doubt.ahead } else { 0 };
            *doubt =
                Doubt { ahead: before.saturating_add(off).max(0), until: passed.saturating_add(DOUBT_MS) };
        }
        if off < 0 {
            self.newest.store(wall, Ordering::Relaxed);
        }
        self.newest.fetch_max(wall, Ordering::Relaxed).max(wall)
    }

    /// The time without what the clock was set ahead of late.
    fn tell_undoubted(&self, read: &dyn Fn() -> (i64, i64)) -> i64 {
        let told = self.tell(read);
        let doubt = self.doubt.lock();
        let ahead = if read().1 < doubt.until { doubt.ahead } else { 0 };
        told.saturating_sub(ahead)
    }
}

/// The time.
pub fn now() -> Timestamp {
    Timestamp(at(Clock::tell))
}

/// The time for what deletes by age and cannot be undone: for an hour after the clock was set ahead, the time that it
/// would be without that.
pub fn undoubted() -> Timestamp {
    Timestamp(at(Clock::tell_undoubted))
}

/// Looks at the host's clock, or that of the world which this thread is in.
fn at<R>(look: impl Fn(&Clock, &dyn Fn() -> (i64, i64)) -> R) -> R {
    world::other_clock(&look).unwrap_or_else(|| look(&CLOCK, &read))
}

/// The wall clock and the time since the start, in milliseconds.
fn read() -> (i64, i64) {
    let passed = START.elapsed().as_millis();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let whole = |millis: u128| i64::try_from(millis).unwrap_or(i64::MAX / 2);
    (whole(wall), whole(passed))
}

/// How often the clock was set since the program started.
pub(super) fn steps() -> u64 {
    at(|clock, _| clock.steps.load(Ordering::Relaxed))
}

/// Waits for a time, or for `pause` if that is longer; for ever when nothing waits. Ends early when the clock was
/// set more often than was `seen`: then the time in the row may be one that never was.
pub(super) async fn sleep_until(at: Option<Timestamp>, pause: Option<Duration>, seen: Option<u64>) {
    let Some(at) = at else { return std::future::pending().await };
    tokio::time::sleep(pause.unwrap_or_default()).await;
    loop {
        let left = u64::try_from(at.millis_since(now())).unwrap_or(0);
        if left == 0 || Some(steps()) != seen {
            return;
        }
        tokio::time::sleep(Duration::from_millis(left).min(LONGEST)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_followed_and_small_steps_back_are_waited_out() {
        const HOUR: i64 = 3_600_000;
        let clock = Clock::new();
        for (passed, wall, told, steps) in [
            (0, 10 * HOUR, 10 * HOUR, 0),
            (1, 10 * HOUR - STEP_MS + 1, 10 * HOUR, 0),
            (STEP_MS, 10 * HOUR + 1, 10 * HOUR + 1, 0),
            // Nobody has looked for long.
            (HOUR + STEP_MS, 11 * HOUR + 1, 11 * HOUR + 1, 0),
            // Ahead, and put right.
            (HOUR + STEP_MS + 1, 12 * HOUR, 12 * HOUR, 1),
            (HOUR + STEP_MS + 2, 11 * HOUR + 2, 11 * HOUR + 2, 2),
            (HOUR + STEP_MS + 3, 11 * HOUR + 3, 11 * HOUR + 3, 2),
            (HOUR + STEP_MS + 4, 0, 0, 3),
        ] {
            let now = clock.tell(&|| (wall, passed));
            assert_eq!((now, clock.steps.load(Ordering::Relaxed)), (told, steps), "{wall}");
        }
    }

    #[test]
    fn what_deletes_by_age_doubts_a_clock_that_was_set_ahead() {
        const HOUR: i64 = 3_600_000;
        let clock = Clock::new();
        for (passed, wall, told) in [
            (0, 10 * HOUR, 10 * HOUR),
            // Ten days ahead, and put right.
            (1, 250 * HOUR, 10 * HOUR + 1),
            (HOUR / 2, 250 * HOUR + HOUR / 2 - 1, 10 * HOUR + HOUR / 2),
            (HOUR / 2 + 1, 10 * HOUR + HOUR / 2 + 1, 10 * HOUR + HOUR / 2 + 1),
            // Back is believed at once.
            (HOUR, 5 * HOUR, 5 * HOUR),
            // Ahead, in two steps, and so it stays.
            (2 * HOUR, 8 * HOUR, 6 * HOUR),
            (2 * HOUR + 1, 18 * HOUR + 1, 6 * HOUR + 1),
            (3 * HOUR, 19 * HOUR, 7 * HOUR),
            (3 * HOUR + 1, 19 * HOUR + 1, 19 * HOUR + 1),
        ] {
            assert_eq!(clock.tell_undoubted(&|| (wall, passed)), told, "{passed}");
        }
    }
}
