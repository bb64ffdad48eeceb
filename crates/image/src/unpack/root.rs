//! The folder that a layer is unpacked into, and the only thing that unpacking can reach.
//!
//! Every path is resolved by the kernel with this folder as its root (`openat2`, `RESOLVE_IN_ROOT`), as
//! if after a chroot: symbolic links made by the tar lead nowhere else. The last component is never
//! followed; what stands there is replaced. Nobody else writes here meanwhile.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, Uid,
    XattrFlags,
};
use rustix::io::Errno;

use super::allowance::Allowance;
use super::tarball::{Entry, Kind, TarReader, lossy};
use crate::{Error, Result};

mod content;
mod implied;
mod lower;
mod path;
mod whiteout;

/// Folders inside folders; deeper ones could not be deleted again, which takes a descriptor for each.
const DEPTH_MAX: usize = 512;
/// `openat2` gives up when something else on this host is renamed at the same moment.
const RESOLVE_TRIES_MAX: u32 = 1000;
/// What a small file or a folder takes on disk.
const DISK_BLOCK: u64 = 4096;

/// The folder, and what is remembered until [`Root::finish`].
pub struct Root<'a> {
    dir: Rc<OwnedFd>,
    below: lower::Lower<'a>,
    allowance: &'a Allowance,
    /// Components of the root's own path, for counting depth.
    depth: usize,
    /// The folder of the last entry: most entries follow one from the same folder.
    last_parent: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// Times of folders, set last, since filling a folder changes them.
    dir_times: Vec<(Vec<u8>, (i64, u32))>,
    /// Folders made because something was in them; what they look like stands in a layer below.
    implied: BTreeSet<Vec<u8>>,
    /// Files of layers below that were copied here, for a hard link to lead to.
    copied: BTreeSet<Vec<u8>>,
    /// Folders of aufs's own marks: gone at the end, since hard links may lead into them until then.
    marks: BTreeSet<Vec<u8>>,
    /// What it takes on disk, and what its files say that they have, in bytes.
    size: u64,
    apparent: u64,
}

/// A name in a folder of the layer.
struct Place {
    dir: Rc<OwnedFd>,
    name: Vec<u8>,
    /// The whole path, cleaned, for messages and memory.
    path: Vec<u8>,
}

impl<'a> Root<'a> {
    /// Opens the empty folder to unpack into, above the layers `below`, top first.
    pub fn open(target: &Path, below: &'a [PathBuf], allowance: &'a Allowance) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, target, flags, Mode::empty())
            .and_then(|dir| {
                rustix::fs::chmodat(CWD, target, Mode::from_raw_mode(0o755), AtFlags::empty()).map(|()| dir)
            })
            .map_err(|errno| host_error(errno, target.as_os_str().as_encoded_bytes()))?;
        let depth = depth_of(dir.as_fd())?;
        Ok(Self {
            dir: Rc::new(dir),
            below: lower::Lower::of(below),
            allowance,
            depth,
            last_parent: None,
            dir_times: Vec::new(),
            implied: BTreeSet::new(),
            copied: BTreeSet::new(),
            marks: BTreeSet::new(),
            size: 0,
            apparent: 0,
        })
    }

    /// Makes what `entry` describes; a file's content is read from `tar`.
    pub fn apply(&mut self, entry: &Entry, tar: &mut TarReader<impl io::Read>) -> Result<()> {
        let path = path::clean(&entry.path)?;
        let Some(place) = self.place(&path)? else { return self.describe_root(entry) };
        if let Some(hidden) = place.name.strip_prefix(whiteout::PREFIX) {
            return self.white_out(&place, hidden);
        }
        match &entry.kind {
            Kind::Directory => self.make_dir(&place, entry),
            Kind::File(size) => self.make_file(&place, entry, *size, tar),
            Kind::Hardlink(target) => self.make_link(&place, target),
            Kind::Symlink(target) => {
                self.make(&place, |dir, name| rustix::fs::symlinkat(target.as_slice(), dir, name))?;
                self.set_owner_and_time(&place, entry)
            }
            Kind::Fifo => self.make_node(&place, entry, FileType::Fifo, 0),
            Kind::CharDevice(major, minor) => {
                self.make_node(&place, entry, FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
            }
            Kind::BlockDevice(major, minor) => {
                self.make_node(&place, entry, FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
            }
        }
    }

    /// Sets what had to wait for the end; returns the bytes that the layer takes on disk.
    pub fn finish(mut self) -> Result<u64> {
        self.remove_marks()?;
        self.describe_implied()?;
        for (path, time) in std::mem::take(&mut self.dir_times) {
            // A later entry may have replaced the folder by something else; that has its own time.
            let Some(place) = self.find(&path)? else { continue };
            if self.type_at(&place)? == Some(FileType::Directory) {
                set_time(&place, time)?;
            }
        }
        Ok(self.size)
    }

    /// Where `path` is to be made, its folders made first; `None` for the root itself.
    fn place(&mut self, path: &[u8]) -> Result<Option<Place>> {
        if path.is_empty() {
            return Ok(None);
        }
        let (parent, name) = path::split(path);
        let dir = match &self.last_parent {
            Some((known, dir)) if known == parent => dir.clone(),
            _ => {
                let dir = Rc::new(self.make_dirs(parent)?);
                self.last_parent = Some((parent.to_vec(), dir.clone()));
                dir
            }
        };
        Ok(Some(Place { dir, name: name.to_vec(), path: path.to_vec() }))
    }

    /// Where `path` is, if its folder is there.
    fn find(&self, path: &[u8]) -> Result<Option<Place>> {
        let (parent, name) = path::split(path);
        match self.open_dir(parent) {
            Ok(dir) => Ok(Some(Place { dir: Rc::new(dir), name: name.to_vec(), path: path.to_vec() })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(host_error(errno, path)),
        }
    }

    /// Opens a folder of the layer; links are followed inside the layer.
    fn open_dir(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        open_beneath(self.dir.as_fd(), path, ResolveFlags::IN_ROOT)
    }

    /// Opens the folder at `path`, making those that are missing.
    fn make_dirs(&mut self, path: &[u8]) -> Result<OwnedFd> {
        match self.open_dir(path) {
            Ok(dir) => return self.check_depth(dir, path),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(host_error(errno, path)),
        }
        let mut dir = self.check_depth(self.open_dir(b"").map_err(|errno| host_error(errno, path))?, path)?;
        for end in path::prefixes(path) {
            let prefix = &path[..end];
            dir = match self.open_dir(prefix) {
                Ok(dir) => self.check_depth(dir, path)?,
                Err(Errno::NOENT | Errno::NOTDIR) => self.imply_dir(dir, prefix)?,
                Err(errno) => return Err(host_error(errno, prefix)),
            };
        }
        Ok(dir)
    }

    /// Makes the folder at `path` in `parent`, because an entry lies in it.
    fn imply_dir(&mut self, parent: OwnedFd, path: &[u8]) -> Result<OwnedFd> {
        let (_, name) = path::split(path);
        if name.starts_with(whiteout::PREFIX) {
            self.mark_dir(path, name)?;
        }
        let place = Place { dir: Rc::new(parent), name: name.to_vec(), path: path.to_vec() };
        let was_whiteout = match self.type_at(&place)? {
            None => false,
            Some(FileType::CharacterDevice) if self.is_whiteout(&place)? => true,
            Some(_) => return Err(Error::Invalid(format!("{} is in the way of a folder", lossy(path)))),
        };
        if was_whiteout {
            self.clear(&place)?;
        }
        self.new_dir(&place)?;
        if was_whiteout {
            self.make_opaque(&place)?;
        }
        self.implied.insert(path.to_vec());
        let dir = self.open_dir(path).map_err(|errno| host_error(errno, path))?;
        self.check_depth(dir, path)
    }

    fn check_depth(&self, dir: OwnedFd, path: &[u8]) -> Result<OwnedFd> {
        if depth_of(dir.as_fd())?.saturating_sub(self.depth) > DEPTH_MAX {
            return Err(Error::Limit(format!("{} lies more than {DEPTH_MAX} folders deep", lossy(path))));
        }
        Ok(dir)
    }

    fn describe_root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            return Err(Error::invalid("a layer holds something other than a folder as its root"));
        }
        // The root is the one folder without a name in a folder of the layer.
        let dir = open_for_reading(self.dir.as_fd(), b".").map_err(|errno| host_error(errno, b"/"))?;
        let done = rustix::fs::fchown(&dir, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
            .and_then(|()| rustix::fs::fchmod(&dir, Mode::from_raw_mode(entry.mode)))
            .and_then(|()| rustix::fs::futimens(&dir, &times(entry.mtime)));
        done.map_err(|errno| host_error(errno, b"/"))?;
        self.set_xattrs(dir.as_fd(), entry)
    }

    fn make_dir(&mut self, place: &Place, entry: &Entry) -> Result<()> {
        let was_whiteout = match self.type_at(place)? {
            Some(FileType::Directory) => None,
            Some(FileType::CharacterDevice) => Some(self.is_whiteout(place)?),
            _ => Some(false),
        };
        if let Some(was_whiteout) = was_whiteout {
            self.clear(place)?;
            self.new_dir(place)?;
            // The whiteout hid what is below; the folder that takes its place must go on hiding it.
            if was_whiteout {
                self.make_opaque(place)?;
            }
        }
        self.implied.remove(&place.path);
        self.dir_times.push((place.path.clone(), entry.mtime));
        let dir = open_for_reading(place.dir.as_fd(), &place.name)
            .map_err(|errno| host_error(errno, &place.path))?;
        self.set_owner(place, entry)?;
        rustix::fs::fchmod(&dir, Mode::from_raw_mode(entry.mode))
            .map_err(|errno| host_error(errno, &place.path))?;
        self.set_xattrs(dir.as_fd(), entry)
    }

    /// Counts what is about to be made.
    fn take(&mut self, bytes: u64) -> Result<()> {
        self.size = self.size.saturating_add(bytes);
        self.allowance.take(bytes)
    }

    fn new_dir(&mut self, place: &Place) -> Result<()> {
        self.take(DISK_BLOCK)?;
        let made = rustix::fs::mkdirat(&place.dir, place.name.as_slice(), Mode::from_raw_mode(0o755));
        // The process's umask may have taken bits away.
        made.and_then(|()| chmod(place, 0o755)).map_err(|errno| host_error(errno, &place.path))
    }

    fn make_link(&mut self, place: &Place, target: &[u8]) -> Result<()> {
        let target = path::clean(target)?;
        let missing = || {
            let (name, target) = (lossy(&place.path), lossy(&target));
            Error::Invalid(format!(
                "{name} is a hard link to {target}, which is neither in its layer nor in one below"
            ))
        };
        let (_, target_name) = path::split(&target);
        if target.is_empty() || target_name.starts_with(whiteout::PREFIX) {
            return Err(missing());
        }
        let source = match self.find(&target)? {
            Some(source) if self.has_own(&source)? => source,
            _ => self.copy_up(&target)?.ok_or_else(missing)?,
        };
        if self.type_at(&source)? == Some(FileType::Directory) {
            return Err(Error::Invalid(format!("{} is a hard link to a folder", lossy(&place.path))));
        }
        if same_file(&source, place)? {
            return Ok(());
        }
        let link = |dir: BorrowedFd<'_>, name: &[u8]| {
            rustix::fs::linkat(&source.dir, source.name.as_slice(), dir, name, AtFlags::empty())
        };
        self.make(place, link)
    }

    /// Whether the layer itself has something at `place`; its whiteout of what is below is nothing.
    fn has_own(&self, place: &Place) -> Result<bool> {
        match self.type_at(place)? {
            None => Ok(false),
            Some(FileType::CharacterDevice) => Ok(!self.is_whiteout(place)?),
            Some(_) => Ok(true),
        }
    }

    fn make_node(&mut self, place: &Place, entry: &Entry, kind: FileType, device: u64) -> Result<()> {
        self.make(place, |dir, name| {
            rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(0o600), device)
        })?;
        self.set_owner(place, entry)?;
        chmod(place, entry.mode).map_err(|errno| host_error(errno, &place.path))?;
        set_time(place, entry.mtime)
    }

    /// Makes something new at `place`, in the place of what was there.
    fn make<T>(
        &mut self,
        place: &Place,
        make: impl Fn(BorrowedFd<'_>, &[u8]) -> rustix::io::Result<T>,
    ) -> Result<T> {
        match make(place.dir.as_fd(), &place.name) {
            Err(Errno::EXIST) => {
                self.clear(place)?;
                make(place.dir.as_fd(), &place.name).map_err(|errno| host_error(errno, &place.path))
            }
            other => other.map_err(|errno| host_error(errno, &place.path)),
        }
    }

    /// Removes what is at `place`, with all that is in it.
    fn clear(&mut self, place: &Place) -> Result<()> {
        // What is removed may be, or lead to, the folder that is remembered.
        self.last_parent = None;
        self.copied.remove(&place.path);
        match rustix::fs::unlinkat(&place.dir, place.name.as_slice(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => {
                self.forget_implied(&place.path);
                // `remove_dir_all` follows no links below the path that it is given.
                std::fs::remove_dir_all(path::by_descriptor(place.dir.as_fd(), &place.name)).map_err(
                    |error| Error::Io { what: format!("remove {}", lossy(&place.path)), source: error },
                )
            }
            Err(errno) => Err(host_error(errno, &place.path)),
        }
    }

    fn type_at(&self, place: &Place) -> Result<Option<FileType>> {
        Ok(stat(place)?.map(|stat| FileType::from_raw_mode(stat.st_mode)))
    }

    fn set_owner(&self, place: &Place, entry: &Entry) -> Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)));
        rustix::fs::chownat(&place.dir, place.name.as_slice(), uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| host_error(errno, &place.path))
    }

    fn set_xattrs(&mut self, file: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
        for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_kept(name)) {
            // Small ones lie in the inode; the others take blocks.
            if value.len() as u64 > DISK_BLOCK / 8 {
                self.take((value.len() as u64).div_ceil(DISK_BLOCK) * DISK_BLOCK)?;
            }
            match rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
                Ok(()) => {}
                // Without its capabilities a program fails later, where nobody knows why; the rest is comfort.
                Err(Errno::NOTSUP) if name != b"security.capability" => {}
                // More than any file system, or this one, takes at a file. A full disk says the same.
                Err(errno @ (Errno::TOOBIG | Errno::RANGE | Errno::NOSPC))
                    if value.len() as u64 > DISK_BLOCK / 8 =>
                {
                    let (path, name) = (lossy(&entry.path), lossy(name));
                    self.allowance.room().look(DISK_BLOCK)?;
                    return Err(Error::Invalid(format!(
                        "the attribute {name} of {path} is too long: {errno}"
                    )));
                }
                Err(errno) => return Err(host_error(errno, &entry.path)),
            }
        }
        Ok(())
    }

    fn set_owner_and_time(&self, place: &Place, entry: &Entry) -> Result<()> {
        self.set_owner(place, entry)?;
        set_time(place, entry.mtime)
    }
}

/// Opens a folder under `root` by the kernel's own containment.
fn open_beneath(root: BorrowedFd<'_>, path: &[u8], how: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = how | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let path = if path.is_empty() { b"." } else { path };
    for _ in 0..RESOLVE_TRIES_MAX {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

fn open_for_reading(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Components of a folder's real path.
fn depth_of(dir: BorrowedFd<'_>) -> Result<usize> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()))
        .map_err(|error| Error::Io { what: "read /proc/self/fd".into(), source: error })?;
    Ok(path.components().count())
}

fn stat(place: &Place) -> Result<Option<rustix::fs::Stat>> {
    match rustix::fs::statat(&place.dir, place.name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(host_error(errno, &place.path)),
    }
}

fn same_file(one: &Place, other: &Place) -> Result<bool> {
    let (one, other) = (stat(one)?, stat(other)?);
    Ok(one.zip(other).is_some_and(|(one, other)| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)))
}

fn chmod(place: &Place, mode: u32) -> rustix::io::Result<()> {
    // Never called on a symbolic link: only on what was just made.
    rustix::fs::chmodat(&place.dir, place.name.as_slice(), Mode::from_raw_mode(mode), AtFlags::empty())
}

fn set_time(place: &Place, time: (i64, u32)) -> Result<()> {
    rustix::fs::utimensat(&place.dir, place.name.as_slice(), &times(time), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| host_error(errno, &place.path))
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: i64::from(nanos) },
    }
}

/// Attributes that a container may rely on. Others would change what this host does with the layer
/// (`trusted.overlay.*`) or belong to another host's policy (`security.selinux`, `security.ima`).
fn is_kept(name: &[u8]) -> bool {
    name == b"security.capability"
        || name.starts_with(b"system.posix_acl_")
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

/// Names that this host cannot have are the tar's fault, the rest is the host's.
fn host_error(errno: Errno, path: &[u8]) -> Error {
    match errno {
        Errno::NAMETOOLONG
        | Errno::LOOP
        | Errno::NOTDIR
        | Errno::NOENT
        | Errno::EXIST
        | Errno::XDEV
        | Errno::INVAL
        | Errno::MLINK => Error::Invalid(format!("cannot unpack {}: {errno}", lossy(path))),
        _ => Error::Io { what: format!("unpack {}", lossy(path)), source: errno.into() },
    }
}
