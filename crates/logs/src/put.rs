//! What PutLogEvents keeps and refuses. Pure.

use crate::error::{Error, Result};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_SPAN_MS, DAY_MS, EVENT_OVERHEAD, EVENTS_MAX, TOO_NEW_MS, TOO_OLD_MS,
};
use crate::types::{InputLogEvent, RejectedLogEventsInfo};

/// The events to keep, as a range of those given, and what to say of the others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub start: usize,
    pub end: usize,
    pub rejected: Option<RejectedLogEventsInfo>,
}

/// Checks a batch as AWS does: size and order of all of it first, then which events are too old, expired or too
/// new, then the span of the rest.
pub(crate) fn check(events: &[InputLogEvent], retention_days: Option<i32>, now_ms: i64) -> Result<Accepted> {
    check_sizes(events)?;
    if events.is_empty() {
        return Err(Error::invalid(
            "1 validation error detected: Value '[]' at 'logEvents' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(Error::invalid(
            "Log events in a single PutLogEvents request must be in chronological order.",
        ));
    }
    let before = |time: i64| events.partition_point(|event| event.timestamp < time);
    let too_old = before(now_ms - TOO_OLD_MS);
    let expired = retention_days.map_or(0, |days| before(now_ms - i64::from(days) * DAY_MS));
    let end = events.partition_point(|event| event.timestamp <= now_ms + TOO_NEW_MS);
    let start = too_old.max(expired).min(end);
    check_span(&events[start..end])?;
    let info = RejectedLogEventsInfo {
        too_new_log_event_start_index: (end < events.len()).then_some(end),
        too_old_log_event_end_index: (too_old > 0).then_some(too_old),
        expired_log_event_end_index: (expired > too_old).then_some(expired),
    };
    let rejected = (info != RejectedLogEventsInfo::default()).then_some(info);
    Ok(Accepted { start, end, rejected })
}

fn check_sizes(events: &[InputLogEvent]) -> Result<()> {
    if events.len() > EVENTS_MAX {
        return Err(Error::invalid(format!(
            "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length less than or equal to {EVENTS_MAX}"
        )));
    }
    if let Some(place) = events.iter().position(|event| event.message.is_empty()) {
        return Err(Error::invalid(format!(
            "1 validation error detected: Value '' at 'logEvents.{}.member.message' failed to satisfy constraint: Member must have length greater than or equal to 1",
            place + 1
        )));
    }
    if let Some(place) = events.iter().position(|event| event.timestamp < 0) {
        return Err(Error::invalid(format!(
            "1 validation error detected: Value '{}' at 'logEvents.{}.member.timestamp' failed to satisfy constraint: Member must have value greater than or equal to 0",
            events[place].timestamp,
            place + 1
        )));
    }
    let sizes = || events.iter().map(|event| event.message.len() + EVENT_OVERHEAD);
    if let Some(bytes) = sizes().find(|&bytes| bytes > BATCH_BYTES_MAX) {
        return Err(Error::invalid(format!(
            "Log event too large: {bytes} bytes exceeds limit of {BATCH_BYTES_MAX}"
        )));
    }
    let bytes: usize = sizes().sum();
    if bytes > BATCH_BYTES_MAX {
        return Err(Error::invalid(format!(
            "Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES_MAX}"
        )));
    }
    Ok(())
}

fn check_span(events: &[InputLogEvent]) -> Result<()> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
    if last.timestamp - first.timestamp > BATCH_SPAN_MS {
        return Err(Error::invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn events(hours: &[i64]) -> Vec<InputLogEvent> {
        hours.iter().map(|hour| InputLogEvent { timestamp: NOW + hour * HOUR, message: "m".into() }).collect()
    }

    fn rejected(
        new: Option<usize>,
        old: Option<usize>,
        expired: Option<usize>,
    ) -> Option<RejectedLogEventsInfo> {
        Some(RejectedLogEventsInfo {
            too_new_log_event_start_index: new,
            too_old_log_event_end_index: old,
            expired_log_event_end_index: expired,
        })
    }

    #[test]
    fn time_decides_what_is_kept() {
        let days = 24;
        type Case<'a> = (&'a [i64], Option<i32>, usize, usize, Option<RejectedLogEventsInfo>);
        let cases: &[Case<'_>] = &[
            (&[-1, 0, 2], None, 0, 3, None),
            (&[0, 3, 4], None, 0, 1, rejected(Some(1), None, None)),
            (&[-15 * days, -14 * days - 1, -2, 0], None, 2, 4, rejected(None, Some(2), None)),
            (&[-14 * days], None, 0, 1, None),
            (&[-15 * days, -4 * days, -2], Some(3), 2, 3, rejected(None, Some(1), Some(2))),
            (&[-4 * days, -2, 5], Some(3), 1, 2, rejected(Some(2), None, Some(1))),
            (&[-15 * days, 5], Some(30), 1, 1, rejected(Some(1), Some(1), None)),
        ];
        for (hours, retention, start, end, info) in cases {
            let accepted = check(&events(hours), *retention, NOW).unwrap();
            assert_eq!(accepted, Accepted { start: *start, end: *end, rejected: info.clone() }, "{hours:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_aws_says_it() {
        let order = "Log events in a single PutLogEvents request must be in chronological order.";
        let span = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.";
        let large = |messages: usize, len: usize| {
            vec![InputLogEvent { timestamp: NOW, message: "x".repeat(len) }; messages]
        };
        let cases = [
            (events(&[0, -1]), order),
            (events(&[-25, 0]), span),
            (large(2, 524_288), "Upload too large: 1048628 bytes exceeds limit of 1048576"),
            (large(1, 1_048_551), "Log event too large: 1048577 bytes exceeds limit of 1048576"),
        ];
        for (events, text) in cases {
            assert_eq!(check(&events, None, NOW).unwrap_err().to_string(), text);
        }
        assert!(check(&large(1, 1_048_550), None, NOW).is_ok());
        assert!(check(&large(10_000, 78), None, NOW).is_ok());
        assert!(check(&large(10_001, 1), None, NOW).is_err());
        assert!(check(&events(&[-24, 0]), None, NOW).is_ok());
        // A span that only rejected events make too wide is no error.
        assert!(check(&events(&[-400, -2, 0]), None, NOW).is_ok());
    }
}
