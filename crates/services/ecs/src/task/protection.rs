//! Protection of a service's tasks from being chosen to be stopped: by scale-in, by deployments, and where a container
//! instance is drained. It ends by itself, at a time in the task's row. UpdateTaskProtection, GetTaskProtection.
//!
//! It keeps no task from what is no choice: StopTask, a failed health check, the end of its service or of its host.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection.html>

use ecs_model::{self as ecs, errors};
use wire::{Error, Timestamp};

use super::{describe::missing, kept};
use crate::{
    Ctx, arn,
    cluster::{Cluster, Desired, TaskId, TaskRow, Txn, Writes},
    limits,
};

/// Why the protection of a task can neither be told nor changed, and how that is told.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// There is no such task.
    Missing,
    /// It is not of a service, or shall not run any more.
    NotValid,
    /// More tasks of its service are protected than it wants: they keep it from a steady state.
    Blocked,
}

impl Failed {
    fn shown(self, ctx: &Ctx, cluster: &str, id: &str) -> ecs::Failure {
        let arn = arn::task(ctx, cluster, id);
        let reason = match self {
            Failed::Missing => return missing(arn),
            Failed::NotValid => "TASK_NOT_VALID",
            Failed::Blocked => "DEPLOYMENT_BLOCKED",
        };
        ecs::Failure { arn: Some(arn), reason: Some(reason.to_owned()), ..Default::default() }
    }
}

/// Protects tasks for a while, from now on, or ends that.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateTaskProtection.html>
///
/// # Errors
/// `InvalidParameterException` for none or too many tasks, and for a time that cannot be.
pub fn update_task_protection(
    txn: &mut Txn,
    request: ecs::UpdateTaskProtectionRequest,
) -> Result<ecs::UpdateTaskProtectionResponse, Error> {
    check_count(request.tasks.len(), limits::UPDATE_PROTECTION)?;
    let minutes = request.expires_in_minutes.unwrap_or(limits::PROTECTION_MINUTES);
    let (least, most) = limits::PROTECTION_MINUTES_BOUNDS;
    if !(least..=most).contains(&minutes) {
        return Err(errors::invalid_parameter(format!(
            "expiresInMinutes must be between {least} and {most}."
        )));
    }
    let until = txn.now().plus_millis(i64::from(minutes) * 60_000);
    let until = Some(until).filter(|_| request.protection_enabled);
    let cluster = txn.state.row.name.clone();
    let (mut protected, mut failures) = (Vec::new(), Vec::new());
    for named in &request.tasks {
        let id = arn::task_id(txn.ctx, &cluster, named)?;
        match protect(txn, &id, until) {
            Ok(row) => protected.push(shown(txn.ctx, &cluster, &row)),
            Err(failed) => failures.push(failed.shown(txn.ctx, &cluster, &id)),
        }
    }
    let (protected_tasks, failures) = (Some(protected), Some(failures));
    Ok(ecs::UpdateTaskProtectionResponse { protected_tasks, failures })
}

fn protect(txn: &mut Txn, id: &str, until: Option<Timestamp>) -> Result<TaskRow, Failed> {
    let row = of_service(txn.state, id)?.clone();
    if let Some((service, _)) = row.service.as_ref().filter(|_| until.is_some()) {
        let protected = txn.state.tally(service).count(|_, class| class.is_protected);
        let wanted = txn.state.service(service).map_or(0, |service| service.desired_count);
        if i32::try_from(protected).is_ok_and(|protected| protected > wanted) {
            return Err(Failed::Blocked);
        }
    }
    let row = TaskRow { protected_until: until, ..row };
    txn.put_task(row.clone());
    Ok(row)
}

/// Tells whether tasks are protected, and until when.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_GetTaskProtection.html>
///
/// # Errors
/// `InvalidParameterException` for none or too many tasks.
pub fn get_task_protection(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::GetTaskProtectionRequest,
) -> Result<ecs::GetTaskProtectionResponse, Error> {
    let named = request.tasks.as_deref().unwrap_or_default();
    check_count(named.len(), limits::DESCRIBE)?;
    let cluster = &state.row.name;
    let (mut protected, mut failures) = (Vec::new(), Vec::new());
    for named in named {
        let id = arn::task_id(ctx, cluster, named)?;
        match of_service(state, &id) {
            Ok(row) => protected.push(shown(ctx, cluster, row)),
            Err(failed) => failures.push(failed.shown(ctx, cluster, &id)),
        }
    }
    let (protected_tasks, failures) = (Some(protected), Some(failures));
    Ok(ecs::GetTaskProtectionResponse { protected_tasks, failures })
}

/// The protection of a task is over.
pub fn ended(txn: &mut Txn, id: &TaskId) {
    let Some(row) = txn.state.task(id).cloned() else { return };
    if row.protected_until.is_some_and(|until| until <= txn.now()) {
        txn.put_task(TaskRow { protected_until: None, ..row.as_ref().clone() });
    }
}

/// The time of a task has come: its protection ends, or it stopped long enough ago to be forgotten.
pub fn due(txn: &mut Txn, id: &TaskId) {
    match txn.state.task(id) {
        Some(row) if row.forget_at.is_some() => kept::forget(txn, id),
        _ => ended(txn, id),
    }
}

fn check_count(count: usize, most: usize) -> Result<(), Error> {
    match count {
        0 => Err(errors::invalid_parameter("Tasks cannot be empty.")),
        count if count > most => {
            Err(errors::invalid_parameter(format!("Tasks cannot have more than {most} elements.")))
        }
        _ => Ok(()),
    }
}

/// A task that can be protected.
fn of_service<'a>(state: &'a Cluster, id: &str) -> Result<&'a TaskRow, Failed> {
    let row = TaskId::parse(id).and_then(|id| state.task(&id)).ok_or(Failed::Missing)?;
    match row.service.is_some() && row.desired == Desired::Running {
        true => Ok(row),
        false => Err(Failed::NotValid),
    }
}

fn shown(ctx: &Ctx, cluster: &str, row: &TaskRow) -> ecs::ProtectedTask {
    ecs::ProtectedTask {
        task_arn: Some(arn::task(ctx, cluster, row.id)),
        protection_enabled: Some(row.protected_until.is_some()),
        expiration_date: row.protected_until,
    }
}

#[cfg(test)]
mod tests;
