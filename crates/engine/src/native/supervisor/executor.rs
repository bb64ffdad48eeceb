//! The last steps of a container's process before its own program runs, and the init process.

use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};

use super::{program, sys};
use crate::native::plan::Confine;
use crate::native::proto::Progress;

/// Runs the process of a spec, and says on `status` when that cannot be.
#[derive(Clone)]
pub(super) struct Program {
    /// A socket that closes itself when the program runs.
    pub(super) status: RawFd,
    /// Stay as the init process and run the program as its child.
    pub(super) init: bool,
    /// End with the supervisor. Not for what joins a running container.
    pub(super) first: bool,
    pub(super) confine: Option<Confined>,
}

/// A seccomp program that is read, and the capabilities (bits) that stay once it is set.
#[derive(Clone)]
pub(super) struct Confined {
    program: Vec<u8>,
    capabilities: u64,
}

impl Confined {
    /// Reads the program. To be called before the root changes.
    pub(super) fn read(confine: Option<&Confine>) -> io::Result<Option<Confined>> {
        let read = |c: &Confine| {
            std::fs::read(&c.program).map(|program| Confined { program, capabilities: c.capabilities })
        };
        confine.map(read).transpose()
    }

    fn enter(&self) -> io::Result<()> {
        sys::set_seccomp(&self.program)?;
        sys::keep_capabilities(self.capabilities)
    }
}

impl Executor for Program {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let arguments = spec.process().as_ref().and_then(|p| p.args().as_deref()).unwrap_or_default();
        let arguments: Result<Vec<CString>, _> =
            arguments.iter().map(|a| CString::new(a.as_bytes())).collect();
        let arguments = match arguments {
            Ok(arguments) if !arguments.is_empty() => arguments,
            _ => return Err(self.fail("no command specified".to_owned())),
        };
        if self.first {
            // The engine notices a dead supervisor too, but it may not be there to do so.
            // SAFETY: touches no memory.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        }
        // SAFETY: the socket is open until the program runs.
        if sys::is_hung_up(unsafe { BorrowedFd::borrow_raw(self.status) }) {
            // The supervisor ended before the line above: nobody would look after this.
            return Err(ExecutorError::Other("the supervisor is gone".to_owned()));
        }
        if let Some(confine) = &self.confine {
            confine.enter().map_err(|e| self.fail(format!("cannot confine the process: {e}")))?;
        }
        if self.init {
            run_init(|| self.replace(&arguments));
        }
        Err(self.replace(&arguments))
    }

    fn validate(&self, _spec: &Spec) -> Result<(), ExecutorValidationError> {
        // `exec` knows better, and its error reaches the supervisor as well.
        Ok(())
    }
}

impl Program {
    /// Becomes the program; returns only the reason why it could not.
    fn replace(&self, arguments: &[CString]) -> ExecutorError {
        let path = std::env::var_os("PATH").unwrap_or_default();
        self.fail(program::replace(arguments, &path))
    }

    pub(super) fn fail(&self, message: String) -> ExecutorError {
        let packet = serde_json::to_vec(&Progress::Failed(message.clone())).unwrap_or_default();
        // SAFETY: the socket is open until the program runs.
        let status = unsafe { BorrowedFd::borrow_raw(self.status) };
        let _ = sys::send(status, &packet, None);
        ExecutorError::Other(message)
    }
}

/// Stays as PID 1: hands signals on to the program, reaps whatever is left to it, and ends as the
/// program ends. This process is not dumpable, so nothing in the container can look into it.
fn run_init(program: impl FnOnce() -> ExecutorError) -> ! {
    // SAFETY: plain calls on a set of ours, in a process with one thread.
    let all = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
        all
    };
    // Before there is anybody to see another one; the program brings its own.
    let _ = prctl_name(c"docker-init");
    match sys::fork() {
        Ok(sys::Fork::Child) => {
            take_terminal();
            sys::reset_signals();
            drop(program());
            sys::exit_now(127)
        }
        Ok(sys::Fork::Parent(child)) => {
            sys::close_others(&[]);
            serve_init(child, &all)
        }
        Err(_) => sys::exit_now(128),
    }
}

/// With a terminal, the program is its foreground job, as a shell would have it.
fn take_terminal() {
    // SAFETY: plain calls; where there is no terminal they fail and change nothing. SIGTTOU is blocked.
    unsafe {
        libc::setpgid(0, 0);
        if libc::isatty(0) == 1 {
            libc::tcsetpgrp(0, libc::getpid());
        }
    }
}

fn serve_init(child: i32, all: &libc::sigset_t) -> ! {
    loop {
        // SAFETY: both sets are valid; the information is not wanted.
        let signal = unsafe { libc::sigwaitinfo(all, std::ptr::null_mut()) };
        if signal > 0 && signal != libc::SIGCHLD {
            sys::kill(child, signal);
        }
        while let Some((pid, code)) = sys::reap() {
            if pid == child {
                sys::exit_now(code);
            }
        }
    }
}

fn prctl_name(name: &std::ffi::CStr) -> io::Result<()> {
    // SAFETY: the name outlives the call.
    match unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
