//! Commands in running containers. Docker ends none for us, so one whose time is up is killed as a process of this host.

use std::time::Duration;

use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::StreamExt;

use super::Inner;
use super::daemon::status;
use crate::error::{Error, Kind};
use crate::spec::{ContainerId, ExecSpec};
use crate::state::ExecOutcome;

/// How long Docker may take to know how a command ended whose output has.
const END_WAIT: Duration = Duration::from_secs(5);

/// How Docker begins its word that a command could not be started, in the place of its output.
const NOT_STARTED: &[u8] = b"OCI runtime exec failed";

pub(super) async fn run(inner: &Inner, id: &ContainerId, exec: &ExecSpec) -> Result<ExecOutcome, Error> {
    let failed = |e| inner.daemon.failed(Kind::Inspect, e);
    let config = ExecConfig {
        cmd: Some(exec.command.clone()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..Default::default()
    };
    let made = inner.daemon.api.create_exec(&inner.name(id), config).await;
    let made = made.map_err(|error| match status(&error) {
        Some(404 | 409) => Error::fatal(Kind::Inspect, format!("container {} is not running", id.name)),
        _ => failed(error),
    })?;
    let begun = inner.daemon.api.start_exec(&made.id, None).await.map_err(failed)?;
    let StartExecResults::Attached { output: mut stream, .. } = begun else {
        return Err(Error::fatal(Kind::Inspect, "the Docker daemon does not attach to what it started"));
    };
    let mut output = Vec::new();
    let read = async {
        while let Some(Ok(piece)) = stream.next().await {
            let room = exec.max_output_bytes.max(NOT_STARTED.len()).max(4096).saturating_sub(output.len());
            let piece = piece.into_bytes();
            output.extend_from_slice(&piece[..piece.len().min(room)]);
        }
    };
    let in_time = tokio::time::timeout(exec.timeout, read).await.is_ok();
    let code = match in_time {
        true => code(inner, &made.id).await?,
        false => {
            kill(inner, &made.id).await;
            None
        }
    };
    if matches!(code, Some(126 | 127)) && output.starts_with(NOT_STARTED) {
        let why = String::from_utf8_lossy(&output).trim().to_owned();
        return Err(Error::fatal(Kind::Inspect, why));
    }
    output.truncate(exec.max_output_bytes);
    Ok(ExecOutcome { code, output })
}

/// How a command ended.
async fn code(inner: &Inner, exec: &str) -> Result<Option<i32>, Error> {
    let deadline = tokio::time::Instant::now() + END_WAIT;
    loop {
        let seen = inner.daemon.api.inspect_exec(exec).await;
        let seen = seen.map_err(|e| inner.daemon.failed(Kind::Inspect, e))?;
        if seen.running != Some(true) {
            return Ok(seen.exit_code.and_then(|code| i32::try_from(code).ok()));
        }
        if tokio::time::Instant::now() > deadline {
            // It closed its output, and goes on.
            kill(inner, exec).await;
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Kills a command with what it has started.
async fn kill(inner: &Inner, exec: &str) {
    let Ok(seen) = inner.daemon.api.inspect_exec(exec).await else { return };
    let pid = seen.pid.filter(|_| seen.running == Some(true)).and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = pid.filter(|pid| *pid > 1) else { return };
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(pid) = family.get(at).copied() {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        family.extend(
            children.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()),
        );
        at += 1;
    }
    for pid in family {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}
