//! The way of a container's first process into its groups, and what the container sees of them.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use nix::mount::MsFlags;

use super::{GroupPath, Hierarchy};
use crate::native::rootfs::restrict;

/// Where libcontainer looks for control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Moves this process into a container's groups, for its children to be born there. It must have a mount
/// namespace of its own.
///
/// On a hybrid host, the v2 tree then covers all others for this process: libcontainer, which would read
/// the mount table once for each v1 tree to do the same again, finds one tree and the process in it.
pub(crate) fn enter(hierarchy: &Hierarchy, group: &GroupPath) -> io::Result<()> {
    let Hierarchy::V1(_) = hierarchy else { return Ok(()) };
    let Some(unified) = hierarchy.unified() else { return Ok(()) };
    for tree in hierarchy.task_trees() {
        write_pid(&tree.path.join(group.relative()))?;
    }
    let none = None::<&str>;
    Ok(nix::mount::mount(Some(unified), ROOT, none, MsFlags::MS_BIND, none)?)
}

/// Moves this process into a container's groups that are there already, in every tree.
pub(crate) fn follow(hierarchy: &Hierarchy, group: &GroupPath) -> io::Result<()> {
    super::trees(hierarchy, group).into_iter().try_for_each(|root| write_pid(&root.join(group.relative())))
}

/// Moves this process, by the number that means the writer.
pub(super) fn write_pid(dir: &Path) -> io::Result<()> {
    let path = dir.join("cgroup.procs");
    let written = fs::OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(b"0"));
    written.map_err(|e| io::Error::new(e.kind(), format!("join {}: {e}", dir.display())))
}

/// Lays out a container's v1 groups at `dir`, as they are to appear under its /sys/fs/cgroup; nothing on
/// a v2 host. This process must have a mount namespace of its own, and not have entered yet.
pub(crate) fn show(hierarchy: &Hierarchy, group: &GroupPath, dir: &Path, read_only: bool) -> io::Result<()> {
    let Hierarchy::V1(_) = hierarchy else { return Ok(()) };
    let none = None::<&str>;
    fs::create_dir_all(dir)?;
    nix::mount::mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some("mode=755,size=64k"))?;
    for tree in hierarchy.task_trees() {
        let (Some(name), false) = (tree.path.file_name(), tree.controllers.is_empty()) else { continue };
        let place = dir.join(name);
        fs::create_dir(&place)?;
        let source = tree.path.join(group.relative());
        nix::mount::mount(Some(&source), &place, none, MsFlags::MS_BIND, none)?;
        for controller in tree.controllers.iter().filter(|c| name != c.as_str()) {
            // Trees of several controllers are found by each one's name too.
            std::os::unix::fs::symlink(name, dir.join(controller))?;
        }
    }
    let access = if read_only { libc::MOUNT_ATTR_RDONLY } else { 0 };
    let flags = access | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    restrict(fs::File::open(dir)?.as_fd(), flags)
}
