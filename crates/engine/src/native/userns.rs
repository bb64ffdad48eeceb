//! User namespaces of tasks, and whether this host can have them.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::sched::CloneFlags;

use super::ids::Ids;
use super::rootfs;
use super::supervisor::{runner, sys};
use super::{layout::EngineDir, tree};

/// Makes a user namespace in which a task's ids are all that there is. It lasts as long as the descriptor, or whoever is
/// in it.
pub(crate) fn make(ids: Ids) -> io::Result<OwnedFd> {
    let (wait, hold) = sys::pipe()?;
    let pid = match sys::fork_into(CloneFlags::CLONE_NEWUSER) {
        // Of a process with threads this may be a copy: system calls only.
        Ok(sys::Fork::Child) => sys::stay_until_closed(&wait, &hold),
        Ok(sys::Fork::Parent(pid)) => pid,
        Err(error) => {
            let why = format!("a user namespace cannot be made (user.max_user_namespaces may be 0): {error}");
            return Err(io::Error::new(error.kind(), why));
        }
    };
    let made = map(pid, ids);
    // Whatever copy of this process was made meanwhile holds that end of the pipe too.
    sys::kill(pid, libc::SIGKILL);
    drop(hold);
    sys::wait_for(pid);
    made
}

fn map(pid: i32, ids: Ids) -> io::Result<OwnedFd> {
    for file in ["uid_map", "gid_map"] {
        let path = format!("/proc/{pid}/{file}");
        fs::write(&path, ids.mapping())
            .map_err(|e| io::Error::new(e.kind(), format!("write {path}: {e}")))?;
    }
    Ok(File::open(format!("/proc/{pid}/ns/user"))?.into())
}

/// Tries all that a task with a user namespace needs; blocks.
///
/// # Errors
/// What is in the way, for the operator.
pub(super) fn probe(dir: &EngineDir, ids: Ids) -> Result<(), String> {
    let scratch = dir.probe();
    let tried = std::thread::scope(|scope| {
        // A thread of its own, for a mount namespace of its own: both are gone after this.
        let tried = scope.spawn(|| try_all(dir, &scratch, ids)).join();
        tried.unwrap_or_else(|_| Err(io::Error::other("the attempt ended before its time")))
    });
    let _ = tree::remove(&scratch);
    tried.map_err(|e| e.to_string())
}

fn try_all(dir: &EngineDir, scratch: &Path, ids: Ids) -> io::Result<()> {
    let users = make(ids)?;
    nix::sched::unshare(CloneFlags::CLONE_FS)?;
    runner::own_mounts()?;
    let folder = |name: &str| {
        let path = scratch.join(name);
        fs::create_dir_all(&path).map(|()| path)
    };
    let overlay = image::Overlay {
        lower: vec![dir.mount_points()],
        upper: folder("upper")?,
        work: folder("work")?,
        target: folder("root")?,
    };
    let overlay = rootfs::mapped(&overlay, users.as_fd(), &folder("layers")?)?;
    overlay.mount().map_err(runner::flat)?;
    use std::os::unix::fs::MetadataExt;
    let owner = fs::metadata(overlay.target.join("etc"))?.uid();
    match owner == ids.base {
        true => Ok(()),
        false => Err(io::Error::other("the kernel does not show an image's files as another's")),
    }
}

/// Enters a user namespace as its root, with no group of the host's. This process must have one thread.
pub(crate) fn enter(users: BorrowedFd<'_>) -> io::Result<()> {
    nix::unistd::setgroups(&[])?;
    nix::sched::setns(users, CloneFlags::CLONE_NEWUSER)?;
    become_root()
}

/// The root of the user namespace that this process is in.
pub(crate) fn become_root() -> io::Result<()> {
    sys::set_ids(0, 0)
}

/// The path of an open namespace, for whoever has a copy of this process's descriptors.
pub(crate) fn path_of(namespace: &impl AsRawFd) -> std::path::PathBuf {
    format!("/proc/self/fd/{}", namespace.as_raw_fd()).into()
}
