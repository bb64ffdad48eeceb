//! What rows of container instances are made of.

use serde::{Deserialize, Serialize};
use wire::{Timestamp, string_enum};

/// What an agent says of one side of its host's health.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceHealth {
    pub r#type: InstanceHealthCheckType,
    pub status: InstanceHealthCheckState,
    pub status_reason: Option<String>,
    /// When it was found so, as it was told first.
    pub updated_at: Timestamp,
    /// Since when it is so.
    pub changed_at: Timestamp,
}

string_enum! {
    InstanceHealthCheckState {
        Ok = "OK",
        Impaired = "IMPAIRED",
        InsufficientData = "INSUFFICIENT_DATA",
        Initializing = "INITIALIZING",
    }
}

string_enum! {
    InstanceHealthCheckType {
        ContainerRuntime = "CONTAINER_RUNTIME",
        AcceleratedCompute = "ACCELERATED_COMPUTE",
        Daemon = "DAEMON",
        AgentConnectivity = "AGENT_CONNECTIVITY",
    }
}
