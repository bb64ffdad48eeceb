//! The handle: one method an operation. It checks the request, asks the catalog and the groups, and hands every
//! change to the writer. No file is touched here.

use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::types::{
    DescribeLogGroups, DescribeLogStreams, FilterLogEvents, FilterLogEventsOutput, GetLogEvents,
    GetLogEventsOutput, LogGroup, LogStream, Page, PutLogEvents, PutLogEventsOutput, Tags,
};

/// The log store of one data directory. Clones are handles to the same store. The last one dropped stops the
/// writer after it has answered all that waits. All methods may block on the disk except
/// [`Logs::put_log_events`]; call the others from a thread that may wait.
#[derive(Clone)]
pub struct Logs {}

impl Logs {
    /// Opens the store in `dir`, which is made if absent. The caller makes sure that no other process has it.
    pub fn open(dir: &Path, limits: Limits) -> Result<Self> {
        let _ = (dir, limits);
        Err(Error::Closed)
    }

    /// CreateLogGroup.
    pub fn create_log_group(&self, log_group_name: &str, tags: Tags, now_ms: i64) -> Result<()> {
        let _ = (log_group_name, tags, now_ms);
        Err(Error::Closed)
    }

    /// DeleteLogGroup: the group and all its streams and events, at once.
    pub fn delete_log_group(&self, log_group_name: &str) -> Result<()> {
        let _ = log_group_name;
        Err(Error::Closed)
    }

    /// DescribeLogGroups, in order of name.
    pub fn describe_log_groups(&self, request: &DescribeLogGroups) -> Result<Page<LogGroup>> {
        let _ = request;
        Err(Error::Closed)
    }

    /// CreateLogStream.
    pub fn create_log_stream(&self, log_group_name: &str, log_stream_name: &str, now_ms: i64) -> Result<()> {
        let _ = (log_group_name, log_stream_name, now_ms);
        Err(Error::Closed)
    }

    /// DeleteLogStream: the stream and all its events, at once.
    pub fn delete_log_stream(&self, log_group_name: &str, log_stream_name: &str) -> Result<()> {
        let _ = (log_group_name, log_stream_name);
        Err(Error::Closed)
    }

    /// DescribeLogStreams.
    pub fn describe_log_streams(&self, request: &DescribeLogStreams) -> Result<Page<LogStream>> {
        let _ = request;
        Err(Error::Closed)
    }

    /// PutLogEvents. Returns at once; `done` is called from the writer's thread when the events are on disk (or
    /// will not be), or from this one when the request is refused. `done` must not block.
    pub fn put_log_events(
        &self,
        request: PutLogEvents,
        now_ms: i64,
        done: impl FnOnce(Result<PutLogEventsOutput>) + Send + 'static,
    ) {
        let _ = (request, now_ms);
        done(Err(Error::Closed));
    }

    /// [`Logs::put_log_events`] that waits.
    pub fn put_log_events_wait(&self, request: PutLogEvents, now_ms: i64) -> Result<PutLogEventsOutput> {
        let _ = (request, now_ms);
        Err(Error::Closed)
    }

    /// GetLogEvents: one page of one stream.
    pub fn get_log_events(&self, request: &GetLogEvents, now_ms: i64) -> Result<GetLogEventsOutput> {
        let _ = (request, now_ms);
        Err(Error::Closed)
    }

    /// FilterLogEvents: one page over the streams of a group.
    pub fn filter_log_events(&self, request: &FilterLogEvents, now_ms: i64) -> Result<FilterLogEventsOutput> {
        let _ = (request, now_ms);
        Err(Error::Closed)
    }

    /// PutRetentionPolicy (`Some`, one of [`crate::RETENTION_DAYS`]) and DeleteRetentionPolicy (`None`).
    pub fn set_retention(&self, log_group_name: &str, days: Option<i32>) -> Result<()> {
        let _ = (log_group_name, days);
        Err(Error::Closed)
    }

    /// TagLogGroup and TagResource: adds, or replaces by key.
    pub fn tag_log_group(&self, log_group_name: &str, tags: Tags) -> Result<()> {
        let _ = (log_group_name, tags);
        Err(Error::Closed)
    }

    /// UntagLogGroup and UntagResource: keys that are not there are passed over.
    pub fn untag_log_group(&self, log_group_name: &str, keys: &[String]) -> Result<()> {
        let _ = (log_group_name, keys);
        Err(Error::Closed)
    }

    /// ListTagsLogGroup and ListTagsForResource.
    pub fn list_tags_log_group(&self, log_group_name: &str) -> Result<Tags> {
        let _ = log_group_name;
        Err(Error::Closed)
    }

    /// Housekeeping: deletes what retention no longer keeps, closes old segments, gives idle groups' memory back.
    /// Call it about once a minute.
    pub fn maintain(&self, now_ms: i64) -> Result<()> {
        let _ = now_ms;
        Err(Error::Closed)
    }
}
