//! Short ways to fill and read a store.

use logs::{
    FilterLogEvents, FilteredLogEvent, GetLogEvents, InputLogEvent, Limits, Logs, OutputLogEvent,
    PutLogEvents, PutLogEventsOutput, Result,
};
use tempfile::TempDir;

/// The present, for stores: late 2023.
pub const NOW: i64 = 1_700_000_000_000;
pub const DAY: i64 = 86_400_000;

/// Segments that close after a few batches, so that every test sees several.
pub fn small() -> Limits {
    Limits { segment_bytes: 600, segment_batches: 4, ..Limits::default() }
}

/// A store with one group `g` and one stream `s`.
pub fn store(limits: Limits) -> (TempDir, Logs) {
    let dir = tempfile::tempdir().unwrap();
    let logs = Logs::open(dir.path(), limits).unwrap();
    logs.create_log_group("g", Default::default(), NOW).unwrap();
    logs.create_log_stream("g", "s", NOW).unwrap();
    (dir, logs)
}

pub fn batch(group: &str, stream: &str, events: &[(i64, &str)]) -> PutLogEvents {
    PutLogEvents {
        log_group_name: group.into(),
        log_stream_name: stream.into(),
        log_events: events
            .iter()
            .map(|&(timestamp, message)| InputLogEvent { timestamp, message: message.into() })
            .collect(),
    }
}

/// Puts events into a stream of `g`, timed from [`NOW`].
pub fn put(logs: &Logs, stream: &str, events: &[(i64, &str)]) -> Result<PutLogEventsOutput> {
    let events: Vec<_> = events.iter().map(|&(at, message)| (NOW + at, message)).collect();
    logs.put_log_events_wait(batch("g", stream, &events), NOW)
}

pub fn get(stream: &str) -> GetLogEvents {
    GetLogEvents {
        log_group_name: "g".into(),
        log_stream_name: stream.into(),
        start_from_head: true,
        ..GetLogEvents::default()
    }
}

pub fn filter() -> FilterLogEvents {
    FilterLogEvents { log_group_name: "g".into(), ..FilterLogEvents::default() }
}

/// All pages of a stream, forward.
pub fn all(logs: &Logs, group: &str, stream: &str, now_ms: i64) -> Vec<OutputLogEvent> {
    let mut request = GetLogEvents { log_group_name: group.into(), ..get(stream) };
    let mut events = Vec::new();
    loop {
        let page = logs.get_log_events(&request, now_ms).unwrap();
        events.extend(page.events);
        if request.next_token.as_ref() == Some(&page.next_forward_token) {
            return events;
        }
        request.next_token = Some(page.next_forward_token);
    }
}

/// All pages of a filter.
pub fn filter_all(logs: &Logs, mut request: FilterLogEvents) -> Vec<FilteredLogEvent> {
    let mut events = Vec::new();
    loop {
        let page = logs.filter_log_events(&request, NOW).unwrap();
        events.extend(page.events);
        assert!(page.next_token.is_none() || page.next_token != request.next_token, "a page repeats itself");
        request.next_token = page.next_token;
        if request.next_token.is_none() {
            return events;
        }
    }
}

pub fn texts(events: &[OutputLogEvent]) -> Vec<&str> {
    events.iter().map(|event| event.message.as_str()).collect()
}

pub fn filtered_texts(events: &[FilteredLogEvent]) -> Vec<&str> {
    events.iter().map(|event| event.message.as_str()).collect()
}
