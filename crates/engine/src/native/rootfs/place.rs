//! The place in a root that a path leads to, through whatever links an image has there, made where it is not.
//! Each step is taken by hand: a link is a text that is read from the root, never one that the kernel follows.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Root, relative};

/// Most links on the way; the kernel's own limit.
const LINKS_MAX: usize = 40;

/// Where something can be mounted.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) fd: OwnedFd,
    pub(super) folder: bool,
    /// Its path from the root, without links; `None` where no link was on the way.
    pub(super) path: Option<PathBuf>,
}

impl Root {
    /// The place at `path`; what is missing is made, as a folder or as an empty file.
    pub(super) fn place(&self, path: &Path, folder: bool) -> io::Result<Place> {
        self.walk(path, folder).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
    }

    /// The place, if it is there and no link leads to it: one system call.
    pub(super) fn plain_place(&self, path: &Path) -> Option<OwnedFd> {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
        openat2(self.fd.as_fd(), &relative(path), how).ok()
    }

    /// Puts an empty file in the place of a link of the image's; nothing else is touched, and no volume is.
    pub(super) fn replace_link(&self, path: &Path) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let parent = self.place(parent, true)?.fd;
        let ours = fstat(&parent)?.st_dev == fstat(&self.fd)?.st_dev;
        if let Some(found) = open(parent.as_fd(), name)?
            && ours
            && kind(&found)? == SFlag::S_IFLNK
        {
            unlinkat(parent.as_fd(), name, UnlinkatFlags::NoRemoveDir)?;
            make(parent.as_fd(), name, false, self.owner)?;
        }
        Ok(())
    }

    fn walk(&self, path: &Path, folder: bool) -> io::Result<Place> {
        let mut ahead: Vec<OsString> = parts(path).rev().collect();
        // The folders that lead to where we are, and their names.
        let mut folders = vec![self.fd.try_clone()?];
        let (mut names, mut links) = (PathBuf::new(), 0);
        while let Some(part) = ahead.pop() {
            let Some(here) = folders.last() else { break };
            if part == ".." {
                // The root is its own parent.
                if folders.len() > 1 {
                    folders.pop();
                    names.pop();
                }
                continue;
            }
            let found = match open(here.as_fd(), &part)? {
                Some(found) => found,
                None => make(here.as_fd(), &part, folder || !ahead.is_empty(), self.owner)?,
            };
            match kind(&found)? {
                SFlag::S_IFLNK => {
                    links += 1;
                    if links > LINKS_MAX {
                        let why = format!("more than {LINKS_MAX} links, or links in a circle");
                        return Err(io::Error::other(why));
                    }
                    let target = PathBuf::from(readlinkat(&found, "")?);
                    if target.is_absolute() {
                        folders.truncate(1);
                        names = PathBuf::new();
                    }
                    ahead.extend(parts(&target).rev());
                }
                SFlag::S_IFDIR => {
                    names.push(&part);
                    folders.push(found);
                }
                _ if ahead.is_empty() => {
                    names.push(&part);
                    return Ok(Place { fd: found, folder: false, path: Some(names) });
                }
                _ => {
                    let file = Path::new("/").join(names).join(part);
                    let why = format!("{} is a file of the image, not a folder", file.display());
                    return Err(io::Error::new(io::ErrorKind::NotADirectory, why));
                }
            }
        }
        let fd = folders.pop().ok_or(Errno::ENOENT)?;
        Ok(Place { fd, folder: true, path: Some(names) })
    }
}

/// The names on a path, and `..`.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    let steps = path.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir));
    steps.map(|step| step.as_os_str().to_owned())
}

/// Opens what a folder has by a name, a link as itself, for its place only.
fn open(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<OwnedFd>> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(folder, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes what is not there.
fn make(at: BorrowedFd<'_>, name: &OsStr, folder: bool, owner: u32) -> io::Result<OwnedFd> {
    if folder {
        mkdirat(at, name, Mode::from_bits_truncate(0o755))?;
    } else {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        openat(at, name, flags, Mode::from_bits_truncate(0o644))?;
    }
    if owner != 0 {
        let (uid, gid) = (nix::unistd::Uid::from_raw(owner), nix::unistd::Gid::from_raw(owner));
        nix::unistd::fchownat(at, name, Some(uid), Some(gid), nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    open(at, name)?.ok_or_else(|| Errno::ENOENT.into())
}

fn kind(fd: &OwnedFd) -> io::Result<SFlag> {
    Ok(SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_within_the_root_and_what_is_missing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("root");
        std::fs::create_dir_all(top.join("etc/deep")).unwrap();
        std::fs::write(top.join("file"), "x").unwrap();
        for (link, to) in [
            ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
            ("etc/up", "../../../made"),
            ("etc/abs", "/var/lib/x"),
            ("etc/chain", "chain2"),
            ("etc/chain2", "deep/../chain3"),
            ("etc/chain3", "/chained"),
            ("var", "usr/var"),
            ("a", "b"),
            ("b", "a"),
        ] {
            symlink(to, top.join(link)).unwrap();
        }
        let root = Root::open(&top).unwrap();
        let place = |path: &str, folder| root.place(Path::new(path), folder);
        for (path, folder, want) in [
            ("/etc/resolv.conf", false, "run/systemd/resolve/stub-resolv.conf"),
            ("/etc/up", true, "made"),
            ("/etc/abs/y", true, "usr/var/lib/x/y"),
            ("/etc/chain", false, "chained"),
            ("/a-new/folder/file", false, "a-new/folder/file"),
            ("/etc/deep", false, "etc/deep"),
            ("/file", true, "file"),
            ("/", true, ""),
        ] {
            let found = place(path, folder).unwrap();
            assert_eq!(found.path.as_deref(), Some(Path::new(want)), "{path}");
            assert_eq!(found.folder, top.join(want).is_dir(), "{path}");
        }
        assert!(top.join("chained").is_file() && top.join("usr/var/lib/x/y").is_dir());
        assert!(!dir.path().join("made").exists());
        for (path, want) in [
            ("/a", "/a: more than 40 links, or links in a circle"),
            ("/file/x", "/file is a file of the image"),
        ] {
            let error = place(path, false).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        assert!(root.plain_place(Path::new("/etc/deep")).is_some());
        assert!(root.plain_place(Path::new("/etc/abs")).is_none());
    }

    #[test]
    fn only_a_link_of_the_image_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        symlink("/proc/mounts", dir.path().join("etc/hosts")).unwrap();
        std::fs::write(dir.path().join("etc/hostname"), "mine").unwrap();
        let root = Root::open(dir.path()).unwrap();
        for name in ["hosts", "hostname", "none"] {
            root.replace_link(&Path::new("/etc").join(name)).unwrap();
        }
        let kind = |name: &str| std::fs::symlink_metadata(dir.path().join("etc").join(name));
        assert!(kind("hosts").unwrap().is_file());
        assert_eq!(std::fs::read_to_string(dir.path().join("etc/hostname")).unwrap(), "mine");
        assert!(kind("none").is_err());
    }
}
