//! resourceRequirements: GPUs, so many of which a container has for itself.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-gpu.html>

use ecs_model::{self as ecs, errors};

use super::{Outcome, require_of};

/// Of one container. The largest hosts have 16.
const MAX_GPUS: u16 = 64;

pub(super) fn check(name: &str, container: &ecs::ContainerDefinition) -> Outcome {
    let given = container.resource_requirements.as_deref().unwrap_or_default();
    require_of(name, given.len() <= 1, || "'resourceRequirements' can have one of type GPU.".to_owned())?;
    for one in given {
        let value = one.value.as_deref().unwrap_or_default();
        if value == "ALL" {
            return Err(errors::unsupported_feature(
                "containerDefinitions.resourceRequirements.value ALL is not supported: say how many. See \
                 docs/support.md.",
            ));
        }
        require_of(name, gpus(value).is_some(), || {
            format!("'resourceRequirements' of type GPU must have a value from 1 to {MAX_GPUS}.")
        })?;
    }
    Ok(())
}

/// Reads how many.
pub(crate) fn gpus(value: &str) -> Option<u16> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|count| digits && (1..=MAX_GPUS).contains(count))
}
