//! The child that stands for a command in a container of a sandbox, and ends with the command's code.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libcontainer::oci_spec::runtime::Process;

use super::guest;
use super::sys;
use super::tenant::Tenant;
use crate::native::cgroup;
use crate::native::layout::{self, Durable};
use crate::native::plan::Plan;
use crate::native::proto::Progress;
use crate::native::runsc::{self, Sandbox, Streams};

/// How long it may take to end a command.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// What says that a command is to end.
pub(super) const END: i32 = libc::SIGTERM;

/// Runs the command and waits for its end; answers its code.
pub(super) fn run(tenant: &Tenant<'_>, sandbox: &Sandbox, plan: &Plan, process: &Process) -> io::Result<i32> {
    cgroup::follow(tenant.hierarchy, &plan.group)?;
    guest::block_signals();
    let file = |what: &str| -> PathBuf { tenant.dir.run().join(format!("exec-{}.{what}", tenant.number)) };
    let files = [file("json"), file("pid"), file("log")];
    layout::write_json(&files[0], process, Durable::No)?;
    let done = attend(tenant, sandbox, guest::id(&plan.runtime_id), &files);
    for file in &files {
        let _ = fs::remove_file(file);
    }
    done
}

fn attend(tenant: &Tenant<'_>, sandbox: &Sandbox, id: &str, files: &[PathBuf; 3]) -> io::Result<i32> {
    let [process, pid, log] = files;
    let call = sandbox.call(log);
    let arguments: [&OsStr; 6] = [
        "exec".as_ref(),
        "--process".as_ref(),
        process.as_ref(),
        "--internal-pid-file".as_ref(),
        pid.as_ref(),
        id.as_ref(),
    ];
    let null = || -> io::Result<OwnedFd> { Ok(fs::File::open("/dev/null")?.into()) };
    let streams = [null()?, tenant.output.try_clone()?, tenant.output.try_clone()?];
    let mut runs = call.spawn(&arguments, Streams::from(streams))?;
    tell(tenant, &Progress::Pid(std::process::id().cast_signed()));
    let mut ending = false;
    let status = loop {
        if let Some(status) = runs.try_wait()? {
            break status;
        }
        match guest::next_signal(None) {
            Some(END) if !ending => {
                ending = true;
                end(sandbox, id, pid, tenant);
                let _ = runs.kill();
            }
            _ => {}
        }
    };
    match call.error() {
        Some(error) if !ending => Err(io::Error::other(format!("OCI runtime exec failed: runsc: {error}"))),
        _ => Ok(status.code().unwrap_or(128 + libc::SIGKILL)),
    }
}

/// Ends the command's first process, as the sandbox counts.
fn end(sandbox: &Sandbox, id: &str, pid: &Path, tenant: &Tenant<'_>) {
    let Ok(pid) = fs::read_to_string(pid) else { return };
    let log = runsc::log(tenant.dir, "kill");
    let arguments: [&OsStr; 5] =
        ["kill".as_ref(), "--pid".as_ref(), pid.trim().as_ref(), id.as_ref(), "9".as_ref()];
    let _ = sandbox.call(&log).run(&arguments, Streams::null(), KILL_WAIT);
}

fn tell(tenant: &Tenant<'_>, progress: &Progress) {
    let packet = serde_json::to_vec(progress).unwrap_or_default();
    let _ = sys::send(tenant.status.as_fd(), &packet, None);
}
