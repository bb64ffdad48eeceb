//! GetLogEvents and FilterLogEvents: requests to queries, pages to answers, and the tokens between them.

use std::collections::BTreeSet;
use std::ops::{Bound, Range};

use crate::catalog::Group;
use crate::check;
use crate::error::{Error, Result};
use crate::limits::{DAY_MS, EVENTS_MAX, FILTER_STREAMS_MAX, Limits, NEWEST_FIRST_FROM_MS};
use crate::pattern::Pattern;
use crate::record::{self, Position};
use crate::scan::{Direction, Found, Query, Snapshot};
use crate::types::{
    FilterLogEvents, FilterLogEventsOutput, FilteredLogEvent, GetLogEvents, GetLogEventsOutput,
    OutputLogEvent,
};

/// One page of one stream.
pub(crate) fn get(group: &Group, request: &GetLogEvents, now_ms: i64) -> Result<GetLogEventsOutput> {
    let stream = group.streams.get(request.log_stream_name.as_str()).ok_or(Error::STREAM_MISSING)?.id;
    let limit = check::limit(request.limit, EVENTS_MAX, EVENTS_MAX)?;
    let token = request.next_token.as_deref().map(parse_page_token).transpose()?;
    let direction = match (&token, request.start_from_head) {
        (Some((direction, _)), _) => *direction,
        (None, true) => Direction::Forward,
        (None, false) => Direction::Backward,
    };
    let mut range = window(group, request.start_time, request.end_time, now_ms);
    if let Some((direction, at)) = token {
        resume(&mut range, direction, at);
    }
    let query = Query {
        direction,
        range: range.clone(),
        limit,
        budget: u64::MAX,
        is_wanted_stream: &|id| id == stream,
        matches: &|_| true,
    };
    let page = query.run(Snapshot::take(&*group.files.read(&group.names, now_ms)?, &query))?;
    // An empty page stays where the caller was, so that its token comes back unchanged.
    let here = token.map_or(range.start, |(_, at)| at);
    let before = page.events.first().map_or(here, |event| event.position);
    let after = page.events.last().map_or(here, |event| event.position.next());
    Ok(GetLogEventsOutput {
        events: page.events.into_iter().map(output).collect(),
        next_forward_token: page_token(Direction::Forward, after),
        next_backward_token: page_token(Direction::Backward, before),
    })
}

/// One page over the streams of a group.
pub(crate) fn filter(
    group: &Group,
    request: &FilterLogEvents,
    limits: &Limits,
    now_ms: i64,
) -> Result<FilterLogEventsOutput> {
    let limit = check::limit(request.limit, EVENTS_MAX, EVENTS_MAX)?;
    let pattern = Pattern::parse(request.filter_pattern.as_deref().unwrap_or_default())
        .map_err(|error| Error::invalid(error.to_string()))?;
    let streams = chosen_streams(group, request)?;
    // Its end is inclusive, unlike GetLogEvents'.
    let end = request.end_time.map(|end| end.saturating_add(1));
    let mut range = window(group, request.start_time, end, now_ms);
    let direction = match request.next_token.as_deref().map(parse_page_token).transpose()? {
        Some((direction, at)) => resume(&mut range, direction, at),
        None if request.newest_first => check_newest_first(request)?,
        None => Direction::Forward,
    };
    let query = Query {
        direction,
        range,
        limit,
        budget: limits.scan_bytes,
        is_wanted_stream: &|id| match &streams {
            Some(chosen) => chosen.contains(&id),
            None => group.names.contains_key(&id),
        },
        matches: &|message| pattern.matches(message),
    };
    let page = query.run(Snapshot::take(&*group.files.read(&group.names, now_ms)?, &query))?;
    let mut events: Vec<_> = page.events.into_iter().filter_map(|found| filtered(group, found)).collect();
    if direction == Direction::Backward {
        events.reverse();
    }
    Ok(FilterLogEventsOutput { events, next_token: page.stopped_at.map(|at| page_token(direction, at)) })
}

/// The streams that a filter names; nothing when it takes all.
fn chosen_streams(group: &Group, request: &FilterLogEvents) -> Result<Option<BTreeSet<u64>>> {
    let names = &request.log_stream_names;
    match &request.log_stream_name_prefix {
        Some(_) if !names.is_empty() => {
            Err(Error::invalid("Only one of logStreamNames and logStreamNamePrefix may be specified."))
        }
        Some(prefix) => {
            let streams = group.streams.range::<_, str>((Bound::Included(prefix.as_str()), Bound::Unbounded));
            let streams = streams.take_while(|(name, _)| name.starts_with(prefix.as_str()));
            Ok(Some(streams.map(|(_, stream)| stream.id).collect()))
        }
        None if names.is_empty() => Ok(None),
        None if names.len() > FILTER_STREAMS_MAX => Err(Error::invalid(format!(
            "1 validation error detected: Value at 'logStreamNames' failed to satisfy constraint: Member must have length less than or equal to {FILTER_STREAMS_MAX}"
        ))),
        None => {
            let ids = names.iter().map(|name| group.streams.get(name.as_str()).map(|stream| stream.id));
            ids.collect::<Option<_>>().ok_or(Error::STREAM_MISSING).map(Some)
        }
    }
}

/// The times asked for (the end exclusive), without what retention has ended.
fn window(group: &Group, start: Option<i64>, end: Option<i64>, now_ms: i64) -> Range<Position> {
    let kept = group.retention_days.map_or(0, |days| now_ms - i64::from(days) * DAY_MS);
    Position::at(start.unwrap_or(0).max(kept))..Position::at(end.unwrap_or(i64::MAX / 2).min(i64::MAX / 2))
}

/// Goes on where an earlier page ended.
fn resume(range: &mut Range<Position>, direction: Direction, at: Position) -> Direction {
    match direction {
        Direction::Forward => range.start = range.start.max(at),
        Direction::Backward => range.end = range.end.min(at),
    }
    direction
}

fn check_newest_first(request: &FilterLogEvents) -> Result<Direction> {
    if request.start_time.is_some_and(|start| start < NEWEST_FIRST_FROM_MS) {
        return Err(Error::invalid(
            "startFromHead can be false only when startTime is on or after Jan 1, 2024 00:00:00 UTC.",
        ));
    }
    Ok(Direction::Backward)
}

fn page_token(direction: Direction, at: Position) -> String {
    let mark = match direction {
        Direction::Forward => 'f',
        Direction::Backward => 'b',
    };
    format!("{mark}/{}", record::digits(at, 0))
}

fn parse_page_token(token: &str) -> Result<(Direction, Position)> {
    // Tokens of a first page from the tail carry a mark behind the digits at AWS; take it too.
    let token = token.strip_suffix("/s").unwrap_or(token);
    let (direction, digits) = match (token.strip_prefix("f/"), token.strip_prefix("b/")) {
        (Some(digits), _) => (Direction::Forward, digits),
        (_, Some(digits)) => (Direction::Backward, digits),
        _ => return Err(Error::invalid("The specified nextToken is invalid.")),
    };
    Ok((direction, record::parse_digits(digits)?))
}

fn output(found: Found) -> OutputLogEvent {
    OutputLogEvent {
        timestamp: found.position.timestamp,
        message: found.message,
        ingestion_time: found.ingestion_time,
    }
}

/// Nothing when the stream was deleted meanwhile.
fn filtered(group: &Group, found: Found) -> Option<FilteredLogEvent> {
    let name = group.names.get(&found.stream)?;
    Some(FilteredLogEvent {
        log_stream_name: name.to_string(),
        timestamp: found.position.timestamp,
        message: found.message,
        ingestion_time: found.ingestion_time,
        event_id: record::digits(found.position, found.stream),
    })
}
