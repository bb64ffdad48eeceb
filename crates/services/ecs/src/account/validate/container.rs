//! One container by itself.

use std::{collections::BTreeSet, net::IpAddr};

use ecs_model as ecs;

use super::{Outcome, Task, is_path, linux, log, name, require, require_of, resources};

/// MiB; what Docker gives at least.
const MIN_MEMORY: i32 = 4;
/// Seconds.
const MIN_TIMEOUT: i32 = 2;
/// Seconds. ECS names a limit only for Fargate.
const MAX_TIMEOUT: i32 = 86_400;
const MAX_IGNORED_EXIT_CODES: usize = 50;

pub(super) fn check(container: &ecs::ContainerDefinition, task: &Task<'_>) -> Outcome {
    let given = container.name.as_deref().unwrap_or_default();
    name("Container.name", given)?;
    image(container.image.as_deref().unwrap_or_default())?;
    size(given, container, task)?;
    environment(given, container, task)?;
    network(given, container)?;
    mounts(given, container, task)?;
    health_check(given, container.health_check.as_ref())?;
    restart_policy(given, container.restart_policy.as_ref())?;
    timeout(given, "start", container.start_timeout)?;
    timeout(given, "stop", container.stop_timeout)?;
    resources::check(given, container)?;
    linux::check(given, container, task)?;
    log::check(given, container.log_configuration.as_ref())
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>
fn image(image: &str) -> Outcome {
    require(!image.is_empty(), || "Container.image should not be null or empty.".to_owned())?;
    // The limit does not count a digest.
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    require(name.len() <= 255, || "Container.image longer than 255.".to_owned())?;
    let plain = image.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:./#@+".contains(&b));
    require(plain, || "Container.image contains invalid characters.".to_owned())?;
    let hash = digest.map(|digest| digest.strip_prefix("sha256:").unwrap_or_default());
    let whole = |hash: &str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    require(hash.is_none_or(whole), || {
        "Container.image has an invalid digest: it must be sha256: and 64 hexadecimal digits.".to_owned()
    })
}

fn size(name: &str, container: &ecs::ContainerDefinition, task: &Task<'_>) -> Outcome {
    within(name, "cpu", container.cpu, 0, i32::MAX)?;
    let (hard, soft) =
        (container.memory.filter(|n| *n != 0), container.memory_reservation.filter(|n| *n != 0));
    require_of(name, hard.is_some() || soft.is_some() || task.memory.is_some(), || {
        "At least one of 'memory' or 'memoryReservation' must be specified.".to_owned()
    })?;
    within(name, "memory", hard, MIN_MEMORY, i32::MAX)?;
    within(name, "memoryReservation", soft, MIN_MEMORY, i32::MAX)?;
    require_of(name, hard.zip(soft).is_none_or(|(hard, soft)| soft <= hard), || {
        "'memory' must be greater than or equal to 'memoryReservation'".to_owned()
    })?;
    require(hard.zip(task.memory).is_none_or(|(hard, task)| i64::from(hard) <= task), || {
        format!("The 'memory' setting for container '{name}' is greater than for the task")
    })
}

fn environment(name: &str, container: &ecs::ContainerDefinition, task: &Task<'_>) -> Outcome {
    for pair in container.environment.iter().flatten() {
        let key = pair.name.as_deref().unwrap_or_default();
        require_of(name, !key.is_empty() && !key.contains('='), || {
            "'environment.name' must be specified and must not contain '='.".to_owned()
        })?;
    }
    let labels = container.docker_labels.iter().flatten();
    require_of(name, labels.into_iter().all(|(key, _)| !key.is_empty()), || {
        "Keys of 'dockerLabels' must not be empty.".to_owned()
    })?;
    let directory = container.working_directory.as_deref().unwrap_or("/");
    require_of(name, directory.is_empty() || is_path(directory, task), || {
        "'workingDirectory' must be an absolute path.".to_owned()
    })
}

fn network(name: &str, container: &ecs::ContainerDefinition) -> Outcome {
    let hostname = container.hostname.as_deref().unwrap_or_default();
    // ECS names no letters; Docker takes the underscores that Compose files have.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    require_of(name, hostname.len() <= 63 && hostname.bytes().all(plain), || {
        "'hostname' contains invalid characters or is longer than 63.".to_owned()
    })?;
    for server in container.dns_servers.iter().flatten() {
        require_of(name, server.parse::<IpAddr>().is_ok(), || {
            format!("'{server}' in 'dnsServers' is not an IP address.")
        })?;
    }
    for domain in container.dns_search_domains.iter().flatten() {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        require_of(name, !domain.is_empty() && domain.bytes().all(plain), || {
            format!("'{domain}' in 'dnsSearchDomains' is not a domain name.")
        })?;
    }
    for host in container.extra_hosts.iter().flatten() {
        let named = !host.hostname.is_empty() && !host.hostname.contains(char::is_whitespace);
        require_of(name, named && host.ip_address.parse::<IpAddr>().is_ok(), || {
            format!("'extraHosts' of '{}' needs a host name and an IP address.", host.hostname)
        })?;
    }
    Ok(())
}

fn mounts(name: &str, container: &ecs::ContainerDefinition, task: &Task<'_>) -> Outcome {
    let mut paths = BTreeSet::new();
    for mount in container.mount_points.iter().flatten() {
        let volume = mount.source_volume.as_deref().unwrap_or("null");
        require(task.volumes().iter().any(|known| known.name.as_deref() == Some(volume)), || {
            format!("Unknown volume '{volume}'.")
        })?;
        let path = mount.container_path.as_deref().unwrap_or_default();
        require_of(name, is_path(path, task), || {
            "'mountPoints.containerPath' must be an absolute path.".to_owned()
        })?;
        require_of(name, paths.insert(path), || format!("Duplicate 'mountPoints.containerPath': '{path}'."))?;
    }
    for from in container.volumes_from.iter().flatten() {
        let source = from.source_container.as_deref().unwrap_or_default();
        require_of(name, source != name && task.container(source).is_some(), || {
            format!("Unknown container '{source}' in 'volumesFrom'.")
        })?;
    }
    Ok(())
}

fn health_check(name: &str, check: Option<&ecs::HealthCheck>) -> Outcome {
    let Some(check) = check else { return Ok(()) };
    let least = if runs(&check.command) { 2 } else { 1 };
    require_of(name, check.command.len() >= least, || {
        "'healthCheck.command' must name a command.".to_owned()
    })?;
    for (member, number, least, most) in [
        ("interval", check.interval, 5, 300),
        ("timeout", check.timeout, 2, 60),
        ("retries", check.retries, 1, 10),
        ("startPeriod", check.start_period, 0, 300),
    ] {
        let (few, many) = (number.is_some_and(|n| n < least), number.is_some_and(|n| n > most));
        require(!few, || {
            format!(
                "Health check {member} must be greater than or equal to the minimum allowed value {least} for container '{name}'"
            )
        })?;
        require(!many, || {
            format!(
                "Health check {member} must be less than or equal to the maximum allowed value {most} for container '{name}'"
            )
        })?;
    }
    Ok(())
}

/// Whether there is anything to run: Docker knows a command by its first word, and has no check with another one
/// than these. ECS takes any, and the container's health is UNKNOWN.
pub fn runs(command: &[String]) -> bool {
    matches!(command.first().map(String::as_str), Some("CMD" | "CMD-SHELL"))
}

fn restart_policy(name: &str, policy: Option<&ecs::ContainerRestartPolicy>) -> Outcome {
    let Some(policy) = policy else { return Ok(()) };
    require(policy.restart_attempt_period.is_none_or(|period| (60..=1800).contains(&period)), || {
        format!("The 'restartAttemptPeriod' setting for container '{name}' must be between 60 and 1800.")
    })?;
    let codes = policy.ignored_exit_codes.as_deref().unwrap_or_default();
    require_of(name, codes.len() <= MAX_IGNORED_EXIT_CODES, || {
        format!("'restartPolicy.ignoredExitCodes' can not have more than {MAX_IGNORED_EXIT_CODES} elements.")
    })
}

/// `which` is start or stop.
fn timeout(name: &str, which: &str, seconds: Option<i32>) -> Outcome {
    require(seconds.is_none_or(|seconds| seconds >= MIN_TIMEOUT), || {
        format!("Granular {which} timeout on container '{name}' must be at least {MIN_TIMEOUT} seconds.")
    })?;
    require(seconds.is_none_or(|seconds| seconds <= MAX_TIMEOUT), || {
        format!("Granular {which} timeout on container '{name}' must be at most {MAX_TIMEOUT} seconds.")
    })
}

/// A number between two bounds, or none.
pub(super) fn within(container: &str, member: &str, number: Option<i32>, least: i32, most: i32) -> Outcome {
    require_of(container, number.is_none_or(|number| (least..=most).contains(&number)), || {
        if most == i32::MAX {
            format!("'{member}' must be at least {least}.")
        } else {
            format!("'{member}' must be between {least} and {most}.")
        }
    })
}
