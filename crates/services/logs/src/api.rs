//! What is offered: the table of operations. What an operation is authorised on is from the
//! [service authorization reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html),
//! with ARNs in the form in which AWS's own refusals name them.

mod access;

use serde_json::Value;
use state::api::{
    Condition::{Member, Tags},
    Operation,
};
use wire::Error;

use crate::{Context, events, groups};

/// What carries an operation out. The input meets the model; the output is JSON.
#[derive(Debug, Clone, Copy)]
pub enum Handler {
    /// Waits for the disk: for a thread that may.
    Waits(fn(&Context, Value) -> Result<Vec<u8>, Error>),
    /// Returns at once, and tells when it is done: any number of them share the disk's syncs.
    Tells(fn(&Context, Value, Tell) -> Result<(), Error>),
}

/// Hears what came of it, once, on any thread; must not block. What is dropped unheard was not done.
pub type Tell = Box<dyn FnOnce(Result<Vec<u8>, Error>) + Send>;

const ONE_ACCOUNT: &str = "no other account is linked to this one";
const NO_MASK: &str = "no data protection policy masks anything";
const IGNORED_BY_AWS: &str = "AWS ignores it too";
const NO_ENTITIES: &str =
    "entities link logs to other telemetry, of which there is none; no built operation shows them";

/// A handler of `fn(&Context, Request) -> Result<Response, Error>`.
macro_rules! waits {
    ($run:path) => {
        Handler::Waits(|context, input| state::api::json(&$run(context, state::api::typed(input)?)?))
    };
}

/// All that is built, by name. None makes rows: the store has limits of its own.
pub static OPERATIONS: &[Operation<Handler>] = &[
    // Of the log group classes only STANDARD is taken; others are refused by value.
    Operation::new("CreateLogGroup", waits!(groups::create_log_group))
        .on(access::group)
        .with(&[Tags("tags")])
        .refusing(&["kmsKeyId", "deletionProtectionEnabled"]),
    Operation::new("CreateLogStream", waits!(groups::create_log_stream)).on(access::stream),
    Operation::new("DeleteLogGroup", waits!(groups::delete_log_group)).on(access::group),
    Operation::new("DeleteLogStream", waits!(groups::delete_log_stream)).on(access::stream),
    Operation::new("DeleteRetentionPolicy", waits!(groups::delete_retention_policy)).on(access::group),
    Operation::new("DescribeLogGroups", waits!(groups::describe_log_groups))
        .on(access::groups)
        .refusing(&["accountIdentifiers"])
        .without_effect(&[("includeLinkedAccounts", ONE_ACCOUNT)]),
    Operation::new("DescribeLogStreams", waits!(groups::describe_log_streams)).on(access::group),
    Operation::new("FilterLogEvents", waits!(events::filter_log_events))
        .on(access::group)
        .without_effect(&[("interleaved", IGNORED_BY_AWS), ("unmask", NO_MASK)]),
    Operation::new("GetLogEvents", waits!(events::get_log_events))
        .on(access::stream)
        .without_effect(&[("unmask", NO_MASK)]),
    Operation::new("ListLogGroups", waits!(groups::list_log_groups))
        .refusing(&["accountIdentifiers", "dataSources", "fieldIndexNames", "logGroupTags"])
        .without_effect(&[("includeLinkedAccounts", ONE_ACCOUNT)]),
    Operation::new("ListTagsForResource", waits!(groups::list_tags_for_resource)).on(access::resource),
    Operation::new("ListTagsLogGroup", waits!(groups::list_tags_log_group)).on(access::group),
    Operation::new("PutLogEvents", Handler::Tells(events::put_log_events))
        .on(access::stream)
        .without_effect(&[("sequenceToken", IGNORED_BY_AWS), ("entity", NO_ENTITIES)]),
    Operation::new("PutRetentionPolicy", waits!(groups::put_retention_policy)).on(access::group),
    Operation::new("TagLogGroup", waits!(groups::tag_log_group)).on(access::group).with(&[Tags("tags")]),
    Operation::new("TagResource", waits!(groups::tag_resource)).on(access::resource).with(&[Tags("tags")]),
    Operation::new("UntagLogGroup", waits!(groups::untag_log_group))
        .on(access::group)
        .with(&[Member("aws:TagKeys", "tags")]),
    Operation::new("UntagResource", waits!(groups::untag_resource))
        .on(access::resource)
        .with(&[Member("aws:TagKeys", "tagKeys")]),
];

#[cfg(test)]
mod tests;
