//! A command in a running container, from the request to its answer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::clients::Asker;
use super::container::Container;
use super::tenant::{self, Tenant};
use super::{command, sys};
use crate::native::cgroup::Hierarchy;
use crate::native::proto::{Answer, EXEC_OUTPUT_BYTES_MAX, Progress};
use crate::native::runsc::Sandbox;

/// How long output is still read after a command's end, from what it left behind.
const DRAIN_WAIT: Duration = Duration::from_millis(200);

/// Longest time-out, as ECS's longest for a health check, doubled.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// One command.
#[derive(Debug)]
pub(super) struct Exec {
    asker: Asker,
    status: Option<OwnedFd>,
    output: Option<OwnedFd>,
    captured: Vec<u8>,
    captured_max: usize,
    helper: i32,
    /// The process then only stands for it, and ends it when it is told.
    in_sandbox: bool,
    pid: Option<i32>,
    /// The code; `None` inside for one that was killed by the time-out.
    ended: Option<Option<i32>>,
    failed: Option<String>,
    deadline: Instant,
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) number: u64,
    pub(super) command: Vec<String>,
    pub(super) timeout: Duration,
    pub(super) output_max: usize,
}

impl Exec {
    pub(super) fn start(
        container: &Container,
        hierarchy: &Hierarchy,
        sandbox: Option<&Sandbox>,
        command: Command,
        asker: Asker,
    ) -> io::Result<Exec> {
        let Some(pid) = container.pid() else {
            return Err(io::Error::other(format!("container {} is not running", container.name)));
        };
        if command.command.is_empty() {
            return Err(io::Error::other("no command specified"));
        }
        let (status, status_child) = sys::packet_pair()?;
        let (output, output_child) = sys::pipe()?;
        match sys::fork_bound()? {
            sys::Fork::Child => tenant::run(Tenant {
                dir: &container.dir,
                hierarchy,
                runtime_id: &container.runtime_id,
                pid,
                number: command.number,
                command: command.command,
                output: output_child,
                status: status_child,
                sandbox,
            }),
            sys::Fork::Parent(helper) => {
                sys::set_nonblocking(status.as_fd())?;
                sys::set_nonblocking(output.as_fd())?;
                Ok(Exec {
                    asker,
                    status: Some(status),
                    output: Some(output),
                    captured: Vec::new(),
                    captured_max: command.output_max.min(EXEC_OUTPUT_BYTES_MAX),
                    helper,
                    in_sandbox: sandbox.is_some(),
                    pid: None,
                    ended: None,
                    failed: None,
                    deadline: Instant::now() + command.timeout.min(TIMEOUT_MAX),
                })
            }
        }
    }

    pub(super) fn poll(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.status.iter().chain(&self.output).map(AsFd::as_fd)
    }

    /// Whether it is not known yet which process it is.
    pub(super) fn is_starting(&self) -> bool {
        self.pid.is_none()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn reaped(&mut self, pid: i32, code: i32) -> bool {
        if self.pid != Some(pid) || self.ended.is_some() {
            return false;
        }
        self.ended = Some(Some(code));
        self.deadline = Instant::now() + DRAIN_WAIT;
        true
    }

    /// Does what can be done now; the answer ends it.
    pub(super) fn turn(&mut self, orphans: &mut Vec<(i32, i32)>) -> Option<(Asker, Result<Answer, String>)> {
        self.read_status(orphans);
        self.read_output();
        if let Some(message) = self.failed.take() {
            self.kill();
            return Some((self.asker, Err(message)));
        }
        if self.deadline <= Instant::now() {
            match self.ended {
                // It ended, and only its output was waited for.
                Some(_) => self.output = None,
                None => {
                    self.kill();
                    self.ended = Some(None);
                    self.status = None;
                    self.output = None;
                }
            }
        }
        match self.ended {
            Some(code) if self.output.is_none() && self.status.is_none() => {
                let output = hex::encode(std::mem::take(&mut self.captured));
                Some((self.asker, Ok(Answer::Exec { code, output })))
            }
            _ => None,
        }
    }

    pub(super) fn kill(&self) {
        match self.pid {
            Some(pid) if self.ended.is_none() && self.in_sandbox => sys::kill(pid, command::END),
            // It leads a session, so what it started goes with it.
            Some(pid) if self.ended.is_none() => {
                sys::kill(pid, libc::SIGKILL);
                // SAFETY: touches no memory; `pid` is an unreaped child, so the group is its own.
                unsafe { libc::killpg(pid, libc::SIGKILL) };
            }
            Some(_) => {}
            None => sys::kill(self.helper, libc::SIGKILL),
        }
    }

    fn read_status(&mut self, orphans: &mut Vec<(i32, i32)>) {
        let mut buffer = [0; 8192];
        while let Some(status) = &self.status {
            match sys::receive(status.as_fd(), &mut buffer) {
                Ok((0, _)) => {
                    self.status = None;
                    if self.pid.is_none() && self.failed.is_none() {
                        self.failed = Some("the command could not be run".to_owned());
                    }
                }
                Ok((bytes, _)) => match serde_json::from_slice(&buffer[..bytes]) {
                    Ok(Progress::Pid(pid)) => {
                        self.pid = Some(pid);
                        if let Some(at) = orphans.iter().position(|(orphan, _)| *orphan == pid) {
                            let (_, code) = orphans.swap_remove(at);
                            self.reaped(pid, code);
                        }
                    }
                    Ok(Progress::Note(_)) => {}
                    Ok(Progress::Failed(message)) => self.failed = self.failed.take().or(Some(message)),
                    Err(_) => self.failed = Some("the command's runner cannot be understood".to_owned()),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn read_output(&mut self) {
        let mut buffer = [0; 8192];
        while let Some(output) = &self.output {
            match nix::unistd::read(output, &mut buffer) {
                Ok(0) => self.output = None,
                Ok(bytes) => {
                    let room = self.captured_max - self.captured.len();
                    self.captured.extend_from_slice(&buffer[..bytes.min(room)]);
                }
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => return,
                Err(_) => self.output = None,
            }
        }
    }
}
