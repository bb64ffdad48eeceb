//! Parts of container instances.

use ecs_model as ecs;

use super::{Shown, Stored, convert_enum};
use crate::rows::*;

convert_enum! { InstanceHealthCheckState: Ok, Impaired, InsufficientData, Initializing }

convert_enum! { InstanceHealthCheckType: ContainerRuntime, AcceleratedCompute, Daemon, AgentConnectivity }

impl Shown for InstanceHealth {
    type Api = ecs::InstanceHealthCheckResult;

    fn shown(&self) -> ecs::InstanceHealthCheckResult {
        ecs::InstanceHealthCheckResult {
            r#type: Some(self.r#type.shown()),
            status: Some(self.status.shown()),
            status_reason: self.status_reason.clone(),
            last_updated: Some(self.updated_at),
            last_status_change: Some(self.changed_at),
        }
    }
}
