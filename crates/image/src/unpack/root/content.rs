//! The content of files, written as it comes: counted before it is on disk, holes left as holes.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags};

use super::{DISK_BLOCK, Place, Root, host_error, times};
use crate::unpack::read_error;
use crate::unpack::tarball::{Entry, Piece, lossy};
use crate::{Error, Result, limits};

/// How much of a file is counted at a time.
const COUNT_BYTES: u64 = 1 << 20;

impl Root<'_> {
    pub(super) fn make_file(
        &mut self,
        place: &Place,
        entry: &Entry,
        size: u64,
        tar: &mut impl Read,
    ) -> Result<()> {
        let whole = [Piece { offset: 0, length: size }];
        let pieces = entry.pieces.as_deref().unwrap_or(&whole);
        // A tar that says more than it has is refused when it ends; what is in it passes the limits first.
        if entry.pieces.is_some() {
            self.take_apparent(size)?;
            self.take(blocks_of(pieces))?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            self.make(place, |dir, name| rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600)))?;
        let mut file = File::from(fd);
        let written = |error| Error::Io { what: format!("write {}", lossy(&place.path)), source: error };
        for piece in pieces.iter().filter(|piece| piece.length > 0) {
            if piece.offset > 0 {
                file.seek(io::SeekFrom::Start(piece.offset)).map_err(written)?;
            }
            self.copy_content(tar, &mut file, piece.length, entry.pieces.is_none(), &place.path)?;
        }
        if entry.pieces.is_some() {
            file.set_len(size).map_err(written)?;
        }

        // A change of owner clears setuid bits and file capabilities, so it comes first.
        self.set_owner(place, entry)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode))
            .map_err(|errno| host_error(errno, &place.path))?;
        self.set_xattrs(file.as_fd(), entry)?;
        rustix::fs::futimens(&file, &times(entry.mtime)).map_err(|errno| host_error(errno, &place.path))
    }

    /// Writes the next `size` bytes of the tar, each counted before it is written.
    fn copy_content(
        &mut self,
        tar: &mut impl Read,
        file: &mut File,
        size: u64,
        is_counted: bool,
        path: &[u8],
    ) -> Result<()> {
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(usize::MAX).clamp(1, 64 << 10)];
        let (mut left, mut counted) = (size, 0);
        while left > 0 {
            let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = tar.read(&mut buffer[..wanted]).map_err(read_error)?;
            if n == 0 {
                return Err(Error::invalid("the layer is damaged: its tar ends inside a file"));
            }
            left -= n as u64;
            if is_counted && size - left > counted {
                // By steps, so that a size that only the header states counts for nothing.
                let step = (size - counted).min(COUNT_BYTES);
                self.take(step.div_ceil(DISK_BLOCK) * DISK_BLOCK)?;
                self.take_apparent(step)?;
                counted += step;
            }
            file.write_all(&buffer[..n])
                .map_err(|error| Error::Io { what: format!("write {}", lossy(path)), source: error })?;
        }
        Ok(())
    }

    /// Counts what a file says that it has, holes included.
    pub(super) fn take_apparent(&mut self, bytes: u64) -> Result<()> {
        self.apparent = self.apparent.saturating_add(bytes);
        if self.apparent <= limits::UNPACKED_BYTES_MAX {
            return Ok(());
        }
        Err(Error::Limit(format!("a layer unpacks to more than {} bytes", limits::UNPACKED_BYTES_MAX)))
    }
}

/// What pieces of a file take on disk; two in one block take it once.
fn blocks_of(pieces: &[Piece]) -> u64 {
    let (mut blocks, mut end) = (0_u64, 0);
    for piece in pieces.iter().filter(|piece| piece.length > 0) {
        let first = (piece.offset / DISK_BLOCK).max(end);
        let last = piece.offset.saturating_add(piece.length).div_ceil(DISK_BLOCK);
        blocks += last.saturating_sub(first);
        end = last;
    }
    blocks.saturating_mul(DISK_BLOCK)
}
