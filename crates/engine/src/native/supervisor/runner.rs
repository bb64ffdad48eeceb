//! The child that starts a container, and is gone when the container runs.
//!
//! It has a mount namespace of its own, where the root file system is mounted: the host never shows it,
//! and it goes with the container's last process. libcontainer makes the container's first process a
//! sibling of this one, so the supervisor reaps it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::oci_spec::runtime::{self, LinuxNamespaceType, Spec};
use libcontainer::syscall::syscall::SyscallType;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::sys::resource::Resource;

use super::executor::{Confined, Program};
use super::guest::{self, Guest};
use super::notes::Notes;
use super::shared::Joins;
use super::sys;
use crate::native::cgroup::{self, Hierarchy};
use crate::native::layout::{self, ContainerDir, Durable};
use crate::native::plan::Plan;
use crate::native::proto::Progress;
use crate::native::rootfs::{self, Root};
use crate::native::{tree, userns};

/// What the supervisor gives a runner.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) dir: &'a ContainerDir,
    pub(super) hierarchy: &'a Hierarchy,
    /// Standard streams; with a terminal there are none.
    pub(super) streams: Option<[OwnedFd; 3]>,
    pub(super) status: OwnedFd,
    pub(super) joins: Joins<'a>,
}

/// Runs in the child; never returns.
pub(super) fn run(start: Start<'_>) -> ! {
    let mut keep = vec![start.status.as_raw_fd()];
    keep.extend(start.streams.iter().flatten().map(AsRawFd::as_raw_fd));
    keep.extend(start.joins.users.iter().map(AsRawFd::as_raw_fd));
    sys::close_others(&keep);
    sys::reset_process();
    let status = start.status.as_fd().try_clone_to_owned();
    let code = match (run_inner(start), status) {
        (Ok(None), _) => 0,
        (Ok(Some(guest)), status) => {
            // Closed: whoever waits for the start hears that it is done.
            drop(status);
            guest.wait()
        }
        (Err(error), Ok(status)) => {
            report(&status, &Progress::Failed(error.to_string()), None);
            1
        }
        (Err(_), Err(_)) => 1,
    };
    sys::exit_now(code)
}

/// Answers what is to be waited for, if this process is to stand for it.
fn run_inner(start: Start<'_>) -> io::Result<Option<Guest>> {
    let plan: Plan = layout::read_json(&start.dir.plan())?
        .ok_or_else(|| io::Error::other("the container's plan is gone"))?;
    own_mounts()?;
    match start.joins.sandbox {
        Some(sandbox) => {
            let (guest, master) = guest::start(&start, &plan, sandbox)?;
            report(&start.status, &Progress::Pid(std::process::id().cast_signed()), master.as_ref());
            Ok(Some(guest))
        }
        None => run_here(&start, &plan).map(|()| None),
    }
}

/// By libcontainer, as a process of the host's.
fn run_here(start: &Start<'_>, plan: &Plan) -> io::Result<()> {
    mount_root(start, plan)?;
    cgroup::make(start.hierarchy, &plan.group, &plan.limits)?;
    cgroup::show(start.hierarchy, &plan.group, &start.dir.groups(), !plan.groups_writable)?;
    let user = prepare(start, plan)?;
    for stream in start.streams.iter().flatten() {
        sys::give(stream.as_fd(), user)?;
    }
    cgroup::enter(start.hierarchy, &plan.group)?;
    let status = start.status.as_raw_fd();
    let (mut container, master) =
        tracing::subscriber::with_default(Notes { status }, || build(start, plan, status))?;
    let pid = container.pid().map_or(0, |pid| pid.as_raw());
    if let Some(master) = &master {
        sys::give_terminal(master.as_fd(), user)?;
    }
    report(&start.status, &Progress::Pid(pid), master.as_ref());
    container.start().map_err(io::Error::other)
}

/// Mounts the root file system. With a user namespace no group of the agent's goes with the container either.
fn mount_root(start: &Start<'_>, plan: &Plan) -> io::Result<()> {
    match (plan.ids, start.joins.users) {
        (None, None) => plan.overlay.mount().map_err(flat),
        (Some(_), Some(users)) => {
            nix::unistd::setgroups(&[])?;
            let overlay = rootfs::mapped(&plan.overlay, users, &start.dir.rootfs())?;
            overlay.mount().map_err(flat)?;
            rootfs::restrict(Root::open(&overlay.target)?.as_fd(), libc::MOUNT_ATTR_NODEV)
        }
        _ => {
            Err(io::Error::other("the task's user namespace is not the one that the container was made for"))
        }
    }
}

fn report(status: &OwnedFd, progress: &Progress, fd: Option<&OwnedFd>) {
    let packet = serde_json::to_vec(progress).unwrap_or_default();
    let _ = sys::send(status.as_fd(), &packet, fd.map(AsFd::as_fd));
}

/// A mount namespace of this process's own.
pub(crate) fn own_mounts() -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
    // What is mounted here must not show outside; what is unmounted outside must not stay here.
    let none = None::<&str>;
    Ok(nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?)
}

/// Settles what only the mounted root file system can tell, and writes libcontainer's file. Answers whom the
/// container runs as, on the host.
fn prepare(start: &Start<'_>, plan: &Plan) -> io::Result<u32> {
    let dir = start.dir;
    let root = Root::open(&plan.overlay.target)?.owned_by(plan.ids.map_or(0, |ids| ids.base));
    let mut spec = plan.spec.clone();
    let uid = settle(&root, plan, &mut spec)?;
    if let (Some(process), Some(_)) = (spec.process(), plan.ids) {
        raise_limits(process)?;
    }
    enter_namespaces(&mut spec, start.joins)?;
    let mounts = spec.mounts().clone().unwrap_or_default();
    let left = rootfs::mount(&root, mounts, &dir.groups()).map_err(|refused| not_mounted(plan, &refused))?;
    spec.set_mounts(Some(left));
    layout::write_json(&dir.config(), &spec, Durable::No)?;
    Ok(uid)
}

/// Settles what only the mounted root file system can tell: what volumes begin with, whom the container runs as, and
/// where. Answers the user, on the host.
pub(super) fn settle(root: &Root, plan: &Plan, spec: &mut Spec) -> io::Result<u32> {
    for copy in &plan.copy_up {
        rootfs::copy_up(root, &copy.container_path, &copy.volume).map_err(|e| {
            let path = copy.container_path.display();
            io::Error::new(e.kind(), format!("cannot copy what the image has at {path} into its volume: {e}"))
        })?;
    }
    let Some(process) = spec.process_mut() else { return Ok(0) };
    let user = rootfs::resolve_user(root, &plan.user)?;
    root.make_folders(process.cwd())?;
    let mut env = process.env().clone().unwrap_or_default();
    // An empty one counts as none, as it does for Docker's users.
    if !env.iter().any(|e| e.starts_with("HOME=") && e.len() > 5) {
        env.retain(|e| !e.starts_with("HOME="));
        env.push(format!("HOME={}", user.home));
    }
    process.set_env(Some(env));
    process.set_user(user.oci());
    let host = |id| plan.ids.map_or(Ok(id), |ids| ids.host(id));
    user.groups.iter().chain([&user.gid]).try_for_each(|gid| host(*gid).map(drop))?;
    host(user.uid)
}

/// A mount that is refused, as the user knows it.
fn not_mounted(plan: &Plan, refused: &rootfs::Refused) -> io::Error {
    let (path, error) = (refused.destination.display(), &refused.error);
    let volume = plan.volumes.iter().find(|volume| volume.container_path == refused.destination);
    let what = match volume.map(|volume| volume.name.as_deref()) {
        Some(Some(name)) => format!("volume {name:?} at containerPath {path}"),
        Some(None) => format!("the image's own volume at {path}"),
        None => format!("at {path}"),
    };
    io::Error::new(error.kind(), format!("cannot mount {what}: {error}"))
}

/// Raises this process's own limits as far as the container's are to go: within a user namespace they can only be
/// lowered.
pub(super) fn raise_limits(process: &runtime::Process) -> io::Result<()> {
    use nix::sys::resource::{getrlimit, setrlimit};
    for limit in process.rlimits().iter().flatten() {
        let Some(resource) = resource(limit.typ()) else { continue };
        let (soft, hard) = getrlimit(resource)?;
        if limit.hard() > hard {
            setrlimit(resource, soft, limit.hard()).map_err(|e| {
                let error = io::Error::from(e);
                io::Error::new(error.kind(), format!("raise the limit {:?}: {error}", limit.typ()))
            })?;
        }
    }
    Ok(())
}

/// Sets this process's limits to what the process of a specification has.
pub(super) fn set_limits(process: &runtime::Process) -> io::Result<()> {
    for limit in process.rlimits().iter().flatten() {
        if let Some(resource) = resource(limit.typ()) {
            nix::sys::resource::setrlimit(resource, limit.soft(), limit.hard())?;
        }
    }
    Ok(())
}

fn resource(limit: runtime::PosixRlimitType) -> Option<Resource> {
    use runtime::PosixRlimitType as Type;
    Some(match limit {
        Type::RlimitAs => Resource::RLIMIT_AS,
        Type::RlimitCore => Resource::RLIMIT_CORE,
        Type::RlimitCpu => Resource::RLIMIT_CPU,
        Type::RlimitData => Resource::RLIMIT_DATA,
        Type::RlimitFsize => Resource::RLIMIT_FSIZE,
        Type::RlimitLocks => Resource::RLIMIT_LOCKS,
        Type::RlimitMemlock => Resource::RLIMIT_MEMLOCK,
        Type::RlimitMsgqueue => Resource::RLIMIT_MSGQUEUE,
        Type::RlimitNice => Resource::RLIMIT_NICE,
        Type::RlimitNofile => Resource::RLIMIT_NOFILE,
        Type::RlimitNproc => Resource::RLIMIT_NPROC,
        Type::RlimitRss => Resource::RLIMIT_RSS,
        Type::RlimitRtprio => Resource::RLIMIT_RTPRIO,
        Type::RlimitRttime => Resource::RLIMIT_RTTIME,
        Type::RlimitSigpending => Resource::RLIMIT_SIGPENDING,
        Type::RlimitStack => Resource::RLIMIT_STACK,
    })
}

/// Enters those namespaces of the container's that /sys and /dev/mqueue show, so that they can be mounted
/// here. Its first process is born in them, and in the PID namespace of the keeper.
///
/// With a user namespace these two stay the host's own: whoever is root inside can look at the network and its
/// parameters, and change nothing of them. The first process enters the user namespace later, and by then may open
/// nothing of the host's: what it is to join is open already.
fn enter_namespaces(spec: &mut Spec, joins: Joins<'_>) -> io::Result<()> {
    let parameters = spec.linux().as_ref().and_then(|linux| linux.sysctl().clone());
    let linux = spec.linux_mut().as_mut();
    let Some(namespaces) = linux.and_then(|linux| linux.namespaces_mut().as_mut()) else { return Ok(()) };
    for namespace in namespaces.iter_mut() {
        match (namespace.typ(), namespace.path()) {
            (LinuxNamespaceType::Network, Some(path)) => {
                let entered = fs::File::open(path)
                    .and_then(|file| Ok(nix::sched::setns(file, CloneFlags::CLONE_NEWNET)?));
                entered.map_err(|e| io::Error::new(e.kind(), format!("enter {}: {e}", path.display())))?;
            }
            (LinuxNamespaceType::Ipc, None) => {
                nix::sched::unshare(CloneFlags::CLONE_NEWIPC)?;
                namespace.set_path(Some("/proc/self/ns/ipc".into()));
            }
            (LinuxNamespaceType::Pid, None) => {
                let path = joins.keeper.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/pid")));
                namespace.set_path(match path {
                    Some(path) if joins.users.is_some() => Some(kept_open(&path)?),
                    path => path,
                });
            }
            (LinuxNamespaceType::User, None) => {
                namespace.set_path(joins.users.as_ref().map(userns::path_of));
            }
            _ => {}
        }
    }
    if joins.users.is_some() {
        let entered = [LinuxNamespaceType::Network, LinuxNamespaceType::Ipc];
        namespaces.retain(|namespace| !entered.contains(&namespace.typ()));
        for (name, value) in parameters.into_iter().flatten() {
            let path = PathBuf::from("/proc/sys").join(name.replace('.', "/"));
            fs::write(&path, value).map_err(|e| io::Error::new(e.kind(), format!("sysctl {name}: {e}")))?;
        }
        if let Some(linux) = spec.linux_mut() {
            linux.set_sysctl(None);
        }
    }
    Ok(())
}

/// A path to what is open from now on for as long as this process is there.
fn kept_open(path: &Path) -> io::Result<PathBuf> {
    let fd = fs::File::open(path)?.into_raw_fd();
    Ok(format!("/proc/self/fd/{fd}").into())
}

fn build(start: &Start<'_>, plan: &Plan, status: i32) -> io::Result<(Container, Option<OwnedFd>)> {
    let run = start.dir.libcontainer();
    tree::remove(&run)?;
    fs::create_dir(&run)?;
    let confine = Confined::read(plan.confine.as_ref())?;
    let program = Program { status, init: plan.init, first: true, confine };
    let mut builder = ContainerBuilder::new(plan.runtime_id.clone(), SyscallType::default())
        .with_executor(program)
        .with_root_path(&run)
        .map_err(flat)?;
    let mut console = None;
    match &start.streams {
        Some([stdin, stdout, stderr]) => {
            builder = builder
                .with_stdin(stdin.try_clone()?)
                .with_stdout(stdout.try_clone()?)
                .with_stderr(stderr.try_clone()?);
        }
        None => {
            let listener = super::with_socket_path(&run, "console.sock", |path| UnixListener::bind(path))?;
            builder = builder.with_console_socket(Some(run.join("console.sock")));
            console = Some(listener);
        }
    }
    let container = builder
        .as_init(start.dir.run())
        .with_systemd(false)
        .with_detach(true)
        .as_sibling(true)
        .build()
        .map_err(flat)?;
    let master = console.map(|listener| receive_master(&listener)).transpose()?;
    Ok((container, master))
}

pub(super) fn receive_master(listener: &UnixListener) -> io::Result<OwnedFd> {
    // Whoever made the container connected, and sent, before that was answered.
    listener.set_nonblocking(true)?;
    let (connection, _) = listener.accept()?;
    let (_, fd) = sys::receive(connection.as_fd(), &mut [0; 64])?;
    fd.ok_or_else(|| io::Error::other("no terminal was sent"))
}

/// An error with all that it stands on, in one line.
pub(crate) fn flat(error: impl std::error::Error) -> io::Error {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    io::Error::other(text)
}

/// Removes what libcontainer left of a run.
pub(super) fn forget(dir: &ContainerDir) {
    let _ = fs::remove_dir_all(dir.libcontainer());
    let _ = fs::remove_file(dir.config());
}
