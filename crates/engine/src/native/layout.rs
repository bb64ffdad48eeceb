//! Where the native engine keeps things on disk, and how it writes them.
//!
//! ```text
//! D/engine/tasks/<task>/task.json                the TaskSpec
//!                       supervisor.json          pid and start time of its supervisor
//!                       supervisor.sock          where it listens
//!                       volumes/<name>/          content of empty volumes
//!                       containers/<name>/plan.json    how to run it; never changes
//!                                          state.json  where it is in its life
//!                                          output/     what it wrote (see `spool`)
//!                                          upper, work, rootfs, hosts, resolv.conf, hostname
//!                                          run/, config.json   libcontainer's, only while it runs
//! D/engine/seccomp/                              programs, by capabilities
//! D/engine/trash/                                what is being deleted
//! ```
//! This module must not know what the files mean.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

/// Largest file of ours that is read back, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Longest name of a task, a container or a volume, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Whether a write must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    No,
}

/// The engine's own folder.
#[derive(Debug, Clone)]
pub(crate) struct EngineDir(PathBuf);

impl EngineDir {
    pub(crate) fn new(data_dir: &Path) -> EngineDir {
        EngineDir(data_dir.join("engine"))
    }

    pub(crate) fn make(&self) -> io::Result<()> {
        fs::create_dir_all(self.tasks())?;
        fs::create_dir_all(self.trash())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn tasks(&self) -> PathBuf {
        self.0.join("tasks")
    }

    /// Made again when it is not there.
    pub(crate) fn seccomp(&self) -> PathBuf {
        self.0.join("seccomp")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.0.join("trash")
    }

    pub(crate) fn task(&self, task: &str) -> TaskDir {
        TaskDir(self.tasks().join(task))
    }
}

/// One task's folder.
#[derive(Debug, Clone)]
pub(crate) struct TaskDir(pub(crate) PathBuf);

impl TaskDir {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.0.join("task.json")
    }

    pub(crate) fn supervisor(&self) -> PathBuf {
        self.0.join("supervisor.json")
    }

    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.0.join("volumes").join(name)
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    pub(crate) fn container(&self, name: &str) -> ContainerDir {
        ContainerDir(self.containers().join(name))
    }
}

/// The name of a supervisor's socket inside its task's folder.
pub(crate) const SOCKET: &str = "supervisor.sock";

/// One container's folder.
#[derive(Debug, Clone)]
pub(crate) struct ContainerDir(pub(crate) PathBuf);

impl ContainerDir {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.0.join("output")
    }

    /// libcontainer's own state; gone between runs.
    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Whether `name` may be part of a path: as ECS names containers, volumes and tasks.
pub(crate) fn is_safe_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Names of the folders directly under `dir`, sorted; empty where `dir` is not.
pub(crate) fn folders(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Some(name) = entry.file_name().to_str()
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Replaces a file whole: a reader sees the old content or the new, never a part.
pub(crate) fn write(path: &Path, content: &[u8], durable: Durable) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&draft)?;
    file.write_all(content)?;
    if durable == Durable::Yes {
        file.sync_data()?;
    }
    fs::rename(&draft, path)?;
    if durable == Durable::Yes
        && let Some(parent) = path.parent()
    {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// [`write`] of a value as JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T, durable: Durable) -> io::Result<()> {
    write(path, &serde_json::to_vec(value)?, durable)
}

/// Reads a value back. `None` when it is not there, or is not whole: a power cut may leave an empty
/// file where the write was not asked to be durable.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() > FILE_BYTES_MAX {
        return Ok(None);
    }
    Ok(serde_json::from_reader(io::BufReader::new(file)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for good in ["web", "a-b_c", "0123456789abcdef"] {
            assert!(is_safe_name(good), "{good}");
        }
        let long = "x".repeat(256);
        for bad in ["", ".", "..", ".hidden", "v1.2", "a/b", "a b", "ä", "a\0", long.as_str()] {
            assert!(!is_safe_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_whole_reads_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        assert_eq!(read_json::<u32>(&path).unwrap(), None);
        write_json(&path, &7u32, Durable::Yes).unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap(), Some(7));
        fs::write(&path, b"").unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap(), None);
    }
}
