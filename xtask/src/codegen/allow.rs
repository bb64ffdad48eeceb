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
    Allowed { name: "ec2", operations: Only(EC2), serde: Served },
    Allowed { name: "ecs", operations: All, serde: Both },
    Allowed { name: "events", operations: Only(EVENTS), serde: Served },
    // Of which Invoke alone is built; the others are what the tests of the protocols want of it.
    Allowed { name: "lambda", operations: Only(LAMBDA), serde: Served },
    Allowed { name: "logs", operations: Only(LOGS), serde: Both },
    Allowed { name: "scheduler", operations: All, serde: Served },
    Allowed { name: "sts", operations: Only(&["GetCallerIdentity"]), serde: Served },
];

/// What the tests of the protocols read and write: some operations of real services for all that the models can
/// say. They get tables alone, in a folder of the tests, and are no part of the product.
pub const TESTED: &[Allowed] = &[
    tables("accessanalyzer", Only(&["GetAnalyzer", "ListAnalyzers"])),
    tables("amp", Only(&["ListScrapers"])),
    tables("apigateway", Only(&["GetRestApis", "ImportRestApi", "UpdateRestApi"])),
    tables("cloudwatch", Only(CLOUDWATCH)),
    tables("lex-runtime", Only(&["PostContent", "PostText"])),
    tables("route53", Only(ROUTE53)),
    tables("s3", Only(S3)),
    tables("sdb", Only(&["GetAttributes", "ListDomains", "PutAttributes"])),
    tables("servicediscovery", Only(&["DiscoverInstances"])),
    tables("sqs", Only(&["GetQueueUrl", "ReceiveMessage", "SendMessage"])),
];

/// A service whose structures nobody reads or writes.
const fn tables(name: &'static str, operations: Operations) -> Allowed {
    Allowed { name, operations, serde: Served }
}

const CLOUDWATCH: &[&str] =
    &["DescribeAlarms", "GetMetricData", "GetMetricStatistics", "PutMetricAlarm", "PutMetricData"];

const EC2: &[&str] = &[
    "AllocateAddress",
    "AssociateRouteTable",
    "AttachInternetGateway",
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "CreateInternetGateway",
    "CreateNatGateway",
    "CreateNetworkAcl",
    "CreateNetworkAclEntry",
    "CreateRoute",
    "CreateRouteTable",
    "CreateSecurityGroup",
    "CreateSubnet",
    "CreateTags",
    "CreateVpc",
    "DeleteInternetGateway",
    "DeleteNatGateway",
    "DeleteNetworkAcl",
    "DeleteNetworkAclEntry",
    "DeleteRoute",
    "DeleteRouteTable",
    "DeleteSecurityGroup",
    "DeleteSubnet",
    "DeleteTags",
    "DeleteVpc",
    "DescribeAccountAttributes",
    "DescribeAddresses",
    "DescribeAddressesAttribute",
    "DescribeAvailabilityZones",
    "DescribeDhcpOptions",
    "DescribeInternetGateways",
    "DescribeNatGateways",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribeRegions",
    "DescribeRouteTables",
    "DescribeSecurityGroupRules",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVpcAttribute",
    "DescribeVpcs",
    "DetachInternetGateway",
    "DisassociateAddress",
    "DisassociateRouteTable",
    "ModifySecurityGroupRules",
    "ModifySubnetAttribute",
    "ModifyVpcAttribute",
    "ReleaseAddress",
    "ReplaceNetworkAclAssociation",
    "ReplaceNetworkAclEntry",
    "ReplaceRoute",
    "ReplaceRouteTableAssociation",
    "RevokeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "UpdateSecurityGroupRuleDescriptionsEgress",
    "UpdateSecurityGroupRuleDescriptionsIngress",
];

const EVENTS: &[&str] = &[
    "CreateEventBus",
    "DeleteEventBus",
    "DeleteRule",
    "DescribeEventBus",
    "DescribeRule",
    "DisableRule",
    "EnableRule",
    "ListEventBuses",
    "ListRuleNamesByTarget",
    "ListRules",
    "ListTagsForResource",
    "ListTargetsByRule",
    "PutEvents",
    "PutPermission",
    "PutRule",
    "PutTargets",
    "RemovePermission",
    "RemoveTargets",
    "TagResource",
    "TestEventPattern",
    "UntagResource",
    "UpdateEventBus",
];

const LAMBDA: &[&str] = &[
    "CreateFunction",
    "Invoke",
    "InvokeWithResponseStream",
    "ListFunctions",
    "TagResource",
    "UntagResource",
];

const ROUTE53: &[&str] =
    &["ChangeResourceRecordSets", "CreateHostedZone", "ListHostedZones", "ListResourceRecordSets"];

const S3: &[&str] = &[
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "DeleteObjects",
    "GetBucketAcl",
    "GetObject",
    "GetObjectAttributes",
    "HeadObject",
    "ListBuckets",
    "ListObjectsV2",
    "PutBucketAcl",
    "PutBucketLifecycleConfiguration",
    "PutObject",
    "UploadPart",
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
