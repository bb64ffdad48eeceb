//! `dependsOn`: whether a container's dependencies let it start now, later, or never.

use crate::task::{Condition, Dependency, HealthStatus, Phase, Task, TaskState};

/// What its dependencies say of a container.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    /// Not yet; a time-out may decide at `until_ms`.
    Wait {
        until_ms: Option<i64>,
    },
    /// Why it can never start.
    Never(String),
}

/// All dependencies of a container together.
pub(super) fn check(task: &Task, state: &TaskState, index: usize, now_ms: i64) -> Verdict {
    let mut verdict = Verdict::Met;
    for dependency in &task.containers[index].depends_on {
        verdict = match (verdict, check_one(task, state, index, dependency, now_ms)) {
            (_, Verdict::Never(reason)) => return Verdict::Never(reason),
            (Verdict::Wait { until_ms: a }, Verdict::Wait { until_ms: b }) => {
                Verdict::Wait { until_ms: a.into_iter().chain(b).min() }
            }
            (Verdict::Wait { until_ms }, _) | (_, Verdict::Wait { until_ms }) => Verdict::Wait { until_ms },
            _ => Verdict::Met,
        };
    }
    verdict
}

/// Whether nothing but START dependencies still waits.
pub(super) fn check_slow(task: &Task, state: &TaskState, index: usize, now_ms: i64) -> bool {
    task.containers[index]
        .depends_on
        .iter()
        .filter(|d| d.condition != Condition::Start)
        .all(|d| check_one(task, state, index, d, now_ms) == Verdict::Met)
}

fn check_one(task: &Task, state: &TaskState, index: usize, dependency: &Dependency, now_ms: i64) -> Verdict {
    let on = &state.containers[dependency.on];
    let ended = on.phase == Phase::Stopped;
    // The texts are the ECS agent's: operators search for them.
    let names = || {
        let (on, target) = (&task.containers[dependency.on].name, &task.containers[index].name);
        (format!("[{on}: {}]", dependency.condition.as_str()), format!("[{target}]"))
    };
    if ended && !on.has_run() {
        let (on, target) = names();
        return Verdict::Never(format!(
            "dependency graph: failed to resolve container ordering dependency {on} for target {target} because dependency will never start"
        ));
    }
    if dependency.condition == Condition::Success && ended && on.exit_code() != Some(0) {
        let (on, target) = names();
        return Verdict::Never(format!(
            "dependency graph: failed to resolve container ordering dependency {on} for target {target} as dependency did not exit successfully."
        ));
    }
    let met = match dependency.condition {
        Condition::Start => on.phase >= Phase::Running || on.restarts > 0,
        Condition::Complete | Condition::Success => ended,
        Condition::Healthy => on.phase == Phase::Running && on.health.status == HealthStatus::Healthy,
    };
    if met {
        return Verdict::Met;
    }
    if dependency.condition == Condition::Healthy && ended {
        let (on, target) = names();
        return Verdict::Never(format!(
            "dependency graph: failed to resolve container ordering dependency {on} for target {target} as dependency ended before it was healthy."
        ));
    }
    wait(task, state, index, dependency, now_ms)
}

fn wait(task: &Task, state: &TaskState, index: usize, dependency: &Dependency, now_ms: i64) -> Verdict {
    let started = state.containers[dependency.on].started.as_ref();
    let timeout = task.containers[dependency.on].start_timeout_ms;
    let until_ms = match (started, timeout) {
        (Some(started), Some(timeout)) if dependency.condition != Condition::Start => {
            Some(started.started_at_ms.saturating_add(timeout))
        }
        _ => None,
    };
    match until_ms {
        Some(until) if until <= now_ms => Verdict::Never(format!(
            "dependency graph: container ordering dependency [{}: {}] for target [{}] has timed out.",
            task.containers[dependency.on].name,
            dependency.condition.as_str(),
            task.containers[index].name
        )),
        _ => Verdict::Wait { until_ms },
    }
}
