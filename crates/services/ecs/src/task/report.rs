//! What agents report of tasks: SubmitTaskStateChange, SubmitContainerStateChange, container health.
//! Repeated, late and unknown reports are acknowledged: an agent repeats until it is answered.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_SubmitTaskStateChange.html>

use std::{collections::BTreeMap, sync::Arc};

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{
    describe,
    lifecycle::{self, ContainerReport, Happening, Report},
};
use crate::{
    arn,
    cluster::{Desired, HealthStatus, InstanceId, TaskId, TaskRow, TaskStatus, Txn, Writes, tally::Standing},
    convert::Stored,
    daemon, instance, network, service, task,
};

/// What health checks found, by task and container.
pub type Verdicts = BTreeMap<TaskId, BTreeMap<String, HealthStatus>>;

/// Takes a report of a task.
pub fn submit_task_state_change(
    txn: &mut Txn,
    request: ecs::SubmitTaskStateChangeRequest,
) -> Result<ecs::SubmitTaskStateChangeResponse, Error> {
    let id = named(txn, request.task.as_deref())?;
    let containers = request.containers.unwrap_or_default();
    let changes = request.attachments.unwrap_or_default();
    let attached = |change: &ecs::AttachmentStateChange| {
        let row = id.and_then(|id| txn.state.task(&id));
        change.status == "ATTACHED"
            && row.is_some_and(|row| network::is_of(txn.ctx, row, &change.attachment_arn))
    };
    let report = Report {
        attached: changes.iter().any(attached),
        status: status(request.status.as_deref())?,
        reason: request.reason.unwrap_or_default(),
        containers: containers.into_iter().map(container).collect::<Result<_, _>>()?,
        pull_started_at: request.pull_started_at,
        pull_stopped_at: request.pull_stopped_at,
        execution_stopped_at: request.execution_stopped_at,
    };
    take(txn, id, report)?;
    Ok(ecs::SubmitTaskStateChangeResponse { acknowledgment: Some("ACK".to_owned()) })
}

/// Takes a report of one container.
pub fn submit_container_state_change(
    txn: &mut Txn,
    request: ecs::SubmitContainerStateChangeRequest,
) -> Result<ecs::SubmitContainerStateChangeResponse, Error> {
    let id = named(txn, request.task.as_deref())?;
    let seen = ContainerReport {
        name: request.container_name.unwrap_or_default(),
        status: status(request.status.as_deref())?,
        runtime_id: request.runtime_id,
        image_digest: None,
        exit_code: request.exit_code,
        reason: request.reason,
        network_bindings: request.network_bindings.stored(),
    };
    take(txn, id, Report { containers: vec![seen], ..Report::default() })?;
    Ok(ecs::SubmitContainerStateChangeResponse { acknowledgment: Some("ACK".to_owned()) })
}

/// Takes the verdicts of health checks from the agent of a container instance: task, then container to verdict.
/// What it says of tasks that are elsewhere is passed over. A task of a service whose essential container became
/// UNHEALTHY is replaced. Gives the verdicts that this step had no room for.
pub fn health(txn: &mut Txn, from: &InstanceId, mut verdicts: Verdicts) -> Verdicts {
    while !txn.full()
        && let Some((id, containers)) = verdicts.pop_first()
    {
        let here = |task: &&Arc<TaskRow>| task.instance.as_ref() == Some(from);
        let found = txn.state.task(&id).filter(|task| task.last < TaskStatus::Stopped).filter(here);
        let Some(task) = found.cloned() else { continue };
        let mut next = task.as_ref().clone();
        for container in next.containers.iter_mut().filter(|c| c.health_checked) {
            container.health = containers.get(&container.name).copied().unwrap_or(container.health);
        }
        let changed = next.containers != task.containers;
        next.failed_health &= describe::health(&next) != HealthStatus::Healthy;
        let sick = service::grace::is_sick(&next) && next.desired == Desired::Running;
        let becomes_healthy =
            task.standing() != Some(Standing::Healthy) && next.standing() == Some(Standing::Healthy);
        if changed {
            txn.put_task(next.clone());
        }
        if becomes_healthy {
            service::task_healthy(txn, &next);
        }
        match (&next.service, &next.daemon) {
            (Some((name, _)), _) if sick => service::grace::unhealthy(txn, name, &id),
            (None, Some(_)) if sick => daemon::unhealthy(txn, &id),
            _ => {}
        }
    }
    verdicts
}

/// What is reported of a task counts if it comes from where the task runs: a report can end it.
fn take(txn: &mut Txn, id: Option<TaskId>, report: Report) -> Result<(), Error> {
    let Some(before) = id.and_then(|id| txn.state.task(&id)).cloned() else { return Ok(()) };
    // No agent has heard of it.
    if before.last == TaskStatus::Provisioning {
        return Ok(());
    }
    instance::may_speak(txn.state, txn.ctx, before.instance.as_ref())?;
    let after = lifecycle::step(&before, &Happening::Reported(report), txn.now());
    if after == *before {
        return Ok(());
    }
    let after = txn.put_task(after);
    service::images::reported(txn, &before, &after);
    task::has_ended(txn, &before, &after);
    if after.last == TaskStatus::Running && before.last < TaskStatus::Running {
        service::task_started(txn, &after);
    }
    Ok(())
}

fn named(txn: &Txn, task: Option<&str>) -> Result<Option<TaskId>, Error> {
    let named = task.ok_or_else(|| errors::client("Task cannot be empty."))?;
    arn::task_id(txn.ctx, &txn.state.row.name, named).map(|id| TaskId::parse(&id))
}

fn container(change: ecs::ContainerStateChange) -> Result<ContainerReport, Error> {
    Ok(ContainerReport {
        name: change.container_name.unwrap_or_default(),
        status: status(change.status.as_deref())?,
        runtime_id: change.runtime_id,
        image_digest: change.image_digest,
        exit_code: change.exit_code,
        reason: change.reason,
        network_bindings: change.network_bindings.stored(),
    })
}

fn status(word: Option<&str>) -> Result<Option<TaskStatus>, Error> {
    Ok(match word {
        None | Some("" | "NONE") => None,
        Some("PENDING" | "PULLED" | "CREATED") => Some(TaskStatus::Pending),
        Some("RUNNING" | "RESOURCES_PROVISIONED") => Some(TaskStatus::Running),
        Some("STOPPED") => Some(TaskStatus::Stopped),
        Some(other) => {
            return Err(errors::invalid_parameter(format!("Invalid task status: {other}")));
        }
    })
}
