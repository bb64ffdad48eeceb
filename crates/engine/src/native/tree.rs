//! Folders that containers wrote: of any depth, where a path has no room for all names, and a thread none for a call in
//! each. They are walked with as many descriptors, however deep they are.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// So many folders are open at a time.
const OPEN_MAX: usize = 64;

/// Removes a folder with all in it, and whatever else has that name. What is not there counts as removed; no link is
/// followed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let top = match open(CWD, path) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return std::fs::remove_file(path),
        Err(errno) => return Err(errno.into()),
    };
    let mut moved = 0;
    // What lies deep is moved up, and comes with the next look.
    while empty(top.as_fd(), &mut moved)? {}
    match rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes what is in a folder. True when something was moved up into it, and is there now.
fn empty(top: BorrowedFd<'_>, moved: &mut u64) -> io::Result<bool> {
    let before = *moved;
    let mut levels = vec![(CString::default(), Dir::read_from(top)?)];
    loop {
        let is_deep = levels.len() >= OPEN_MAX;
        let Some((_, dir)) = levels.last_mut() else { break };
        let Some(entry) = dir.read() else {
            let Some((name, _)) = levels.pop() else { break };
            if let Some((_, parent)) = levels.last() {
                gone(rustix::fs::unlinkat(parent.fd()?, name.as_c_str(), AtFlags::REMOVEDIR))?;
            }
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if is_dots(name) {
            continue;
        }
        let folder = dir.fd()?;
        let inner = match entry.file_type() {
            FileType::Directory | FileType::Unknown => open(folder, name),
            _ => Err(Errno::NOTDIR),
        };
        match inner {
            Ok(_) if is_deep => move_up(folder, name, top, moved)?,
            Ok(inner) => levels.push((name.to_owned(), Dir::read_from(inner)?)),
            Err(Errno::NOTDIR | Errno::LOOP) => gone(rustix::fs::unlinkat(folder, name, AtFlags::empty()))?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(*moved > before)
}

/// Moves a folder up to the top, under a name that nothing has there.
fn move_up(from: BorrowedFd<'_>, name: &CStr, top: BorrowedFd<'_>, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        match rustix::fs::renameat(from, name, top, format!(".roadstead-{moved}")) {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            moved => return gone(moved),
        }
    }
}

fn gone(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Err(Errno::NOENT) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// One folder on the way down.
struct Level {
    /// Only of the first: the way back from others is by `..`.
    fd: Option<OwnedFd>,
    at: (u64, u64),
    /// Folders in it that were not looked into yet.
    left: Vec<CString>,
}

/// Tells of everything in a folder, however deep. What goes meanwhile is left out, and no link is followed; a walk that
/// loses its way, as a folder was moved under it, ends there.
pub(crate) fn walk(path: &Path, mut tell: impl FnMut(&Stat)) {
    let Ok(top) = open(CWD, path) else { return };
    let Some(level) = look(&top, true, &mut tell) else { return };
    let (mut levels, mut here) = (vec![level], top);
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.left.pop() {
            let Ok(inner) = open(here.as_fd(), name.as_c_str()) else { continue };
            let keep = levels.len() < OPEN_MAX;
            if let Some(level) = look(&inner, keep, &mut tell) {
                levels.push(level);
                here = inner;
            }
            continue;
        }
        levels.pop();
        let Some(parent) = levels.last() else { return };
        let back = match &parent.fd {
            Some(fd) => fd.try_clone().ok(),
            None => open(here.as_fd(), c"..").ok().filter(|fd| place(fd) == Some(parent.at)),
        };
        match back {
            Some(back) => here = back,
            // From the nearest folder that is still open.
            None => {
                while levels.last().is_some_and(|level| level.fd.is_none()) {
                    levels.pop();
                }
                let open = levels.last().and_then(|level| level.fd.as_ref()?.try_clone().ok());
                let Some(open) = open else { return };
                here = open;
            }
        }
    }
}

fn look(folder: &OwnedFd, keep: bool, tell: &mut impl FnMut(&Stat)) -> Option<Level> {
    let (at, fd) = (place(folder)?, keep.then(|| folder.try_clone().ok()).flatten());
    let mut left = Vec::new();
    for entry in Dir::read_from(folder).ok()?.flatten() {
        let name = entry.file_name();
        if is_dots(name) {
            continue;
        }
        let Ok(stat) = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        tell(&stat);
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            left.push(name.to_owned());
        }
    }
    Some(Level { fd, at, left })
}

fn place(fd: &OwnedFd) -> Option<(u64, u64)> {
    rustix::fs::fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

fn open(at: BorrowedFd<'_>, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// So deep that a call for each folder has no room on a thread's stack, nor a descriptor for each in a process.
    const DEPTH: usize = 20_000;

    /// Makes folders in each other, and files on the way.
    fn deep(top: &Path, name: &str) {
        fs::create_dir(top).unwrap();
        let mut here = open(CWD, top).unwrap();
        for depth in 0..DEPTH {
            rustix::fs::mkdirat(&here, name, Mode::RWXU).unwrap();
            if depth % 1000 == 0 {
                let flags = OFlags::CREATE | OFlags::WRONLY;
                rustix::fs::openat(&here, "file", flags, Mode::RUSR).unwrap();
            }
            here = open(here.as_fd(), name).unwrap();
        }
    }

    #[test]
    fn folders_of_any_depth_are_walked_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        deep(&top, &"d".repeat(100));
        // What has the name of what is moved up.
        fs::create_dir(top.join(".roadstead-1")).unwrap();
        fs::write(top.join(".roadstead-1/x"), "").unwrap();
        fs::write(top.join(".roadstead-2"), "").unwrap();
        let mut seen = 0;
        walk(&top, |_| seen += 1);
        assert_eq!(seen, DEPTH + DEPTH / 1000 + 3);
        remove(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        fs::create_dir_all(other.join("kept")).unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        std::os::unix::fs::symlink(&other, top.join("a/link")).unwrap();
        let mut seen = 0;
        walk(&top, |_| seen += 1);
        assert_eq!(seen, 3);
        remove(&top).unwrap();
        remove(&top).unwrap();
        std::os::unix::fs::symlink(&other, &top).unwrap();
        remove(&top).unwrap();
        fs::write(&top, "").unwrap();
        remove(&top).unwrap();
        assert!(other.join("kept").is_dir() && !top.exists());
    }
}
