//! Where the native engine keeps things, and how it writes them: on disk what must be there after the
//! host's next boot or may be large, and in R, which is memory, what a boot makes meaningless.
//!
//! ```text
//! D/engine/tasks/<task>/.disk.img                 the disk of a task that may write so much only, see `disk`
//!                       .disk/                    where that is mounted: then .volumes and what containers write are in it
//!                       .volumes/<name>/          content of empty volumes
//!                       <container>/state.json    where it is in its life: the last line counts
//!                                   output/       what it wrote, if anything (see `spool`)
//!                                   upper, work     what it writes beside its volumes
//!                                   hosts, resolv.conf, hostname
//! D/engine/seccomp/                              programs, by capabilities
//! D/engine/mount-points/                         what every container's root has, at the very bottom
//! D/engine/trash/                                what is being deleted
//! D/engine/ids/<first id>                        a link that says which task has these ids of the host
//! R/probe/                                        what is tried of the host, for a moment
//! R/tasks/<task>/task.json                       the TaskSpec
//!                supervisor.json                 pid and start time of its supervisor
//!                supervisor.sock                 where it listens
//!                supervisor.log                  what it has to say of itself
//!                .shm/                           where it has what containers share as /dev/shm, in its own mount namespace
//!                <container>/plan.json           how to run it; never changes
//!                            rootfs/             where its root is mounted, in its own mount namespace
//!                            config.json, libcontainer/   libcontainer's, only while it runs
//!                            groups/             its control groups, laid out as it sees them
//! ```
//! This module must not know what the files mean.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::tree;

/// Largest file of ours that is read back, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The files of ours that a container has below /etc.
pub(crate) const ETC_FILES: [&str; 3] = ["resolv.conf", "hostname", "hosts"];

/// Where the content of empty volumes is, among a task's containers: no container has such a name.
const VOLUMES: &str = ".volumes";

/// Where a task's own disk is, if it has one; likewise.
pub(super) const DISK: &str = ".disk";

/// A record of values is written anew beyond this, in bytes.
const RECORD_BYTES_MAX: u64 = 64 << 10;

/// Longest name of a task, a container or a volume, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Whether a write must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    No,
}

/// The engine's own folders.
#[derive(Debug, Clone)]
pub(crate) struct EngineDir {
    disk: PathBuf,
    memory: PathBuf,
}

impl EngineDir {
    pub(crate) fn new(data_dir: &Path, run_dir: &Path) -> EngineDir {
        EngineDir { disk: data_dir.join("engine"), memory: run_dir.to_owned() }
    }

    /// Makes the folders. R is a file system in memory of its own, in which nothing is that a container can
    /// write to; it stays when this process ends.
    pub(crate) fn make(&self) -> io::Result<()> {
        fs::create_dir_all(self.tasks())?;
        fs::create_dir_all(self.trash())?;
        self.make_mount_points()?;
        fs::create_dir_all(&self.memory)?;
        if !self.is_memory_mounted()? {
            let (kind, flags) = (Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV);
            nix::mount::mount(kind, &self.memory, kind, flags, Some("mode=700,size=10%"))?;
        }
        fs::create_dir_all(self.run())
    }

    /// What is mounted in every container is there before it starts, unless its image hides it: making it in
    /// the container's own layer would cost more than the mounts.
    fn make_mount_points(&self) -> io::Result<()> {
        match self.make_each_mount_point() {
            // Whoever must only stop tasks can do so on a disk that takes nothing.
            Err(error)
                if error.kind() == io::ErrorKind::ReadOnlyFilesystem && self.mount_points().exists() =>
            {
                Ok(())
            }
            made => made,
        }
    }

    fn make_each_mount_point(&self) -> io::Result<()> {
        let root = self.mount_points();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        for folder in ["", "dev", "etc", "proc", "sys"].map(|folder| root.join(folder)) {
            fs::create_dir_all(&folder)?;
            mode(&folder, 0o755)?;
        }
        for file in ETC_FILES.map(|name| root.join("etc").join(name)) {
            OpenOptions::new().create(true).append(true).open(&file)?;
            mode(&file, 0o644)?;
        }
        // Docker's: by the one many programs tell that they are in a container, by the other what is mounted.
        let mark = root.join(".dockerenv");
        OpenOptions::new().create(true).append(true).open(&mark)?;
        mode(&mark, 0o755)?;
        match std::os::unix::fs::symlink("/proc/mounts", root.join("etc/mtab")) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// The lowest layer of all containers.
    pub(crate) fn mount_points(&self) -> PathBuf {
        self.disk.join("mount-points")
    }

    /// Takes R away.
    pub(crate) fn remove_memory(&self) -> io::Result<()> {
        if self.memory.exists() && self.is_memory_mounted()? {
            nix::mount::umount2(&self.memory, MntFlags::MNT_DETACH)?;
        }
        tree::remove(&self.memory)
    }

    fn is_memory_mounted(&self) -> io::Result<bool> {
        let device = |path: &Path| fs::metadata(path).map(|m| m.dev());
        Ok(device(&self.memory)? != device(self.memory.parent().unwrap_or(&self.memory))?)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.disk
    }

    /// For what is tried and taken away again.
    pub(crate) fn probe(&self) -> PathBuf {
        self.memory.join("probe")
    }

    /// R/tasks.
    pub(crate) fn run(&self) -> PathBuf {
        self.memory.join("tasks")
    }

    pub(crate) fn tasks(&self) -> PathBuf {
        self.disk.join("tasks")
    }

    /// Made again when it is not there.
    pub(crate) fn seccomp(&self) -> PathBuf {
        self.disk.join("seccomp")
    }

    /// See `ids`.
    pub(crate) fn ids(&self) -> PathBuf {
        self.disk.join("ids")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.disk.join("trash")
    }

    pub(crate) fn task(&self, task: &str) -> TaskDir {
        TaskDir { disk: self.tasks().join(task), run: self.run().join(task) }
    }
}

/// One task's folders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TaskDir {
    disk: PathBuf,
    run: PathBuf,
}

impl TaskDir {
    /// The folder on disk.
    pub(crate) fn path(&self) -> &Path {
        &self.disk
    }

    /// Another task's folders.
    pub(crate) fn sibling(&self, task: &str) -> TaskDir {
        TaskDir { disk: self.disk.with_file_name(task), run: self.run.with_file_name(task) }
    }

    /// The folder in R.
    pub(crate) fn run(&self) -> &Path {
        &self.run
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.run.join("task.json")
    }

    pub(crate) fn supervisor(&self) -> PathBuf {
        self.run.join("supervisor.json")
    }

    /// Where a task's containers have their /dev/shm in common: no container has such a name.
    pub(crate) fn shm(&self) -> PathBuf {
        self.run.join(".shm")
    }

    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }

    /// The content of all empty volumes.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.written().join(VOLUMES)
    }

    /// The file behind the task's own disk.
    pub(crate) fn disk_image(&self) -> PathBuf {
        self.disk.join(".disk.img")
    }

    /// Where the task's own disk is mounted; there if it has one.
    pub(crate) fn own_disk(&self) -> PathBuf {
        self.disk.join(DISK)
    }

    /// Where the task's containers write.
    fn written(&self) -> PathBuf {
        Some(self.own_disk()).filter(|own| own.is_dir()).unwrap_or_else(|| self.disk.clone())
    }

    /// The containers whose folders are there, sorted.
    pub(crate) fn containers(&self) -> Vec<String> {
        let mut names = folders(&self.disk).unwrap_or_default();
        names.retain(|name| is_safe_name(name));
        names
    }

    pub(crate) fn container(&self, name: &str) -> ContainerDir {
        let [disk, written, run] = [&self.disk, &self.written(), &self.run].map(|of| of.join(name));
        ContainerDir { disk, written, run }
    }
}

/// The name of a supervisor's socket inside its task's folder in R.
pub(crate) const SOCKET: &str = "supervisor.sock";

/// One container's folders.
#[derive(Debug, Clone)]
pub(crate) struct ContainerDir {
    disk: PathBuf,
    written: PathBuf,
    run: PathBuf,
}

impl ContainerDir {
    /// The folder on disk.
    pub(crate) fn path(&self) -> &Path {
        &self.disk
    }

    /// The folder in R, which is libcontainer's bundle.
    pub(crate) fn run(&self) -> &Path {
        &self.run
    }

    pub(crate) fn plan(&self) -> PathBuf {
        self.run.join("plan.json")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.disk.join("state.json")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.disk.join("output")
    }

    /// What libcontainer is to run; gone between runs.
    pub(crate) fn config(&self) -> PathBuf {
        self.run.join("config.json")
    }

    /// libcontainer's own state; gone between runs.
    pub(crate) fn libcontainer(&self) -> PathBuf {
        self.run.join("libcontainer")
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.run.join("rootfs")
    }

    pub(crate) fn groups(&self) -> PathBuf {
        self.run.join("groups")
    }

    /// Where it writes: the same folder, or one on its task's own disk.
    pub(crate) fn written(&self) -> &Path {
        &self.written
    }

    /// A file that appears under the container's /etc. On disk, for the container may make it as large as it
    /// likes: it counts with all else that it writes.
    pub(crate) fn etc(&self, name: &str) -> PathBuf {
        self.written.join(name)
    }

    /// A file or folder among what it writes.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.written.join(name)
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
        // What the disk cannot say of one is no reason to know of none.
        if entry.file_type().map_or(true, |kind| kind.is_dir())
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
    if durable == Durable::Yes {
        sync_parent(path)?;
    }
    Ok(())
}

/// Makes sure that a file's name survives a power cut.
fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
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

/// Adds a value to a record, for [`last_json`] to find. One small write, and no file but the record's own.
pub(crate) fn add_json<T: Serialize>(path: &Path, value: &T, durable: Durable) -> io::Result<()> {
    // The line's end comes first: half a value that a power cut left does not spoil this one.
    let mut line = vec![b'\n'];
    serde_json::to_writer(&mut line, value)?;
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let before = file.metadata()?.len();
    if before + line.len() as u64 > RECORD_BYTES_MAX {
        return write(path, &line, durable);
    }
    if let Err(error) = file.write_all(&line) {
        // On a full disk part of it may be there, which would only take up room.
        let _ = file.set_len(before);
        return overwrite(path, line, before, durable).map_err(|_| error);
    }
    if durable == Durable::Yes {
        file.sync_data()?;
        sync_parent(path)?;
    }
    Ok(())
}

/// Puts a record's newest value in the place of all older ones: what a full disk still takes. Of the same
/// length, in one write.
fn overwrite(path: &Path, mut line: Vec<u8>, before: u64, durable: Durable) -> io::Result<()> {
    let before = usize::try_from(before).map_err(io::Error::other)?;
    if line.len() > before {
        return Err(io::ErrorKind::StorageFull.into());
    }
    line.resize(before, b'\n');
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&line, 0)?;
    if durable == Durable::Yes { file.sync_data() } else { Ok(()) }
}

/// The last whole value of a record; `None` when there is none.
pub(crate) fn last_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let record = match fs::read(path) {
        Ok(record) => record,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(record.rsplit(|byte| *byte == b'\n').find_map(|line| serde_json::from_slice(line).ok()))
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

    #[test]
    fn a_full_disk_takes_the_newest_value_in_the_place_of_the_older() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        for value in 1..=3u32 {
            add_json(&path, &value, Durable::No).unwrap();
        }
        let before = fs::metadata(&path).unwrap().len();
        overwrite(&path, b"\n4".to_vec(), before, Durable::Yes).unwrap();
        assert_eq!(last_json::<u32>(&path).unwrap(), Some(4));
        assert_eq!(fs::metadata(&path).unwrap().len(), before);
        assert!(overwrite(&path, vec![b'5'; 7], before, Durable::No).is_err());
    }

    #[test]
    fn the_last_whole_value_of_a_record_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let last = || last_json::<Vec<String>>(&path).unwrap();
        assert_eq!(last(), None);
        let value = |text: &str| vec![text.to_owned(), "a\nb".to_owned()];
        add_json(&path, &value("one"), Durable::No).unwrap();
        add_json(&path, &value("two"), Durable::Yes).unwrap();
        assert_eq!(last(), Some(value("two")));
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() / 2 {
            fs::write(&path, &whole[..whole.len() - 1 - cut]).unwrap();
            assert_eq!(last(), Some(value("one")), "{cut} bytes less");
            add_json(&path, &value("three"), Durable::No).unwrap();
            assert_eq!(last(), Some(value("three")), "after {cut} bytes less");
        }
        let long = value(&"x".repeat(1000));
        for _ in 0..100 {
            add_json(&path, &long, Durable::No).unwrap();
            assert!(fs::metadata(&path).unwrap().len() <= RECORD_BYTES_MAX);
            assert_eq!(last().as_ref(), Some(&long));
        }
    }
}
