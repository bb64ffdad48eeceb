//! An image's layers as the root of a user namespace owns them, though they lie on the disk as root's: each is mounted with
//! the namespace's mapping (`mount_setattr(2)`). What a container writes has its task's own ids on the disk too.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount, move_mount, open_tree};

use super::set_attributes;

/// The overlay over its layers as they are in the user namespace `users`. They are mounted below `scratch`, a folder that
/// is covered meanwhile: in a mount namespace of this process's own, which ends with it.
pub(crate) fn mapped(
    overlay: &image::Overlay,
    users: BorrowedFd<'_>,
    scratch: &Path,
) -> io::Result<image::Overlay> {
    mount("tmpfs", scratch, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=700"))?;
    let mut lower = Vec::with_capacity(overlay.lower.len());
    for (number, layer) in overlay.lower.iter().enumerate() {
        let place = scratch.join(number.to_string());
        fs::create_dir(&place)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, layer, flags)?;
        map(tree.as_fd(), users).map_err(|e| {
            let path = layer.display();
            let why = format!("the file system of {path} cannot be mounted with mapped ids: {e}");
            io::Error::new(e.kind(), why)
        })?;
        move_mount(tree.as_fd(), "", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        lower.push(place);
    }
    Ok(image::Overlay { lower, ..overlay.clone() })
}

fn map(tree: BorrowedFd<'_>, users: BorrowedFd<'_>) -> io::Result<()> {
    let users = u64::try_from(users.as_raw_fd()).map_err(io::Error::other)?;
    set_attributes(tree, libc::MOUNT_ATTR_IDMAP, users)
}
