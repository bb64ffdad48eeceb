//! What tasks of mode `awsvpc` have of a network.

use serde::{Deserialize, Serialize};
use state::contract::Interface;
use wire::string_enum;

/// `awsvpcConfiguration`, looked up when it was given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkRow {
    /// In the order of the request; at least one.
    pub subnets: Vec<SubnetOfZone>,
    /// As given: where there is none, `default_group` counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// The security group `default` of the subnets' VPC.
    pub default_group: String,
    /// `assignPublicIp`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
}

/// A subnet, and the zone that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubnetOfZone {
    pub id: String,
    pub zone: String,
}

/// The network interface of a task, from when it is asked for until the task is forgotten.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Attachment.html>
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachmentRow {
    /// The last part of its ARN: a UUID.
    pub id: String,
    pub status: AttachmentStatus,
    /// Where it may be, while its task has no host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRow>,
    /// The subnet that was chosen for it, once its task has a host: it is wanted from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// Once it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
}

string_enum! {
    AttachmentStatus {
        Precreated = "PRECREATED",
        Created = "CREATED",
        Attaching = "ATTACHING",
        Attached = "ATTACHED",
        Detaching = "DETACHING",
        Detached = "DETACHED",
        Deleted = "DELETED",
        Failed = "FAILED",
    }
}
