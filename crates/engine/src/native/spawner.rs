//! The engine's handle on its spawner process.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use parking_lot::Mutex;

use super::cgroup::GroupPath;
use super::layout::TaskDir;
use super::supervisor::{self, Spawn, sys};

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
    /// on it when it listens.
    pub(crate) fn spawn(&self, dir: &TaskDir, group: &GroupPath) -> io::Result<UnixStream> {
        let message = serde_json::to_vec(&Spawn { dir: dir.clone(), group: group.clone() })?;
        let mut process = self.process.lock();
        for attempt in 0..2 {
            if process.is_none() {
                *process = Some(self.start()?);
            }
            let Some((child, socket)) = process.as_mut() else { continue };
            let (ours, theirs) = UnixStream::pair()?;
            match sys::send(socket.as_fd(), &message, Some(theirs.as_fd())) {
                Ok(()) => return Ok(ours),
                Err(error) if attempt == 1 => return Err(error),
                Err(_) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    *process = None;
                }
            }
        }
        Err(io::Error::other("the spawner does not stay"))
    }

    fn start(&self) -> io::Result<(Child, OwnedFd)> {
        let (ours, theirs) = sys::packet_pair()?;
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
        if let Some((mut child, socket)) = self.process.lock().take() {
            drop(socket);
            let _ = child.wait();
        }
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.stop();
    }
}
