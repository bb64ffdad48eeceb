//! Fargate: tasks without a container instance to be seen. What ECS asks of them and refuses, and what is shown of them. They are
//! placed, by the same ledger as all others, on the cluster's hosts that say that they are given to Fargate ([`ATTRIBUTE`]).
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate.html>

pub mod interruption;
#[cfg(test)]
mod tests;

use ecs_model::{self as ecs, errors};
use wire::Error;

use crate::{
    account::{TaskDefinitionRow, providers::FARGATE},
    cluster::{
        CapacityProviderStrategyItem as Item, Compatibility, DeploymentRow, FargateRow, LaunchType, OSFamily,
        PlatformRow, ServiceRow, TaskOverride, TaskRow,
    },
    convert::Shown,
};

/// The attribute by which a host says that it is given to Fargate.
pub use agent_protocol::FARGATE as ATTRIBUTE;

/// The value of [`ATTRIBUTE`] of one that is.
pub const GIVEN: &str = "true";

/// The platform version of Linux that there is, and what `LATEST` comes to.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/platform-fargate.html>
const VERSION: &str = "1.4.0";
const LATEST: &str = "LATEST";

/// GiB that a task has where nobody says how many, and how few and many may be said.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html>
const STORAGE: i32 = 20;
const STORAGE_GIVEN: std::ops::RangeInclusive<i32> = 21..=200;

/// The capacity provider whose tasks may be interrupted.
pub const SPOT: &str = FARGATE[1];

/// Whether a capacity provider is one of Fargate's.
pub fn is_provider(name: &str) -> bool {
    FARGATE.contains(&name)
}

/// The launch type that tasks of a strategy have: no strategy mixes those of Fargate with others.
pub fn launch_type(strategy: &[Item]) -> LaunchType {
    match strategy.iter().any(|item| is_provider(&item.capacity_provider)) {
        true => LaunchType::Fargate,
        false => LaunchType::Ec2,
    }
}

/// What a request says of tasks, as far as the launch type decides whether that can be.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub launch_type: LaunchType,
    pub definition: &'a TaskDefinitionRow,
    pub platform_version: Option<&'a str>,
    pub has_constraints: bool,
    pub has_strategy: bool,
}

impl Asked<'_> {
    /// What the tasks run on, to keep as it was given: none where they are not on Fargate.
    ///
    /// # Errors
    /// `InvalidParameterException` for what the launch type does not go with; `PlatformUnknownException`.
    pub fn platform(&self) -> Result<Option<Box<PlatformRow>>, Error> {
        let given = self.platform_version.filter(|version| !version.is_empty());
        if self.launch_type != LaunchType::Fargate {
            return match given {
                Some(_) => refused("The platform version must be null when specifying an EC2 launch type."),
                None => Ok(None),
            };
        }
        if !self.definition.registered.compatibilities.contains(&Compatibility::Fargate) {
            return refused("Task definition does not support launch_type FARGATE.");
        }
        if self.has_constraints {
            return refused("Placement constraints are not supported with FARGATE launch type.");
        }
        if self.has_strategy {
            return refused("Placement strategies are not supported with FARGATE launch type.");
        }
        let version = given.unwrap_or(LATEST);
        if ![LATEST, VERSION].contains(&version) {
            return Err(errors::platform_unknown("The specified platform version does not exist."));
        }
        Ok(Some(Box::new(PlatformRow { version: version.to_owned(), family: family(self.definition) })))
    }
}

fn refused<T>(why: &str) -> Result<T, Error> {
    Err(errors::invalid_parameter(why))
}

/// What a platform that was kept as it was given comes to.
pub fn resolved(given: &PlatformRow) -> PlatformRow {
    let version = if given.version == LATEST { VERSION } else { &given.version };
    PlatformRow { version: version.to_owned(), family: given.family.clone() }
}

/// Whether overrides leave a task on Fargate one of its sizes, and its storage within bounds.
///
/// # Errors
/// `InvalidParameterException`.
pub fn check_overrides(
    launch_type: LaunchType,
    definition: &TaskDefinitionRow,
    overrides: &TaskOverride,
) -> Result<(), Error> {
    let storage = overrides.ephemeral_storage.as_ref().map(|storage| storage.size_in_gib);
    if launch_type != LaunchType::Fargate {
        return match storage {
            Some(_) => refused("Tasks using the EC2 launch type do not support EphemeralStorage."),
            None => Ok(()),
        };
    }
    match storage {
        Some(size) if size < *STORAGE_GIVEN.start() => {
            return refused("EphemeralStorage size should be at least 21");
        }
        Some(size) if size > *STORAGE_GIVEN.end() => {
            return refused("EphemeralStorage size should be at most 200");
        }
        _ => {}
    }
    match definition.is_of_fargate_size(overrides) {
        true => Ok(()),
        false => refused("No Fargate configuration exists for given values."),
    }
}

/// What a new task has of Fargate, if it is to run there.
pub fn of_new(
    platform: Option<&PlatformRow>,
    definition: &TaskDefinitionRow,
    overrides: &TaskOverride,
) -> Option<Box<FargateRow>> {
    let given = overrides.ephemeral_storage.as_ref().or(definition.registered.ephemeral_storage.as_ref());
    let ephemeral_storage = given.map_or(STORAGE, |storage| storage.size_in_gib);
    let asked = definition.registered.trusted_execution_configuration.as_ref();
    let isolation_mode = asked.map(|asked| asked.isolation_mode);
    let row = |of| FargateRow { platform: resolved(of), ephemeral_storage, isolation_mode, stop_at: None };
    platform.map(|of| Box::new(row(of)))
}

/// The family of platforms, as ECS shows it of services and tasks.
fn family(definition: &TaskDefinitionRow) -> String {
    let family = definition.registered.runtime_platform.as_ref().and_then(|of| of.operating_system_family);
    match family {
        None | Some(OSFamily::Linux) => "Linux".to_owned(),
        Some(windows) => windows.as_str().to_owned(),
    }
}

/// The launch type of tasks that run on this, or on container instances.
pub fn launch_type_on(platform: Option<&PlatformRow>) -> LaunchType {
    if platform.is_some() { LaunchType::Fargate } else { LaunchType::Ec2 }
}

impl DeploymentRow {
    /// The launch type of its tasks.
    pub fn launch_type(&self) -> LaunchType {
        launch_type_on(self.platform.as_deref())
    }
}

impl ServiceRow {
    /// The launch type of the tasks of its PRIMARY deployment.
    pub fn tasks_launch_type(&self) -> LaunchType {
        launch_type_on(self.platform.as_deref())
    }

    /// Whether the tasks of its PRIMARY deployment are on Fargate.
    pub fn is_on_fargate(&self) -> bool {
        self.platform.is_some()
    }
}

impl TaskRow {
    /// Whether it is on Fargate: nobody sees then on which host.
    pub fn is_on_fargate(&self) -> bool {
        self.fargate.is_some()
    }
}

/// The wall that a task asks for, as the API shows it.
pub fn isolation(row: &FargateRow) -> Option<ecs::TrustedExecutionSummary> {
    let isolation_mode = row.isolation_mode?.shown();
    Some(ecs::TrustedExecutionSummary { isolation_mode, ..Default::default() })
}

/// The storage of a task, as the API shows it.
pub fn storage(row: &FargateRow) -> (ecs::EphemeralStorage, ecs::TaskEphemeralStorage) {
    let size = row.ephemeral_storage;
    let storage = ecs::TaskEphemeralStorage { size_in_gib: Some(size), ..Default::default() };
    (ecs::EphemeralStorage { size_in_gib: size }, storage)
}
