//! Work inside a mounted root file system whose content nobody vouches for: every path is resolved with
//! that root as `/`, so no link leads out of it.

mod copy;
mod mapped;
mod mounts;
mod place;
mod users;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

pub(crate) use copy::copy_up;
pub(crate) use mapped::mapped;
pub(crate) use mounts::{Refused, mount};
use place::Place;
pub(crate) use users::resolve as resolve_user;

/// Where the root of a container with a user namespace is mounted, in a mount namespace of its own: whoever it is there
/// must come by, and R lets nobody through. Nothing of what it covers is needed any more.
pub(crate) const MAPPED_ROOT: &str = "/sys/kernel";

/// Largest file that is read from a container's root, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// An open root folder.
#[derive(Debug)]
pub(crate) struct Root {
    fd: OwnedFd,
    /// Whose is what is made in it: the user and group of the host who is root inside.
    owner: u32,
}

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Root { fd: nix::fcntl::open(path, flags, Mode::empty())?, owner: 0 })
    }

    /// The root of containers whose own root is this user and group of the host.
    pub(crate) fn owned_by(self, owner: u32) -> Root {
        Root { owner, ..self }
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens a path as the container would see it.
    pub(crate) fn at(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        Ok(openat2(self.fd.as_fd(), &relative(path), how)?)
    }

    /// A text file's content; `None` when it is not there. No device or pipe is waited for.
    pub(crate) fn read_text(&self, path: &Path) -> io::Result<Option<String>> {
        let fd = match self.at(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            Ok(fd) => fd,
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let file = File::from(fd);
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Makes a folder and those above it where they are not there, owned by the root inside, mode 0755.
    pub(crate) fn make_folders(&self, path: &Path) -> io::Result<()> {
        if self.at(path, OFlag::O_PATH | OFlag::O_DIRECTORY).is_ok() {
            return Ok(());
        }
        match self.place(path, true)? {
            Place { folder: true, .. } => Ok(()),
            _ => Err(io::Error::other(format!("{} is a file of the image, not a folder", path.display()))),
        }
    }
}

/// Sets what may be done by a mount and by all below it (`MOUNT_ATTR_` flags), and makes it private.
pub(crate) fn restrict(mount: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    set_attributes(mount, flags, 0)
}

/// `users` counts with `MOUNT_ATTR_IDMAP` alone.
fn set_attributes(mount: BorrowedFd<'_>, flags: u64, users: u64) -> io::Result<()> {
    let attributes =
        libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: users };
    // SAFETY: the path and the attributes outlive the call, and the size is theirs.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_RECURSIVE | libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The path from the root: `openat2` takes an absolute one too, but an empty one not.
fn relative(path: &Path) -> PathBuf {
    let path = path.strip_prefix("/").unwrap_or(path);
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() }
}

/// A path to an open file or folder, for calls that take no descriptor.
fn path_of(fd: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out_of_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root_dir = dir.path().join("root");
        std::fs::create_dir_all(root_dir.join("etc")).unwrap();
        std::fs::write(dir.path().join("secret"), "no").unwrap();
        symlink("../../secret", root_dir.join("etc/passwd")).unwrap();
        symlink("/", root_dir.join("out")).unwrap();
        let root = Root::open(&root_dir).unwrap();
        assert_eq!(root.read_text(Path::new("/etc/passwd")).unwrap(), None);
        root.make_folders(Path::new("/out/made/here")).unwrap();
        assert!(root_dir.join("made/here").is_dir());
        root.make_folders(Path::new("/")).unwrap();
        std::fs::write(root_dir.join("file"), "x").unwrap();
        assert!(root.make_folders(Path::new("/file/x")).is_err());
        assert_eq!(root.read_text(Path::new("/file")).unwrap().as_deref(), Some("x"));
        assert_eq!(root.read_text(Path::new("/etc")).unwrap(), None);
    }
}
