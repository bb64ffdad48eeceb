//! Durable file operations: what has returned is on disk.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Result;
use crate::error::IoContext;

/// Replaces the file at `path` by `content`, in one step. Where there is a spare for it, a full disk is enough.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let draft = path.with_extension("new");
    // Its blocks are kept as it is renamed, and written over.
    let _ = std::fs::rename(path.with_extension("spare"), &draft);
    let written =
        std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&draft);
    let written = written.and_then(|file| {
        file.write_all_at(content, 0)?;
        file.set_len(content.len() as u64)?;
        file.sync_all()
    });
    written.context(|| format!("write {}", draft.display()))?;
    std::fs::rename(&draft, path).context(|| format!("rename to {}", path.display()))?;
    keep_spare(path);
    sync_dir(parent(path))
}

/// Keeps blocks for the next [`replace`] of the file at `path`: as many as it has, and some more.
pub fn keep_spare(path: &Path) {
    let keep = || -> std::io::Result<()> {
        let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len()) + SPARE_BYTES;
        let spare = path.with_extension("spare");
        let spare =
            std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(spare)?;
        // Never longer by it: somebody may be making an index of it.
        rustix::fs::fallocate(&spare, rustix::fs::FallocateFlags::KEEP_SIZE, 0, length)?;
        Ok(())
    };
    // Where it cannot be, a full disk is as it would be without.
    let _ = keep();
}

/// What a spare has beyond its file, in bytes.
const SPARE_BYTES: u64 = 16 << 10;

/// Writes a new file to disk.
pub fn write_synced(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = File::create(path).context(|| format!("create {}", path.display()))?;
    file.write_all(content).and_then(|()| file.sync_all()).context(|| format!("write {}", path.display()))
}

/// Makes the names in a folder durable.
pub fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).context(|| format!("sync {}", path.display()))
}

/// Makes a folder, and those above it, that only root may look into.
pub fn make_private_dir(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .context(|| format!("create {}", path.display()))
}

/// A name in `dir` that no other thread, process or boot has used.
pub fn unique(dir: &Path, prefix: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    dir.join(format!(
        "{prefix}-{}-{}-{}.{:09}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed),
        since_boot.tv_sec,
        since_boot.tv_nsec
    ))
}

/// The names in a folder; none when there is no folder.
pub fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(|| format!("list {}", dir.display())),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context(|| format!("list {}", dir.display()))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn parent(path: &Path) -> &Path {
    path.parent().expect("a file of the store lies in the store")
}
