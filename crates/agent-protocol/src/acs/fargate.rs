//! What our own agent needs to know of a task on Fargate: a member of each such task of a `PayloadMessage`. It is not of
//! AWS's protocol, and agents that do not know it pass over it: only hosts that say that they serve Fargate
//! ([`FARGATE`](crate::FARGATE)) get such tasks.
//!
//! The task's own size is in `cpu` and `memory` of the task, as in AWS's protocol: nothing of it may take more. What
//! the task definition asks for of a wall is in `trustedExecutionConfiguration`.

use serde::{Deserialize, Serialize};

/// The member `roadstead:fargate` of a `Task`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FargateTask {
    /// The platform version, never `LATEST`.
    pub platform_version: String,
    /// Whether the task may be interrupted: it is of the capacity provider FARGATE_SPOT.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spot: bool,
    /// GiB that all that the task writes may take, its images included.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html>
    pub ephemeral_storage_gib: u32,
    /// The wall that the task is to have, by the names of the host's own setting; none where the host decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
}
