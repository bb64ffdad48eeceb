//! CloudWatch Logs storage: append-only, with the filter pattern language.
//!
//! [`Logs`] is a store: groups, streams, events, retention, tags. What a call acknowledged is on disk. All
//! time comes in as arguments; nothing here reads a clock. [`pattern`] is the filter pattern language, pure.
//! A [`Pool`] is what several stores share: the thread that writes, and the [`Limits`].
//!
//! Files, below the directory given to [`Pool::open`]:
//! `catalog.log` (groups, streams, tags, retention: one record a change, all in memory),
//! `groups/<id>/<first sequence number>.seg` (batches of events of all streams of a group, in order of arrival),
//! `….idx` beside each closed segment (which stream's batches lie where; can be made again from the segment).
//!
//! One thread writes. It takes all that waits, appends it, syncs each touched file once, then answers: so
//! concurrent puts to one group share one fsync. Readers take what has been published and never block it.
//! At a limit what is oldest gives way: of bytes the oldest segments of the largest group, of streams the oldest of the
//! largest group of the store that has the most. Both are deletions as any other, on disk before anything new is.
//! What is damaged is passed over by its checksums and said in the log; all that is whole is read. Only a batch, or
//! a change, that was cut short at the end of a file is ever cut away.
//!
//! A group's files are looked at when the group is first used, so opening costs the same however much is stored.

mod ages;
mod catalog;
mod check;
mod describe;
mod error;
mod group;
mod limits;
pub mod pattern;
mod pool;
mod put;
mod quota;
mod read;
mod record;
mod scan;
mod segment;
mod store;
mod types;
mod writer;

pub use error::{Error, Result};
pub use limits::{
    BATCH_BYTES_MAX, DESCRIBE_MAX, EVENT_OVERHEAD, EVENTS_MAX, FILTER_STREAMS_MAX, Limits, NAME_MAX,
    PAGE_BYTES_MAX, PATTERN_MAX, RETENTION_DAYS, TAGS_MAX,
};
pub use pool::Pool;
pub use quota::{StoredStreams, stored_bytes, stored_streams};
pub use store::Logs;
pub use types::{
    DescribeLogGroups, DescribeLogStreams, FilterLogEvents, FilterLogEventsOutput, FilteredLogEvent,
    GetLogEvents, GetLogEventsOutput, InputLogEvent, ListLogGroups, LogGroup, LogStream, OrderBy,
    OutputLogEvent, Page, PutLogEvents, PutLogEventsOutput, RejectedLogEventsInfo, Tags,
};
