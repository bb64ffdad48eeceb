//! Contracts: small rows with one writer and one reader, by which two domains meet without knowing each other.

mod alarms;
mod bus;
mod hosts;
mod interfaces;
mod outgoing;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::Timestamp;

use crate::{Row, ShardId};

pub use alarms::{AlarmState, AlarmValue, Alarms, NoAlarms};
pub use bus::{Bus, Filter};
pub use hosts::{HostInterface, HostNetwork, HostVpc, Peer, Places, Rule, Rules, changes, moves};
pub use interfaces::{
    Egress, Given, Has, Interface, InterfaceWanted, Interfaces, Network, Networks, NoNetworks, NotANetwork,
    Want, Wants,
};
pub use outgoing::{Event, Outgoing, SequenceRow, Tells, forget, tell};

/// The sources of the events that domains send.
pub const SOURCES: [&str; 1] = [ECS];
/// The source of the events of ECS.
pub const ECS: &str = "aws.ecs";

/// What a domain says happened: an event for the default event bus of its account and region. It is a row in its
/// sender's shard until the events domain has it, and then forgotten; so none is lost by a crash, and none comes
/// twice: of each sender the highest number that was taken is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventOut {
    /// Rises by one or more with each event of its shard, and is never used again.
    pub sequence: u64,
    /// `id`: a UUID.
    pub id: String,
    /// `source`, for example `aws.ecs`.
    pub source: String,
    /// `detail-type`, for example `ECS Task State Change`.
    pub detail_type: String,
    /// `resources`: ARNs of what it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// `detail`: a JSON object.
    pub detail: Value,
    /// `time`: when it happened.
    pub time: Timestamp,
}

impl EventOut {
    /// By what name the events domain remembers a sender: its service and shard. Account and region are its own.
    pub fn sender(shard: &ShardId) -> String {
        format!("{}/{}", shard.service, shard.name)
    }
}

impl Row for EventOut {
    fn weight(&self) -> usize {
        let texts = self.id.len() + self.source.len() + self.detail_type.len();
        let resources: usize = self.resources.iter().map(|arn| arn.len() + 4).sum();
        128 + texts + resources + weight_of(&self.detail)
    }
}

/// About how many bytes a JSON value takes.
pub fn weight_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 12,
        Value::String(text) => text.len() + 3,
        Value::Array(all) => 2 + all.iter().map(weight_of).sum::<usize>(),
        Value::Object(all) => {
            2 + all.iter().map(|(key, value)| key.len() + 4 + weight_of(value)).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_stored_as_it_was_in_version_1() {
        let golden = r#"{"v":1,"row":{"sequence":7,"id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","source":"aws.ecs","detail_type":"ECS Task State Change","resources":["arn:aws:ecs:us-east-1:000000000000:task/c/1"],"detail":{"lastStatus":"RUNNING"},"time":1700000000.5}}"#;
        let row: EventOut = crate::row::decode(golden.as_bytes()).unwrap();
        assert_eq!((row.sequence, row.time), (7, Timestamp(1_700_000_000_500)));
        assert_eq!(row.detail, json!({"lastStatus": "RUNNING"}));
        assert_eq!(String::from_utf8(crate::row::encode(&row)).unwrap(), golden);
        assert!(row.weight().abs_diff(golden.len()) < golden.len());
    }

    #[test]
    fn a_sender_is_its_service_and_shard() {
        let shard = ShardId {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            service: "ecs",
            name: "c".into(),
        };
        assert_eq!(EventOut::sender(&shard), "ecs/c");
    }
}
