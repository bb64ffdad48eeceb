//! Calls of `runsc`: with an environment of their own, a bound on their time, and no more of their output than is of use.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Sandbox;
use crate::native::supervisor::sys;

/// How the sandboxes are. Their root file systems are ours, an overlay on the task's disk, so gVisor lays none of its own
/// over them; their control groups are ours too.
const FLAGS: [&str; 5] = [
    "--platform=systrap",
    "--ignore-cgroups",
    "--overlay2=none",
    "--log-format=json",
    "--file-access-mounts=shared",
];

/// Most of its output that is read, in bytes.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;

/// How to call the program for one sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) log: &'a Path,
}

/// The standard streams of a call, which may become a container's.
#[derive(Debug)]
pub(crate) struct Streams([Stdio; 3]);

impl Streams {
    /// Nothing in, nothing out.
    pub(crate) fn null() -> Streams {
        Streams([Stdio::null(), Stdio::null(), Stdio::null()])
    }

    /// Nothing in, and what it writes out to be read.
    pub(crate) fn read() -> Streams {
        Streams([Stdio::null(), Stdio::piped(), Stdio::null()])
    }

    pub(crate) fn from(streams: [OwnedFd; 3]) -> Streams {
        Streams(streams.map(Stdio::from))
    }
}

impl Call<'_> {
    /// Begins a call.
    pub(crate) fn spawn(&self, arguments: &[&OsStr], streams: Streams) -> io::Result<Child> {
        let _ = fs::remove_file(self.log);
        let mut root = std::ffi::OsString::from("--root=");
        root.push(self.sandbox.state());
        let mut log = std::ffi::OsString::from("--log=");
        log.push(self.log);
        let network = match self.sandbox.interface {
            Some(_) => "--network=sandbox",
            None => "--network=none",
        };
        let mut command = command(&self.sandbox.program);
        command.args([root, log]).args(FLAGS).arg(network).args(arguments);
        let Streams([stdin, stdout, stderr]) = streams;
        command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().map_err(|e| {
            io::Error::new(e.kind(), format!("{} cannot be run: {e}", self.sandbox.program.display()))
        })
    }

    /// Makes a call and waits for its end.
    ///
    /// # Errors
    /// What the program says went wrong, or that it took too long, and was ended.
    pub(crate) fn run(&self, arguments: &[&OsStr], streams: Streams, wait: Duration) -> io::Result<()> {
        let what = arguments.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        let mut child = self.spawn(arguments, streams)?;
        if !ended_within(&child, wait) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("runsc {what} took too long")));
        }
        match child.wait()?.success() {
            true => Ok(()),
            false => Err(io::Error::other(
                self.error().unwrap_or_else(|| format!("runsc {what} failed and says nothing of why")),
            )),
        }
    }

    /// The last error in the log.
    pub(crate) fn error(&self) -> Option<String> {
        let mut text = String::new();
        File::open(self.log).ok()?.take(OUTPUT_BYTES_MAX).read_to_string(&mut text).ok()?;
        last_error(&text)
    }
}

/// What the last line that is an error says.
fn last_error(log: &str) -> Option<String> {
    let mut errors = log.lines().filter_map(|line| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        (value["level"] == "error").then(|| value["msg"].as_str().map(|text| text.trim_end().to_owned()))?
    });
    errors.next_back()
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    // Nothing of the agent's environment is of use to it, and some of it is secret.
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    let signals_as_usual = || {
        sys::reset_signals();
        Ok(())
    };
    // SAFETY: system calls only.
    unsafe { command.pre_exec(signals_as_usual) };
    command
}

/// Whether a child ends within some time; it is not reaped.
fn ended_within(child: &Child, wait: Duration) -> bool {
    let Ok(process) = sys::pidfd(child.id().cast_signed()) else { return true };
    let deadline = Instant::now() + wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut poll = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one record, which outlives the call.
        let found = unsafe { libc::poll(&mut poll, 1, i32::try_from(left.as_millis()).unwrap_or(i32::MAX)) };
        if found > 0 || left.is_zero() {
            return found > 0;
        }
    }
}

/// What a program that needs no sandbox writes.
pub(super) fn output(program: &Path, arguments: &[&str], wait: Duration) -> io::Result<String> {
    let mut command = command(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    if !ended_within(&child, wait) {
        let _ = child.kill();
    }
    let mut text = String::new();
    let read = child.stdout.take().map(|out| out.take(OUTPUT_BYTES_MAX).read_to_string(&mut text));
    child.wait()?;
    read.transpose().map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_counts() {
        let log = "{\"msg\":\"first\",\"level\":\"error\"}\nnonsense\n{\"msg\":\"warned\",\"level\":\"warning\"}\n\
                   {\"msg\":\"second\\n\",\"level\":\"error\"}\n";
        assert_eq!(last_error(log).as_deref(), Some("second"));
        assert_eq!(last_error(""), None);
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(!ended_within(&child, Duration::from_millis(10)));
        child.kill().unwrap();
        assert!(ended_within(&child, Duration::from_secs(10)));
        child.wait().unwrap();
        let error = output(Path::new("/nowhere"), &[], Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
