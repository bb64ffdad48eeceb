//! StopTask. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html>

use ecs_model as ecs;
use wire::Error;

use super::{describe, find, lifecycle, lifecycle::Happening};
use crate::{
    Ctx, arn,
    cluster::{Desired, TaskId, TaskRow, TaskStopCode, Txn, Writes},
};

/// Asks for a task to be stopped. The answer shows the task as it still is, with what it shall become.
pub fn stop_task(txn: &mut Txn, request: ecs::StopTaskRequest) -> Result<ecs::StopTaskResponse, Error> {
    let before = find(txn, &request.task)?.clone();
    let reason = request.reason.unwrap_or_else(|| "Task stopped by user".to_owned());
    // As ECS documents it, the task's tags go with the call.
    let untagged = |task| TaskRow { tags: Vec::new(), ..task };
    let after = stop(txn, &before.id, TaskStopCode::UserInitiated, reason, untagged);
    let mut shown = after.unwrap_or_else(|| before.clone());
    shown.last = before.last;
    Ok(ecs::StopTaskResponse { task: Some(describe::task(txn.state, txn.ctx, &shown)) })
}

/// What StopTask shows of a task of which only the id can be read.
pub fn unreadable(ctx: &Ctx, cluster: &str, id: &str) -> ecs::Task {
    ecs::Task {
        task_arn: Some(arn::task(ctx, cluster, id)),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        desired_status: Some(Desired::Stopped.as_str().to_owned()),
        ..ecs::Task::default()
    }
}

/// Marks a task to be stopped, if it is not already. Gives the row as written.
pub fn want(txn: &mut Txn, id: &TaskId, code: TaskStopCode, reason: String) -> Option<TaskRow> {
    stop(txn, id, code, reason, |task| task)
}

fn stop(
    txn: &mut Txn,
    id: &TaskId,
    code: TaskStopCode,
    reason: String,
    then: fn(TaskRow) -> TaskRow,
) -> Option<TaskRow> {
    let task = txn.state.task(id)?;
    let happening = match task.desired {
        Desired::Running => Happening::StopWanted { code, reason },
        // It was interrupted, and need not wait for the end of its warning.
        Desired::Stopped if task.stop_at().is_some() => Happening::WarningOver,
        Desired::Stopped => return None,
    };
    let next = then(lifecycle::step(task, &happening, txn.now()));
    txn.put_task(next.clone());
    Some(next)
}
