//! Why a task is in its state.

use ecs_model::errors;
use wire::Error;

use super::{Explanation, Look, refusals};
use crate::{
    arn, beyond,
    capacity::distribution,
    cluster::{ContainerRow, Desired, HealthStatus, InstanceRow, TaskId, TaskRow, TaskStatus},
};

pub fn explain(look: Look<'_>, named: &str) -> Result<Explanation, Error> {
    let id = arn::task_id(look.ctx, &look.state.row.name, named)?;
    let parsed = TaskId::parse(&id);
    let kept = parsed.and_then(|id| look.state.kept_task(&id));
    let row = parsed.and_then(|id| look.state.task(&id)).map(AsRef::as_ref);
    let row = row.or(kept.map(|kept| &kept.task));
    let row = row.ok_or_else(|| errors::invalid_parameter("The referenced task was not found."))?;
    let (last, desired) = (row.last.as_str(), row.desired.as_str());
    let state = match row.last != TaskStatus::Stopped && last != desired {
        true => format!("{last}, to be {desired}"),
        false => last.to_owned(),
    };
    let since = match row.last {
        TaskStatus::Stopped => row.stopped_at,
        TaskStatus::Running => row.started_at,
        _ if row.desired == Desired::Stopped => row.stopping_at,
        _ => Some(row.created_at),
    };
    let mut told = Explanation::new(format!("task {}", row.id), state, since);
    match (row.last, row.desired) {
        (TaskStatus::Stopped, _) => stopped(row, &mut told),
        (_, Desired::Stopped) => stopping(look, row, &mut told),
        (TaskStatus::Running, Desired::Running) => running(row, &mut told),
        (_, Desired::Running) => coming(look, row, &mut told),
    }
    if let Some(kept) = kept {
        let until = kept.forget_at.to_iso8601();
        told.because.push(format!("DescribeTasks shows it no longer; it is kept until {until}"));
    }
    Ok(told)
}

fn stopped(row: &TaskRow, told: &mut Explanation) {
    if let Some(stop) = &row.stop {
        told.because.push(format!("{}: {}", stop.code.as_str(), stop.reason));
    }
    told.because.extend(row.containers.iter().filter_map(ended));
    if let Some((service, _)) = &row.service {
        told.would_change.push(format!(
            "nothing: a STOPPED task does not run again, and service {service} replaces it (`roadstead explain service {service}`)"
        ));
    }
    if let Some(of) = &row.daemon {
        let daemon = &of.name;
        told.would_change.push(format!(
            "nothing: a STOPPED task does not run again, and daemon {daemon} replaces it (`roadstead explain daemon {daemon}`)"
        ));
    }
}

/// How a container ended.
fn ended(container: &ContainerRow) -> Option<String> {
    let name = &container.name;
    let reason = container.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match container.exit_code {
        Some(code) => Some(format!("container {name} ended with exit code {code}{reason}")),
        None if reason.is_empty() => None,
        None => Some(format!("container {name} has no exit code{reason}")),
    }
}

fn stopping(look: Look<'_>, row: &TaskRow, told: &mut Explanation) {
    if let Some(stop) = &row.stop {
        told.because.push(format!("{}: {}", stop.code.as_str(), stop.reason));
    }
    if row.last == TaskStatus::Deprovisioning {
        told.because.push("nothing of it is left on its container instance".to_owned());
        told.waits_for.push("its network interface to be removed".to_owned());
        return;
    }
    if let Some(at) = row.stop_at() {
        told.waits_for
            .push(format!("the end of its warning at {}: its agent stops it then", at.to_iso8601()));
        return;
    }
    if away(look, row, told) {
        return;
    }
    let running: Vec<&str> = row
        .containers
        .iter()
        .filter(|container| container.status != TaskStatus::Stopped)
        .map(|container| container.name.as_str())
        .collect();
    told.waits_for.push(match running.is_empty() {
        true => "its agent's report that all of it is gone".to_owned(),
        false => format!(
            "the end of {}: SIGTERM first, SIGKILL after the container's stopTimeout",
            names("container", &running)
        ),
    });
}

fn running(row: &TaskRow, told: &mut Explanation) {
    for container in row.containers.iter().filter(|container| container.health_checked) {
        let name = &container.name;
        match container.health {
            HealthStatus::Healthy => {}
            HealthStatus::Unhealthy => {
                told.because.push(format!("container {name} is UNHEALTHY: its health check fails"));
            }
            HealthStatus::Unknown => {
                told.waits_for.push(format!("the first verdict on the health of container {name}"))
            }
        }
    }
    if told.because.is_empty() {
        told.because.push("it runs as it shall".to_owned());
    }
    if let Some(until) = row.protected_until {
        let until = until.to_iso8601();
        told.because
            .push(format!("it is protected until {until}: scale-in, deployments and draining leave it"));
    }
}

/// A task that is on its way to RUNNING.
fn coming(look: Look<'_>, row: &TaskRow, told: &mut Explanation) {
    if row.instance.is_none() {
        return waiting(look, row, told);
    }
    if row.last == TaskStatus::Provisioning {
        return networking(row, told);
    }
    if away(look, row, told) {
        return;
    }
    let when = |at: Option<wire::Timestamp>| at.map(wire::Timestamp::to_iso8601).unwrap_or_default();
    if row.pull_started_at.is_some() && row.pull_stopped_at.is_none() {
        told.because.push(format!("its images are being pulled since {}", when(row.pull_started_at)));
        told.waits_for.push("the end of the pull".to_owned());
        return;
    }
    let waiting: Vec<&str> = row
        .containers
        .iter()
        .filter(|container| container.status < TaskStatus::Running)
        .map(|container| container.name.as_str())
        .collect();
    if row.pull_stopped_at.is_some() || row.containers.iter().any(|c| c.status >= TaskStatus::Running) {
        told.because.push(format!("its images are there since {}", when(row.pull_stopped_at)));
        told.waits_for.push(format!("{} to start, in the order of dependsOn", names("container", &waiting)));
        return;
    }
    told.because.push("its agent has it and has not begun".to_owned());
    told.waits_for.push(
        "its turn on its container instance: few tasks begin at once, and one whose CPU, memory or ports are still \
         held by a task that ends waits for them"
            .to_owned(),
    );
}

/// A task that has its place and waits for its interface.
fn networking(row: &TaskRow, told: &mut Explanation) {
    let subnet = row.attachment.as_ref().and_then(|attachment| attachment.subnet.as_deref());
    told.because.push("it has a container instance, whose agent has not heard of it yet".to_owned());
    told.waits_for.push(format!("a network interface in subnet {}", subnet.unwrap_or_default()));
}

/// A task that waits in PROVISIONING: for its turn, for room as its RunTask asked, or for its provider to grow.
fn waiting(look: Look<'_>, row: &TaskRow, told: &mut Explanation) {
    let Some(waits) = &row.waits else { return provisioning(look, row, told) };
    let (until, started_by) = (waits.until.to_iso8601(), row.started_by.as_deref().unwrap_or_default());
    if waits.turn.is_none() && waits.queue_seconds.is_none() {
        return provisioning(look, row, told);
    }
    told.because.push("it has no container instance yet".to_owned());
    if waits.turn.is_some() {
        let before = look.state.turns(started_by).take_while(|id| *id != row.id).count();
        told.because.push(beyond::no_turn(look.state, started_by));
        told.waits_for.push(format!(
            "its turn among the tasks that {started_by} started, until {until}; {} before it",
            if before == 1 { "1 waits".to_owned() } else { format!("{before} wait") }
        ));
        told.would_change.push(format!("the end of a task that {started_by} started"));
        return;
    }
    told.waits_for.push(format!("room on a container instance until {until}"));
    let definition = look.account.task_definition(&row.task_definition);
    if let Some(request) = definition.and_then(|definition| distribution::of_waiting(row, definition)) {
        refusals::add(look, &[request], told);
    }
}

/// A task that waits for the capacity of its provider to grow.
fn provisioning(look: Look<'_>, row: &TaskRow, told: &mut Explanation) {
    let provider = row.capacity_provider.as_deref().unwrap_or_default();
    told.because.push(format!("no container instance of capacity provider {provider} had room for it"));
    let until = row.waits.as_ref().map(|waits| waits.until.to_iso8601()).unwrap_or_default();
    told.waits_for.push(format!("room on one of them; it fails where there is none until {until}"));
    let definition = look.account.task_definition(&row.task_definition);
    if let Some(request) = definition.and_then(|definition| distribution::of_waiting(row, definition)) {
        refusals::add(look, &[request], told);
    }
    told.would_change.push("more container instances of it (`roadstead capacity` says how many)".to_owned());
}

/// Whether nobody can say how it is, because the agent of its host is away.
fn away(look: Look<'_>, row: &TaskRow, told: &mut Explanation) -> bool {
    let Some(id) = &row.instance else { return false };
    let host: Option<&InstanceRow> = look.state.instance(id).map(|row| row.as_ref());
    if host.is_some_and(|host| host.agent_connected) {
        return false;
    }
    told.because.push(match host {
        Some(_) => {
            format!("the agent of container instance {id} is not connected, so nothing new is known of it")
        }
        None => format!("container instance {id} is not known any more"),
    });
    told.waits_for.push("its agent".to_owned());
    told.would_change.push(format!(
        "the agent connecting again; or, if the host is gone for good, `aws ecs deregister-container-instance --force \
         --container-instance {id}`, which ends its tasks here and has services replace them"
    ));
    true
}

/// `container a`, `containers a, b`.
fn names(what: &str, names: &[&str]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{what}{plural} {}", names.join(", "))
}
