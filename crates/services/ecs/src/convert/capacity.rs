//! Capacity providers.

use ecs_model as ecs;

use super::{Shown, Stored, convert_enum};
use crate::rows::*;

impl AutoScalingGroupProvider {
    /// What is given of it, taken into what stands.
    pub fn with(self, given: ecs::AutoScalingGroupProviderUpdate) -> AutoScalingGroupProvider {
        let ecs::AutoScalingGroupProviderUpdate {
            managed_scaling,
            managed_termination_protection,
            managed_draining,
        } = given;
        AutoScalingGroupProvider {
            managed_scaling: self.managed_scaling.with(managed_scaling.unwrap_or_default()),
            managed_termination_protection: managed_termination_protection
                .stored()
                .unwrap_or(self.managed_termination_protection),
            managed_draining: managed_draining.stored().unwrap_or(self.managed_draining),
            auto_scaling_group_arn: self.auto_scaling_group_arn,
        }
    }
}

impl ManagedScaling {
    /// What is given of it, taken into what stands.
    pub fn with(self, given: ecs::ManagedScaling) -> ManagedScaling {
        let ecs::ManagedScaling {
            status,
            target_capacity,
            minimum_scaling_step_size,
            maximum_scaling_step_size,
            instance_warmup_period,
        } = given;
        ManagedScaling {
            status: status.stored().unwrap_or(self.status),
            target_capacity: target_capacity.unwrap_or(self.target_capacity),
            minimum_scaling_step_size: minimum_scaling_step_size.unwrap_or(self.minimum_scaling_step_size),
            maximum_scaling_step_size: maximum_scaling_step_size.unwrap_or(self.maximum_scaling_step_size),
            instance_warmup_period: instance_warmup_period.unwrap_or(self.instance_warmup_period),
        }
    }
}

impl Stored for ecs::AutoScalingGroupProvider {
    type Row = AutoScalingGroupProvider;

    fn stored(self) -> AutoScalingGroupProvider {
        let ecs::AutoScalingGroupProvider {
            auto_scaling_group_arn,
            managed_scaling,
            managed_termination_protection,
            managed_draining,
        } = self;
        AutoScalingGroupProvider { auto_scaling_group_arn, ..Default::default() }.with(
            ecs::AutoScalingGroupProviderUpdate {
                managed_scaling,
                managed_termination_protection,
                managed_draining,
            },
        )
    }
}

impl Shown for AutoScalingGroupProvider {
    type Api = ecs::AutoScalingGroupProvider;

    fn shown(&self) -> ecs::AutoScalingGroupProvider {
        let scaling = &self.managed_scaling;
        ecs::AutoScalingGroupProvider {
            auto_scaling_group_arn: self.auto_scaling_group_arn.clone(),
            managed_scaling: Some(ecs::ManagedScaling {
                status: Some(scaling.status.shown()),
                target_capacity: Some(scaling.target_capacity),
                minimum_scaling_step_size: Some(scaling.minimum_scaling_step_size),
                maximum_scaling_step_size: Some(scaling.maximum_scaling_step_size),
                instance_warmup_period: Some(scaling.instance_warmup_period),
            }),
            managed_termination_protection: Some(self.managed_termination_protection.shown()),
            managed_draining: Some(self.managed_draining.shown()),
        }
    }
}

convert_enum! { CapacityProviderStatus: Provisioning, Active, Deprovisioning, Inactive }

convert_enum! { CapacityProviderUpdateStatus: CreateInProgress, CreateComplete, CreateFailed, DeleteInProgress, DeleteComplete, DeleteFailed, UpdateInProgress, UpdateComplete, UpdateFailed }

convert_enum! { ManagedScalingStatus: Disabled, Enabled }

convert_enum! { ManagedTerminationProtection: Disabled, Enabled }

convert_enum! { ManagedDraining: Enabled, Disabled }
