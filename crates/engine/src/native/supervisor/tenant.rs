//! The child that runs a command in a running container, and is gone when the command runs.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::oci_spec::runtime::{Process, Spec};
use libcontainer::syscall::syscall::SyscallType;

use super::executor::{Confined, Program};
use super::{command, joined, runner, sys};
use crate::native::cgroup::{self, Hierarchy};
use crate::native::layout::{self, ContainerDir, Durable};
use crate::native::plan::Plan;
use crate::native::proto::Progress;
use crate::native::runsc::Sandbox;

/// What the supervisor gives a tenant.
#[derive(Debug)]
pub(super) struct Tenant<'a> {
    pub(super) dir: &'a ContainerDir,
    pub(super) hierarchy: &'a Hierarchy,
    pub(super) runtime_id: &'a str,
    /// The container's first process.
    pub(super) pid: i32,
    /// Tells files of this exec from those of others.
    pub(super) number: u64,
    pub(super) command: Vec<String>,
    pub(super) output: OwnedFd,
    pub(super) status: OwnedFd,
    /// Where the container is in one.
    pub(super) sandbox: Option<&'a Sandbox>,
}

/// Runs in the child; never returns.
pub(super) fn run(tenant: Tenant<'_>) -> ! {
    sys::close_others(&[tenant.status.as_raw_fd(), tenant.output.as_raw_fd()]);
    sys::reset_process();
    let progress = match begin(&tenant) {
        Ok(Begun::Other(pid)) => Progress::Pid(pid),
        Ok(Begun::Done(code)) => sys::exit_now(code),
        Err(error) => Progress::Failed(error.to_string()),
    };
    let packet = serde_json::to_vec(&progress).unwrap_or_default();
    let _ = sys::send(tenant.status.as_fd(), &packet, None);
    sys::exit_now(0)
}

/// What became of a command.
enum Begun {
    /// It is another process.
    Other(i32),
    /// It ended, with this code, and this process with it.
    Done(i32),
}

fn begin(tenant: &Tenant<'_>) -> io::Result<Begun> {
    let spec: Spec = layout::read_json(&tenant.dir.config())?
        .ok_or_else(|| io::Error::other("the container does not run"))?;
    let mut process =
        spec.process().clone().ok_or_else(|| io::Error::other("the container has no process"))?;
    process.set_args(Some(tenant.command.clone()));
    process.set_terminal(Some(false));
    let plan: Plan = layout::read_json(&tenant.dir.plan())?
        .ok_or_else(|| io::Error::other("the container's plan is gone"))?;
    let uid = process.user().uid();
    sys::give(tenant.output.as_fd(), plan.ids.map_or(Ok(uid), |ids| ids.host(uid))?)?;
    if let Some(sandbox) = tenant.sandbox {
        return command::run(tenant, sandbox, &plan, &process).map(Begun::Done);
    }
    let confine = Confined::read(plan.confine.as_ref())?;
    match plan.ids {
        Some(_) => joined::run(tenant, spec, process, &plan, confine),
        None => join(tenant, &process, &plan, confine),
    }
    .map(Begun::Other)
}

/// By libcontainer, namespace by namespace.
fn join(tenant: &Tenant<'_>, process: &Process, plan: &Plan, confine: Option<Confined>) -> io::Result<i32> {
    let path = tenant.dir.libcontainer().join(format!("exec-{}.json", tenant.number));
    layout::write_json(&path, process, Durable::No)?;
    runner::own_mounts()?;
    cgroup::enter(tenant.hierarchy, &plan.group)?;
    let null = OwnedFd::from(std::fs::File::open("/dev/null")?);
    let program = Program { status: tenant.status.as_raw_fd(), init: false, first: false, confine };
    let built = ContainerBuilder::new(tenant.runtime_id.to_owned(), SyscallType::default())
        .with_executor(program)
        .with_root_path(tenant.dir.libcontainer())
        .map_err(runner::flat)?
        .with_stdin(null)
        .with_stdout(tenant.output.try_clone()?)
        .with_stderr(tenant.output.try_clone()?)
        .as_tenant()
        .with_process(Some(&path))
        .with_detach(false)
        .as_sibling(true)
        .build();
    let _ = std::fs::remove_file(&path);
    built.map(|pid| pid.as_raw()).map_err(runner::flat)
}
