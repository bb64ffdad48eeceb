//! gVisor's `runsc`, a program of the host's: what a task's sandbox is made of, how the program is called, and whether it
//! does here what tasks need.
//!
//! A task has one sandbox, in which a kernel of gVisor's runs that all its containers share. Its first container holds it
//! open and does nothing; the task's own join it. The engine writes down what the sandbox is to be (`write`), the
//! supervisor makes it at the first start and calls the program for each container.

mod call;
mod pause;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cgroup::GroupPath;
use super::layout::{self, ContainerDir, Durable, EngineDir, TaskDir};
use super::tree;

pub(crate) use call::{Call, Streams};

/// The container that holds a sandbox open, as `runsc` knows it: no other has so short a name.
pub(crate) const HOLDER: &str = "task";

/// The annotations by which a container's specification says in which sandbox it is.
pub(crate) const KIND: &str = "io.kubernetes.cri.container-type";
pub(crate) const OF: &str = "io.kubernetes.cri.sandbox-id";

/// The sandbox's control group among its task's containers': no container's name has a dot.
const GROUP: &str = ".sandbox";

/// How long a sandbox that is only tried may take for each step.
const PROBE_WAIT: Duration = Duration::from_secs(20);

/// The oldest release that is known to do.
const OLDEST: u32 = 20_240_729;

/// Longest path of a socket that the kernel takes, in bytes: beyond it `runsc` would put its own elsewhere.
const SOCKET_BYTES_MAX: usize = 107;

/// A task's sandbox as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    /// The program.
    pub(crate) program: PathBuf,
    /// Where all of it is.
    pub(crate) dir: PathBuf,
    /// The task's interface, which the sandbox's own network stack takes over, and its namespace. Without one there is
    /// loopback alone.
    pub(crate) interface: Option<(PathBuf, network::InterfaceSpec)>,
}

impl Sandbox {
    /// What the engine wrote for a task, if that is in a sandbox.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Sandbox>> {
        layout::read_json(&dir.join("sandbox.json"))
    }

    /// Writes it down with its bundle.
    pub(crate) fn write(&self, hostname: &str) -> io::Result<()> {
        let socket = self.state().join(format!("runsc-{HOLDER}.sock"));
        if socket.as_os_str().len() > SOCKET_BYTES_MAX {
            let why = format!("{} is too long for the path of a socket", socket.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let root = self.bundle().join("rootfs");
        fs::create_dir_all(&root)?;
        fs::create_dir_all(self.state())?;
        let program = root.join("pause");
        fs::write(&program, pause::program())?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        layout::write_json(&self.bundle().join("config.json"), &self.holder(&root, hostname), Durable::No)?;
        layout::write_json(&self.dir.join("sandbox.json"), self, Durable::No)
    }

    /// The specification of the container that holds the sandbox open.
    fn holder(&self, root: &Path, hostname: &str) -> serde_json::Value {
        let mut namespaces: Vec<_> =
            ["pid", "mount", "ipc", "uts"].map(|kind| json!({ "type": kind })).into();
        namespaces.push(match &self.interface {
            Some((path, _)) => json!({ "type": "network", "path": path }),
            None => json!({ "type": "network" }),
        });
        json!({
            "ociVersion": "1.0.2",
            "hostname": hostname,
            "root": { "path": root, "readonly": true },
            "process": {
                "user": { "uid": 65534, "gid": 65534 },
                "args": ["/pause"],
                "cwd": "/",
                "oomScoreAdj": 0,
            },
            "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
            "annotations": { KIND: "sandbox", OF: HOLDER },
            "linux": { "namespaces": namespaces },
        })
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.dir.join("bundle")
    }

    /// What `runsc` notes of its containers.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The pid of the sandbox's first process.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.dir.join("pid")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("runsc.log")
    }

    /// A call of the program, whose errors go to `log`.
    pub(crate) fn call<'a>(&'a self, log: &'a Path) -> Call<'a> {
        Call { sandbox: self, log }
    }
}

/// Where a task's sandbox has all that it is made of, in R: no container has such a name.
pub(crate) fn dir(task: &TaskDir) -> PathBuf {
    task.run().join(".sandbox")
}

/// What `runsc` has to say of a call for a container.
pub(crate) fn log(container: &ContainerDir, call: &str) -> PathBuf {
    container.run().join(format!("runsc-{call}.log"))
}

/// The control group of a task's sandbox.
pub(crate) fn group(task: &GroupPath) -> GroupPath {
    task.child(GROUP)
}

/// Where a program is that is named by its path, or looked for on the PATH.
///
/// # Errors
/// That it is not there, for the operator.
pub fn find(program: &Path) -> Result<PathBuf, String> {
    let is_there = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let missing = || format!("the program {} is not there", program.display());
    if program.components().count() > 1 {
        return Some(program.to_owned()).filter(is_there).ok_or_else(missing);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    all.find_map(|folder| Some(folder.join(program)).filter(is_there)).ok_or_else(missing)
}

/// What gVisor's program says of its version, such as `release-20240729.0`; blocks.
///
/// # Errors
/// Where it is another program, or too old, for the operator.
pub fn version(program: &Path) -> Result<String, String> {
    let said = call::output(program, &["--version"], PROBE_WAIT).map_err(|e| e.to_string())?;
    let first = said.lines().next().and_then(|line| line.strip_prefix("runsc version "));
    let version = first.ok_or_else(|| format!("{} is not gVisor's runsc", program.display()))?;
    fit(version).map(|()| version.to_owned())
}

/// Refuses a version that is too old: a release has its date in it, as `release-20240729.0` or Debian's `0.0~20240729.0`.
fn fit(version: &str) -> Result<(), String> {
    let dates = version.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() == 8);
    match dates.filter_map(|digits| digits.parse::<u32>().ok()).next() {
        Some(date) if date < OLDEST => Err(format!("runsc {version} is older than {OLDEST}")),
        _ => Ok(()),
    }
}

/// Tries all that a task's sandbox needs, but for its network; blocks for some tenths of a second. Answers the program.
///
/// # Errors
/// What is in the way, for the operator.
pub(crate) fn probe(dir: &EngineDir, program: &Path) -> Result<PathBuf, String> {
    let program = find(program)?;
    version(&program)?;
    let scratch = dir.probe().join("sandbox");
    let _ = tree::remove(&scratch);
    let tried = try_all(&scratch, &program);
    let _ = tree::remove(&scratch);
    tried.map(|()| program)
}

fn try_all(scratch: &Path, program: &Path) -> Result<(), String> {
    let sandbox = Sandbox { program: program.to_owned(), dir: scratch.to_owned(), interface: None };
    sandbox.write("probe").map_err(|e| e.to_string())?;
    let log = sandbox.log();
    let bundle = sandbox.bundle();
    let call = sandbox.call(&log);
    let run = |arguments: &[&std::ffi::OsStr]| call.run(arguments, Streams::null(), PROBE_WAIT);
    let begun = run(&["create".as_ref(), "--bundle".as_ref(), bundle.as_ref(), HOLDER.as_ref()])
        .and_then(|()| run(&["start".as_ref(), HOLDER.as_ref()]));
    let _ = run(&["delete".as_ref(), "--force".as_ref(), HOLDER.as_ref()]);
    begun.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_name_or_path() {
        assert!(find(Path::new("sh")).unwrap().is_absolute());
        assert_eq!(find(Path::new("/bin/sh")), Ok("/bin/sh".into()));
        for absent in ["/bin/nowhere", "roadstead-nowhere", "/etc/passwd", "/etc"] {
            assert_eq!(find(Path::new(absent)), Err(format!("the program {absent} is not there")));
        }
        for (version, fits) in [
            ("release-20240729.0", true),
            ("0.0~20221219.0", false),
            ("0.0~20240729.0", true),
            ("HEAD", true),
        ] {
            assert_eq!(fit(version).is_ok(), fits, "{version}");
        }
        let error = version(Path::new("/bin/true")).unwrap_err();
        assert_eq!(error, "/bin/true is not gVisor's runsc");
    }

    #[test]
    fn a_sandbox_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Sandbox::read(dir.path()).unwrap(), None);
        let sandbox = Sandbox { program: "/runsc".into(), dir: dir.path().to_owned(), interface: None };
        sandbox.write("name").unwrap();
        assert_eq!(Sandbox::read(dir.path()).unwrap(), Some(sandbox.clone()));
        let deep = Sandbox { dir: dir.path().join("x".repeat(100)), ..sandbox };
        assert!(deep.write("name").unwrap_err().to_string().contains("too long"));
    }
}
