//! The planner: what to do next for one task. Pure; time is passed in. [`step`] says what to begin and
//! marks it as begun, so stepping again says nothing new; [`apply`] takes in what became of it.
//!
//! The order of things is the ECS agent's, but for one: images are pulled and containers are made
//! ahead of their dependencies where that cannot be seen, to start sooner.

mod apply;
mod clock;
mod dependency;
#[cfg(test)]
mod tests;

pub use apply::{adopt, apply};
pub use clock::{Clock, not_ahead, shift};

use crate::task::{Known, Phase, Prepared, Task, TaskState};

/// Something to begin. `usize` is the container's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the host's ledger for room.
    Admit,
    /// Make what the containers share.
    Prepare,
    Pull(usize),
    Create(usize),
    Start(usize),
    /// SIGTERM now, SIGKILL after the container's stop time-out.
    Stop(usize),
    /// Run the health check once.
    Probe(usize),
}

/// What [`step`] says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub actions: Vec<Action>,
    /// Step again then, even if nothing happens.
    pub wake_at_ms: Option<i64>,
}

impl Step {
    fn wake(&mut self, at_ms: i64) {
        self.wake_at_ms = Some(self.wake_at_ms.map_or(at_ms, |wake| wake.min(at_ms)));
    }
}

/// How long past its time-out a stop may take before it is asked for again.
const STOP_GRACE_MS: i64 = 30_000;

/// No pull waits longer than this for its next attempt.
const RETRY_MOST_MS: i64 = 60_000;

/// Moves the task on as far as it can go now.
pub fn step(task: &Task, state: &mut TaskState, now_ms: i64) -> Step {
    let mut step = Step::default();
    loop {
        if task.refusal.is_some() || essential_ended(task, state) {
            state.stop = true;
        }
        let changed = if state.stop {
            wind_down(task, state, now_ms, &mut step)
        } else {
            advance(task, state, now_ms, &mut step)
        };
        if !changed {
            break;
        }
    }
    probe(task, state, now_ms, &mut step);
    update_known(task, state, now_ms);
    step
}

fn essential_ended(task: &Task, state: &TaskState) -> bool {
    task.containers.iter().zip(&state.containers).any(|(c, s)| c.essential && s.phase == Phase::Stopped)
}

/// Stops what runs, dependents before what they depend on. True if another look may find more to do.
fn wind_down(task: &Task, state: &mut TaskState, now_ms: i64, step: &mut Step) -> bool {
    let mut changed = false;
    for index in 0..task.containers.len() {
        match state.containers[index].phase {
            Phase::Waiting | Phase::Pulling | Phase::Pulled | Phase::Created => {
                state.containers[index].phase = Phase::Stopped;
                changed = true;
            }
            Phase::Running => stop(task, state, index, now_ms, step),
            // Their outcomes must be known first.
            Phase::Creating | Phase::Starting | Phase::Stopped => {}
        }
    }
    changed
}

fn stop(task: &Task, state: &mut TaskState, index: usize, now_ms: i64, step: &mut Step) {
    let held = (0..task.containers.len())
        .any(|other| task.holds(other, index) && state.containers[other].phase != Phase::Stopped);
    if held && !state.filled_disk {
        return;
    }
    let patience = task.containers[index].stop_timeout_ms.saturating_add(STOP_GRACE_MS);
    let container = &mut state.containers[index];
    // One that was sent in the future was sent before the clock was set back.
    let sent = container.stop_sent_at_ms.filter(|sent| *sent <= now_ms);
    let due = sent.map_or(now_ms, |sent| sent.saturating_add(patience));
    if due <= now_ms {
        container.stop_sent_at_ms = Some(now_ms);
        step.actions.push(Action::Stop(index));
        step.wake(now_ms.saturating_add(patience));
    } else {
        step.wake(due);
    }
}

/// Moves towards RUNNING. True if another look may find more to do.
fn advance(task: &Task, state: &mut TaskState, now_ms: i64, step: &mut Step) -> bool {
    if !state.admitted {
        if !state.admission_asked {
            state.admission_asked = true;
            step.actions.push(Action::Admit);
        }
        return false;
    }
    if state.prepared == Prepared::No {
        state.prepared = Prepared::Busy;
        step.actions.push(Action::Prepare);
    }
    let mut changed = false;
    for index in 0..task.containers.len() {
        changed |= advance_container(task, state, index, now_ms, step);
    }
    changed
}

fn advance_container(task: &Task, state: &mut TaskState, index: usize, now_ms: i64, step: &mut Step) -> bool {
    let phase = state.containers[index].phase;
    if phase < Phase::Creating
        && let Some(refusal) = &task.containers[index].refusal
    {
        return give_up(state, index, refusal.clone(), None);
    }
    // A restart does not wait for dependencies again.
    let restarted = state.containers[index].restarts > 0;
    if phase < Phase::Starting && !restarted {
        match dependency::check(task, state, index, now_ms) {
            dependency::Verdict::Never(reason) => {
                // The code that a container has which SIGTERM ended: what the ECS agent reports here.
                return give_up(state, index, format!("CannotStartContainerError: {reason}"), Some(143));
            }
            dependency::Verdict::Wait { until_ms: Some(until) } => step.wake(until),
            dependency::Verdict::Wait { until_ms: None } | dependency::Verdict::Met => {}
        }
    }
    let action = match phase {
        Phase::Waiting => match state.containers[index].retry_at_ms.filter(|at| is_ahead(*at, now_ms)) {
            Some(at) => {
                step.wake(at);
                return false;
            }
            None => (Phase::Pulling, Action::Pull(index)),
        },
        Phase::Pulled if may_create(task, state, index, now_ms) => (Phase::Creating, Action::Create(index)),
        Phase::Created
            if restarted || dependency::check(task, state, index, now_ms) == dependency::Verdict::Met =>
        {
            (Phase::Starting, Action::Start(index))
        }
        _ => return false,
    };
    if action.0 == Phase::Pulling {
        state.pull_started_at_ms.get_or_insert(now_ms);
    }
    state.containers[index].phase = action.0;
    step.actions.push(action.1);
    false
}

/// Whether a repeated pull is still to wait. One that seems far off is due: the clock was set back.
fn is_ahead(at_ms: i64, now_ms: i64) -> bool {
    at_ms > now_ms && at_ms - now_ms <= RETRY_MOST_MS
}

/// Made early when it waits only for others to start; late when it may wait long.
fn may_create(task: &Task, state: &TaskState, index: usize, now_ms: i64) -> bool {
    let made = |on: usize| state.containers[on].created.is_some();
    state.prepared == Prepared::Yes
        && task.containers[index].made_after.iter().all(|on| made(*on))
        && dependency::check_slow(task, state, index, now_ms)
}

fn give_up(state: &mut TaskState, index: usize, reason: String, exit_code: Option<i32>) -> bool {
    let container = &mut state.containers[index];
    container.phase = Phase::Stopped;
    container.reason = Some(reason);
    container.exit_code_without_run = exit_code;
    true
}

/// Begins the probes of health checks that are due.
fn probe(task: &Task, state: &mut TaskState, now_ms: i64, step: &mut Step) {
    for (index, (container, seen)) in task.containers.iter().zip(&mut state.containers).enumerate() {
        let (Some(check), Phase::Running) = (&container.health_check, seen.phase) else { continue };
        if seen.health.probing || seen.stop_sent_at_ms.is_some() {
            continue;
        }
        let started = seen.started.as_ref().map_or(now_ms, |started| started.started_at_ms);
        let next = seen.health.next_probe_at_ms.unwrap_or(started.saturating_add(check.interval_ms));
        // A clock that was set back must not put probes off.
        let due = next.min(now_ms.saturating_add(check.interval_ms));
        seen.health.next_probe_at_ms = Some(due);
        if due <= now_ms {
            seen.health.probing = true;
            step.actions.push(Action::Probe(index));
        } else {
            step.wake(due);
        }
    }
}

/// Derives the task's status from its containers', as the ECS agent does: RUNNING once all have started
/// (unless an essential one has ended already), STOPPED once all have ended.
fn update_known(task: &Task, state: &mut TaskState, now_ms: i64) {
    let all = |test: &dyn Fn(&crate::task::ContainerState) -> bool| state.containers.iter().all(test);
    let reached = if all(&|c| c.phase == Phase::Stopped) {
        Known::Stopped
    } else if all(&|c| c.phase >= Phase::Running || c.restarts > 0) && !essential_ended(task, state) {
        Known::Running
    } else if all(&|c| c.image_digest.is_some()) {
        Known::Pending
    } else {
        Known::None
    };
    state.known = state.known.max(reached);
    if state.known == Known::Stopped {
        state.execution_stopped_at_ms.get_or_insert(now_ms);
    }
}
