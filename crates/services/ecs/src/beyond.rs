//! What Roadstead does beyond ECS, asked for by tags: in a RunTask for its tasks, or on a service. Off unless asked for.
//! Each tag is known in one place and refused everywhere else.

use ecs_model::{self as ecs, errors};
use wire::Error;

use crate::{
    cluster::Cluster,
    limits,
    rows::{DeploymentControllerType, PlacementStrategyType, Scheduling, ServiceRow, Tag},
    service::plan::{percents, stages},
};

/// For so many seconds at the most the tasks of a RunTask wait for room, or for their turn.
pub const QUEUE: &str = "roadstead:queue";
/// So many tasks of the `startedBy` of a RunTask go on at a time.
pub const MAX_CONCURRENT: &str = "roadstead:max-concurrent";
/// `binpack`: the tasks of a service whose placement strategy is that are moved onto as few container instances as hold them.
pub const REBALANCE: &str = "roadstead:rebalance";
/// `true`: a service has one task replaced at a time.
pub const ONE_AT_A_TIME: &str = "roadstead:one-at-a-time";
/// What the tags of Roadstead begin with.
const OURS: &str = "roadstead:";
/// The value of [`REBALANCE`].
const PACKED: &str = "binpack";

/// What a tag is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// A RunTask, whose tasks have it then.
    RunTask,
    /// A service of strategy REPLICA.
    Replicas,
    /// Anything else.
    Other,
}

impl On {
    /// A service of a scheduling strategy.
    pub fn service(scheduling: Scheduling) -> On {
        match scheduling {
            Scheduling::Replica => On::Replicas,
            Scheduling::Daemon => On::Other,
        }
    }
}

/// A tag of ours.
struct Known {
    key: &'static str,
    on: On,
    fits: fn(&str) -> bool,
    /// What its value is.
    is: String,
}

fn known(key: &str) -> Option<Known> {
    let number = |most: u32| format!("a number from 1 to {most}");
    match key {
        QUEUE => Some(Known {
            key: QUEUE,
            on: On::RunTask,
            fits: |value| number_to(limits::QUEUE_SECONDS, value).is_some(),
            is: number(limits::QUEUE_SECONDS),
        }),
        MAX_CONCURRENT => Some(Known {
            key: MAX_CONCURRENT,
            on: On::RunTask,
            fits: |value| number_to(limits::MAX_CONCURRENT, value).is_some(),
            is: number(limits::MAX_CONCURRENT),
        }),
        REBALANCE => Some(Known {
            key: REBALANCE,
            on: On::Replicas,
            fits: |value| value == PACKED,
            is: PACKED.to_owned(),
        }),
        ONE_AT_A_TIME => Some(Known {
            key: ONE_AT_A_TIME,
            on: On::Replicas,
            fits: |value| matches!(value, "true" | "false"),
            is: "true or false".to_owned(),
        }),
        _ => None,
    }
}

/// Whether the tags of a service have its tasks moved onto fewer container instances.
pub fn is_packed(tags: &[Tag]) -> bool {
    has(tags, REBALANCE, PACKED)
}

/// Whether the tags of a service have one of its tasks replaced at a time.
pub fn replaces_one_at_a_time(tags: &[Tag]) -> bool {
    has(tags, ONE_AT_A_TIME, "true")
}

fn has(tags: &[Tag], key: &str, value: &str) -> bool {
    tags.iter().any(|tag| tag.key == key && tag.value.as_deref() == Some(value))
}

/// Which of the tags of a service that are ours have no effect on it, and why: sentences.
pub fn without_effect(service: &ServiceRow) -> Vec<String> {
    let ours = service.tags.iter().filter(|tag| tag.key.starts_with(OURS));
    let why = ours.filter_map(|tag| Some((tag, obstacle(service, tag)?)));
    why.map(|(tag, why)| format!("its tag {} has no effect: {why}", tag.key)).collect()
}

/// What keeps a tag of ours from having an effect on a service. Those that cannot be given to it any more may be there from
/// before that was checked.
fn obstacle(service: &ServiceRow, tag: &Tag) -> Option<String> {
    let Some(known) = known(&tag.key) else { return Some("it means nothing to Roadstead".to_owned()) };
    if known.on == On::RunTask {
        return Some("it is for RunTask alone".to_owned());
    }
    if known.on != On::service(service.scheduling) {
        return Some("it is for services of strategy REPLICA alone".to_owned());
    }
    if !(known.fits)(tag.value.as_deref().unwrap_or_default()) {
        return Some(format!("it is to be {}", known.is));
    }
    let course = service.deployment_configuration.as_ref();
    let staged = course.filter(|course| !stages::rolls(course)).and_then(|course| course.strategy);
    let desired = service.desired_count;
    let is_external = service.controller == DeploymentControllerType::External;
    let first = service.placement_strategy.first().and_then(|first| first.r#type);
    let of_drained = "of drained container instances alone tasks go one at a time";
    match (known.key, staged) {
        (ONE_AT_A_TIME, _) if !replaces_one_at_a_time(&service.tags) => None,
        (ONE_AT_A_TIME, _) if is_external => Some(format!("its controller is EXTERNAL; {of_drained}")),
        (ONE_AT_A_TIME, Some(strategy)) => {
            Some(format!("its deployments are {}; {of_drained}", strategy.as_str()))
        }
        (REBALANCE, _) if is_external => Some("its controller is EXTERNAL".to_owned()),
        (REBALANCE, _) if first != Some(PlacementStrategyType::Binpack) => {
            Some("its first placement strategy is not binpack".to_owned())
        }
        (REBALANCE, _) if percents::ceiling(desired, service.maximum_percent) <= desired && desired > 0 => {
            let most = service.maximum_percent;
            Some(format!("maximumPercent {most} of {desired} allows no task beyond these"))
        }
        _ => None,
    }
}

/// Checks a tag that may be ours.
///
/// # Errors
/// `InvalidParameterException` for a value that it cannot have, or one that means nothing, there or anywhere.
pub fn check(on: On, key: &str, value: &str) -> Result<(), Error> {
    if !key.starts_with(OURS) {
        return Ok(());
    }
    let Some(known) = known(key) else {
        return Err(errors::invalid_parameter(format!("The tag {key} means nothing to Roadstead.")));
    };
    let (key, is) = (known.key, known.is);
    match known.on {
        place if place == on && (known.fits)(value) => Ok(()),
        place if place == on => Err(errors::invalid_parameter(format!("The tag {key} is {is}."))),
        On::RunTask => Err(errors::invalid_parameter(format!("The tag {key} is for RunTask alone."))),
        _ => Err(errors::invalid_parameter(format!(
            "The tag {key} is for services of strategy REPLICA alone."
        ))),
    }
}

/// What the tags of a RunTask ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    pub queue_seconds: Option<u32>,
    pub max_concurrent: Option<u32>,
}

impl Wishes {
    /// That of tags that were checked.
    ///
    /// # Errors
    /// `InvalidParameterException` for a limit on the tasks of nobody.
    pub fn of(tags: &[ecs::Tag], started_by: Option<&str>) -> Result<Wishes, Error> {
        let value = |key: &str| {
            let tag = tags.iter().find(|tag| tag.key.as_deref() == Some(key))?;
            tag.value.as_deref()
        };
        let wishes = Wishes {
            queue_seconds: value(QUEUE).and_then(|value| number_to(limits::QUEUE_SECONDS, value)),
            max_concurrent: value(MAX_CONCURRENT).and_then(|value| number_to(limits::MAX_CONCURRENT, value)),
        };
        if wishes.max_concurrent.is_some() && started_by.is_none() {
            return Err(errors::invalid_parameter(format!("The tag {MAX_CONCURRENT} needs a startedBy.")));
        }
        Ok(wishes)
    }
}

/// Why a task does not start whose turn it is not.
pub fn no_turn(state: &Cluster, started_by: &str) -> String {
    let going = state.going(started_by);
    let tasks = if going == 1 { "task goes" } else { "tasks go" };
    format!("{MAX_CONCURRENT}: {going} {tasks} on that {started_by} started.")
}

/// The failure of a RunTask of which some tasks have no turn.
pub fn failure(state: &Cluster, started_by: &str) -> ecs::Failure {
    let detail = Some(no_turn(state, started_by));
    ecs::Failure { arn: None, reason: Some(MAX_CONCURRENT.to_owned()), detail }
}

/// A number from 1 to `most`, in digits alone.
fn number_to(most: u32, value: &str) -> Option<u32> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|number| digits && (1..=most).contains(number))
}

#[cfg(test)]
mod tests;
