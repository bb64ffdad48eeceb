//! The data directory: one running program at a time, an id for everything made on this host, and keys.

mod ownership;

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::{
    fs::{FlockOperation, flock},
    process::Pid,
};
use server::keys::KeyPair;

use crate::advice::{Advise, fail};

use ownership::open_plain;
pub use ownership::{Left, check_removable, claim, find, remove};

/// How long the lock of a process that is gone is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// What a pid takes up in the lock's file.
const PID_WIDTH: usize = 15;

/// A data directory that this process alone uses.
pub struct DataDir {
    path: PathBuf,
    id: String,
    _lock: File,
}

/// The keys made at first start.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Credentials {
    /// From this follow the secrets of the keys that `roadstead agent-key create` makes.
    #[serde(default)]
    pub agent_key_master: String,
    /// The account's administrator.
    pub root: KeyPair,
    /// Shared by all agents, to register for the first time and no more.
    pub agent: KeyPair,
}

impl DataDir {
    /// Opens the directory, made if absent, unless it is somebody else's or another process has it.
    pub fn open(path: &Path) -> anyhow::Result<DataDir> {
        let id = claim(path)?;
        let path = fs::canonicalize(path)?;
        let lock = lock(&path)?;
        Ok(DataDir { path, id, _lock: lock })
    }

    /// What shows that a control plane ran here before.
    pub fn remains(&self) -> Vec<&'static str> {
        let holds = |name: &str| {
            let path = self.path.join(name);
            match fs::read_dir(&path) {
                Ok(mut entries) => entries.next().is_some(),
                Err(_) => fs::metadata(&path).is_ok_and(|file| file.len() > 0),
            }
        };
        ["logs/catalog.log", "agent/ledger.db", "engine/tasks", "engine/docker"]
            .into_iter()
            .filter(|name| holds(name))
            .collect()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Eight hexadecimal digits, in the name of everything made on this host for it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The keys, made at the first call.
    pub fn credentials(&self) -> anyhow::Result<Credentials> {
        let path = self.credentials_path();
        let mut credentials = if path.exists() {
            read_credentials(&self.path)?
        } else {
            Credentials { agent_key_master: String::new(), root: key_pair(), agent: key_pair() }
        };
        // New, or from before there were keys for single agents.
        if credentials.agent_key_master.is_empty() {
            credentials.agent_key_master = format!("{}{}", key_pair().secret, key_pair().secret);
            write_whole(&path, toml::to_string(&credentials)?.as_bytes())?;
        }
        Ok(credentials)
    }

    /// Where the keys are.
    pub fn credentials_path(&self) -> PathBuf {
        self.path.join("credentials.toml")
    }

    /// Where this host's agent keeps what it must not forget.
    pub fn agent(&self) -> PathBuf {
        self.path.join("agent")
    }

    /// Where the control plane's own CA is.
    pub fn tls(&self) -> PathBuf {
        tls(&self.path)
    }

    /// Where tokens are.
    pub fn tokens(&self) -> PathBuf {
        tokens(&self.path)
    }
}

/// The own CA of a control plane, in a data directory that another process may be using.
pub fn tls(path: &Path) -> PathBuf {
    path.join("tls")
}

/// Its tokens, likewise.
pub fn tokens(path: &Path) -> PathBuf {
    path.join("tokens")
}

/// The keys of a data directory that another process may be using.
pub fn read_credentials(path: &Path) -> anyhow::Result<Credentials> {
    let path = path.join("credentials.toml");
    let text = fs::read_to_string(&path);
    let step = match &text {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => "the same with `sudo`",
        _ => "`roadstead up` or `roadstead server` first, with the same `--data-dir`: it makes the keys",
    };
    let text = text.with_context(|| format!("{} cannot be read", path.display())).advise(step)?;
    let read = toml::from_str(&text).with_context(|| format!("{} cannot be read", path.display()));
    read.advise("to put the file back from a copy; without it, move it away: the next start makes new keys")
}

/// The process that has a data directory, if any, as its lock's file says.
pub fn holder(path: &Path) -> Option<String> {
    let file = open_plain(&path.join("lock")).ok()?;
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return None;
    }
    read_pid(file).ok()
}

/// Whether that process has the lock's file open: its number may be another's by now, and whoever wrote it may have
/// been somebody else.
pub fn holds(pid: Pid, path: &Path) -> bool {
    let of = |file: &Path| fs::metadata(file).map(|file| (file.dev(), file.ino())).ok();
    let lock = of(&path.join("lock"));
    let files = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    lock.is_some() && files.map(|file| of(&file.path())).any(|file| file == lock)
}

/// A pid takes few bytes, and the file may be anything.
fn read_pid(file: File) -> std::io::Result<String> {
    let mut pid = String::new();
    file.take(64).read_to_string(&mut pid)?;
    Ok(pid.trim().to_owned())
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let name = path.join("lock");
    let file = open_lock(&name).with_context(|| format!("cannot open {}", name.display()))?;
    let deadline = Instant::now() + LOCK_WAIT;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let pid = read_pid(open_plain(&name)?)?;
        // A process that was killed as it started another has handed its files on, until that one runs its
        // own program.
        if is_alive(&pid) || Instant::now() > deadline {
            fail!(
                "`roadstead down` with the same `--data-dir`, which ends it; or another folder with `--data-dir`",
                "the data directory {} is in use by process {}",
                path.display(),
                pid
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // In the place of the one before and never shorter: a full disk has no room for a file that was emptied.
    match file.write_all_at(format!("{:<PID_WIDTH$}\n", std::process::id()).as_bytes(), 0) {
        // The lock is the kernel's; whoever must only stop tasks can do so on a disk that is read-only.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) => {}
        written => written.with_context(|| format!("cannot write {}", name.display()))?,
    }
    Ok(file)
}

fn open_lock(name: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    // What is written must not get elsewhere through a link.
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    match options.read(true).write(true).create(true).truncate(false).mode(0o600).open(name) {
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => open_plain(name),
        opened => opened,
    }
}

/// Whether there is such a process, and not only what its parent has not taken note of yet.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in brackets, may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

/// A file that is there whole or not at all, even after a power cut.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn key_pair() -> KeyPair {
    let random = || uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    let access_key = format!("AKIA{}", &random()[..16]);
    KeyPair { access_key, secret: format!("{}{}", random().to_lowercase(), &random()[..8]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_and_the_id_and_keys_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = DataDir::open(&path).unwrap();
        let (id, keys) = (first.id().to_owned(), first.credentials().unwrap());
        let refused = DataDir::open(&path).err().unwrap().to_string();
        assert!(refused.ends_with(&format!("is in use by process {}", std::process::id())), "{refused}");
        drop(first);
        // A process that another test starts at this moment has our files until it runs its own program.
        let deadline = Instant::now() + LOCK_WAIT;
        let again = loop {
            match DataDir::open(&path) {
                Ok(again) => break again,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        assert_eq!(again.id(), id);
        assert_eq!(again.credentials().unwrap().root, keys.root);
        assert_eq!(holder(&path).as_deref(), Some(std::process::id().to_string().as_str()));
    }

    #[test]
    fn only_who_has_the_lock_is_taken_for_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        let own = Pid::from_raw(std::process::id().cast_signed()).unwrap();
        assert!(holds(own, dir.path()));
        // Somebody else's number in a lock that is held.
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(!holds(Pid::from_child(&other), dir.path()));
        other.kill().unwrap();
        other.wait().unwrap();
        drop(held);
    }

    #[test]
    fn a_folder_that_others_made_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = || fs::metadata(dir.path()).unwrap().mode() & 0o777;
        // Before there is anything in it, and after it was opened to others.
        for wide in [0o755, 0o777] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(wide)).unwrap();
            drop(DataDir::open(dir.path()).unwrap());
            assert_eq!(mode(), 0o700);
        }
        let own = rustix::process::geteuid();
        if own.is_root() {
            std::os::unix::fs::chown(dir.path(), Some(12345), None).unwrap();
            drop(DataDir::open(dir.path()).unwrap());
            assert_eq!(fs::metadata(dir.path()).unwrap().uid(), own.as_raw());
        }
    }

    #[test]
    fn no_lock_is_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("precious");
        fs::write(&precious, "all of it").unwrap();
        let path = dir.path().join("data");
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(&precious, path.join("lock")).unwrap();
        assert!(DataDir::open(&path).is_err());
        assert_eq!(fs::read_to_string(&precious).unwrap(), "all of it");
    }

    #[test]
    fn the_lock_that_a_dead_process_handed_on_is_waited_for() {
        use std::process::Command;
        let dir = tempfile::tempdir().unwrap();
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let mut lock = File::create(dir.path().join("lock")).unwrap();
        write!(lock, "{}", dead.id()).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let mut heir = Command::new("sleep").arg("0.3").stdin(lock).spawn().unwrap();
        let opened = DataDir::open(dir.path());
        heir.wait().unwrap();
        assert!(opened.is_ok(), "{:?}", opened.err());
    }
}
