//! Takes facts into a task's state: outcomes of actions, ends of containers, and what a restarted agent
//! finds. A fact that comes late or twice changes nothing.

use engine::{Exit, FoundTask};

use crate::task::{ContainerState, Fact, HealthStatus, Known, Phase, Prepared, Task, TaskState};

/// A pull that failed for a passing reason is tried this often in all.
const PULL_ATTEMPTS: u32 = 3;
/// Before the second attempt; doubled for the third.
const PULL_BACK_OFF_MS: i64 = 1_000;
/// `reason` when memory ran out, as ECS words it.
const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";
/// `reason` of a container whose end nobody saw.
const VANISHED: &str = "ContainerVanishedError: the container ended unseen, as when its host restarts";

/// Takes one fact in.
pub fn apply(task: &Task, state: &mut TaskState, fact: Fact, now_ms: i64) {
    match fact {
        Fact::StopWanted => state.stop = true,
        Fact::Admitted => state.admitted = true,
        Fact::Prepared(outcome) => prepared(state, outcome),
        Fact::Pulled(index, outcome) => pulled(state, index, outcome, now_ms),
        Fact::Created(index, outcome) => created(&mut state.containers[index], outcome),
        Fact::Started(index, outcome) => started(task, state, index, outcome, now_ms),
        Fact::Exited(index, exit) => exited(task, state, index, exit, now_ms),
        Fact::Vanished(index, reason) => vanished(task, state, index, &reason, now_ms),
        Fact::FilledDisk { container, reason } => filled_disk(state, container, reason),
        Fact::Probed { container, healthy, output } => {
            probed(task, state, container, healthy, output, now_ms)
        }
    }
}

fn prepared(state: &mut TaskState, outcome: Result<(), engine::Error>) {
    if state.prepared != Prepared::Busy {
        return;
    }
    match outcome {
        Ok(()) => state.prepared = Prepared::Yes,
        Err(error) => {
            state.prepared = Prepared::No;
            state.stop = true;
            state.reason.get_or_insert(error.to_string());
        }
    }
}

fn pulled(
    state: &mut TaskState,
    index: usize,
    outcome: Result<engine::PulledImage, engine::Error>,
    now_ms: i64,
) {
    let container = &mut state.containers[index];
    if container.phase != Phase::Pulling {
        return;
    }
    container.pull_attempts += 1;
    match outcome {
        Ok(image) => {
            container.image_digest = Some(image.digest);
            container.phase = Phase::Pulled;
            container.retry_at_ms = None;
        }
        Err(error) if error.temporary && container.pull_attempts < PULL_ATTEMPTS => {
            container.phase = Phase::Waiting;
            container.retry_at_ms = Some(now_ms + (PULL_BACK_OFF_MS << (container.pull_attempts - 1)));
        }
        Err(error) => fail(container, error),
    }
    if state.containers.iter().all(|c| c.phase > Phase::Pulling) {
        state.pull_stopped_at_ms.get_or_insert(now_ms);
    }
}

fn created(container: &mut ContainerState, outcome: Result<engine::Created, engine::Error>) {
    if container.phase != Phase::Creating {
        return;
    }
    match outcome {
        Ok(created) => {
            container.created = Some(created);
            container.phase = Phase::Created;
        }
        Err(error) => fail(container, error),
    }
}

fn started(
    task: &Task,
    state: &mut TaskState,
    index: usize,
    outcome: Result<engine::Started, engine::Error>,
    now_ms: i64,
) {
    let container = &mut state.containers[index];
    if container.phase != Phase::Starting {
        return;
    }
    match outcome {
        Ok(started) => {
            container.health = Default::default();
            container.health.since_ms = started.started_at_ms;
            container.started = Some(started);
            container.last_exit = container.exit.take();
            container.phase = Phase::Running;
            if let Some(exit) = container.early_exit.take() {
                exited(task, state, index, exit, now_ms);
            }
        }
        Err(error) => {
            fail(container, error);
            note_essential_end(task, state, index, now_ms);
        }
    }
}

fn fail(container: &mut ContainerState, error: engine::Error) {
    container.phase = Phase::Stopped;
    container.reason = Some(error.to_string());
}

fn exited(task: &Task, state: &mut TaskState, index: usize, exit: Exit, now_ms: i64) {
    let stopping = state.stop;
    let container = &mut state.containers[index];
    match container.phase {
        Phase::Starting => {
            container.early_exit = Some(exit);
            return;
        }
        Phase::Running => {}
        _ => return,
    }
    if container.last_exit.as_ref() == Some(&exit) {
        // The end of the run before this one, heard again. Not by the times: the clock may have been set back.
        return;
    }
    if !stopping && should_restart(task, container, index, &exit) {
        container.restarts += 1;
        container.health = Default::default();
        // Kept in case the task stops before it starts again.
        container.exit = Some(exit);
        container.phase = Phase::Created;
        return;
    }
    if exit.oom_killed {
        container.reason.get_or_insert(OUT_OF_MEMORY.into());
    } else if let Some(reason) = &exit.reason {
        container.reason.get_or_insert_with(|| reason.clone());
    } else if exit.code.is_none() {
        container.reason.get_or_insert(VANISHED.into());
    }
    let at_ms = exit.exited_at_ms;
    container.exit = Some(exit);
    container.phase = Phase::Stopped;
    container.health.probing = false;
    note_essential_end(task, state, index, if at_ms > 0 { at_ms } else { now_ms });
}

/// `restartPolicy`: not after an ignored code, and only once the last run lasted its attempt period.
fn should_restart(task: &Task, container: &ContainerState, index: usize, exit: &Exit) -> bool {
    let (Some(policy), Some(code)) = (&task.containers[index].restart, exit.code) else { return false };
    let ran_ms = container.started.as_ref().map_or(0, |started| exit.exited_at_ms - started.started_at_ms);
    // Less than nothing: the clock was set back, and how long is not known.
    let lasted = ran_ms < 0 || ran_ms >= policy.attempt_period_ms;
    !policy.ignored_exit_codes.contains(&code) && lasted
}

fn note_essential_end(task: &Task, state: &mut TaskState, index: usize, at_ms: i64) {
    if task.containers[index].essential {
        state.execution_stopped_at_ms.get_or_insert(at_ms);
    }
}

fn vanished(task: &Task, state: &mut TaskState, index: usize, reason: &str, now_ms: i64) {
    let container = &mut state.containers[index];
    if matches!(container.phase, Phase::Stopped) || container.phase < Phase::Creating {
        return;
    }
    container.phase = Phase::Stopped;
    container.reason.get_or_insert(reason.to_owned());
    note_essential_end(task, state, index, now_ms);
}

fn filled_disk(state: &mut TaskState, container: Option<usize>, reason: String) {
    if state.filled_disk || state.known == Known::Stopped {
        return;
    }
    (state.stop, state.filled_disk) = (true, true);
    for container in &mut state.containers {
        // Also those that were asked to end already: they go on writing until they do.
        container.stop_sent_at_ms = None;
    }
    if let Some(container) = container.and_then(|index| state.containers.get_mut(index)) {
        container.reason.get_or_insert(reason.clone());
    }
    state.reason.get_or_insert(reason);
}

fn probed(task: &Task, state: &mut TaskState, index: usize, healthy: bool, mut output: String, now_ms: i64) {
    let (Some(check), seen) = (&task.containers[index].health_check, &mut state.containers[index]) else {
        return;
    };
    if seen.phase != Phase::Running || !seen.health.probing {
        return;
    }
    let started = seen.started.as_ref().map_or(0, |started| started.started_at_ms);
    let health = &mut seen.health;
    health.probing = false;
    health.next_probe_at_ms = Some(now_ms.saturating_add(check.interval_ms));
    output.truncate(output.floor_char_boundary(4096));
    health.output = output;
    let before = health.status;
    if healthy {
        health.failures = 0;
        health.status = HealthStatus::Healthy;
    } else if before != HealthStatus::Unknown || !(0..check.start_period_ms).contains(&(now_ms - started)) {
        health.failures = health.failures.saturating_add(1);
        if health.failures >= check.retries {
            health.status = HealthStatus::Unhealthy;
        }
    }
    if health.status != before {
        health.since_ms = now_ms;
    }
}

/// Brings the state that the ledger kept into line with what the engine has. `same_boot`: the host has
/// not restarted since the state was written, so what the engine does not have was never made.
pub fn adopt(task: &Task, state: &mut TaskState, found: Option<&FoundTask>, same_boot: bool, now_ms: i64) {
    adopt_all(task, state, found, same_boot, now_ms);
    super::not_ahead(state, now_ms);
}

fn adopt_all(task: &Task, state: &mut TaskState, found: Option<&FoundTask>, same_boot: bool, now_ms: i64) {
    state.containers.resize_with(task.containers.len(), ContainerState::default);
    // What was being prepared is there in part: only a container says that it was done.
    let prepared = found.is_some_and(|found| !found.containers.is_empty());
    state.prepared = if prepared { Prepared::Yes } else { Prepared::No };
    for (index, container) in task.containers.iter().enumerate() {
        let in_engine = found.and_then(|f| f.containers.iter().find(|c| c.id.name == container.name));
        match in_engine {
            Some(seen) => adopt_container(task, state, index, seen, now_ms),
            None => adopt_absent(task, state, index, same_boot, now_ms),
        }
    }
}

fn adopt_container(
    task: &Task,
    state: &mut TaskState,
    index: usize,
    seen: &engine::ContainerState,
    now_ms: i64,
) {
    let container = &mut state.containers[index];
    if container.phase == Phase::Stopped && seen.phase != engine::Phase::Created {
        if let engine::Phase::Running(_) = seen.phase {
            // Given up on, but it runs: end it.
            container.phase = Phase::Running;
            state.stop = true;
        }
        return;
    }
    container.created = Some(seen.created.clone());
    container.restarts = container.restarts.max(seen.starts.saturating_sub(1));
    container.stop_sent_at_ms = None;
    match &seen.phase {
        engine::Phase::Created if container.phase != Phase::Stopped => container.phase = Phase::Created,
        engine::Phase::Created => {}
        engine::Phase::Running(started) => {
            container.phase = Phase::Running;
            container.last_exit = container.exit.take().or(container.last_exit.take());
            container.started = Some(started.clone());
        }
        engine::Phase::Exited(exit) => {
            container.phase = Phase::Running;
            if container.started.is_none() {
                // Its start was not written down; that it ran is certain, when is not.
                container.started = Some(engine::Started { pid: 0, started_at_ms: exit.exited_at_ms });
            }
            if container.started.as_ref().is_some_and(|s| s.started_at_ms > exit.exited_at_ms) {
                container.started = Some(engine::Started { pid: 0, started_at_ms: exit.exited_at_ms });
            }
            // The engine says that it is over now, whichever run that was.
            container.last_exit = None;
            exited(task, state, index, exit.clone(), now_ms);
        }
    }
}

fn adopt_absent(task: &Task, state: &mut TaskState, index: usize, same_boot: bool, now_ms: i64) {
    let container = &mut state.containers[index];
    match container.phase {
        Phase::Stopped => {}
        Phase::Running => vanished(task, state, index, VANISHED, now_ms),
        Phase::Creating | Phase::Created | Phase::Starting if !same_boot => {
            vanished(task, state, index, VANISHED, now_ms)
        }
        // Not made, or made and gone without having run: begin again.
        _ => {
            container.phase = Phase::Waiting;
            container.created = None;
            container.retry_at_ms = None;
        }
    }
}
