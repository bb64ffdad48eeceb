//! What shows of the layers below: through the marks of an overlay, as in a container.
//!
//! A hard link may lead to a file of a layer below. A link does not reach over layers, so the file is
//! copied up first, as the overlay itself would do it under a container.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Uid, XattrFlags};
use rustix::io::Errno;

use super::{Place, Root, chmod, host_error, is_kept, set_time};
use crate::unpack::tarball::lossy;
use crate::{Error, Result};

/// The layers below, top first; opened when they are needed.
pub struct Lower<'a> {
    paths: &'a [PathBuf],
    opened: OnceCell<Vec<OwnedFd>>,
}

/// What is at a path.
pub enum Shown {
    /// Nothing.
    Nothing,
    /// Nothing, and what layers below have there does not show.
    Hidden,
    /// Something: the folder that has it, and its looks.
    There { dir: OwnedFd, stat: Box<Stat> },
}

const OPAQUE_XATTR: &str = "trusted.overlay.opaque";
/// Attributes of one file: the kernel's own limit of their names, in bytes.
const XATTR_NAMES_BYTES: usize = 64 << 10;

impl<'a> Lower<'a> {
    /// The layers in these folders, top first.
    pub fn of(paths: &'a [PathBuf]) -> Self {
        Self { paths, opened: OnceCell::new() }
    }

    /// What shows at `path`.
    pub fn shown(&self, path: &[u8]) -> Result<Shown> {
        for layer in self.layers()? {
            match look(layer.as_fd(), path).map_err(|errno| host_error(errno, path))? {
                Shown::Nothing => {}
                other => return Ok(other),
            }
        }
        Ok(Shown::Nothing)
    }

    fn layers(&self) -> Result<&[OwnedFd]> {
        if self.opened.get().is_none() {
            let mut layers = Vec::with_capacity(self.paths.len());
            for layer in self.paths {
                let dir = open_dir(CWD, layer.as_os_str().as_encoded_bytes());
                layers.push(dir.map_err(|errno| host_error(errno, layer.as_os_str().as_encoded_bytes()))?);
            }
            let _ = self.opened.set(layers);
        }
        Ok(self.opened.get().map_or(&[], Vec::as_slice))
    }
}

/// What one layer has at `path`, no link followed.
fn look(layer: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<Shown> {
    let mut dir = open_dir(layer, b".")?;
    let mut hides = is_opaque(dir.as_fd());
    let mut names = path.split(|&b| b == b'/').peekable();
    while let Some(name) = names.next() {
        let stat = match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(if hides { Shown::Hidden } else { Shown::Nothing }),
            Err(errno) => return Err(errno),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if names.peek().is_none() {
            let is_whiteout = kind == FileType::CharacterDevice && stat.st_rdev == 0;
            return Ok(if is_whiteout { Shown::Hidden } else { Shown::There { dir, stat: Box::new(stat) } });
        }
        // A whiteout, a file or a link on the way hides all that lies below it.
        if kind != FileType::Directory {
            return Ok(Shown::Hidden);
        }
        dir = open_dir(dir.as_fd(), name)?;
        hides |= is_opaque(dir.as_fd());
    }
    Ok(Shown::Nothing)
}

fn open_dir(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    let mut value = [0_u8; 1];
    rustix::fs::fgetxattr(dir, OPAQUE_XATTR, &mut value).is_ok_and(|_| value == *b"y")
}

impl Root<'_> {
    /// Copies the file that shows at `path` from below, for links to lead to; none when nothing does.
    pub(super) fn copy_up(&mut self, path: &[u8]) -> Result<Option<Place>> {
        // What this layer hides does not show through it.
        match look(self.dir.as_fd(), path).map_err(|errno| host_error(errno, path))? {
            Shown::Nothing => {}
            Shown::Hidden | Shown::There { .. } => return Ok(None),
        }
        let Shown::There { dir, stat } = self.below.shown(path)? else { return Ok(None) };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            return Err(Error::Invalid(format!("a hard link leads to the folder {}", lossy(path))));
        }
        let Some(place) = self.place(path)? else { return Ok(None) };
        let failed = |errno| host_error(errno, path);
        match kind {
            FileType::RegularFile => self.copy_file(&place, dir.as_fd(), &stat)?,
            FileType::Symlink => {
                let target =
                    rustix::fs::readlinkat(&dir, place.name.as_slice(), Vec::new()).map_err(failed)?;
                rustix::fs::symlinkat(target.as_c_str(), &place.dir, place.name.as_slice())
                    .map_err(failed)?;
                self.copy_owner(&place, &stat)?;
            }
            other => {
                let name = place.name.as_slice();
                rustix::fs::mknodat(&place.dir, name, other, Mode::from_raw_mode(0o600), stat.st_rdev)
                    .map_err(failed)?;
                self.copy_owner(&place, &stat)?;
                chmod(&place, stat.st_mode & 0o7777).map_err(failed)?;
            }
        }
        set_time(&place, (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)))?;
        self.copied.insert(path.to_vec());
        Ok(Some(place))
    }

    fn copy_file(&mut self, place: &Place, from: BorrowedFd<'_>, stat: &Stat) -> Result<()> {
        let (size, taken) =
            (u64::try_from(stat.st_size).unwrap_or(0), u64::try_from(stat.st_blocks).unwrap_or(0));
        let taken = taken.saturating_mul(512);
        self.take_apparent(size)?;
        self.size = self.size.saturating_add(taken);
        self.allowance.take_copy(taken)?;
        let failed = |errno| host_error(errno, &place.path);
        let (read, write) = (OFlags::RDONLY, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL);
        let common = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = place.name.as_slice();
        let source = rustix::fs::openat(from, name, read | common, Mode::empty()).map_err(failed)?;
        let made = rustix::fs::openat(&place.dir, name, write | common, Mode::from_raw_mode(0o600));
        let made = made.map_err(failed)?;
        let (source, made) = (File::from(source), File::from(made));
        copy_pieces(&source, &made, size)
            .map_err(|error| Error::Io { what: format!("copy {}", lossy(&place.path)), source: error })?;
        self.copy_owner(place, stat)?;
        rustix::fs::fchmod(&made, Mode::from_raw_mode(stat.st_mode & 0o7777)).map_err(failed)?;
        copy_xattrs(&source, &made).map_err(failed)
    }

    fn copy_owner(&self, place: &Place, like: &Stat) -> Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(like.st_uid)), Some(Gid::from_raw(like.st_gid)));
        rustix::fs::chownat(&place.dir, place.name.as_slice(), uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| host_error(errno, &place.path))
    }
}

/// Copies what a file holds; its holes stay holes.
fn copy_pieces(source: &File, mut made: &File, size: u64) -> io::Result<()> {
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(start))?.min(size);
        rustix::fs::seek(source, SeekFrom::Start(start))?;
        rustix::fs::seek(made, SeekFrom::Start(start))?;
        io::copy(&mut source.take(end.saturating_sub(start)), &mut made)?;
        at = end.max(start + 1);
    }
    made.set_len(size)
}

fn copy_xattrs(source: &File, made: &File) -> rustix::io::Result<()> {
    let mut names = vec![0_u8; XATTR_NAMES_BYTES];
    let n = match rustix::fs::flistxattr(source, &mut names) {
        Ok(n) => n,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let mut value = vec![0_u8; XATTR_NAMES_BYTES];
    for name in names[..n].split(|&b| b == 0).filter(|name| is_kept(name)) {
        let length = rustix::fs::fgetxattr(source, name, &mut value)?;
        rustix::fs::fsetxattr(made, name, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}
