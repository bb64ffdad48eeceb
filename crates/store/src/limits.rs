//! The store's limits. All of them hold for every engine; etcd must be started with
//! `--max-txn-ops` and `--max-request-bytes` no lower than `MAX_CHANGES` and `MAX_COMMIT_BYTES`.

use std::time::Duration;

/// Longest key, in bytes. Keys are not empty and hold no NUL.
pub const MAX_KEY_BYTES: usize = 1024;
/// Largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Most changes in one commit.
pub const MAX_CHANGES: usize = 4096;
/// Most conditions on one commit.
pub const MAX_CONDITIONS: usize = 4096;
/// Most bytes in one commit, keys and values together.
pub const MAX_COMMIT_BYTES: usize = 8 << 20;
/// Most commits that wait to be written; more are refused with `Error::Busy`.
pub const MAX_QUEUED_COMMITS: usize = 16_384;
/// Most bytes that wait to be written; more are refused with `Error::Busy`.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;
/// Most rows that one `range` answers.
pub const MAX_RANGE_ENTRIES: usize = 10_000;
/// Bytes after which `range` stops and says that there is more (the row that crosses it is included).
pub const MAX_RANGE_BYTES: usize = 16 << 20;
/// Longest lease name and holder, in bytes.
pub const MAX_LEASE_NAME_BYTES: usize = 255;
/// Shortest and longest time that a lease may be held without renewal.
pub const LEASE_TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(3600);

/// Commits written in one disk transaction at most.
pub(crate) const MAX_BATCH_COMMITS: usize = 512;
/// Bytes written in one disk transaction at most (a single larger commit still goes through).
pub(crate) const MAX_BATCH_BYTES: usize = 4 << 20;
/// Newest commits kept in memory for watches; a watch further behind reads the history on disk.
pub(crate) const RECENT_COMMITS: usize = 4096;
/// Most bytes of those commits.
pub(crate) const RECENT_BYTES: usize = 8 << 20;
/// Most changes that a watch reads from history at once, and after how many bytes it stops.
pub(crate) const HISTORY_PAGE: usize = 1024;
pub(crate) const HISTORY_PAGE_BYTES: usize = 4 << 20;

// A commit within the limits must fit an empty queue.
const _: () = assert!(MAX_COMMIT_BYTES <= MAX_QUEUED_BYTES && MAX_VALUE_BYTES < MAX_COMMIT_BYTES);
