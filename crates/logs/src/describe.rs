//! DescribeLogGroups and DescribeLogStreams. A token carries the last entry's place in the order, so pages
//! stay right while entries come and go.

use std::ops::Bound;

use crate::catalog::{Catalog, Group, Stream};
use crate::check;
use crate::error::{Error, Result};
use crate::group::Loaded;
use crate::limits::{DESCRIBE_MAX, LIST_MAX};
use crate::record::{self, Position};
use crate::types::{
    DescribeLogGroups, DescribeLogStreams, ListLogGroups, LogGroup, LogStream, OrderBy, Page,
};

/// Groups in order of name.
pub(crate) fn groups(catalog: &Catalog, request: &DescribeLogGroups) -> Result<Page<LogGroup>> {
    let limit = check::limit(request.limit, DESCRIBE_MAX, DESCRIBE_MAX)?;
    let (prefix, pattern) =
        (request.log_group_name_prefix.as_deref(), request.log_group_name_pattern.as_deref());
    if prefix.is_some() && pattern.is_some() {
        return Err(Error::invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    let names = request.log_group_names.as_deref();
    let page = Names { prefix: prefix.unwrap_or_default(), limit, next_token: request.next_token.as_deref() };
    page.take(catalog, |name| {
        pattern.is_none_or(|pattern| name.contains(pattern))
            && names.is_none_or(|names| names.iter().any(|wanted| wanted == name))
    })
}

/// Groups in order of name, by alternatives.
pub(crate) fn list_groups(catalog: &Catalog, request: &ListLogGroups) -> Result<Page<LogGroup>> {
    let limit = check::limit(request.limit, DESCRIBE_MAX, LIST_MAX)?;
    let page = Names { prefix: "", limit, next_token: request.next_token.as_deref() };
    page.take(catalog, |name| {
        request.log_group_name_pattern.as_deref().is_none_or(|pattern| {
            pattern.split('|').any(|part| match part.strip_prefix('^') {
                Some(start) => name.starts_with(start),
                None => name.contains(part),
            })
        })
    })
}

/// A page of the catalog's names.
struct Names<'a> {
    prefix: &'a str,
    limit: usize,
    next_token: Option<&'a str>,
}

impl Names<'_> {
    fn take(&self, catalog: &Catalog, wanted: impl Fn(&str) -> bool) -> Result<Page<LogGroup>> {
        let start = match self.next_token.map(|token| strip(token, "g:")).transpose()? {
            Some(after) if after >= self.prefix => Bound::Excluded(after),
            _ => Bound::Included(self.prefix),
        };
        let from_start = catalog.groups.range::<_, str>((start, Bound::Unbounded)).map(|(_, group)| group);
        let named = from_start.take_while(|group| group.name.starts_with(self.prefix));
        let mut items: Vec<_> = named.filter(|group| wanted(&group.name)).take(self.limit + 1).collect();
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        let next_token = items.last().filter(|_| has_more).map(|group| format!("g:{}", group.name));
        Ok(Page { items: items.into_iter().map(|group| describe_group(group)).collect(), next_token })
    }
}

fn describe_group(group: &Group) -> LogGroup {
    LogGroup {
        log_group_name: group.name.to_string(),
        creation_time: group.created_ms,
        retention_in_days: group.retention_days,
        stored_bytes: group.files.stored_bytes(),
    }
}

/// Streams of one group, by name or by their newest event.
pub(crate) fn streams(group: &Group, request: &DescribeLogStreams, now_ms: i64) -> Result<Page<LogStream>> {
    let limit = check::limit(request.limit, DESCRIBE_MAX, DESCRIBE_MAX)?;
    if request.order_by == OrderBy::LastEventTime && request.log_stream_name_prefix.is_some() {
        return Err(Error::invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let loaded = group.files.read(&group.names, now_ms)?;
    let prefix = request.log_stream_name_prefix.as_deref().unwrap_or_default();
    let from_prefix = group.streams.range::<_, str>((Bound::Included(prefix), Bound::Unbounded));
    let mut entries: Vec<(Place<'_>, Stream)> = from_prefix
        .take_while(|(name, _)| name.starts_with(prefix))
        .map(|(name, stream)| match request.order_by {
            OrderBy::LogStreamName => ((None, name.as_ref()), *stream),
            OrderBy::LastEventTime => ((Some(last_event(&loaded, stream.id)), name.as_ref()), *stream),
        })
        .collect();
    entries.sort_unstable_by_key(|&(place, _)| place);
    let after =
        request.next_token.as_deref().map(|token| parse_place(token, request.order_by)).transpose()?;
    let wanted = |place: Place<'_>| {
        after.is_none_or(|after| if request.descending { place < after } else { place > after })
    };
    let mut entries: Vec<_> = match request.descending {
        true => entries.into_iter().rev().filter(|&(place, _)| wanted(place)).take(limit + 1).collect(),
        false => entries.into_iter().filter(|&(place, _)| wanted(place)).take(limit + 1).collect(),
    };
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let next_token = entries.last().filter(|_| has_more).map(|&(place, _)| place_token(place));
    let items =
        entries.into_iter().map(|((_, name), stream)| describe_stream(&loaded, name, stream)).collect();
    Ok(Page { items, next_token })
}

/// Where a stream stands: by its newest event, if so ordered, then by name.
type Place<'a> = (Option<i64>, &'a str);

/// Streams without events stand first.
fn last_event(loaded: &Loaded, stream: u64) -> i64 {
    loaded.streams.get(&stream).map_or(-1, |span| span.max_timestamp)
}

fn place_token((time, name): Place<'_>) -> String {
    match time {
        None => format!("n:{name}"),
        Some(time) => format!("t:{time}:{name}"),
    }
}

fn parse_place(token: &str, order_by: OrderBy) -> Result<Place<'_>> {
    match order_by {
        OrderBy::LogStreamName => Ok((None, strip(token, "n:")?)),
        OrderBy::LastEventTime => {
            let (time, name) = strip(token, "t:")?.split_once(':').ok_or_else(invalid_token)?;
            Ok((Some(time.parse().map_err(|_| invalid_token())?), name))
        }
    }
}

fn strip<'a>(token: &'a str, mark: &str) -> Result<&'a str> {
    token.strip_prefix(mark).ok_or_else(invalid_token)
}

fn invalid_token() -> Error {
    Error::invalid("The specified nextToken is invalid.")
}

fn describe_stream(loaded: &Loaded, name: &str, stream: Stream) -> LogStream {
    let span = loaded.streams.get(&stream.id);
    let last_ingestion_time = span.map(|span| span.last_ingestion);
    let token = Position::at(last_ingestion_time.unwrap_or(stream.created_ms));
    LogStream {
        log_stream_name: name.to_owned(),
        creation_time: stream.created_ms,
        first_event_timestamp: span.map(|span| span.min_timestamp),
        last_event_timestamp: span.map(|span| span.max_timestamp),
        last_ingestion_time,
        upload_sequence_token: record::digits(token, stream.id),
    }
}
