//! File locks between threads and processes. The kernel drops them with their holder, so a `kill -9`
//! leaves none behind.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation as Op;
use rustix::io::Errno;

use crate::Result;
use crate::error::IoContext;

/// A lock that lasts as long as the value.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// How often an asynchronous wait looks again: waiting in `flock` itself could not be given up.
const POLL: Duration = Duration::from_millis(20);

impl FileLock {
    /// Waits for the lock; for locks that are only held for moments.
    pub fn exclusive(path: &Path) -> Result<Self> {
        Self::wait(path, Op::LockExclusive)
    }

    /// Waits until nobody holds the lock exclusively.
    pub fn shared(path: &Path) -> Result<Self> {
        Self::wait(path, Op::LockShared)
    }

    /// The lock, or `None` when somebody else has it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        Ok(attempt(path, Op::NonBlockingLockExclusive)?.map(|file| Self { _file: file }))
    }

    fn wait(path: &Path, operation: Op) -> Result<Self> {
        let file = open(path)?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation))
            .context(|| format!("lock {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

/// The lock of one blob or layer. Its file goes when the holder is done, so that they do not pile up.
#[derive(Debug)]
pub struct KeyLock {
    path: PathBuf,
    _file: File,
}

impl KeyLock {
    /// Waits for the lock; giving up the future gives up the wait.
    pub async fn acquire(path: PathBuf) -> Result<Self> {
        loop {
            match Self::attempt(&path)? {
                Some(lock) => return Ok(lock),
                None => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Waits for the lock on this thread.
    pub fn acquire_blocking(path: PathBuf) -> Result<Self> {
        loop {
            match Self::attempt(&path)? {
                Some(lock) => return Ok(lock),
                None => std::thread::sleep(POLL),
            }
        }
    }

    fn attempt(path: &Path) -> Result<Option<Self>> {
        let Some(file) = attempt(path, Op::NonBlockingLockExclusive)? else { return Ok(None) };
        // The holder before us may have unlinked the file between our open and our lock.
        let ours = file.metadata().context(|| format!("read {}", path.display()))?;
        match std::fs::metadata(path) {
            Ok(there) if there.ino() == ours.ino() => Ok(Some(Self { path: path.to_owned(), _file: file })),
            _ => Ok(None),
        }
    }
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        // Still locked here: a waiter sees that the file it locked has gone, and starts again.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn attempt(path: &Path, operation: Op) -> Result<Option<File>> {
    let file = open(path)?;
    match rustix::fs::flock(&file, operation) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
        Err(error) => Err(error).context(|| format!("lock {}", path.display())),
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .context(|| format!("open {}", path.display()))
}
