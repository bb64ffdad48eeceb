//! What goes in and comes out of [`crate::Logs`]. Names follow the API; times are milliseconds since 1970 UTC.
//! No type of the wire appears here: the service converts.

use std::collections::BTreeMap;

/// Tags of a log group.
pub type Tags = BTreeMap<String, String>;

/// One event as PutLogEvents takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputLogEvent {
    /// When it happened.
    pub timestamp: i64,
    /// Its text, at least one byte.
    pub message: String,
}

/// A PutLogEvents request. Sequence tokens are ignored, as AWS does, so there is none.
#[derive(Debug, Clone)]
pub struct PutLogEvents {
    /// The log group's name.
    pub log_group_name: String,
    /// The log stream's name.
    pub log_stream_name: String,
    /// In chronological order.
    pub log_events: Vec<InputLogEvent>,
}

/// What PutLogEvents kept and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutLogEventsOutput {
    /// For clients that still expect it; has no meaning.
    pub next_sequence_token: String,
    /// Present when some events were not kept.
    pub rejected: Option<RejectedLogEventsInfo>,
}

/// Which events of a put were not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RejectedLogEventsInfo {
    /// This event and all after it lie too far in the future.
    pub too_new_log_event_start_index: Option<usize>,
    /// All events before this one are older than 14 days.
    pub too_old_log_event_end_index: Option<usize>,
    /// All events before this one are older than the group's retention.
    pub expired_log_event_end_index: Option<usize>,
}

/// A GetLogEvents request.
#[derive(Debug, Clone, Default)]
pub struct GetLogEvents {
    /// The log group's name.
    pub log_group_name: String,
    /// The log stream's name.
    pub log_stream_name: String,
    /// Events at this time or later.
    pub start_time: Option<i64>,
    /// Events before this time.
    pub end_time: Option<i64>,
    /// Most events on the page.
    pub limit: Option<usize>,
    /// Oldest first page, rather than newest. A token overrides it.
    pub start_from_head: bool,
    /// A token of an earlier answer: `f/…` or `b/…`.
    pub next_token: Option<String>,
}

/// One page of GetLogEvents, in order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetLogEventsOutput {
    /// The events.
    pub events: Vec<OutputLogEvent>,
    /// Continues after the page; equals the request's token at the end of the stream.
    pub next_forward_token: String,
    /// Continues before the page; equals the request's token at the start of the stream.
    pub next_backward_token: String,
}

/// One stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLogEvent {
    /// When it happened.
    pub timestamp: i64,
    /// Its text.
    pub message: String,
    /// When the store took it.
    pub ingestion_time: i64,
}

/// A FilterLogEvents request.
#[derive(Debug, Clone, Default)]
pub struct FilterLogEvents {
    /// The log group's name.
    pub log_group_name: String,
    /// Only these streams; empty means all. Excludes `log_stream_name_prefix`.
    pub log_stream_names: Vec<String>,
    /// Only streams whose name starts so.
    pub log_stream_name_prefix: Option<String>,
    /// Events at this time or later.
    pub start_time: Option<i64>,
    /// Events at this time or earlier (unlike GetLogEvents, as AWS documents).
    pub end_time: Option<i64>,
    /// In the filter pattern language; absent or empty matches all.
    pub filter_pattern: Option<String>,
    /// Newest first, and within a page too (`startFromHead` false). A token overrides it.
    pub newest_first: bool,
    /// A token of an earlier answer.
    pub next_token: Option<String>,
    /// Most events on the page.
    pub limit: Option<usize>,
}

/// One page of FilterLogEvents, in order of time (or the reverse, as asked) over all streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterLogEventsOutput {
    /// The events that match.
    pub events: Vec<FilteredLogEvent>,
    /// Present while there may be more; the page may be part full or empty.
    pub next_token: Option<String>,
}

/// One stored event that a filter let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilteredLogEvent {
    /// The stream it is in.
    pub log_stream_name: String,
    /// When it happened.
    pub timestamp: i64,
    /// Its text.
    pub message: String,
    /// When the store took it.
    pub ingestion_time: i64,
    /// Unique in the group, the same on every read: 56 digits.
    pub event_id: String,
}

/// A DescribeLogGroups request.
#[derive(Debug, Clone, Default)]
pub struct DescribeLogGroups {
    /// Names that start so. Excludes `log_group_name_pattern`.
    pub log_group_name_prefix: Option<String>,
    /// Names that contain this.
    pub log_group_name_pattern: Option<String>,
    /// Exactly these names.
    pub log_group_names: Option<Vec<String>>,
    /// A token of an earlier answer.
    pub next_token: Option<String>,
    /// Most entries, 1 to 50.
    pub limit: Option<usize>,
}

/// A ListLogGroups request.
#[derive(Debug, Clone, Default)]
pub struct ListLogGroups {
    /// Texts with `|` between: names that contain any, or begin with it where it begins with `^`.
    pub log_group_name_pattern: Option<String>,
    /// A token of an earlier answer.
    pub next_token: Option<String>,
    /// Most entries, 1 to 1,000.
    pub limit: Option<usize>,
}

/// One log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Its name.
    pub log_group_name: String,
    /// When it was created.
    pub creation_time: i64,
    /// How long events are kept, in days; absent means for ever.
    pub retention_in_days: Option<i32>,
    /// Bytes on disk that belong to it, deleted streams' not yet reclaimed bytes included.
    pub stored_bytes: u64,
}

/// A DescribeLogStreams request.
#[derive(Debug, Clone, Default)]
pub struct DescribeLogStreams {
    /// The log group's name.
    pub log_group_name: String,
    /// Names that start so; only with order by name.
    pub log_stream_name_prefix: Option<String>,
    /// Order of the answer.
    pub order_by: OrderBy,
    /// Turns the order round.
    pub descending: bool,
    /// A token of an earlier answer.
    pub next_token: Option<String>,
    /// Most entries, 1 to 50.
    pub limit: Option<usize>,
}

/// How DescribeLogStreams sorts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OrderBy {
    /// By name.
    #[default]
    LogStreamName,
    /// By the newest event's time; streams without events first.
    LastEventTime,
}

/// One log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStream {
    /// Its name.
    pub log_stream_name: String,
    /// When it was created.
    pub creation_time: i64,
    /// The oldest event's time.
    pub first_event_timestamp: Option<i64>,
    /// The newest event's time.
    pub last_event_timestamp: Option<i64>,
    /// When the last put was taken.
    pub last_ingestion_time: Option<i64>,
    /// For clients that still expect it; has no meaning.
    pub upload_sequence_token: String,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Present when there are more.
    pub next_token: Option<String>,
}
