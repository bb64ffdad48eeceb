//! The engine's handle on its spawner process.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::cgroup::GroupPath;
use super::ids::Ids;
use super::layout::TaskDir;
use super::supervisor::{self, Spawn, sys};

/// How long a killed spawner may take to be gone.
const END_WAIT: Duration = Duration::from_secs(2);

/// Starts supervisors; starts the spawner itself when it is not there.
#[derive(Debug)]
pub(crate) struct Spawner {
    program: PathBuf,
    arguments: Vec<OsString>,
    id8: String,
    process: Mutex<Option<(Child, OwnedFd)>>,
}

impl Spawner {
    pub(crate) fn new(program: PathBuf, arguments: Vec<OsString>, id8: String) -> Spawner {
        Spawner { program, arguments, id8, process: Mutex::new(None) }
    }

    /// Makes the supervisor of a task. It is connected to the stream that is answered, and says hello
    /// on it when it listens. Also answers who is to make it.
    pub(crate) fn spawn(
        &self,
        dir: &TaskDir,
        group: &GroupPath,
        ids: Option<Ids>,
    ) -> io::Result<(UnixStream, u32)> {
        let message = serde_json::to_vec(&Spawn { dir: dir.clone(), group: group.clone(), ids })?;
        let mut process = self.process.lock();
        for attempt in 0..2 {
            if process.is_none() {
                *process = Some(self.start()?);
            }
            let Some((child, socket)) = process.as_mut() else { continue };
            let (ours, theirs) = UnixStream::pair()?;
            match sys::send(socket.as_fd(), &message, Some(theirs.as_fd())) {
                Ok(()) => return Ok((ours, child.id())),
                Err(error) if attempt == 1 => return Err(error),
                Err(_) => {
                    if let Some((child, _)) = process.take() {
                        end(child);
                    }
                }
            }
        }
        Err(io::Error::other("the spawner does not stay"))
    }

    /// Ends a spawner that made nothing in time; the next supervisor has another one.
    pub(crate) fn give_up(&self, pid: u32) {
        let mut process = self.process.lock();
        if process.as_ref().is_some_and(|(child, _)| child.id() == pid)
            && let Some((child, _)) = process.take()
        {
            end(child);
        }
    }

    fn start(&self) -> io::Result<(Child, OwnedFd)> {
        let (ours, theirs) = sys::packet_pair()?;
        // One that reads nothing for so long that its queue is full is as good as dead.
        sys::set_nonblocking(ours.as_fd())?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(supervisor::SPAWNER)
            .arg(&self.id8)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .current_dir("/")
            .env_clear()
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("start {}: {e}", self.program.display())))?;
        Ok((child, ours))
    }

    /// The spawner's pid, while it is there.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.lock().as_ref().map(|(child, _)| child.id())
    }

    /// Ends the spawner, not its supervisors.
    pub(crate) fn stop(&self) {
        if let Some((child, _)) = self.process.lock().take() {
            end(child);
        }
    }
}

/// Ends a spawner. It is gone when this returns, unless the kernel holds it: then nobody waits for it.
fn end(mut child: Child) {
    let _ = child.kill();
    let deadline = Instant::now() + END_WAIT;
    while let Ok(None) = child.try_wait() {
        if Instant::now() > deadline {
            std::thread::spawn(move || child.wait());
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.stop();
    }
}
