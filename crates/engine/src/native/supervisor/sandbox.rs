//! A task's sandbox at work: made at the first start of a container, and made again where it has ended, with all that was
//! in it. It has a control group of its own among the task's, so the task's limits are its limits.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::Duration;

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::{runner, sys};
use crate::native::cgroup::{self, GroupPath, Hierarchy, Limits};
use crate::native::runsc::{self, HOLDER, Sandbox, Streams};
use crate::native::tree;

/// How long each step may take.
const STEP_WAIT: Duration = Duration::from_secs(20);

/// Where a network stack of its own looks for parameters that only the host's first namespace has, to tell that it is
/// not in there. Later kernels show some of them in every namespace.
const FIRST_NAMESPACE_S: &str = "/proc/sys/net/core";

/// A sandbox, and its first process while that lives.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) sandbox: Sandbox,
    pub(super) group: GroupPath,
    pid: Option<i32>,
}

impl Running {
    pub(super) fn new(sandbox: Sandbox, task: &GroupPath) -> Running {
        Running { sandbox, group: runsc::group(task), pid: None }
    }

    /// Sees to it that it is there. Waits for it: nothing of the task runs before.
    pub(super) fn ensure(&mut self, hierarchy: &Hierarchy) -> io::Result<()> {
        if self.pid.is_some() {
            return Ok(());
        }
        let failed = |why: String| io::Error::other(format!("the task's sandbox cannot be made: {why}"));
        let (status, other) = sys::packet_pair()?;
        match sys::fork_bound()? {
            sys::Fork::Child => {
                sys::close_others(&[other.as_raw_fd()]);
                sys::reset_process();
                if let Err(error) = make(&self.sandbox, &self.group, hierarchy) {
                    let _ = sys::send(other.as_fd(), error.to_string().as_bytes(), None);
                }
                sys::exit_now(0)
            }
            sys::Fork::Parent(helper) => {
                drop(other);
                let mut buffer = [0; 8192];
                let told = sys::receive(status.as_fd(), &mut buffer);
                sys::wait_for(helper);
                match told {
                    Ok((0, _)) => {}
                    Ok((bytes, _)) => {
                        return Err(failed(String::from_utf8_lossy(&buffer[..bytes]).into_owned()));
                    }
                    Err(error) => return Err(failed(error.to_string())),
                }
            }
        }
        let text = fs::read_to_string(self.sandbox.pid_file())?;
        let pid = text.trim().parse().map_err(|_| failed("it has no process".to_owned()))?;
        self.pid = Some(pid);
        Ok(())
    }

    /// A child of the supervisor has ended, as what `runsc` leaves behind is; says whether it was the sandbox.
    pub(super) fn reaped(&mut self, pid: i32) -> bool {
        let ours = self.pid == Some(pid);
        if ours {
            self.pid = None;
        }
        ours
    }

    /// Ends it with all that is in it.
    pub(super) fn kill(&self, hierarchy: &Hierarchy) {
        cgroup::kill(hierarchy, &self.group);
    }
}

/// Runs in a child, in a mount namespace of its own.
fn make(sandbox: &Sandbox, group: &GroupPath, hierarchy: &Hierarchy) -> io::Result<()> {
    // What one before left; its count of processes that were ended for want of memory goes with it.
    cgroup::remove(hierarchy, group)?;
    cgroup::make(hierarchy, group, &Limits::default())?;
    cgroup::follow(hierarchy, group)?;
    tree::remove(&sandbox.state())?;
    fs::create_dir(sandbox.state())?;
    runner::own_mounts()?;
    if let Some((path, interface)) = &sandbox.interface {
        enter(path, interface)?;
    }
    let (log, bundle, pid) = (sandbox.log(), sandbox.bundle(), sandbox.pid_file());
    let call = sandbox.call(&log);
    let create: [&std::ffi::OsStr; 6] = [
        "create".as_ref(),
        "--bundle".as_ref(),
        bundle.as_ref(),
        "--pid-file".as_ref(),
        pid.as_ref(),
        HOLDER.as_ref(),
    ];
    call.run(&create, Streams::null(), STEP_WAIT)
        .and_then(|()| call.run(&["start".as_ref(), HOLDER.as_ref()], Streams::null(), STEP_WAIT))
        .inspect_err(|_| cgroup::kill(hierarchy, group))
}

/// Enters the task's network, and has it as a sandbox is to find it: one before has taken the addresses away, as they
/// were its own.
fn enter(path: &Path, interface: &network::InterfaceSpec) -> io::Result<()> {
    let netns = fs::File::open(path)?;
    network::furnish(interface, &netns).map_err(runner::flat)?;
    nix::sched::setns(&netns, CloneFlags::CLONE_NEWNET)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    Ok(nix::mount::mount(Some("tmpfs"), FIRST_NAMESPACE_S, Some("tmpfs"), flags, Some("mode=0555,size=4k"))?)
}
