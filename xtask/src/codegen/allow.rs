//! The allow list: which services, and which of their operations, get types and a full schema. Of every
//! other operation of a listed service only the name is known.

/// One service of the list.
pub struct Allowed {
    /// The service's directory name in botocore, and the module's name in `wire`.
    pub name: &'static str,
    pub operations: Operations,
}

/// Which operations are typed.
pub enum Operations {
    All,
    Only(&'static [&'static str]),
}

use Operations::{All, Only};

/// Adding a service is one line here (and its handlers in `server`).
pub const SERVICES: &[Allowed] = &[
    Allowed { name: "ecs", operations: All },
    Allowed { name: "logs", operations: Only(LOGS) },
    Allowed { name: "sts", operations: Only(&["GetCallerIdentity"]) },
];

const LOGS: &[&str] = &[
    "CreateLogGroup",
    "CreateLogStream",
    "DeleteLogGroup",
    "DeleteLogStream",
    "DeleteRetentionPolicy",
    "DescribeLogGroups",
    "DescribeLogStreams",
    "FilterLogEvents",
    "GetLogEvents",
    "ListLogGroups",
    "ListTagsForResource",
    "ListTagsLogGroup",
    "PutLogEvents",
    "PutRetentionPolicy",
    "TagLogGroup",
    "TagResource",
    "UntagLogGroup",
    "UntagResource",
];
