//! How much of everything there may be. Where AWS has a quota it is AWS's default:
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>.

/// Event buses of an account and region, the default one not counted.
pub const BUSES: usize = 100;
/// Rules of one event bus.
pub const RULES: usize = 300;
/// Targets of one rule.
pub const TARGETS: usize = 5;
/// Characters of an event bus's policy.
pub const POLICY: usize = 10_240;
/// Tags of one resource.
pub const TAGS: usize = 50;
/// Tasks that one ECS target may start for one event; RunTask starts [`TASKS_PER_CALL`] at a time.
pub const TASKS: i32 = 100;
/// `count` of RunTask, at most.
pub const TASKS_PER_CALL: i32 = 10;

/// Deliveries that wait, beyond which no event is taken: their senders try again.
pub const DELIVERIES: usize = 20_000;
/// Likewise, about how many bytes of them.
pub const DELIVERY_BYTES: usize = 128 << 20;
/// Events that are not handed to all their targets yet, beyond which no event is taken.
pub const ARRIVALS: usize = 64;
/// Deliveries that were given up and are remembered; the oldest are forgotten first.
pub const DEAD_LETTERS: usize = 1000;
/// Likewise, about how many bytes of them.
pub const DEAD_LETTER_BYTES: usize = 16 << 20;

/// `MaximumRetryAttempts` of a target that says none.
pub const RETRIES: u32 = 185;
/// `MaximumEventAgeInSeconds` of a target that says none.
pub const AGE_SECONDS: i64 = 86_400;
/// The first retry waits for about so long, and each further one twice as long …
pub const BACKOFF_MS: i64 = 1000;
/// … up to this: 185 of them fill a day.
pub const BACKOFF_LONGEST_MS: i64 = 600_000;
/// The shortest time that anything waits for: a schedule's minute.
pub const SHORTEST_MS: i64 = 60_000;
/// How long a delivery is kept that seems too old because the clock was set ahead.
pub const KEPT_MS: i64 = 3_600_000;

/// Whoever follows the events of the default event bus says so again within this time.
pub const FOLLOWED_MS: i64 = 60_000;
/// The newest events are kept for so long after nobody follows them any more.
pub const PASSED_KEPT_MS: i64 = 600_000;
/// Events that are kept for those who follow; the oldest are forgotten first.
pub const PASSED: usize = 1000;
/// Likewise, about how many bytes of them.
pub const PASSED_BYTES: usize = 8 << 20;

/// Characters of `startedBy`, as EventBridge fills it.
pub const STARTED_BY: usize = 36;
