//! Every bound in one place: AWS's own quotas as constants, this store's as [`Limits`].

/// Longest batch of one PutLogEvents, in bytes, each event counted with [`EVENT_OVERHEAD`].
pub const BATCH_BYTES_MAX: usize = 1_048_576;
/// What AWS adds to each event's UTF-8 length, in bytes.
pub const EVENT_OVERHEAD: usize = 26;
/// Most events in one PutLogEvents, and in one page of GetLogEvents or FilterLogEvents.
pub const EVENTS_MAX: usize = 10_000;
/// Longest page of GetLogEvents or FilterLogEvents, in bytes counted as [`BATCH_BYTES_MAX`] is.
pub const PAGE_BYTES_MAX: usize = 1_048_576;
/// Widest span of one batch, in milliseconds.
pub const BATCH_SPAN_MS: i64 = 24 * HOUR_MS;
/// How far in the future an event may lie, in milliseconds.
pub const TOO_NEW_MS: i64 = 2 * HOUR_MS;
/// How far in the past an event may lie, in milliseconds.
pub const TOO_OLD_MS: i64 = 14 * DAY_MS;
/// Most streams that one FilterLogEvents may name.
pub const FILTER_STREAMS_MAX: usize = 100;
/// Most entries in one page of DescribeLogGroups or DescribeLogStreams.
pub const DESCRIBE_MAX: usize = 50;
/// Most entries in one page of ListLogGroups.
pub const LIST_MAX: usize = 1000;
/// FilterLogEvents answers newest first only from this time on: 2024-01-01T00:00:00Z.
pub const NEWEST_FIRST_FROM_MS: i64 = 1_704_067_200_000;
/// Longest name of a group or stream, in characters.
pub const NAME_MAX: usize = 512;
/// Most tags on one log group.
pub const TAGS_MAX: usize = 50;
/// Longest filter pattern, in bytes.
pub const PATTERN_MAX: usize = 1024;
/// The retentions that PutRetentionPolicy takes, in days.
pub const RETENTION_DAYS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

pub(crate) const HOUR_MS: i64 = 60 * 60 * 1000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// The bounds of a [`crate::Pool`]. [`Limits::default`] suits one machine; tests make them small.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most log groups of one store; beyond it CreateLogGroup answers `LimitExceededException`.
    pub groups_max: usize,
    /// Most log groups of all stores together; beyond it the answer is the same.
    pub groups_max_in_all: usize,
    /// Most log streams of all groups of all stores together: their names are held in memory, some 500 bytes each.
    /// Beyond it the oldest streams of the largest group give way. None is refused: "There is no limit on the number of
    /// log streams that you can create for a log group" (CloudWatch Logs API Reference, CreateLogStream).
    pub streams_max: usize,
    /// A segment file is closed once it is this long, in bytes.
    pub segment_bytes: u64,
    /// A segment file is closed once it holds this many batches: its index is in memory until then.
    pub segment_batches: usize,
    /// A segment file is closed once its first batch is this old, in milliseconds, so that retention, which
    /// deletes whole files, is never late by more.
    pub segment_age_ms: i64,
    /// Most bytes of puts that may wait for the disk, of all stores; beyond it puts answer [`crate::Error::Overloaded`].
    pub queue_bytes: usize,
    /// Most bytes that one FilterLogEvents page reads before it answers with what it found and a token.
    pub scan_bytes: u64,
    /// Most bytes that all segments of all stores together may take. Beyond it the group that holds the most gives its
    /// oldest segments away, so that one that floods takes the room of no other.
    pub total_bytes: u64,
    /// A group that nobody used for this long gives back its memory and its open file, in milliseconds.
    pub idle_ms: i64,
}

impl Limits {
    /// These limits for stores that may take so many bytes. Segments are short enough for what goes at once to
    /// be a small part of it.
    #[must_use]
    pub fn with_total_bytes(self, total_bytes: u64) -> Self {
        let segment_bytes = self.segment_bytes.min((total_bytes / 16).max(1 << 20));
        Self { total_bytes, segment_bytes, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            groups_max: 10_000,
            groups_max_in_all: 100_000,
            streams_max: 200_000,
            segment_bytes: 32 << 20,
            segment_batches: 32_768,
            segment_age_ms: DAY_MS,
            queue_bytes: 64 << 20,
            scan_bytes: 256 << 20,
            total_bytes: u64::MAX,
            idle_ms: 5 * 60 * 1000,
        }
    }
}
