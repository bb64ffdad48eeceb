//! What a network mode does not go with.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#network_mode>

use ecs_model::{self as ecs, NetworkMode};

use super::{Outcome, Task, require};

/// A member of containers, as a refusal names it, and whether a container has it.
type Member = (&'static str, fn(&ecs::ContainerDefinition) -> bool);

/// What a container cannot have in `awsvpc`: its network is the task's.
const NOT_IN_AWSVPC: &[Member] = &[
    ("Disable Networking is", |c| c.disable_networking == Some(true)),
    ("DNS servers are", |c| some(&c.dns_servers)),
    ("DNS search domains are", |c| some(&c.dns_search_domains)),
    ("Extra hosts are", |c| some(&c.extra_hosts)),
    ("hostname is", |c| c.hostname.as_ref().is_some_and(|name| !name.is_empty())),
];

pub(super) fn check(task: &Task<'_>) -> Outcome {
    let mode = task.mode;
    for container in task.containers {
        require(mode == NetworkMode::Bridge || !some(&container.links), || {
            format!("Links are not supported when networkMode={mode}")
        })?;
        let refused = NOT_IN_AWSVPC.iter().find(|(_, has)| mode == NetworkMode::Awsvpc && has(container));
        require(refused.is_none(), || {
            let what = refused.map_or("", |(what, _)| what);
            format!("{what} not supported on container when networkMode={mode}.")
        })?;
    }
    Ok(())
}

fn some<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}
