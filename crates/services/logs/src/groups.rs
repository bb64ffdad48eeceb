//! The operations on log groups and streams, their retention and their tags.

use logs::{DescribeLogGroups, DescribeLogStreams, ListLogGroups, OrderBy};
use logs_model::{self as api, LogGroupClass, errors};
use wire::Error;

use crate::{Context, arn, events::page_length};

const NOT_STANDARD: &str = "Only the log group class STANDARD is supported.";

pub fn create_log_group(
    context: &Context,
    request: api::CreateLogGroupRequest,
) -> Result<api::CreateLogGroupResponse, Error> {
    if request.log_group_class.is_some_and(|class| class != LogGroupClass::Standard) {
        return Err(errors::invalid_parameter(NOT_STANDARD));
    }
    let tags = request.tags.unwrap_or_default();
    let created = context.store.create_log_group(&request.log_group_name, tags, context.now_ms());
    created.map(|()| api::CreateLogGroupResponse {}).map_err(|error| context.failed(error))
}

pub fn delete_log_group(
    context: &Context,
    request: api::DeleteLogGroupRequest,
) -> Result<api::DeleteLogGroupResponse, Error> {
    let deleted = context.store.delete_log_group(&request.log_group_name);
    deleted.map(|()| api::DeleteLogGroupResponse {}).map_err(|error| context.failed(error))
}

pub fn describe_log_groups(
    context: &Context,
    request: api::DescribeLogGroupsRequest,
) -> Result<api::DescribeLogGroupsResponse, Error> {
    if holds_none_of(request.log_group_class) {
        return Ok(api::DescribeLogGroupsResponse { log_groups: Some(Vec::new()), next_token: None });
    }
    let names = request.log_group_identifiers.map(|all| {
        all.iter().map(|identifier| arn::identified(&context.ctx, identifier)).collect::<Result<Vec<_>, _>>()
    });
    if names.is_some()
        && (request.log_group_name_prefix.is_some() || request.log_group_name_pattern.is_some())
    {
        return Err(errors::invalid_parameter("logGroupIdentifiers cannot be combined with other filters."));
    }
    let query = DescribeLogGroups {
        log_group_name_prefix: request.log_group_name_prefix,
        log_group_name_pattern: request.log_group_name_pattern,
        log_group_names: names.transpose()?,
        next_token: request.next_token,
        limit: request.limit.map(page_length),
    };
    let page = context.store.describe_log_groups(&query).map_err(|error| context.failed(error))?;
    Ok(api::DescribeLogGroupsResponse {
        log_groups: Some(page.items.into_iter().map(|group| describe(context, group)).collect()),
        next_token: page.next_token,
    })
}

fn describe(context: &Context, group: logs::LogGroup) -> api::LogGroup {
    api::LogGroup {
        arn: Some(arn::of_group_and_streams(&context.ctx, &group.log_group_name)),
        log_group_arn: Some(arn::of_group(&context.ctx, &group.log_group_name)),
        log_group_name: Some(group.log_group_name),
        creation_time: Some(group.creation_time),
        retention_in_days: group.retention_in_days,
        metric_filter_count: Some(0),
        stored_bytes: Some(i64::try_from(group.stored_bytes).unwrap_or(i64::MAX)),
        log_group_class: Some(LogGroupClass::Standard),
        ..api::LogGroup::default()
    }
}

/// Every group here is of the class STANDARD.
fn holds_none_of(class: Option<LogGroupClass>) -> bool {
    class.is_some_and(|class| class != LogGroupClass::Standard)
}

pub fn list_log_groups(
    context: &Context,
    request: api::ListLogGroupsRequest,
) -> Result<api::ListLogGroupsResponse, Error> {
    if holds_none_of(request.log_group_class) {
        return Ok(api::ListLogGroupsResponse { log_groups: Some(Vec::new()), next_token: None });
    }
    let query = ListLogGroups {
        log_group_name_pattern: request.log_group_name_pattern,
        next_token: request.next_token,
        limit: request.limit.map(page_length),
    };
    let page = context.store.list_log_groups(&query).map_err(|error| context.failed(error))?;
    let summary = |group: logs::LogGroup| api::LogGroupSummary {
        log_group_arn: Some(arn::of_group(&context.ctx, &group.log_group_name)),
        log_group_name: Some(group.log_group_name),
        log_group_class: Some(LogGroupClass::Standard),
    };
    Ok(api::ListLogGroupsResponse {
        log_groups: Some(page.items.into_iter().map(summary).collect()),
        next_token: page.next_token,
    })
}

pub fn create_log_stream(
    context: &Context,
    request: api::CreateLogStreamRequest,
) -> Result<api::CreateLogStreamResponse, Error> {
    let store = &context.store;
    let created =
        store.create_log_stream(&request.log_group_name, &request.log_stream_name, context.now_ms());
    created.map(|()| api::CreateLogStreamResponse {}).map_err(|error| context.failed(error))
}

pub fn delete_log_stream(
    context: &Context,
    request: api::DeleteLogStreamRequest,
) -> Result<api::DeleteLogStreamResponse, Error> {
    let deleted = context.store.delete_log_stream(&request.log_group_name, &request.log_stream_name);
    deleted.map(|()| api::DeleteLogStreamResponse {}).map_err(|error| context.failed(error))
}

pub fn describe_log_streams(
    context: &Context,
    request: api::DescribeLogStreamsRequest,
) -> Result<api::DescribeLogStreamsResponse, Error> {
    let group = arn::group_name(&context.ctx, request.log_group_name, request.log_group_identifier)?;
    let query = DescribeLogStreams {
        log_group_name: group.clone(),
        log_stream_name_prefix: request.log_stream_name_prefix,
        order_by: match request.order_by {
            Some(api::OrderBy::LastEventTime) => OrderBy::LastEventTime,
            Some(api::OrderBy::LogStreamName) | None => OrderBy::LogStreamName,
        },
        descending: request.descending.unwrap_or(false),
        next_token: request.next_token,
        limit: request.limit.map(page_length),
    };
    let page = context
        .store
        .describe_log_streams(&query, context.now_ms())
        .map_err(|error| context.failed(error))?;
    let stream = |stream: logs::LogStream| api::LogStream {
        arn: Some(arn::of_stream(&context.ctx, &group, &stream.log_stream_name)),
        log_stream_name: Some(stream.log_stream_name),
        creation_time: Some(stream.creation_time),
        first_event_timestamp: stream.first_event_timestamp,
        last_event_timestamp: stream.last_event_timestamp,
        last_ingestion_time: stream.last_ingestion_time,
        upload_sequence_token: Some(stream.upload_sequence_token),
        // AWS gives zero for every stream since 2019.
        stored_bytes: Some(0),
    };
    Ok(api::DescribeLogStreamsResponse {
        log_streams: Some(page.items.into_iter().map(stream).collect()),
        next_token: page.next_token,
    })
}

pub fn put_retention_policy(
    context: &Context,
    request: api::PutRetentionPolicyRequest,
) -> Result<api::PutRetentionPolicyResponse, Error> {
    let set = context.store.set_retention(&request.log_group_name, Some(request.retention_in_days));
    set.map(|()| api::PutRetentionPolicyResponse {}).map_err(|error| context.failed(error))
}

pub fn delete_retention_policy(
    context: &Context,
    request: api::DeleteRetentionPolicyRequest,
) -> Result<api::DeleteRetentionPolicyResponse, Error> {
    let set = context.store.set_retention(&request.log_group_name, None);
    set.map(|()| api::DeleteRetentionPolicyResponse {}).map_err(|error| context.failed(error))
}

pub fn tag_log_group(
    context: &Context,
    request: api::TagLogGroupRequest,
) -> Result<api::TagLogGroupResponse, Error> {
    let tagged = context.store.tag_log_group(&request.log_group_name, request.tags);
    tagged.map(|()| api::TagLogGroupResponse {}).map_err(|error| context.failed(error))
}

pub fn untag_log_group(
    context: &Context,
    request: api::UntagLogGroupRequest,
) -> Result<api::UntagLogGroupResponse, Error> {
    let untagged = context.store.untag_log_group(&request.log_group_name, &request.tags);
    untagged.map(|()| api::UntagLogGroupResponse {}).map_err(|error| context.failed(error))
}

pub fn list_tags_log_group(
    context: &Context,
    request: api::ListTagsLogGroupRequest,
) -> Result<api::ListTagsLogGroupResponse, Error> {
    let tags =
        context.store.list_tags_log_group(&request.log_group_name).map_err(|error| context.failed(error))?;
    Ok(api::ListTagsLogGroupResponse { tags: Some(tags) })
}

pub fn tag_resource(
    context: &Context,
    request: api::TagResourceRequest,
) -> Result<api::TagResourceResponse, Error> {
    let name = arn::resource(&context.ctx, &request.resource_arn)?;
    let tagged = context.store.tag_log_group(&name, request.tags);
    tagged.map(|()| api::TagResourceResponse {}).map_err(|error| context.failed(error))
}

pub fn untag_resource(
    context: &Context,
    request: api::UntagResourceRequest,
) -> Result<api::UntagResourceResponse, Error> {
    let name = arn::resource(&context.ctx, &request.resource_arn)?;
    let untagged = context.store.untag_log_group(&name, &request.tag_keys);
    untagged.map(|()| api::UntagResourceResponse {}).map_err(|error| context.failed(error))
}

pub fn list_tags_for_resource(
    context: &Context,
    request: api::ListTagsForResourceRequest,
) -> Result<api::ListTagsForResourceResponse, Error> {
    let name = arn::resource(&context.ctx, &request.resource_arn)?;
    let tags = context.store.list_tags_log_group(&name).map_err(|error| context.failed(error))?;
    Ok(api::ListTagsForResourceResponse { tags: Some(tags) })
}
