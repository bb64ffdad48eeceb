//! What operations are authorised on: ARNs, from inputs alone. Nothing here knows whether a group or stream exists: an
//! ARN stands as it was given, a name is one of the caller's account and region.
//!
//! A group is named as the beginning of its streams, `…:log-group:NAME:log-stream:`, which is what AWS's refusals say, and
//! what the policies that people write, for `…:log-group:NAME:*`, allow.

use serde_json::Value;
use state::{Ctx, api::text};

use crate::arn;

/// The log group of `logGroupName` or `logGroupIdentifier`.
pub fn group(ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![stream_of(ctx, input, "")]
}

/// All log groups.
pub fn groups(ctx: &Ctx, _input: &Value) -> Vec<String> {
    vec![arn::of_stream(ctx, "", "")]
}

/// The log stream of `logStreamName` in that group.
pub fn stream(ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![stream_of(ctx, input, text(input, "logStreamName").unwrap_or_default())]
}

/// The log group of `resourceArn`, which is named without anything behind it.
pub fn resource(_ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![text(input, "resourceArn").unwrap_or_default().to_owned()]
}

fn stream_of(ctx: &Ctx, input: &Value, stream: &str) -> String {
    let group = text(input, "logGroupName").or(text(input, "logGroupIdentifier")).unwrap_or_default();
    match group.starts_with("arn:") {
        true => format!("{}:log-stream:{stream}", group.strip_suffix(":*").unwrap_or(group)),
        false => arn::of_stream(ctx, group, stream),
    }
}
