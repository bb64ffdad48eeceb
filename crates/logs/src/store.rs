//! The handle: one method an operation. It checks the request, asks the catalog and the groups, and hands every
//! change to the writer. No file is touched here.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use arc_swap::ArcSwap;

use crate::catalog::{Catalog, Change, Group};
use crate::check;
use crate::describe;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::pool::{Pool, Writer};
use crate::put;
use crate::read;
use crate::record::{Batch, Position, digits};
use crate::types::{
    DescribeLogGroups, DescribeLogStreams, FilterLogEvents, FilterLogEventsOutput, GetLogEvents,
    GetLogEventsOutput, ListLogGroups, LogGroup, LogStream, Page, PutLogEvents, PutLogEventsOutput, Tags,
};
use crate::writer::Put;

/// The log store of one data directory. Clones are handles to the same store. The last one dropped waits until the
/// writer has answered all that the store asked. All methods may block on the disk except
/// [`Logs::put_log_events`]; call the others from a thread that may wait.
#[derive(Clone)]
pub struct Logs {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    catalog: Arc<ArcSwap<Catalog>>,
}

impl Logs {
    /// Opens the store in `dir` in a pool of its own. The caller makes sure that no other process has it.
    ///
    /// # Errors
    /// Those of [`Pool::new`] and [`Pool::open`].
    pub fn open(dir: &Path, limits: Limits) -> Result<Self> {
        Pool::new(limits)?.open(dir)
    }

    pub(crate) fn new(writer: Writer, catalog: Arc<ArcSwap<Catalog>>) -> Self {
        Self { inner: Arc::new(Inner { writer, catalog }) }
    }

    /// CreateLogGroup.
    pub fn create_log_group(&self, log_group_name: &str, tags: Tags, now_ms: i64) -> Result<()> {
        check::new_group_name(log_group_name)?;
        check::tags(&tags)?;
        let name = log_group_name.to_owned();
        self.change(move |catalog| {
            if catalog.groups.contains_key(name.as_str()) {
                return Err(Error::ResourceAlreadyExists("The specified log group already exists"));
            }
            Ok(Some(Change::CreateGroup { id: catalog.next_id(), name, at: now_ms, tags }))
        })
    }

    /// DeleteLogGroup: the group and all its streams and events, at once.
    pub fn delete_log_group(&self, log_group_name: &str) -> Result<()> {
        self.change_group(log_group_name, |group| {
            Ok(Some(Change::DeleteGroup { name: group.name.to_string() }))
        })
    }

    /// DescribeLogGroups, in order of name.
    pub fn describe_log_groups(&self, request: &DescribeLogGroups) -> Result<Page<LogGroup>> {
        describe::groups(&self.inner.catalog.load_full(), request)
    }

    /// ListLogGroups, in order of name.
    pub fn list_log_groups(&self, request: &ListLogGroups) -> Result<Page<LogGroup>> {
        describe::list_groups(&self.inner.catalog.load_full(), request)
    }

    /// CreateLogStream. Where there are as many streams as [`Limits::streams_max`], of all stores in the pool, older ones
    /// give way.
    pub fn create_log_stream(&self, log_group_name: &str, log_stream_name: &str, now_ms: i64) -> Result<()> {
        check::new_stream_name(log_stream_name)?;
        let (group, name) = (log_group_name.to_owned(), log_stream_name.to_owned());
        self.change(move |catalog| {
            if catalog.group(&group)?.streams.contains_key(name.as_str()) {
                return Err(Error::ResourceAlreadyExists("The specified log stream already exists"));
            }
            Ok(Some(Change::CreateStream { group, id: catalog.next_id(), name, at: now_ms }))
        })
    }

    /// DeleteLogStream: the stream and all its events, at once.
    pub fn delete_log_stream(&self, log_group_name: &str, log_stream_name: &str) -> Result<()> {
        let name = log_stream_name.to_owned();
        self.change_group(log_group_name, move |group| match group.streams.contains_key(name.as_str()) {
            true => Ok(Some(Change::DeleteStream { group: group.name.to_string(), name, gave_way: false })),
            false => Err(Error::STREAM_MISSING),
        })
    }

    /// DescribeLogStreams.
    pub fn describe_log_streams(&self, request: &DescribeLogStreams, now_ms: i64) -> Result<Page<LogStream>> {
        describe::streams(&*self.group(&request.log_group_name)?, request, now_ms)
    }

    /// PutLogEvents. Returns at once; `done` is called from the writer's thread when the events are on disk (or
    /// will not be), or from this one when the request is refused. `done` must not block.
    pub fn put_log_events(
        &self,
        request: PutLogEvents,
        now_ms: i64,
        done: impl FnOnce(Result<PutLogEventsOutput>) + Send + 'static,
    ) {
        let prepared = self.group(&request.log_group_name).and_then(|group| {
            let stream = group.streams.get(request.log_stream_name.as_str()).ok_or(Error::STREAM_MISSING)?.id;
            let accepted = put::check(&request.log_events, group.retention_days, now_ms)?;
            Ok((group, stream, accepted))
        });
        let (group, stream, accepted) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return done(Err(error)),
        };
        let output = PutLogEventsOutput {
            next_sequence_token: digits(Position::at(now_ms), stream),
            rejected: accepted.rejected,
        };
        let events = &request.log_events[accepted.start..accepted.end];
        if events.is_empty() {
            return done(Ok(output));
        }
        self.inner.writer.put(Put {
            group: Arc::clone(&group.name),
            group_id: group.id,
            batch: Batch::encode(stream, events, now_ms),
            now_ms,
            done: Box::new(move |kept| done(kept.map(|()| output))),
        });
    }

    /// [`Logs::put_log_events`] that waits.
    pub fn put_log_events_wait(&self, request: PutLogEvents, now_ms: i64) -> Result<PutLogEventsOutput> {
        let (answer, wait) = mpsc::sync_channel(1);
        self.put_log_events(request, now_ms, move |result| {
            let _ = answer.send(result);
        });
        wait.recv().unwrap_or(Err(Error::Closed))
    }

    /// GetLogEvents: one page of one stream.
    pub fn get_log_events(&self, request: &GetLogEvents, now_ms: i64) -> Result<GetLogEventsOutput> {
        read::get(&*self.group(&request.log_group_name)?, request, now_ms)
    }

    /// FilterLogEvents: one page over the streams of a group.
    pub fn filter_log_events(&self, request: &FilterLogEvents, now_ms: i64) -> Result<FilterLogEventsOutput> {
        read::filter(&*self.group(&request.log_group_name)?, request, self.inner.writer.limits(), now_ms)
    }

    /// PutRetentionPolicy (`Some`, one of [`crate::RETENTION_DAYS`]) and DeleteRetentionPolicy (`None`).
    pub fn set_retention(&self, log_group_name: &str, days: Option<i32>) -> Result<()> {
        days.map_or(Ok(()), check::retention)?;
        self.change_group(log_group_name, move |group| {
            let change = || Change::SetRetention { name: group.name.to_string(), days };
            Ok((group.retention_days != days).then(change))
        })
    }

    /// TagLogGroup and TagResource: adds, or replaces by key.
    pub fn tag_log_group(&self, log_group_name: &str, tags: Tags) -> Result<()> {
        self.change_tags(log_group_name, move |all| {
            all.extend(tags);
            check::tags(all)
        })
    }

    /// UntagLogGroup and UntagResource: keys that are not there are passed over.
    pub fn untag_log_group(&self, log_group_name: &str, keys: &[String]) -> Result<()> {
        let keys = keys.to_vec();
        self.change_tags(log_group_name, move |all| {
            keys.iter().for_each(|key| drop(all.remove(key)));
            Ok(())
        })
    }

    /// ListTagsLogGroup and ListTagsForResource.
    pub fn list_tags_log_group(&self, log_group_name: &str) -> Result<Tags> {
        Ok((*self.group(log_group_name)?.tags).clone())
    }

    /// Housekeeping: deletes what retention no longer keeps, closes old segments, gives idle groups' memory back.
    /// Call it about once a minute.
    pub fn maintain(&self, now_ms: i64) -> Result<()> {
        let (answer, wait) = mpsc::sync_channel(1);
        let done = Box::new(move |result| drop(answer.send(result)));
        self.inner.writer.maintain(now_ms, done);
        wait.recv().unwrap_or(Err(Error::Closed))
    }

    fn group(&self, name: &str) -> Result<Arc<Group>> {
        self.inner.catalog.load().group(name).cloned()
    }

    fn change(&self, plan: impl FnOnce(&Catalog) -> Result<Option<Change>> + Send + 'static) -> Result<()> {
        let (answer, wait) = mpsc::sync_channel(1);
        let done = Box::new(move |result| drop(answer.send(result)));
        self.inner.writer.change(Box::new(plan), done);
        wait.recv().unwrap_or(Err(Error::Closed))
    }

    fn change_group(
        &self,
        name: &str,
        plan: impl FnOnce(&Group) -> Result<Option<Change>> + Send + 'static,
    ) -> Result<()> {
        let name = name.to_owned();
        self.change(move |catalog| plan(catalog.group(&name)?))
    }

    fn change_tags(
        &self,
        name: &str,
        edit: impl FnOnce(&mut Tags) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.change_group(name, move |group| {
            let mut tags = (*group.tags).clone();
            edit(&mut tags)?;
            let change = || Change::SetTags { name: group.name.to_string(), tags: tags.clone() };
            Ok((tags != *group.tags).then(change))
        })
    }
}
