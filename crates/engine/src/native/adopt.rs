//! Taking up what is there: at opening, and when a supervisor goes without being told.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::cgroup::{self, GroupPath, Hierarchy};
use super::layout::{self, Durable};
use super::link::Link;
use super::proto::Op;
use super::supervisor::{Identity, sys};
use super::task::{self, Task};
use super::{Inner, runsc, silence, strays};
use crate::state::{Event, Exit, Phase};

/// How long a start may take that was under way when its engine died.
const SETTLE_WAIT: Duration = Duration::from_secs(10);

/// How long a killed supervisor may take to be gone, in milliseconds.
const KILL_WAIT_MS: i32 = 5_000;
/// How long one whose socket has closed may be on its way out, before it counts as one that does not answer.
const DYING_WAIT_MS: i32 = 500;

/// How long the first process of a killed container may take to be seen dead.
const SEEN_WAIT: Duration = Duration::from_secs(2);

/// Most supervisors that are greeted at once: each may take its time.
const GREETED_AT_ONCE: usize = 64;

/// Between attempts at a task that cannot be taken up: the first, and the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// Takes up all tasks. What belongs to none goes. A task that cannot be taken up is said and tried again later: it
/// keeps no other from it, nor the engine from opening.
pub(super) async fn adopt_all(inner: &Arc<Inner>) -> io::Result<()> {
    let mut adopting = tokio::task::JoinSet::new();
    for id in layout::folders(&inner.dir.tasks())? {
        if !task::is_id(&id) {
            tracing::warn!(folder = id, "a folder among the tasks' is none of a task; it is left alone");
            continue;
        }
        let task = Arc::new(Task::new(inner, &id));
        inner.tasks.lock().insert(id, task.clone());
        if adopting.len() == GREETED_AT_ONCE {
            said(adopting.join_next().await);
        }
        let host = inner.clone();
        adopting.spawn(async move {
            let _turn = task.supervising.lock().await;
            take_up(&host, &task).await;
        });
    }
    while let Some(adopted) = adopting.join_next().await {
        said(Some(adopted));
    }
    strays::clear(inner).await;
    Ok(())
}

fn said(adopted: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = adopted {
        tracing::error!(%error, "a task cannot be taken up");
    }
}

/// Adopts a task, now or later; the caller has its turn. Answers whether it was now.
async fn take_up(inner: &Arc<Inner>, task: &Arc<Task>) -> bool {
    match adopt(inner, task).await {
        Ok(()) => task.unsettled.store(false, Ordering::Release),
        Err(error) => later(inner, task, &error),
    }
    !task.unsettled.load(Ordering::Acquire)
}

/// Sets a task aside that cannot be cleared up, and tries it again until it can: it is never left for good.
/// Meanwhile it is listed as it was, and has no new supervisor.
pub(super) fn later(inner: &Arc<Inner>, task: &Arc<Task>, error: &io::Error) {
    tracing::error!(task = task.id, %error, "a task cannot be taken up; it is tried again");
    if task.unsettled.swap(true, Ordering::AcqRel) {
        return;
    }
    let (inner, task) = (Arc::downgrade(inner), Arc::downgrade(task));
    tokio::spawn(async move {
        let mut wait = RETRY_FIRST;
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_LONGEST);
            let (Some(inner), Some(task)) = (inner.upgrade(), task.upgrade()) else { return };
            let _turn = task.supervising.lock().await;
            let waits = task.unsettled.load(Ordering::Acquire);
            if !waits || task.removing.load(Ordering::Acquire) {
                return;
            }
            if take_up(&inner, &task).await {
                tracing::info!(task = task.id, "the task is taken up now");
                inner.send(Event::Missed);
                return;
            }
        }
    });
}

/// Clears up after a task's last supervisor, before it has another: that one would know of nothing that still
/// counts as running. The caller has the task's turn.
pub(super) async fn clear_before(inner: &Arc<Inner>, task: &Arc<Task>) -> io::Result<()> {
    let runs = || task.states().iter().any(|state| matches!(state.phase, Phase::Running(_)));
    if !task.unsettled.load(Ordering::Acquire) && !runs() {
        return Ok(());
    }
    let settled = settle(inner, task).await;
    match &settled {
        Ok(()) => task.unsettled.store(false, Ordering::Release),
        Err(error) => later(inner, task, error),
    }
    inner.send(Event::Missed);
    settled
}

/// Connects to a task's supervisor, or settles what a dead one left.
async fn adopt(inner: &Arc<Inner>, task: &Arc<Task>) -> io::Result<()> {
    match Link::connect(&task.dir) {
        Ok(stream) => match task::attach(inner, task, stream).await {
            Ok(link) => {
                greet(inner, task, &link).await;
                return Ok(());
            }
            Err(error) => tracing::warn!(task = task.id, %error, "a supervisor does not answer; it is ended"),
        },
        // Nothing is said of the supervisor by that.
        Err(error) if is_of_this_process(&error) => return Err(error),
        Err(_) => {}
    }
    settle(inner, task).await
}

/// Whether it is this process, or the host, that has no more files or memory.
fn is_of_this_process(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

async fn greet(inner: &Arc<Inner>, task: &Arc<Task>, link: &Link) {
    // A start that a dead engine asked for ends first, so that nobody asks for it again.
    if let Err(failure) = link.call(Op::Settle, SETTLE_WAIT).await {
        tracing::warn!(task = task.id, %failure, "a supervisor does not say that it is settled");
    }
    for state in task.states() {
        if let Phase::Running(started) = &state.phase {
            silence::watch(inner, task, &state.id.name, started);
        }
    }
}

/// A link has ended. The supervisor may have dropped it, or be dead. Boxed, because adopting makes links
/// whose end leads here again.
pub(super) fn supervisor_left(
    inner: Arc<Inner>,
    task: Arc<Task>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(left(inner, task))
}

async fn left(inner: Arc<Inner>, task: Arc<Task>) {
    if task.removing.load(Ordering::Acquire) {
        return;
    }
    let turn = task.supervising.lock().await;
    if task.link().is_some() || task.removing.load(Ordering::Acquire) {
        return;
    }
    let adopted = take_up(&inner, &task).await;
    drop(turn);
    if adopted {
        // What it told meanwhile is lost: let the reader look at everything anew.
        inner.send(Event::Missed);
    }
}

/// The supervisor is gone, or does not answer: ends what it left running, and records how, as far as that can
/// be seen. Its containers' mounts go with their processes.
pub(super) async fn settle(inner: &Arc<Inner>, task: &Arc<Task>) -> io::Result<()> {
    task.set_link(None);
    let (host, settling) = (inner.clone(), task.clone());
    let settled = tokio::task::spawn_blocking(move || settle_blocking(&host, &settling));
    let (events, settled) = settled.await.map_err(io::Error::other)?;
    for event in events {
        inner.send(event);
    }
    settled
}

/// What ended, and the first that cannot be cleared up: it keeps no other container from it.
fn settle_blocking(inner: &Inner, task: &Task) -> (Vec<Event>, io::Result<()>) {
    // What a supervisor that stands still has not reaped tells how it ended, but only while that is there.
    let codes = end_containers(inner, task);
    let standing = kill_supervisor(&inner.hierarchy, task);
    // A sandbox is in its own group, and its containers in it, whatever stands for them here.
    cgroup::kill(&inner.hierarchy, &runsc::group(&task.group));
    let (mut events, mut settled) = (Vec::new(), Ok(()));
    for name in task.container_names() {
        let code = codes.iter().find(|(of, _)| *of == name).map(|(_, code)| *code);
        match settle_container(inner, task, &name, code, standing.map(silence::reason)) {
            Ok(event) => events.extend(event),
            Err(error) => settled = settled.and(Err(error)),
        }
    }
    settled = settled.and(cgroup::remove(&inner.hierarchy, &runsc::group(&task.group)));
    (events, settled)
}

fn settle_container(
    inner: &Inner,
    task: &Task,
    name: &str,
    code: Option<i32>,
    reason: Option<String>,
) -> io::Result<Option<Event>> {
    let group = task.group.child(name);
    let killed = |group| cgroup::oom_kills(&inner.hierarchy, group) > 0;
    let oom_killed = killed(&group) || killed(&runsc::group(&task.group));
    cgroup::remove(&inner.hierarchy, &group)?;
    // One that cannot be read is as one that is damaged.
    let state = task.state(name).unwrap_or_else(|error| {
        tracing::error!(task = task.id, name, %error, "a container's state cannot be read");
        None
    });
    let Some(mut state) = state else { return Ok(None) };
    let Phase::Running(_) = state.phase else { return Ok(None) };
    let exit = Exit { code, oom_killed, exited_at_ms: sys::now_ms(), reason };
    state.phase = Phase::Exited(exit.clone());
    layout::add_json(&task.dir.container(name).state(), &state, Durable::Yes)?;
    Ok(Some(Event::Exited { id: state.id, exit }))
}

/// Ends a task's containers if their supervisor lives, so that they are there to be looked at; their exit codes.
fn end_containers(inner: &Inner, task: &Task) -> Vec<(String, i32)> {
    let Some((_, process)) = supervisor(task, DYING_WAIT_MS) else { return Vec::new() };
    // Thawing a container may thaw it too, and then it would reap what is to be looked at.
    send(&process, libc::SIGSTOP);
    let mut pids = Vec::new();
    for name in task.container_names() {
        if let Ok(Some(state)) = task.state(&name)
            && let Phase::Running(started) = state.phase
        {
            let group = task.group.child(&name);
            if cgroup::holds(&group, started.pid) {
                cgroup::thaw(&inner.hierarchy, started.pid);
            }
            cgroup::kill(&inner.hierarchy, &group);
            pids.push((name, started.pid, group));
        }
    }
    let deadline = Instant::now() + SEEN_WAIT;
    let seen = |(name, pid, group): (String, i32, GroupPath)| {
        loop {
            match sys::life(pid) {
                sys::Life::Ended(code) => return cgroup::holds(&group, pid).then_some((name, code)),
                sys::Life::Lives if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                _ => return None,
            }
        }
    };
    pids.into_iter().filter_map(seen).collect()
}

/// A task's supervisor, if it lives: its pid, and what pins it. One that ends within `patience_ms` does not.
fn supervisor(task: &Task, patience_ms: i32) -> Option<(i32, OwnedFd)> {
    let identity = layout::read_json::<Identity>(&task.dir.supervisor()).ok()??;
    let process = sys::pidfd(identity.pid).ok()?;
    // Only now that the process is pinned does this tell that the pid is still its own.
    let own = sys::start_ticks(identity.pid) == Some(identity.start_ticks);
    (own && !ends(&process, patience_ms)).then_some((identity.pid, process))
}

/// Whether a pinned process has ended, or does so within that time.
fn ends(process: &OwnedFd, patience_ms: i32) -> bool {
    let mut poll = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one record, which outlives the call.
    unsafe { libc::poll(&mut poll, 1, patience_ms) > 0 }
}

/// Ends a task's supervisor if it lives, and waits until it is gone: two must never write one file. One that
/// the kernel holds is not waited for longer: it does nothing more once the kernel lets it go. Answers its pid.
pub(super) fn kill_supervisor(hierarchy: &Hierarchy, task: &Task) -> Option<i32> {
    let (pid, process) = supervisor(task, 0)?;
    cgroup::thaw(hierarchy, pid);
    send(&process, libc::SIGKILL);
    ends(&process, KILL_WAIT_MS);
    Some(pid)
}

/// Sends a signal to a pinned process.
fn send(process: &OwnedFd, signal: i32) {
    // SAFETY: touches no memory: no information is passed.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, 0, 0) };
}
