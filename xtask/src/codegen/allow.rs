//! The allow list: which services, and which of their operations, get types and a full schema. Of every
//! other operation of a listed service only the name is known.

/// One service of the list.
pub struct Allowed {
    /// The service's directory name in botocore, and below `crates/models`; the crate is `<name>-model`.
    pub name: &'static str,
    pub operations: Operations,
    pub serde: Serde,
}

/// Which operations are typed.
pub enum Operations {
    All,
    Only(&'static [&'static str]),
}

/// Which way the structures can go. Each way of each structure is code to compile.
#[derive(Clone, Copy, PartialEq)]
pub enum Serde {
    /// Requests are read and responses written; a structure within goes the ways of what reaches it.
    Served,
    /// Everything both ways: something of ours calls the service too (the agent), or keeps its structures in rows.
    Both,
}

use Operations::{All, Only};
use Serde::{Both, Served};

/// Adding a service is one line here (and its handlers in `server`).
pub const SERVICES: &[Allowed] = &[
    Allowed { name: "ecs", operations: All, serde: Both },
    Allowed { name: "logs", operations: Only(LOGS), serde: Both },
    Allowed { name: "sts", operations: Only(&["GetCallerIdentity"]), serde: Served },
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
