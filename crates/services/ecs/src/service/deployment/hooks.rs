//! Hooks of deployments: those that pause, and those that call a function until it has said how the deployment goes on.
//! What is told to a function, what its answer means, and what comes of it.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/lambda-lifecycle-hooks.html>

use serde_json::{Map, Value, json};
use state::{Id128, outbox::Call};
use wire::{Blob, Error, Timestamp};

use super::stages;
use crate::{
    arn,
    cluster::{
        DeploymentLifecycleHook, DeploymentLifecycleHookStatus, DeploymentLifecycleHookTargetType,
        HookFunctionRow, HookRow, ServiceDeploymentRow, ServiceRow, Stage, StageRow, Txn, Writes,
    },
    limits,
};

/// What a function has said of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It goes on.
    Succeeded,
    /// It goes back; why.
    Failed(String),
    /// The function is called again after so many milliseconds, with these details if there are any.
    InProgress(i64, Option<String>),
    /// Nothing: it was not reached, or could not answer, and why. The same call may have another end.
    Nothing(String),
}

/// A hook of the stage that a deployment of a service has come to.
pub fn begun(
    txn: &mut Txn,
    service: &ServiceRow,
    row: &ServiceDeploymentRow,
    hook: &DeploymentLifecycleHook,
) -> HookRow {
    let now = txn.now();
    let stage = row.stage.as_ref().map_or(Stage::PreScaleUp, |stage| stage.stage);
    let timeout = hook.timeout_configuration.clone().unwrap_or_default();
    let minutes = timeout.timeout_in_minutes.unwrap_or(limits::PAUSE_DEFAULT_MINUTES);
    let expires_at = now.plus_millis(i64::from(minutes) * 60_000);
    let timeout_action = timeout.action.unwrap_or_default();
    if hook.target_type == Some(DeploymentLifecycleHookTargetType::Pause) {
        let id = format!("ecs-pause-{}", txn.ids.base64url43());
        let status = DeploymentLifecycleHookStatus::AwaitingAction;
        return HookRow { id, stage, status, expires_at, timeout_action, function: None };
    }
    let id = txn.ids.uuid();
    let function = HookFunctionRow {
        arn: hook.hook_target_arn.clone().unwrap_or_default(),
        role: hook.role_arn.clone().unwrap_or_default(),
        event: event(txn, service, row, &id).to_string(),
        details: hook.hook_details.as_ref().map(|details| details.0.clone()),
        call_at: now,
        attempts: 0,
        why: None,
    };
    let status = DeploymentLifecycleHookStatus::InProgress;
    HookRow { id, stage, status, expires_at, timeout_action, function: Some(Box::new(function)) }
}

/// What a function is told of the deployment, but for the details.
fn event(txn: &Txn, service: &ServiceRow, row: &ServiceDeploymentRow, execution: &str) -> Value {
    let (ctx, cluster, name) = (txn.ctx, &txn.state.row.name, &service.name.0);
    let revision = |id| arn::service_revision(ctx, cluster, name, id);
    let mut details = json!({
        "serviceArn": arn::service(ctx, cluster, name),
        "targetServiceRevisionArn": revision(row.target),
    });
    let (mut test, mut production) = (Map::new(), Map::new());
    for id in [row.target].into_iter().chain(row.sources.iter().copied()) {
        if let Some((of_test, of_production)) = stages::traffic(service, row, id) {
            test.insert(revision(id), of_test.into());
            production.insert(revision(id), of_production.into());
        }
    }
    if !test.is_empty() {
        details["testTrafficWeights"] = test.into();
        details["productionTrafficWeights"] = production.into();
    }
    let hooked = row.stage.as_ref().and_then(|stage| stage.stage.of_hooks());
    json!({
        "executionDetails": details,
        "executionId": execution,
        "lifecycleStage": hooked.map(|stage| stage.as_str()),
        "resourceArn": arn::service_deployment(ctx, cluster, name, &row.id),
    })
}

/// The call of a function.
pub fn call(function: &HookFunctionRow) -> Call {
    let read = |text: &String| serde_json::from_str::<Value>(text).ok();
    let mut event = read(&function.event).unwrap_or_default();
    if let Some(details) = function.details.as_ref().and_then(read) {
        event["hookDetails"] = details;
    }
    let payload = Blob(event.to_string().into_bytes());
    Call {
        principal: function.role.clone(),
        service: "lambda".to_owned(),
        operation: "Invoke".to_owned(),
        input: json!({"FunctionName": function.arn, "InvocationType": "RequestResponse", "Payload": payload}),
    }
}

/// What the outcome of a call means. What is not known of ECS: which refusals of Lambda it takes for an answer, and how often it
/// calls again. Here a fault of Lambda, too many calls and a function that is not reached are no answer, and all else is a
/// failure, as is each answer that has no valid `hookStatus`.
pub fn said(outcome: &Result<Value, Error>) -> Said {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(error) => {
            let why = format!("{}: {}", error.code(), error.message());
            return if error.status() >= 500 || error.status() == 429 {
                Said::Nothing(why)
            } else {
                Said::Failed(why)
            };
        }
    };
    let payload = serde_json::from_value::<Blob>(reply["Payload"].clone()).unwrap_or_default().0;
    if let Some(error) = reply["FunctionError"].as_str() {
        return Said::Failed(format!("the function failed ({error}): {}", String::from_utf8_lossy(&payload)));
    }
    let answer: Value = serde_json::from_slice(&payload).unwrap_or_default();
    match answer["hookStatus"].as_str() {
        Some("SUCCEEDED") => Said::Succeeded,
        Some("FAILED") => Said::Failed("the function said FAILED".to_owned()),
        Some("IN_PROGRESS") => in_progress(&answer),
        _ => Said::Failed("the function's answer has no valid hookStatus".to_owned()),
    }
}

fn in_progress(answer: &Value) -> Said {
    let (least, most) = limits::HOOK_CALL_BACK_MS;
    let delay = match answer["callBackDelay"].as_f64() {
        // A cast of what is no number in this range stops at its ends.
        Some(seconds) => ((seconds * 1000.0).clamp(least as f64, most as f64)) as i64,
        None => limits::HOOK_CALLED_AGAIN_MS,
    };
    let details = Some(&answer["hookDetails"]).filter(|details| details.is_object()).map(Value::to_string);
    if details.as_ref().is_some_and(|details| details.len() > limits::HOOK_DETAILS) {
        let most = limits::HOOK_DETAILS;
        return Said::Failed(format!("the function's hookDetails have more than {most} bytes"));
    }
    Said::InProgress(delay, details)
}

/// A hook after a call of its function.
pub fn after(hook: &HookRow, said: Said, now: Timestamp) -> HookRow {
    let Some(function) = hook.function.as_deref() else { return hook.clone() };
    let (mut status, mut next) = (hook.status, HookFunctionRow { why: None, ..function.clone() });
    let cut = |why: String| why.chars().take(limits::HOOK_REASON).collect::<String>();
    match said {
        Said::Succeeded => status = DeploymentLifecycleHookStatus::Succeeded,
        Said::Failed(why) => {
            status = DeploymentLifecycleHookStatus::Failed;
            next.why = Some(cut(why));
        }
        Said::InProgress(delay, details) => {
            next.attempts = 0;
            next.details = details.or(next.details);
            next.call_at = now.plus_millis(delay);
        }
        Said::Nothing(why) => {
            next.attempts = next.attempts.saturating_add(1);
            next.why = Some(cut(why));
            let (first, longest) = limits::HOOK_PAUSES_MS;
            let doubled = first << u32::try_from(next.attempts - 1).unwrap_or(0).min(16);
            next.call_at = now.plus_millis(doubled.min(longest));
            if next.attempts >= limits::HOOK_ATTEMPTS {
                status = DeploymentLifecycleHookStatus::Failed;
            }
        }
    }
    HookRow { status, function: Some(Box::new(next)), ..hook.clone() }
}

/// A worker tells what came of the call of a hook that still waits for it.
pub fn carried_out(txn: &mut Txn, execution: Id128, outcome: &Result<Value, Error>) {
    let Some(row) = txn.state.service_deployment_that_calls(execution).cloned() else { return };
    let now = txn.now();
    let Some(stage) = row.stage.as_ref() else { return };
    let one = |hook: &HookRow| match hook.execution() == Some(execution) {
        true => after(hook, said(outcome), now),
        false => hook.clone(),
    };
    let stage = StageRow { hooks: stage.hooks.iter().map(one).collect(), ..stage.clone() };
    let service = row.service.clone();
    let row = ServiceDeploymentRow { stage: Some(stage), updated_at: now, ..row.as_ref().clone() };
    txn.put_service_deployment(row);
    txn.touch(&service);
}

#[cfg(test)]
mod tests;
