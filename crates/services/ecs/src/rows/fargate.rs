//! What tasks on Fargate have besides.

use serde::{Deserialize, Serialize};
use wire::Timestamp;

use super::IsolationMode;

/// What a task on Fargate runs on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PlatformRow {
    /// Such as `1.4.0`.
    pub version: String,
    /// As ECS shows it, such as `Linux`.
    pub family: String,
}

/// Of a task of launch type FARGATE.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FargateRow {
    /// Never `LATEST`: what that came to when the task was made.
    pub platform: PlatformRow,
    /// GiB.
    pub ephemeral_storage: i32,
    /// The wall that its definition asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation_mode: Option<IsolationMode>,
    /// It is interrupted, and shall be stopped: its agent hears of it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_at: Option<Timestamp>,
}
