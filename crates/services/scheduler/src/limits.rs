//! Every limit and fixed time of the scheduler, with its source.

/// Schedules of an account and region. AWS lets it be raised to more.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html>
pub const SCHEDULES: usize = 1_000_000;
/// Schedule groups, `default` not counted. Same page.
pub const GROUPS: usize = 500;
/// Tags of a group. <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_TagResource.html>
pub const TAGS: usize = 200;
/// Runs that wait or are being retried, of all schedules; what comes due beyond is recorded as failed.
pub const INVOCATIONS: usize = 200_000;
/// Runs that failed and are remembered; beyond, the oldest are forgotten before their time.
pub const FAILURES: usize = 10_000;
/// Client tokens that are remembered; beyond, the oldest are forgotten before their time.
pub const TOKENS: usize = 100_000;

/// A page of a list, if it is not said, and the greatest. The model's `MaxResults`.
pub const PAGE: i32 = 100;

/// `MaximumEventAgeInSeconds` if it is not given, in seconds: what GetSchedule of AWS shows then.
pub const EVENT_AGE: i32 = 86_400;
/// `MaximumRetryAttempts` if it is not given.
pub const RETRIES: i32 = 185;
/// A StartDate may lie so far back.
pub const START_BACK_MS: i64 = 5 * 60_000;

/// How long a client token is good for. The guide does not say; it is the time that other services of AWS name.
pub const TOKEN_KEPT_MS: i64 = 8 * 3_600_000;
/// How long a run that failed is remembered: as long as a queue can keep a dead letter.
pub const FAILURE_KEPT_MS: i64 = 14 * 86_400_000;

/// The first pause before a retry; each further one doubles it.
pub const BACKOFF_FIRST_MS: i64 = 1_000;
/// The longest pause: with it, 185 retries fill about the 24 hours that a run is retried for.
pub const BACKOFF_LONGEST_MS: i64 = 600_000;
/// A run that was being carried out when its time was over may still tell its outcome for so long.
pub const LATE_MS: i64 = 120_000;
/// A run that waits for an earlier one to end looks again after this.
pub const ROOM_RETRY_MS: i64 = 5_000;

/// Runs of one schedule that one step begins, when it comes late.
pub const RUNS_A_STEP: usize = 100;
/// A clock that is set back by less repeats no run; by more, it was wrong, and what ran by it is not counted.
pub const SET_BACK_MS: i64 = 3 * 3_600_000;

/// Characters of `startedBy`. Seen of AWS in descriptions of tasks.
pub const STARTED_BY: usize = 36;
/// Characters of an error's message that a row keeps.
pub const MESSAGE: usize = 1024;
/// The greatest value of the tag `roadstead:concurrency`.
pub const CONCURRENCY: u32 = 1000;

const _: () = assert!(BACKOFF_FIRST_MS < BACKOFF_LONGEST_MS);

/// `text` with at most `length` characters.
pub fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}
