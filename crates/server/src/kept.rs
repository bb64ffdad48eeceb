//! Small files of the data directory that the program and the operator's commands both write: whole or not at all, for
//! their owner alone, and one writer at a time. Knows nothing of what is in them.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

/// Keeps other writers of a folder out until it is dropped.
pub struct Lock {
    _file: File,
}

/// Whether a file is another than it was: its number, size and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(Option<(u64, u64, i64, i64, i64, i64)>);

impl Lock {
    /// Makes `dir` where it is missing, for its owner alone, and waits for whoever writes there.
    ///
    /// # Errors
    /// Where the folder or its lock cannot be made.
    pub fn take(dir: &Path) -> io::Result<Lock> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let file = options.open(dir.join("lock"))?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(Lock { _file: file })
    }
}

impl Stamp {
    /// That of the file which is there now; one that is not there has one, too.
    pub fn of(path: &Path) -> Stamp {
        let meta = fs::metadata(path).ok();
        Stamp(meta.map(|m| (m.ino(), m.size(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec())))
    }
}

/// Writes a file that is there whole or not at all, even after a power cut; with that mode, whatever was there before.
///
/// # Errors
/// As the disk has them; what was there stays then.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let part = path.with_extension("part");
    // What was left half-way may have another mode.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Reads a file of `most` bytes at the most.
///
/// # Errors
/// As the disk has them; `FileTooLarge` where it is longer.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_owners_alone_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep").join("a.json");
        let _lock = Lock::take(path.parent().unwrap()).unwrap();
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        let missing = Stamp::of(&path);
        fs::write(path.with_extension("part"), "half").unwrap();
        write(&path, b"one", 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let first = Stamp::of(&path);
        write(&path, b"two", 0o644).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
        assert!(first != missing && first != Stamp::of(&path));
        assert_eq!(read(&path, 3).unwrap(), b"two");
        assert_eq!(read(&path, 2).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
