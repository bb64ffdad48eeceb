//! What containers have written to disk: measured file by file, which is dear, and only done when the disk is
//! nearly full; and freed before a task goes, whose output may have to wait.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::FileType;

use super::layout::ETC_FILES;
use super::task::Task;
use super::{Inner, cgroup, disk, tree};
use crate::state::{Phase, Written};

/// Of a container's folder, what it writes itself.
const WRITTEN: [&str; 3] = ["upper", "work", "volumes"];
/// What `stat` counts blocks in, in bytes.
const BLOCK_BYTES: u64 = 512;

/// Everything, by task and container.
pub(super) fn measure(inner: &Inner) -> Vec<Written> {
    let tasks: Vec<_> = inner.tasks.lock().values().cloned().collect();
    let mut all = Vec::new();
    for task in tasks {
        let mut sum = Sum::default();
        let own_disk = disk::taken(&task.dir);
        match own_disk {
            // All that it writes is one file here, whatever that holds.
            Some(bytes) => (sum.bytes, sum.inodes) = (bytes, 1),
            None => sum.folder(&task.dir.volumes()),
        }
        all.push(sum.of(&task, None));
        for name in task.container_names() {
            let mut sum = Sum::default();
            sum.folder(task.dir.container(&name).path());
            if own_disk.is_none() {
                for pid in cgroup::processes(&inner.hierarchy, &task.group.child(&name)) {
                    sum.unlinked(pid);
                }
            }
            all.push(sum.of(&task, Some(name)));
        }
    }
    all
}

/// Removes what a task's containers wrote, but for their output and their states.
pub(super) fn discard(task: &Task) -> io::Result<()> {
    if task.states().iter().any(|state| matches!(state.phase, Phase::Running(_))) {
        return Err(io::Error::other("a container of the task runs"));
    }
    if disk::taken(&task.dir).is_some() {
        return disk::remove(&task.dir);
    }
    tree::remove(&task.dir.volumes())?;
    for name in task.container_names() {
        let dir = task.dir.container(&name);
        for folder in WRITTEN {
            tree::remove(&dir.file(folder))?;
        }
        for file in ETC_FILES {
            match fs::remove_file(dir.etc(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Sum {
    bytes: u64,
    inodes: u64,
    /// Files that have several names, or none.
    seen: BTreeSet<(u64, u64)>,
}

impl Sum {
    fn of(self, task: &Task, container: Option<String>) -> Written {
        Written { task: task.id.clone(), container, bytes: self.bytes, inodes: self.inodes }
    }

    /// One inode, that of a number; one that is met once only is `single`.
    fn inode(&mut self, at: (u64, u64), single: bool, blocks: u64) {
        if single || self.seen.insert(at) {
            self.bytes += blocks * BLOCK_BYTES;
            self.inodes += 1;
        }
    }

    /// A folder with all in it; what goes meanwhile is not counted, and no link is followed.
    fn folder(&mut self, top: &Path) {
        tree::walk(top, |stat| {
            let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            // No two names lead to one folder.
            let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
            self.inode((stat.st_dev, stat.st_ino), is_folder || stat.st_nlink == 1, blocks);
        });
    }

    /// Files that a process has open and that have no name any more: no folder shows them. Those in memory
    /// take up no disk.
    fn unlinked(&mut self, pid: i32) {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            if metadata.is_file() && metadata.nlink() == 0 && !is_in_memory(&entry.path()) {
                self.inode((metadata.dev(), metadata.ino()), false, metadata.blocks());
            }
        }
    }
}

fn is_in_memory(path: &Path) -> bool {
    use nix::sys::statfs::{HUGETLBFS_MAGIC, TMPFS_MAGIC, statfs};
    statfs(path).is_ok_and(|found| [TMPFS_MAGIC, HUGETLBFS_MAGIC].contains(&found.filesystem_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_counted_once_and_not_followed_and_files_without_a_name_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/big"), vec![1; 64 << 10]).unwrap();
        fs::hard_link(path.join("a/b/big"), path.join("again")).unwrap();
        std::os::unix::fs::symlink("/", path.join("root")).unwrap();
        let mut sum = Sum::default();
        sum.folder(path);
        assert_eq!(sum.inodes, 4);
        assert!((64 << 10..200 << 10).contains(&sum.bytes), "{}", sum.bytes);
        let open = fs::File::create(path.join("open")).unwrap();
        std::io::Write::write_all(&mut &open, &[1; 8192]).unwrap();
        fs::remove_file(path.join("open")).unwrap();
        let mut sum = Sum::default();
        sum.unlinked(std::process::id().cast_signed());
        assert!(sum.bytes >= 8192 || is_in_memory(path), "{}", sum.bytes);
    }
}
