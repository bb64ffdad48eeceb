//! The child that stands for a container in a task's sandbox: its first process, as the supervisor knows it. It has
//! `runsc` make and start the container, then waits for its end, and ends with the container's code. Signals that it
//! gets are meant for the container, and it hands them on.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use super::runner::{self, Start};
use super::sandbox::Running;
use super::sys;
use crate::native::cgroup::{self, GroupPath, Hierarchy};
use crate::native::layout::{self, ContainerDir, Durable};
use crate::native::plan::Plan;
use crate::native::rootfs::Root;
use crate::native::runsc::{self, Call, Sandbox, Streams};

/// How long each step of a start may take.
const STEP_WAIT: Duration = Duration::from_secs(25);

/// How long a container may take to end that is killed, before the sandbox is ended with it.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// What ends all of a container: a signal that nothing else sends. What SIGKILL would end is only this process.
pub(super) const KILL: i32 = libc::SIGSTKFLT;

/// What is said of a container whose sandbox is gone: as if it had been killed.
const KILLED: i32 = 128 + libc::SIGKILL;

/// Most of what `runsc wait` says that is read, in bytes.
const WAITED_BYTES_MAX: u64 = 4096;

/// A container that runs.
#[derive(Debug)]
pub(super) struct Guest {
    sandbox: Sandbox,
    group: GroupPath,
    hierarchy: Hierarchy,
    id: String,
    dir: ContainerDir,
}

/// Makes the container and starts it; with a terminal, answers its master too.
pub(super) fn start(
    start: &Start<'_>,
    plan: &Plan,
    running: &Running,
) -> io::Result<(Guest, Option<OwnedFd>)> {
    cgroup::make(start.hierarchy, &plan.group, &plan.limits)?;
    let uid = prepare(start, plan)?;
    for stream in start.streams.iter().flatten() {
        sys::give(stream.as_fd(), uid)?;
    }
    cgroup::follow(start.hierarchy, &plan.group)?;
    if let Some((netns, _)) = &running.sandbox.interface {
        // The container is in there, and whoever looks for that looks at this process.
        nix::sched::setns(fs::File::open(netns)?, nix::sched::CloneFlags::CLONE_NEWNET)?;
    }
    // From here on a signal is for the container.
    block_signals();
    let guest = Guest {
        sandbox: running.sandbox.clone(),
        group: running.group.clone(),
        hierarchy: start.hierarchy.clone(),
        id: id(&plan.runtime_id).to_owned(),
        dir: start.dir.clone(),
    };
    if guest.is_known() {
        // What a start or an end that was cut short has left.
        guest.delete();
    }
    let begun = guest.create(start.streams.is_none()).and_then(|master| guest.begin(start).map(|()| master));
    match begun {
        Ok(master) => Ok((guest, master)),
        Err(error) => {
            guest.delete();
            Err(io::Error::new(error.kind(), format!("OCI runtime create failed: runsc: {error}")))
        }
    }
}

/// What `runsc` calls a container.
pub(super) fn id(runtime_id: &str) -> &str {
    runtime_id.get(..32).unwrap_or(runtime_id)
}

/// Mounts the root file system, settles what only that can tell, and writes the bundle's file. Answers whom the container
/// runs as.
fn prepare(start: &Start<'_>, plan: &Plan) -> io::Result<u32> {
    plan.overlay.mount().map_err(runner::flat)?;
    let root = Root::open(&plan.overlay.target)?;
    let mut spec = plan.spec.clone();
    let uid = runner::settle(&root, plan, &mut spec)?;
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.extend(own_tmp(&root, plan)?);
    spec.set_mounts(Some(mounts));
    layout::write_json(&start.dir.config(), &spec, Durable::No)?;
    Ok(uid)
}

/// The root's own /tmp, mounted in its place: gVisor would mount a file system in memory on one that is empty.
fn own_tmp(root: &Root, plan: &Plan) -> io::Result<Option<libcontainer::oci_spec::runtime::Mount>> {
    use nix::fcntl::OFlag;
    let there = plan.spec.mounts().iter().flatten().any(|mount| mount.destination().starts_with("/tmp"));
    let folder = root.at("/tmp".as_ref(), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW);
    if there || folder.is_err() {
        return Ok(None);
    }
    let mount = serde_json::json!({
        "destination": "/tmp",
        "type": "bind",
        "source": plan.overlay.target.join("tmp"),
        "options": ["rbind", "rprivate", if read_only(plan) { "ro" } else { "rw" }],
    });
    serde_json::from_value(mount).map(Some).map_err(io::Error::other)
}

fn read_only(plan: &Plan) -> bool {
    plan.spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false)
}

/// Blocks every signal for [`next_signal`].
pub(super) fn block_signals() {
    // SAFETY: plain calls on a set of ours, in a process with one thread.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}

/// Waits for a signal that is blocked, until `deadline` where there is one. `None`: there came none.
pub(super) fn next_signal(deadline: Option<Instant>) -> Option<i32> {
    let left = deadline.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
    // SAFETY: plain calls on values of ours; the information is not wanted.
    let signal = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        let left = libc::timespec {
            tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        libc::sigtimedwait(&all, std::ptr::null_mut(), &left)
    };
    (signal > 0).then_some(signal)
}

impl Guest {
    fn call<'a>(&'a self, log: &'a Path) -> Call<'a> {
        self.sandbox.call(log)
    }

    /// Whether `runsc` has notes of it.
    fn is_known(&self) -> bool {
        let notes = fs::read_dir(self.sandbox.state()).into_iter().flatten().flatten();
        notes.filter_map(|note| note.file_name().into_string().ok()).any(|name| name.starts_with(&self.id))
    }

    /// Has it made; with a terminal, whose master is answered.
    fn create(&self, terminal: bool) -> io::Result<Option<OwnedFd>> {
        let (log, bundle) = (runsc::log(&self.dir, "create"), self.dir.run().to_owned());
        let mut arguments: Vec<&OsStr> = vec!["create".as_ref(), "--bundle".as_ref(), bundle.as_ref()];
        let socket = self.sandbox.dir.join(format!("{}.tty", &self.id[..8]));
        let mut listener = None;
        if terminal {
            let _ = fs::remove_file(&socket);
            listener = Some(UnixListener::bind(&socket)?);
            arguments.extend::<[&OsStr; 2]>(["--console-socket".as_ref(), socket.as_ref()]);
        }
        arguments.push(self.id.as_ref());
        let made = self.call(&log).run(&arguments, Streams::null(), STEP_WAIT);
        let master = made.and_then(|()| listener.as_ref().map(runner::receive_master).transpose());
        if terminal {
            let _ = fs::remove_file(&socket);
        }
        master
    }

    /// Has it begin. Its streams are those of this call, as it is in a sandbox that is there already.
    fn begin(&self, start: &Start<'_>) -> io::Result<()> {
        let log = runsc::log(&self.dir, "start");
        let streams = match &start.streams {
            Some([stdin, stdout, stderr]) => {
                Streams::from([stdin.try_clone()?, stdout.try_clone()?, stderr.try_clone()?])
            }
            None => Streams::null(),
        };
        self.call(&log).run(&["start".as_ref(), self.id.as_ref()], streams, STEP_WAIT)
    }

    /// Takes away what the sandbox has of it.
    fn delete(&self) {
        let log = runsc::log(&self.dir, "delete");
        let arguments: [&OsStr; 3] = ["delete".as_ref(), "--force".as_ref(), self.id.as_ref()];
        let _ = self.call(&log).run(&arguments, Streams::null(), KILL_WAIT);
    }

    fn signal(&self, signal: i32) {
        let (log, number) = (runsc::log(&self.dir, "kill"), signal.to_string());
        let mut arguments: Vec<&OsStr> = vec!["kill".as_ref()];
        if signal == libc::SIGKILL {
            arguments.push("--all".as_ref());
        }
        arguments.extend::<[&OsStr; 2]>([self.id.as_ref(), number.as_ref()]);
        let _ = self.call(&log).run(&arguments, Streams::null(), KILL_WAIT);
    }

    /// Waits for its end; answers its code.
    pub(super) fn wait(self) -> i32 {
        let log = runsc::log(&self.dir, "wait");
        let arguments: [&OsStr; 2] = ["wait".as_ref(), self.id.as_ref()];
        let Ok(mut waits) = self.call(&log).spawn(&arguments, Streams::read()) else {
            self.delete();
            return KILLED;
        };
        let mut killed_by = None;
        while matches!(waits.try_wait(), Ok(None)) {
            match next_signal(killed_by) {
                Some(libc::SIGCHLD) => {}
                Some(KILL) => {
                    killed_by.get_or_insert(Instant::now() + KILL_WAIT);
                    self.signal(libc::SIGKILL);
                }
                Some(signal) => self.signal(signal),
                None if killed_by.is_some_and(|at| at <= Instant::now()) => {
                    // A sandbox that does not do as it is told is ended, with all that is in it.
                    cgroup::kill(&self.hierarchy, &self.group);
                    killed_by = Some(Instant::now() + KILL_WAIT);
                }
                None => {}
            }
        }
        let code = code(&mut waits).unwrap_or(KILLED);
        self.delete();
        code
    }
}

/// What `runsc wait` has said.
fn code(waits: &mut Child) -> Option<i32> {
    let mut text = String::new();
    waits.stdout.take()?.take(WAITED_BYTES_MAX).read_to_string(&mut text).ok()?;
    let said: serde_json::Value = serde_json::from_str(&text).ok()?;
    i32::try_from(said["exitStatus"].as_i64()?).ok()
}
