//! Docker's words for where a container is in its life, in the trait's. Pure.

use std::collections::HashMap;

use bollard::models::ContainerInspectResponse as Seen;
use bollard::models::ContainerState as State;
use jiff::Timestamp;

use super::record::Record;
use super::{CONTAINER, TASK};
use crate::spec::ContainerId;
use crate::state::{ContainerState, Created, Exit, Phase, Started};

/// Which container of ours the labels say that it is; none for a holder.
pub(super) fn id(labels: &HashMap<String, String>) -> Option<ContainerId> {
    Some(ContainerId { task: labels.get(TASK)?.clone(), name: labels.get(CONTAINER)?.clone() })
}

/// A container with what is on record of it.
pub(super) fn state(id: &ContainerId, seen: &Seen, record: &Record) -> ContainerState {
    let phase = phase(seen.state.as_ref(), record);
    // What ran has begun, whatever a crash has lost of the count.
    let starts = record.starts.max(u32::from(phase != Phase::Created));
    ContainerState { id: id.clone(), created: created(seen, record), phase, starts }
}

pub(super) fn created(seen: &Seen, record: &Record) -> Created {
    Created {
        runtime_id: seen.id.clone().unwrap_or_default(),
        created_at_ms: millis(seen.created.as_deref()).unwrap_or_default(),
        bindings: record.bindings.clone(),
        ipv4: record.ipv4,
        image_health_check: record.health_check.clone(),
    }
}

fn phase(state: Option<&State>, record: &Record) -> Phase {
    let Some(state) = state else { return Phase::Created };
    let Some(started_at_ms) = millis(state.started_at.as_deref()) else { return Phase::Created };
    if let Some(pid) = pid(state) {
        return Phase::Running(Started { pid, started_at_ms });
    }
    let exited_at_ms = millis(state.finished_at.as_deref()).unwrap_or(started_at_ms);
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
    let reason = record.reason.as_ref().filter(|(at, _)| *at == exited_at_ms).map(|(_, why)| why.clone());
    Phase::Exited(Exit { code, oom_killed: state.oom_killed == Some(true), exited_at_ms, reason })
}

/// The first process of what runs.
pub(super) fn pid(state: &State) -> Option<i32> {
    let pid = state.pid.and_then(|pid| i32::try_from(pid).ok());
    pid.filter(|pid| *pid > 0 && state.running == Some(true))
}

/// Milliseconds since the epoch; none for Docker's "never", which is the year 1.
fn millis(time: Option<&str>) -> Option<i64> {
    let time: Timestamp = time?.parse().ok()?;
    Some(time.as_millisecond()).filter(|millis| *millis > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(running: bool, pid: i64, code: i64, started: &str, finished: &str) -> State {
        State {
            running: Some(running),
            pid: Some(pid),
            exit_code: Some(code),
            oom_killed: Some(false),
            started_at: Some(started.into()),
            finished_at: Some(finished.into()),
            ..State::default()
        }
    }

    const NEVER: &str = "0001-01-01T00:00:00Z";
    const THEN: &str = "1970-01-01T00:00:01.5Z";

    #[test]
    fn phases() {
        let record = Record { reason: Some((2000, "DockerDaemonError: away".into())), ..Record::default() };
        let look = |state: State| phase(Some(&state), &record);
        assert_eq!(look(seen(false, 0, 0, NEVER, NEVER)), Phase::Created);
        // A start that failed.
        assert_eq!(look(seen(false, 0, 127, NEVER, NEVER)), Phase::Created);
        assert_eq!(
            look(seen(true, 7, 0, THEN, NEVER)),
            Phase::Running(Started { pid: 7, started_at_ms: 1500 })
        );
        let exit = |at, reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            Phase::Exited(Exit { code: Some(3), oom_killed: false, exited_at_ms: at, reason })
        };
        assert_eq!(look(seen(false, 0, 3, THEN, "1970-01-01T00:00:03Z")), exit(3000, None));
        let why = Some("DockerDaemonError: away");
        assert_eq!(look(seen(false, 0, 3, THEN, "1970-01-01T00:00:02Z")), exit(2000, why));
        assert_eq!(phase(None, &record), Phase::Created);
    }
}
