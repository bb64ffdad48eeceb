//! What one pull or one load may unpack, all its layers together, and how full it may make the disk.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::IoContext;
use crate::{Error, Result, limits};

/// Counts for all layers of a pull or load. Each layer has its own limits beside this.
pub struct Allowance {
    /// Bytes that came in, by which the rest is measured.
    packed: Cell<u64>,
    /// Whether what is read counts as having come in: an archive's size is known, and counts once.
    by_reading: bool,
    unpacked: Cell<u64>,
    taken: Cell<u64>,
    room: Room,
}

impl Allowance {
    /// For what comes in bit by bit, unpacked on the disk that has `dir`.
    pub fn by_reading(dir: &Path) -> Self {
        Self {
            packed: Cell::new(0),
            by_reading: true,
            unpacked: Cell::new(0),
            taken: Cell::new(0),
            room: Room::of(dir),
        }
    }

    /// For a file of `bytes` bytes, however often its parts are read.
    pub fn by_size(dir: &Path, bytes: u64) -> Self {
        Self { packed: Cell::new(bytes), by_reading: false, ..Self::by_reading(dir) }
    }

    /// Some of what came in has been read.
    pub fn read(&self, bytes: u64) {
        if self.by_reading {
            self.packed.set(self.packed.get().saturating_add(bytes));
        }
    }

    /// Some of it has been decompressed.
    pub fn unpacked(&self, bytes: u64) -> Result<()> {
        self.unpacked.set(self.unpacked.get().saturating_add(bytes));
        self.check(self.unpacked.get())
    }

    /// This many bytes of the disk are about to be taken for it.
    pub fn take(&self, bytes: u64) -> Result<()> {
        self.taken.set(self.taken.get().saturating_add(bytes));
        self.check(self.taken.get())?;
        self.room.take(bytes)
    }

    /// The same for a copy of what is on the disk already, which no archive had to bring.
    pub fn take_copy(&self, bytes: u64) -> Result<()> {
        self.room.take(bytes)
    }

    /// The disk.
    pub fn room(&self) -> &Room {
        &self.room
    }

    fn check(&self, bytes: u64) -> Result<()> {
        if bytes <= fair(self.packed.get()) {
            return Ok(());
        }
        let times = limits::EXPANSION_RATIO_MAX;
        Err(Error::Limit(format!("the image unpacks to more than {times} times its size")))
    }
}

/// What `packed` bytes may become.
pub fn fair(packed: u64) -> u64 {
    limits::EXPANSION_FREE_BYTES.saturating_add(packed.saturating_mul(limits::EXPANSION_RATIO_MAX))
}

/// The room that images may take on a disk. Looked at from time to time, not at each write.
pub struct Room {
    dir: PathBuf,
    /// What may be taken before the next look.
    unseen: Cell<u64>,
}

/// After so many bytes the disk is looked at again, at the latest.
const LOOK_BYTES: u64 = 32 << 20;
/// What every new file counts beside its content, so that many empty ones are noticed too.
const FILE_BYTES: u64 = 4096;

impl Room {
    /// Of the disk that has `dir`.
    pub fn of(dir: &Path) -> Self {
        // The first use looks.
        Self { dir: dir.to_owned(), unseen: Cell::new(0) }
    }

    /// This many bytes, in one file or so, are about to be taken.
    pub fn take(&self, bytes: u64) -> Result<()> {
        let wanted = bytes.saturating_add(FILE_BYTES);
        match self.unseen.get().checked_sub(wanted) {
            Some(left) => self.unseen.set(left),
            None => self.look(wanted)?,
        }
        Ok(())
    }

    /// Refuses when the disk would be too full with `bytes` more.
    pub fn look(&self, bytes: u64) -> Result<()> {
        let stat = rustix::fs::statvfs(&self.dir).context(|| format!("read {}", self.dir.display()))?;
        let size = stat.f_blocks.saturating_mul(stat.f_frsize);
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let kept = (size / limits::DISK_KEPT_PART).min(limits::DISK_KEPT_BYTES_MAX);
        let dir = self.dir.display();
        let Some(room) = free.checked_sub(kept).and_then(|room| room.checked_sub(bytes)) else {
            return Err(full(format!(
                "the disk of {dir} has {free} bytes free, of which {kept} are not for images, and {bytes} more are wanted"
            )));
        };
        // Some file systems have no fixed number of files, and say 0.
        let files_kept = (stat.f_files / limits::DISK_KEPT_PART).min(limits::FILES_KEPT_MAX);
        if stat.f_files > 0 && stat.f_favail <= files_kept {
            return Err(full(format!("the disk of {dir} takes {} more files only", stat.f_favail)));
        }
        self.unseen.set((room / 2).min(LOOK_BYTES));
        Ok(())
    }
}

fn full(what: String) -> Error {
    Error::Io { what, source: io::Error::new(io::ErrorKind::StorageFull, "no space left on device") }
}
