//! The `detail` of events: what the API shows, but for the times, which are texts here, and for what AWS leaves out.

use ecs_model as ecs;
use serde_json::{Map, Value, json};
use wire::Timestamp;

use crate::{
    Ctx, arn,
    cluster::{
        Cluster, DeploymentLifecycleHookStatus, DeploymentRow, HookRow, InstanceRow, ServiceDeploymentRow,
        TaskRow, Txn,
    },
    instance, task,
};

/// A task, without its health.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html>
pub fn task(state: &Cluster, ctx: &Ctx, row: &TaskRow) -> Value {
    let mut shown = task::describe::task(state, ctx, row);
    let times = [
        ("connectivityAt", shown.connectivity_at.take()),
        ("createdAt", shown.created_at.take()),
        ("executionStoppedAt", shown.execution_stopped_at.take()),
        ("pullStartedAt", shown.pull_started_at.take()),
        ("pullStoppedAt", shown.pull_stopped_at.take()),
        ("startedAt", shown.started_at.take()),
        ("stoppedAt", shown.stopped_at.take()),
        ("stoppingAt", shown.stopping_at.take()),
        ("updatedAt", Some(ctx.now)),
    ];
    shown.tags = None;
    shown.health_status = None;
    shown.inference_accelerators = None;
    if let Some(overrides) = &mut shown.overrides {
        overrides.inference_accelerator_overrides.take_if(|given| given.is_empty());
    }
    for container in shown.containers.iter_mut().flatten() {
        container.health_status = None;
    }
    let mut detail = members(&shown);
    for (name, time) in times {
        if let Some(time) = time {
            detail.insert(name.to_owned(), time.to_iso8601().into());
        }
    }
    Value::Object(detail)
}

/// A container instance.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_container_instance_events.html>
pub fn instance(state: &Cluster, ctx: &Ctx, row: &InstanceRow) -> Value {
    let shown = instance::describe::instance(state, ctx, row, false);
    let attributes = shown.attributes.iter().flatten().map(|attribute| Value::Object(members(attribute)));
    let mut detail = json!({
        "agentConnected": row.agent_connected,
        "attributes": attributes.collect::<Vec<_>>(),
        "clusterArn": arn::cluster(ctx, &state.row.name),
        "containerInstanceArn": shown.container_instance_arn,
        "registeredResources": resources(shown.registered_resources.as_deref()),
        "remainingResources": resources(shown.remaining_resources.as_deref()),
        "status": row.status.as_str(),
        "version": row.version,
        "versionInfo": members(&row.version_info),
        "updatedAt": ctx.now.to_iso8601(),
    });
    if let Some(id) = shown.ec2_instance_id {
        detail["ec2InstanceId"] = id.into();
    }
    detail
}

fn resources(of: Option<&[ecs::Resource]>) -> Vec<Value> {
    let one = |resource: &ecs::Resource| {
        let mut shown = json!({"name": resource.name, "type": resource.r#type});
        match &resource.string_set_value {
            Some(set) => shown["stringSetValue"] = json!(set),
            None => shown["integerValue"] = json!(resource.integer_value),
        }
        shown
    };
    of.unwrap_or_default().iter().map(one).collect()
}

/// A deployment of a service.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html>
pub fn deployment(txn: &Txn, (kind, name): (&str, &str), row: &DeploymentRow) -> Value {
    json!({
        "eventType": kind,
        "eventName": name,
        "clusterArn": arn::cluster(txn.ctx, &txn.state.row.name),
        "deploymentId": row.id.to_string(),
        "updatedAt": row.updated_at.to_iso8601(),
        "reason": row.rollout_reason,
    })
}

/// A hook of a deployment.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_hook_state_change_events.html>
pub fn hook(txn: &Txn, row: &ServiceDeploymentRow, hook: &HookRow) -> Value {
    use DeploymentLifecycleHookStatus::{AwaitingAction, Failed, InProgress, Succeeded, TimedOut};
    let (kind, name) = match hook.status {
        AwaitingAction => ("INFO", "HOOK_AWAITING_ACTION"),
        InProgress => ("INFO", "HOOK_IN_PROGRESS"),
        Succeeded => ("INFO", "HOOK_SUCCEEDED"),
        Failed => ("ERROR", "HOOK_FAILED"),
        TimedOut => ("ERROR", "HOOK_TIMED_OUT"),
    };
    let (cluster, service) = (&txn.state.row.name, &row.service.0);
    json!({
        "eventType": kind,
        "eventName": name,
        "hookId": hook.id,
        "hookType": if hook.function.is_some() { "AWS_LAMBDA" } else { "PAUSE" },
        "expiresAt": hook.expires_at.to_iso8601(),
        "lifecycleStage": hook.stage.as_str(),
        "clusterArn": arn::cluster(txn.ctx, cluster),
        "serviceArn": arn::service(txn.ctx, cluster, service),
        "serviceDeploymentArn": arn::service_deployment(txn.ctx, cluster, service, &row.id),
        "updatedAt": row.updated_at.to_iso8601(),
    })
}

/// Something that a service does: its type, its name, and the reason where there is one.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html>
pub fn action(txn: &Txn, (kind, name, reason): (&str, &str, Option<&str>), at: Timestamp) -> Value {
    let mut detail = json!({
        "eventType": kind,
        "eventName": name,
        "clusterArn": arn::cluster(txn.ctx, &txn.state.row.name),
        "createdAt": at.to_iso8601(),
    });
    if let Some(reason) = reason {
        detail["reason"] = reason.into();
    }
    detail
}

/// The members of a structure of the API that are there.
fn members(shown: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(shown) {
        Ok(Value::Object(members)) => members,
        // What the API shows has string keys and finite numbers only.
        _ => Map::new(),
    }
}
