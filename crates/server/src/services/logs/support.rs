//! What of the CloudWatch Logs API is built. docs/support.md is made from this table.

use crate::gate::{Built, Support};

const ONE_ACCOUNT: &str = "no other account is linked to this one";
const NO_MASK: &str = "no data protection policy masks anything";
const IGNORED_BY_AWS: &str = "AWS ignores it too";
const NO_ENTITIES: &str =
    "entities link logs to other telemetry, of which there is none; no built operation shows them";

/// The table.
pub static SUPPORT: Support = Support {
    built: &[
        // Of the log group classes only STANDARD is taken; others are refused by value.
        Built::whole("CreateLogGroup").refusing(&["kmsKeyId", "deletionProtectionEnabled"]),
        Built::whole("CreateLogStream"),
        Built::whole("DeleteLogGroup"),
        Built::whole("DeleteLogStream"),
        Built::whole("DeleteRetentionPolicy"),
        Built::whole("DescribeLogGroups")
            .refusing(&["accountIdentifiers"])
            .without_effect(&[("includeLinkedAccounts", ONE_ACCOUNT)]),
        Built::whole("DescribeLogStreams"),
        Built::whole("FilterLogEvents")
            .without_effect(&[("interleaved", IGNORED_BY_AWS), ("unmask", NO_MASK)]),
        Built::whole("GetLogEvents").without_effect(&[("unmask", NO_MASK)]),
        Built::whole("ListLogGroups")
            .refusing(&["accountIdentifiers", "dataSources", "fieldIndexNames", "logGroupTags"])
            .without_effect(&[("includeLinkedAccounts", ONE_ACCOUNT)]),
        Built::whole("ListTagsForResource"),
        Built::whole("ListTagsLogGroup"),
        Built::whole("PutLogEvents")
            .without_effect(&[("sequenceToken", IGNORED_BY_AWS), ("entity", NO_ENTITIES)]),
        Built::whole("PutRetentionPolicy"),
        Built::whole("TagLogGroup"),
        Built::whole("TagResource"),
        Built::whole("UntagLogGroup"),
        Built::whole("UntagResource"),
    ],
    absent: &[],
};
