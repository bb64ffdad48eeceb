//! How full a file system is, and how much of it is kept for what must go on when it is full. One rule for
//! the store, the agent, and `roadstead doctor`.

use std::io;
use std::path::Path;

/// The floor is this part of the file system, between these two, in bytes.
const FLOOR_PART: u64 = 50;
const FLOOR_BYTES: (u64, u64) = (4 << 20, 256 << 20);
/// The same for inodes, where a file system counts them.
const FLOOR_INODES: (u64, u64) = (64, 4096);
/// What each file of a store keeps inside itself is this part of the file system, between these two, in bytes.
const KEPT_PART: u64 = 256;
const KEPT_BYTES: (u64, u64) = (512 << 10, 4 << 20);

/// A file system at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All bytes.
    pub total_bytes: u64,
    /// Bytes that may still be written, without what a file system keeps for root.
    pub free_bytes: u64,
    /// All inodes; 0 where they are not counted.
    pub total_inodes: u64,
    /// Inodes that may still be made.
    pub free_inodes: u64,
    /// Nothing may be written at all.
    pub read_only: bool,
}

impl Space {
    /// Asks the system; some microseconds.
    ///
    /// # Errors
    /// When `path` cannot be found.
    pub fn of(path: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Space {
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_inodes: stat.f_files,
            free_inodes: stat.f_favail,
            read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }

    /// Free bytes below which nothing new is begun.
    pub fn floor_bytes(&self) -> u64 {
        (self.total_bytes / FLOOR_PART).clamp(FLOOR_BYTES.0, FLOOR_BYTES.1)
    }

    /// Free inodes below which nothing new is begun; 0 where they are not counted.
    pub fn floor_inodes(&self) -> u64 {
        if self.total_inodes == 0 {
            return 0;
        }
        (self.total_inodes / FLOOR_PART).clamp(FLOOR_INODES.0, FLOOR_INODES.1)
    }

    /// Bytes that each file of a store keeps inside itself.
    pub fn kept_bytes(&self) -> u64 {
        (self.total_bytes / KEPT_PART).clamp(KEPT_BYTES.0, KEPT_BYTES.1)
    }

    /// Whether it is so full that nothing new may be begun: what is left is for what ends something.
    pub fn is_tight(&self) -> bool {
        self.free_bytes < self.floor_bytes() || self.free_inodes < self.floor_inodes()
    }

    /// How much is left, in words.
    pub fn left(&self) -> String {
        let bytes = format!("{} of {} MiB", self.free_bytes >> 20, self.total_bytes >> 20);
        match self.free_inodes < self.floor_inodes() {
            true => format!("{bytes} and {} of {} inodes", self.free_inodes, self.total_inodes),
            false => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(total_mib: u64, free_mib: u64) -> Space {
        Space {
            total_bytes: total_mib << 20,
            free_bytes: free_mib << 20,
            total_inodes: 10_000,
            free_inodes: 5_000,
            read_only: false,
        }
    }

    #[test]
    fn what_is_kept_grows_with_the_disk_up_to_a_bound() {
        for (total, floor, kept_kib) in
            [(64, 4, 512), (1000, 20, 4000), (10_000, 200, 4096), (1 << 20, 256, 4096)]
        {
            let space = space(total, total);
            assert_eq!((space.floor_bytes() >> 20, space.kept_bytes() >> 10), (floor, kept_kib), "{total}");
        }
    }

    #[test]
    fn bytes_and_inodes_may_each_be_short() {
        assert!(!space(1000, 20).is_tight() && space(1000, 19).is_tight());
        let inodes = Space { free_inodes: 199, ..space(1000, 500) };
        assert!(inodes.is_tight() && inodes.left().contains("199 of 10000 inodes"), "{}", inodes.left());
        // Where they are not counted, none are short.
        assert!(!Space { total_inodes: 0, free_inodes: 0, ..space(1000, 500) }.is_tight());
        assert!(Space::of(Path::new("/")).unwrap().total_bytes > 0);
    }
}
