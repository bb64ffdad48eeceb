//! A supervisor that lives and does not answer: stopped, frozen, or held by the kernel. Whatever is asked of it
//! has a bound, and beyond that this process does its work: asks its containers to end, waits as long as was
//! asked, and ends them and it, as if it had died.
//!
//! That a container ended, nobody would tell either. So each one's first process is pinned, which costs
//! nothing until it ends.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::cgroup::{self, GroupPath};
use super::link::Link;
use super::supervisor::sys;
use super::task::Task;
use super::{Inner, adopt};
use crate::state::{Phase, Started};

/// How long after a container's end its supervisor may take to say so before it is asked whether it is there.
/// It reads what is left of the output for two seconds.
const TELL_WAIT: Duration = Duration::from_secs(5);

/// Why a container ended whose supervisor was ended, as ECS calls a runtime that does not do its part in time.
pub(super) fn reason(supervisor: i32) -> String {
    format!(
        "ContainerRuntimeTimeoutError: the task's supervisor (process {supervisor}) did not answer: it was \
         stopped or hung. It was ended together with the task's containers"
    )
}

/// Sees to it that a container's end is noticed also where its supervisor does not tell of it.
pub(super) fn watch(inner: &Arc<Inner>, task: &Arc<Task>, name: &str, started: &Started) {
    let Ok(Some(process)) = Process::open(started.pid, &task.group.child(name)) else { return };
    let (inner, task) = (Arc::downgrade(inner), Arc::downgrade(task));
    let (name, started) = (name.to_owned(), started.clone());
    tokio::spawn(async move {
        process.ended().await;
        drop(process);
        tokio::time::sleep(TELL_WAIT).await;
        let (Some(inner), Some(task)) = (inner.upgrade(), task.upgrade()) else { return };
        let untold = || {
            let state = task.state(&name).ok().flatten();
            state.is_some_and(|state| state.phase == Phase::Running(started.clone()))
        };
        if let Some(link) = task.link().filter(|_| untold())
            && !link.answers().await
        {
            end(&inner, &task, &link).await;
        }
    });
}

/// Stops a container whose supervisor was asked to and did not answer.
pub(super) async fn stop(inner: Arc<Inner>, task: Arc<Task>, link: Arc<Link>, name: String, wait: Duration) {
    let heard = link.heard();
    task.unanswered_stops.fetch_add(1, Ordering::AcqRel);
    ask_to_end(&task, |running| running == name, wait).await;
    // The last of those that are stopped at the same time sees to what nobody has asked to end.
    let last = task.unanswered_stops.fetch_sub(1, Ordering::AcqRel) == 1;
    if !last || link.heard() != heard {
        return;
    }
    ask_to_end(&task, |running| running != name, wait).await;
    // It may have come to itself, and then does all that it was asked.
    if link.heard() == heard {
        end(&inner, &task, &link).await;
    }
}

/// Sends their stop signals to those of a task's containers, and waits for their ends as long as `wait`.
async fn ask_to_end(task: &Task, which: impl Fn(&str) -> bool, wait: Duration) {
    let mut asked = Vec::new();
    for state in task.states().into_iter().filter(|state| which(&state.id.name)) {
        let Phase::Running(started) = &state.phase else { continue };
        let group = task.group.child(&state.id.name);
        if let Ok(Some(process)) = Process::open(started.pid, &group) {
            let signal = task.plan(&state.id.name).ok().flatten().map_or(libc::SIGTERM, |p| p.stop_signal);
            process.signal(signal);
            asked.push(process);
        }
    }
    let all = async {
        for process in &asked {
            process.ended().await;
        }
    };
    // Whoever has not ended by then is killed.
    let _ = tokio::time::timeout(wait, all).await;
}

/// Ends a supervisor that does not answer, with all that it holds.
pub(super) async fn end(inner: &Arc<Inner>, task: &Arc<Task>, link: &Link) {
    let _turn = task.supervising.lock().await;
    if task.removing.load(Ordering::Acquire) || !link.is_open() {
        return;
    }
    tracing::warn!(task = task.id, "a supervisor does not answer; it is ended with its containers");
    if let Err(error) = adopt::settle(inner, task).await {
        adopt::later(inner, task, &error);
    }
}

/// The first process of a container, pinned: its number means nobody else while this is there.
struct Process(AsyncFd<OwnedFd>);

impl Process {
    /// `None` when it is gone, reaped and all.
    fn open(pid: i32, group: &GroupPath) -> io::Result<Option<Process>> {
        let fd = match sys::pidfd(pid) {
            Ok(fd) => fd,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !cgroup::holds(group, pid) {
            return Ok(None);
        }
        // SAFETY: the descriptor is its own file's only one, and is closed with what is made of it here.
        let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        watched.map(|fd| Some(Process(fd))).map_err(io::Error::other)
    }

    /// Waits until it has ended, reaped or not.
    async fn ended(&self) {
        // An error only comes with the end of this program.
        let _ = self.0.readable().await;
    }

    fn signal(&self, signal: i32) {
        use std::os::fd::AsRawFd;
        // SAFETY: touches no memory: no information is passed.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.get_ref().as_raw_fd(), signal, 0, 0) };
    }
}
