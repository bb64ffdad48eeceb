//! What a deployment that goes by stages waits for, who pauses it, and by which alarms it is watched.

use wire::Timestamp;

use super::{Explanation, Look, count};
use crate::{
    arn,
    cluster::{
        DeploymentConfiguration, DeploymentLifecycleHookAction, DeploymentLifecycleHookStatus,
        HookFunctionRow, HookRow, ServiceDeploymentRollbackMonitorsStatus as Monitors, ServiceDeploymentRow,
        ServiceRow, Stage, StageRow,
    },
    limits,
    service::plan::stages,
};

/// Of one that goes on.
pub fn add(look: Look<'_>, row: &ServiceDeploymentRow, owner: &ServiceRow, told: &mut Explanation) {
    let (Some(course), Some(stage)) = (&row.course, &row.stage) else { return };
    let (name, since) = (stage.stage.as_str(), stage.since.to_iso8601());
    told.because.push(format!("it is at the lifecycle stage {name} since {since}"));
    if let Some(early) = stages::early(Some(row)) {
        let enough = usize::try_from(early.enough(owner.desired_count)).unwrap_or(0);
        let before = if early.blocking { "and those of earlier revisions are gone" } else { "and no more" };
        told.because.push(format!(
            "it succeeds early: once {} of {} are healthy, {before}",
            count(enough, "task"),
            owner.desired_count
        ));
    }
    let waits = |hook: &&HookRow| stages::waits(hook.status);
    let hooks: Vec<&HookRow> = stage.hooks.iter().filter(waits).collect();
    for hook in &hooks {
        match &hook.function {
            None => paused(look, row, hook, &since, told),
            Some(function) => called(hook, function, &since, told),
        }
    }
    let failed = stage.hooks.iter().filter(|hook| hook.status == DeploymentLifecycleHookStatus::Failed);
    for (hook, why) in failed.filter_map(|hook| Some((hook, hook.function.as_ref()?.why.as_ref()?))) {
        told.because.push(format!("hook {} failed: {why}", hook.id));
    }
    if hooks.is_empty() {
        told.waits_for.extend(outstanding(row, course, stage));
    }
}

/// Which alarms give it up, or have.
pub fn alarms(row: &ServiceDeploymentRow, told: &mut Explanation) {
    let Some(alarms) = &row.alarms else { return };
    let names = row.course.as_ref().and_then(|course| course.alarms.as_ref());
    let names = names.map(|alarms| alarms.alarm_names.join(", ")).unwrap_or_default();
    match alarms.status {
        Monitors::Monitoring => {
            told.because.push(format!("it is given up once one of these alarms is in ALARM: {names}"));
        }
        Monitors::Disabled => told.because.push(format!(
            "its alarms ({names}) are not looked at, as one of them was in ALARM when it began"
        )),
        Monitors::Triggered => {
            told.because.push(format!("in ALARM: {}", alarms.triggered.join(", ")));
        }
        Monitors::MonitoringComplete => {}
    }
}

fn called(hook: &HookRow, function: &HookFunctionRow, since: &str, told: &mut Explanation) {
    let (id, stage, arn) = (&hook.id, hook.stage.as_str(), &function.arn);
    told.because.push(format!("hook {id} holds it at {stage} since {since}"));
    if let Some(why) = &function.why {
        told.because.push(format!("the last call of {arn} had no answer: {why}"));
    }
    let (at, expires) = (function.call_at.to_iso8601(), hook.expires_at.to_iso8601());
    told.waits_for.push(format!(
        "what {arn} says when it is called at {at}; without an end of that the hook expires at {expires}"
    ));
}

fn paused(look: Look<'_>, row: &ServiceDeploymentRow, hook: &HookRow, since: &str, told: &mut Explanation) {
    let (id, stage) = (&hook.id, hook.stage.as_str());
    told.because.push(format!("hook {id} pauses it at {stage} since {since}"));
    let then = match hook.timeout_action {
        DeploymentLifecycleHookAction::Continue => "goes on",
        DeploymentLifecycleHookAction::Rollback => "is rolled back",
    };
    let expires = hook.expires_at.to_iso8601();
    told.waits_for.push(format!(
        "ContinueServiceDeployment for hook {id}; without that it {then} at {expires}, when the hook expires"
    ));
    let arn = arn::service_deployment(look.ctx, &look.state.row.name, &row.service.0, &row.id);
    told.would_change.push(format!(
        "`aws ecs continue-service-deployment --service-deployment-arn {arn} --hook-id {id} --action CONTINUE`, or ROLLBACK"
    ));
}

/// What its stage waits for by itself; for tasks it waits as its service does.
fn outstanding(
    row: &ServiceDeploymentRow,
    course: &DeploymentConfiguration,
    stage: &StageRow,
) -> Option<String> {
    let after = |minutes: Option<i32>| stage.since.plus_millis(i64::from(minutes.unwrap_or(0)) * 60_000);
    let at = |time: Timestamp| time.to_iso8601();
    let must_end = !stages::rolls(course) && row.rollback.is_none();
    match stage.stage {
        Stage::BakeTime => {
            Some(format!("the end of its bake time, at {}", at(after(course.bake_time_in_minutes))))
        }
        Stage::ProductionTrafficShift if stage.production < stages::ALL && row.rollback.is_none() => {
            let percent = f64::from(stage.production) / 10.0;
            Some(format!(
                "the next step of its production traffic, of which {percent} % is to go to it until {}",
                at(after(stages::step_bake(course)))
            ))
        }
        Stage::ScaleUp if must_end => Some(format!(
            "all tasks of its revision; it fails where that takes until {}",
            at(stage.since.plus_millis(limits::STAGE_MS))
        )),
        Stage::ReconcileService => {
            Some("the end of all tasks but those of the revision that was COMPLETED last".to_owned())
        }
        Stage::CleanUp => Some("the end of the tasks of the revision that it replaces".to_owned()),
        _ => None,
    }
}
