//! The model's constraints on names, tags and limits, in AWS's words. Pure.

use crate::error::{Error, Result};
use crate::limits::{NAME_MAX, RETENTION_DAYS, TAGS_MAX};
use crate::types::Tags;

const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

/// A log group's name that a caller wants to create.
pub(crate) fn new_group_name(name: &str) -> Result<()> {
    length("logGroupName", name, NAME_MAX)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte);
    if !name.bytes().all(fits) {
        return Err(broken("logGroupName", name, r"satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+"));
    }
    if name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws/")) {
        return Err(Error::invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    Ok(())
}

/// A log stream's name that a caller wants to create.
pub(crate) fn new_stream_name(name: &str) -> Result<()> {
    length("logStreamName", name, NAME_MAX)?;
    if name.contains([':', '*']) {
        return Err(broken("logStreamName", name, "satisfy regular expression pattern: [^:*]*"));
    }
    Ok(())
}

/// Tags that a caller wants to set.
pub(crate) fn tags(tags: &Tags) -> Result<()> {
    for (key, value) in tags {
        length("tags", key, TAG_KEY_MAX)?;
        if value.chars().count() > TAG_VALUE_MAX {
            return Err(broken("tags", value, "have length less than or equal to 256"));
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(Error::invalid("aws: prefixed tag key names are not allowed for external use."));
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(Error::TooManyTags("The maximum number of tags per log group is 50.".into()));
    }
    Ok(())
}

/// A retention in days.
pub(crate) fn retention(days: i32) -> Result<()> {
    if RETENTION_DAYS.contains(&days) {
        return Ok(());
    }
    let allowed: Vec<_> = RETENTION_DAYS.iter().map(ToString::to_string).collect();
    let constraint = format!("satisfy enum value set: [{}]", allowed.join(", "));
    Err(broken("retentionInDays", &days.to_string(), &constraint))
}

/// The page length of an operation that gives `max` entries at most, and `default` when not asked.
pub(crate) fn limit(limit: Option<usize>, default: usize, max: usize) -> Result<usize> {
    match limit {
        None => Ok(default),
        Some(0) => Err(broken("limit", "0", "have value greater than or equal to 1")),
        Some(limit) if limit <= max => Ok(limit),
        Some(limit) => {
            Err(broken("limit", &limit.to_string(), &format!("have value less than or equal to {max}")))
        }
    }
}

fn length(member: &str, value: &str, max: usize) -> Result<()> {
    match value.chars().count() {
        0 => Err(broken(member, value, "have length greater than or equal to 1")),
        len if len > max => Err(broken(member, value, &format!("have length less than or equal to {max}"))),
        _ => Ok(()),
    }
}

fn broken(member: &str, value: &str, constraint: &str) -> Error {
    Error::invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must {constraint}"
    ))
}
