//! What the containers of a task have in common, beside the volumes and the network: their IPC, which is their
//! supervisor's, and their processes, which a keeper holds together. Made by the supervisor, and gone with it.

use std::io;
use std::path::Path;

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::keeper::Keeper;
use super::runner;
use crate::native::bundle::SHM_BYTES;
use crate::native::layout::{self, TaskDir};
use crate::spec::{IpcMode, PidMode, TaskSpec};

/// What a supervisor holds for its containers.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pids: bool,
    keeper: Option<Keeper>,
}

impl Shared {
    /// Makes what is asked for; the IPC from now on is that of whatever this process starts.
    pub(super) fn open(dir: &TaskDir) -> io::Result<Shared> {
        let spec: TaskSpec = layout::read_json(&dir.spec())?.unwrap_or_default();
        if spec.ipc_mode == IpcMode::Task {
            nix::sched::unshare(CloneFlags::CLONE_NEWIPC)?;
            mount_shm(&dir.shm())?;
        }
        Ok(Shared { pids: spec.pid_mode == PidMode::Task, keeper: None })
    }

    /// The process whose PID namespace a container is to join, if it is not one of its own. One that was
    /// killed took all processes of the task with it; another is made.
    pub(super) fn keeper(&mut self) -> io::Result<Option<i32>> {
        if self.pids && self.keeper.is_none() {
            self.keeper = Some(Keeper::start()?);
        }
        Ok(self.keeper.as_ref().map(|keeper| keeper.pid))
    }

    /// A child of the supervisor has ended; says whether it was the keeper.
    pub(super) fn reaped(&mut self, pid: i32) -> bool {
        let ours = self.keeper.as_ref().is_some_and(|keeper| keeper.pid == pid);
        if ours {
            self.keeper = None;
        }
        ours
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
