//! The operations on events.

use logs::{
    FilterLogEvents, GetLogEvents, InputLogEvent, PutLogEvents, PutLogEventsOutput,
    RejectedLogEventsInfo as Rejected,
};
use logs_model::{self as api, FilterLogEventsRequest, GetLogEventsRequest, PutLogEventsRequest};
use serde_json::Value;
use state::api::{json, typed};
use wire::Error;

use crate::{Context, api::Tell, arn};

/// Tells when the events are on disk.
pub fn put_log_events(context: &Context, input: Value, tell: Tell) -> Result<(), Error> {
    let request = put_request(typed(input)?);
    let operation = context.operation;
    context.store.put_log_events(request, context.now_ms(), move |kept| {
        let kept = kept.map_err(|error| crate::failed(operation, error));
        tell(kept.and_then(|kept| json(&put_response(kept))));
    });
    Ok(())
}

/// What the store is asked to keep.
fn put_request(request: PutLogEventsRequest) -> PutLogEvents {
    let event =
        |event: api::InputLogEvent| InputLogEvent { timestamp: event.timestamp, message: event.message };
    PutLogEvents {
        log_group_name: request.log_group_name,
        log_stream_name: request.log_stream_name,
        log_events: request.log_events.into_iter().map(event).collect(),
    }
}

/// What it kept.
fn put_response(kept: PutLogEventsOutput) -> api::PutLogEventsResponse {
    api::PutLogEventsResponse {
        next_sequence_token: Some(kept.next_sequence_token),
        rejected_log_events_info: kept.rejected.as_ref().map(rejected),
        rejected_entity_info: None,
    }
}

fn rejected(rejected: &Rejected) -> api::RejectedLogEventsInfo {
    // A batch has at most 10,000 events.
    let index = |place: Option<usize>| place.and_then(|place| i32::try_from(place).ok());
    api::RejectedLogEventsInfo {
        too_new_log_event_start_index: index(rejected.too_new_log_event_start_index),
        too_old_log_event_end_index: index(rejected.too_old_log_event_end_index),
        expired_log_event_end_index: index(rejected.expired_log_event_end_index),
    }
}

pub fn get_log_events(
    context: &Context,
    request: GetLogEventsRequest,
) -> Result<api::GetLogEventsResponse, Error> {
    let query = GetLogEvents {
        log_group_name: arn::group_name(&context.ctx, request.log_group_name, request.log_group_identifier)?,
        log_stream_name: request.log_stream_name,
        start_time: request.start_time,
        end_time: request.end_time,
        limit: request.limit.map(page_length),
        start_from_head: request.start_from_head.unwrap_or(false),
        next_token: request.next_token,
    };
    let page =
        context.store.get_log_events(&query, context.now_ms()).map_err(|error| context.failed(error))?;
    let event = |event: logs::OutputLogEvent| api::OutputLogEvent {
        timestamp: Some(event.timestamp),
        message: Some(event.message),
        ingestion_time: Some(event.ingestion_time),
    };
    Ok(api::GetLogEventsResponse {
        events: Some(page.events.into_iter().map(event).collect()),
        next_forward_token: Some(page.next_forward_token),
        next_backward_token: Some(page.next_backward_token),
    })
}

pub fn filter_log_events(
    context: &Context,
    request: FilterLogEventsRequest,
) -> Result<api::FilterLogEventsResponse, Error> {
    let query = FilterLogEvents {
        log_group_name: arn::group_name(&context.ctx, request.log_group_name, request.log_group_identifier)?,
        log_stream_names: request.log_stream_names.unwrap_or_default(),
        log_stream_name_prefix: request.log_stream_name_prefix,
        start_time: request.start_time,
        end_time: request.end_time,
        filter_pattern: request.filter_pattern,
        newest_first: request.start_from_head == Some(false),
        next_token: request.next_token,
        limit: request.limit.map(page_length),
    };
    let page =
        context.store.filter_log_events(&query, context.now_ms()).map_err(|error| context.failed(error))?;
    let event = |event: logs::FilteredLogEvent| api::FilteredLogEvent {
        log_stream_name: Some(event.log_stream_name),
        timestamp: Some(event.timestamp),
        message: Some(event.message),
        ingestion_time: Some(event.ingestion_time),
        event_id: Some(event.event_id),
    };
    Ok(api::FilterLogEventsResponse {
        events: Some(page.events.into_iter().map(event).collect()),
        // AWS gives an empty list since 2020.
        searched_log_streams: Some(Vec::new()),
        next_token: page.next_token,
    })
}

/// The model has checked the range; the store checks it again.
pub fn page_length(limit: i32) -> usize {
    usize::try_from(limit).unwrap_or(0)
}
