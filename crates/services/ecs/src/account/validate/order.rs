//! Which container waits for which: dependsOn, links and volumesFrom. No circle may remain.

use std::collections::{BTreeMap, BTreeSet};

use ecs_model::{self as ecs, ContainerCondition};

use super::{Outcome, Task, container::runs, require, require_of};

pub(super) fn check(task: &Task<'_>) -> Outcome {
    let mut waits: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in task.containers {
        let name = container.name.as_deref().unwrap_or_default();
        let links = links(name, container, task)?;
        let depends = depends_on(name, container, task)?;
        let from =
            container.volumes_from.iter().flatten().filter_map(|from| from.source_container.as_deref());
        waits.entry(name).or_default().extend(links.into_iter().chain(depends).chain(from));
    }
    // What waits for nobody that is left can start; take it away until nothing changes.
    loop {
        let free: Vec<&str> = waits.iter().filter(|(_, on)| on.is_empty()).map(|(name, _)| *name).collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            waits.remove(name);
            waits.values_mut().for_each(|on| {
                on.remove(name);
            });
        }
    }
    require(waits.is_empty(), || {
        let names: Vec<&str> = waits.keys().copied().collect();
        format!("Circular dependency between containers: {}.", names.join(", "))
    })
}

/// `name` or `name:alias`.
fn links<'a>(
    name: &str,
    container: &'a ecs::ContainerDefinition,
    task: &Task<'_>,
) -> Result<Vec<&'a str>, wire::Error> {
    let mut names = Vec::new();
    for link in container.links.iter().flatten() {
        let (target, alias) = link.split_once(':').unwrap_or((link, link));
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        require_of(name, !alias.is_empty() && alias.bytes().all(plain), || {
            format!("Invalid link '{link}'.")
        })?;
        require_of(name, target != name && task.container(target).is_some(), || {
            format!("Unknown container '{target}' in 'links'.")
        })?;
        names.push(target);
    }
    Ok(names)
}

fn depends_on<'a>(
    name: &str,
    container: &'a ecs::ContainerDefinition,
    task: &Task<'_>,
) -> Result<Vec<&'a str>, wire::Error> {
    let mut names = Vec::new();
    for dependency in container.depends_on.iter().flatten() {
        let target = dependency.container_name.as_str();
        let found = task.container(target).filter(|_| target != name);
        // ECS's own words, with its stray sign.
        require(found.is_some(), || {
            format!("Cannot depend on container + '{target}' because it does not exist")
        })?;
        let Some(found) = found else { continue };
        match dependency.condition {
            ContainerCondition::Start => {}
            ContainerCondition::Healthy => {
                let check = found.health_check.as_ref();
                require(check.is_some(), || {
                    "A dependency container with HEALTHY condition must have health check configured"
                        .to_owned()
                })?;
                require_of(name, check.is_some_and(|check| runs(&check.command)), || {
                    format!(
                        "'dependsOn' condition HEALTHY needs a health check of container '{target}' whose command \
                         begins with CMD or CMD-SHELL."
                    )
                })?;
            }
            ContainerCondition::Complete | ContainerCondition::Success => {
                require(found.essential == Some(false), || {
                    "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container"
                        .to_owned()
                })?;
            }
        }
        names.push(target);
    }
    Ok(names)
}
