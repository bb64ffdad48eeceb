//! A command in a running container that has a user namespace. All of the container's namespaces are entered in one
//! step, by the first process as it is pinned: step by step, whoever has entered the user namespace may look at nothing
//! of the host's any more, by which the others would have to be found.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libcontainer::oci_spec::runtime::{Process, Spec};
use libcontainer::workload::Executor;
use nix::sched::CloneFlags;

use super::executor::{Confined, Program};
use super::tenant::Tenant;
use super::{runner, sys};
use crate::native::cgroup;
use crate::native::plan::Plan;
use crate::native::userns;

/// Starts the command as this process's sibling; answers its pid.
pub(super) fn run(
    tenant: &Tenant<'_>,
    mut spec: Spec,
    process: Process,
    plan: &Plan,
    confine: Option<Confined>,
) -> io::Result<i32> {
    let container = sys::pidfd(tenant.pid)?;
    // Only now that the process is pinned does this tell that the pid is still its own.
    if !cgroup::holds(&plan.group, tenant.pid) {
        return Err(io::Error::other("the container does not run"));
    }
    cgroup::follow(tenant.hierarchy, &plan.group)?;
    runner::raise_limits(&process)?;
    let null = OwnedFd::from(std::fs::File::open("/dev/null")?);
    nix::unistd::setgroups(&[])?;
    let kinds = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    nix::sched::setns(container.as_fd(), kinds)?;
    userns::become_root()?;
    spec.set_process(Some(process));
    let program = Program { status: tenant.status.as_raw_fd(), init: false, first: false, confine };
    match sys::fork_sibling(CloneFlags::empty())? {
        sys::Fork::Parent(pid) => Ok(pid),
        sys::Fork::Child => {
            let output = tenant.output.as_fd();
            let ready = streams([null.as_raw_fd(), output.as_raw_fd(), output.as_raw_fd()])
                .and_then(|()| settle(&spec));
            match ready {
                // Either says on the status socket why it could not.
                Ok(()) => drop(program.exec(&spec)),
                Err(error) => drop(program.fail(error.to_string())),
            }
            sys::exit_now(127)
        }
    }
}

fn streams(from: [i32; 3]) -> io::Result<()> {
    for (to, from) in from.into_iter().enumerate() {
        // SAFETY: what is replaced is open, and nothing here uses it.
        if unsafe { libc::dup2(from, i32::try_from(to).unwrap_or(0)) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Becomes what the process of the specification is, but for its capabilities, which the program gives up last.
fn settle(spec: &Spec) -> io::Result<()> {
    let Some(process) = spec.process() else { return Err(io::Error::other("no command specified")) };
    nix::unistd::setsid()?;
    runner::set_limits(process)?;
    if process.no_new_privileges() == Some(true) {
        nix::sys::prctl::set_no_new_privs()?;
    }
    if let Some(profile) = process.apparmor_profile() {
        libcontainer::apparmor::apply_profile(profile).map_err(runner::flat)?;
    }
    nix::unistd::chdir(process.cwd())?;
    let user = process.user();
    let groups: Vec<_> =
        user.additional_gids().iter().flatten().map(|gid| nix::unistd::Gid::from_raw(*gid)).collect();
    nix::unistd::setgroups(&groups)?;
    // What the program does before it gives up its capabilities takes some; they go with the user otherwise.
    nix::sys::prctl::set_keepcaps(true)?;
    sys::set_ids(user.uid(), user.gid())?;
    nix::sys::prctl::set_keepcaps(false)?;
    sys::use_capabilities()?;
    for (name, _) in std::env::vars_os() {
        // SAFETY: this process has one thread.
        unsafe { std::env::remove_var(name) };
    }
    for entry in process.env().iter().flatten() {
        if let Some((name, value)) = entry.split_once('=').filter(|(name, _)| !name.is_empty()) {
            // SAFETY: this process has one thread.
            unsafe { std::env::set_var(name, value) };
        }
    }
    Ok(())
}
