//! What the containers of a task have in common, beside the volumes and the network: their IPC, which is their
//! supervisor's, their processes, which a keeper holds together, and their user namespace. Made by the supervisor, and
//! gone with it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::keeper::Keeper;
use super::runner;
use super::sandbox::Running;
use crate::native::bundle::SHM_BYTES;
use crate::native::cgroup::{self, GroupPath, Hierarchy};
use crate::native::disk;
use crate::native::ids::Ids;
use crate::native::layout::{self, TaskDir};
use crate::native::runsc::{self, Sandbox};
use crate::native::userns;
use crate::spec::{IpcMode, Isolation, PidMode, TaskSpec};

/// What a supervisor holds for its containers.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pids: bool,
    keeper: Option<Keeper>,
    users: Option<OwnedFd>,
    sandbox: Option<Running>,
}

/// What a container joins of its task.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Joins<'a> {
    /// The process whose PID namespace it is to be in, instead of one of its own.
    pub(super) keeper: Option<i32>,
    /// The user namespace.
    pub(super) users: Option<BorrowedFd<'a>>,
    /// The sandbox that it is to be in, instead of namespaces.
    pub(super) sandbox: Option<&'a Running>,
}

impl Shared {
    /// Makes what is asked for; the IPC from now on is that of whatever this process starts.
    pub(super) fn open(dir: &TaskDir, group: &GroupPath, ids: Option<Ids>) -> io::Result<Shared> {
        let spec: TaskSpec = layout::read_json(&dir.spec())?.unwrap_or_default();
        if spec.ipc_mode == IpcMode::Task {
            nix::sched::unshare(CloneFlags::CLONE_NEWIPC)?;
            mount_shm(&dir.shm())?;
            let_go_of_disks(dir);
        }
        let users = ids.map(userns::make).transpose()?;
        let sandbox = match spec.isolation {
            Isolation::Gvisor => Some(Sandbox::read(&runsc::dir(dir))?.ok_or_else(no_sandbox)?),
            Isolation::Shared | Isolation::Namespaces => None,
        };
        let sandbox = sandbox.map(|sandbox| Running::new(sandbox, group));
        Ok(Shared { pids: spec.pid_mode == PidMode::Task && sandbox.is_none(), keeper: None, users, sandbox })
    }

    /// What a container is to join. A keeper that was killed took all processes of the task with it; another is
    /// made.
    pub(super) fn joins(&mut self, hierarchy: &Hierarchy) -> io::Result<Joins<'_>> {
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.ensure(hierarchy)?;
        }
        let users = self.users.as_ref().map(AsFd::as_fd);
        if self.pids && self.keeper.is_none() {
            self.keeper = Some(Keeper::start(users)?);
        }
        Ok(Joins {
            keeper: self.keeper.as_ref().map(|keeper| keeper.pid),
            users,
            sandbox: self.sandbox.as_ref(),
        })
    }

    /// A child of the supervisor has ended; says whether it was the keeper, or the sandbox.
    pub(super) fn reaped(&mut self, pid: i32) -> bool {
        let ours = self.keeper.as_ref().is_some_and(|keeper| keeper.pid == pid);
        if ours {
            self.keeper = None;
        }
        ours || self.sandbox.as_mut().is_some_and(|sandbox| sandbox.reaped(pid))
    }

    /// Ends the sandbox, where there is one.
    pub(super) fn kill(&self, hierarchy: &Hierarchy) {
        if let Some(sandbox) = &self.sandbox {
            sandbox.kill(hierarchy);
        }
    }

    /// The sandbox, where there is one.
    pub(super) fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref().map(|running| &running.sandbox)
    }
}

fn no_sandbox() -> io::Error {
    io::Error::other("it is not written what the task's sandbox is to be")
}

/// What a container shares the limits of.
#[derive(Debug, Clone)]
pub(super) struct OfTask {
    pub(super) group: GroupPath,
    /// Where the task's own disk is, if it has one.
    pub(super) disk: PathBuf,
}

impl OfTask {
    /// Which of its limits the task has met, one of whose containers is `group`.
    pub(super) fn limit_met(&self, hierarchy: &Hierarchy, group: &GroupPath) -> Option<String> {
        if self.disk.is_dir() && disk::is_full(&self.disk) {
            return Some("DiskFullError: the task has written as much as its storage holds".to_owned());
        }
        let refused = |group| cgroup::forks_refused(hierarchy, group) > 0;
        (refused(group) || refused(&self.group) || refused(&runsc::group(&self.group)))
            .then(|| "PidsLimitError: the task had as many processes as it may have".to_owned())
    }
}

impl OfTask {
    /// Whether the kernel ended any of its container `group` for want of memory, or the sandbox that it was in.
    pub(super) fn oom_killed(&self, hierarchy: &Hierarchy, group: &GroupPath) -> bool {
        [group, &runsc::group(&self.group)].into_iter().any(|group| cgroup::oom_kills(hierarchy, group) > 0)
    }
}

/// Takes other tasks' disks out of this mount namespace: here they would outlast their tasks.
fn let_go_of_disks(dir: &TaskDir) {
    let Some(tasks) = dir.path().parent() else { return };
    let others =
        layout::folders(tasks).unwrap_or_default().into_iter().map(|task| dir.sibling(&task).own_disk());
    for disk in others.filter(|disk| *disk != dir.own_disk()) {
        let _ = disk::unmount(&disk);
    }
}

/// Mounts the common /dev/shm, where only this process and its children see it.
fn mount_shm(at: &Path) -> io::Result<()> {
    std::fs::create_dir_all(at)?;
    runner::own_mounts()?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let options = format!("mode=1777,size={SHM_BYTES}");
    Ok(nix::mount::mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options.as_str()))?)
}
