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
use super::{Inner, chain, silence, tree};
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

/// Takes up all tasks. What belongs to none goes.
pub(super) async fn adopt_all(inner: &Arc<Inner>) -> io::Result<()> {
    let mut adopting = tokio::task::JoinSet::new();
    for id in layout::folders(&inner.dir.tasks())? {
        let task = Arc::new(Task::new(inner, &id));
        inner.tasks.lock().insert(id, task.clone());
        if adopting.len() == GREETED_AT_ONCE
            && let Some(adopted) = adopting.join_next().await
        {
            adopted.map_err(io::Error::other)??;
        }
        let host = inner.clone();
        adopting.spawn(async move { adopt(&host, &task).await });
    }
    while let Some(adopted) = adopting.join_next().await {
        adopted.map_err(io::Error::other)??;
    }
    let host = inner.clone();
    let cleared = tokio::task::spawn_blocking(move || clear_strays(&host)).await;
    cleared.map_err(io::Error::other)?
}

/// Connects to a task's supervisor, or settles what a dead one left.
async fn adopt(inner: &Arc<Inner>, task: &Arc<Task>) -> io::Result<()> {
    if let Ok(stream) = Link::connect(&task.dir) {
        match task::attach(inner, task, stream).await {
            Ok(link) => {
                // A start that a dead engine asked for ends first, so that nobody asks for it again.
                if let Err(failure) = link.call(Op::Settle, SETTLE_WAIT).await {
                    tracing::warn!(task = task.id, %failure, "a supervisor does not say that it is settled");
                }
                for state in task.states() {
                    if let Phase::Running(started) = &state.phase {
                        silence::watch(inner, task, &state.id.name, started);
                    }
                }
                return Ok(());
            }
            Err(error) => tracing::warn!(task = task.id, %error, "a supervisor does not answer; it is ended"),
        }
    }
    settle(inner, task).await
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
    // What it told meanwhile is lost: let the reader look at everything anew.
    let adopted = adopt(&inner, &task).await;
    drop(turn);
    match adopted {
        Ok(()) => inner.send(Event::Missed),
        Err(error) => tracing::error!(task = task.id, %error, "cannot clear up after a supervisor"),
    }
}

/// The supervisor is gone, or does not answer: ends what it left running, and records how, as far as that can
/// be seen. Its containers' mounts go with their processes.
pub(super) async fn settle(inner: &Arc<Inner>, task: &Arc<Task>) -> io::Result<()> {
    task.set_link(None);
    let (host, settling) = (inner.clone(), task.clone());
    let settled = tokio::task::spawn_blocking(move || settle_blocking(&host, &settling));
    for event in settled.await.map_err(io::Error::other)?? {
        inner.send(event);
    }
    Ok(())
}

fn settle_blocking(inner: &Inner, task: &Task) -> io::Result<Vec<Event>> {
    // What a supervisor that stands still has not reaped tells how it ended, but only while that is there.
    let codes = end_containers(inner, task);
    let standing = kill_supervisor(&inner.hierarchy, task);
    let mut events = Vec::new();
    for name in task.container_names() {
        let dir = task.dir.container(&name);
        let group = task.group.child(&name);
        let oom_killed = cgroup::oom_kills(&inner.hierarchy, &group) > 0;
        cgroup::remove(&inner.hierarchy, &group)?;
        // One that cannot be read is as one that is damaged: it keeps no other task from being taken up.
        let state = task.state(&name).unwrap_or_else(|error| {
            tracing::error!(task = task.id, name, %error, "a container's state cannot be read");
            None
        });
        let Some(mut state) = state else { continue };
        let Phase::Running(_) = state.phase else { continue };
        let code = codes.iter().find(|(of, _)| *of == name).map(|(_, code)| *code);
        let reason = standing.map(silence::reason);
        let exit = Exit { code, oom_killed, exited_at_ms: sys::now_ms(), reason };
        state.phase = Phase::Exited(exit.clone());
        layout::add_json(&dir.state(), &state, Durable::Yes)?;
        events.push(Event::Exited { id: state.id, exit });
    }
    Ok(events)
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

/// Removes what carries our mark and belongs to no task, as a crash in the midst of making or removing
/// one leaves it.
fn clear_strays(inner: &Inner) -> io::Result<()> {
    let tasks: Vec<Arc<Task>> = inner.tasks.lock().values().cloned().collect();
    for name in cgroup::tasks(&inner.hierarchy, &inner.instance) {
        if !tasks.iter().any(|t| t.id == name) {
            cgroup::remove(&inner.hierarchy, &inner.instance.child(&name))?;
        }
    }
    for name in layout::folders(&inner.dir.run())? {
        if !tasks.iter().any(|t| t.id == name) {
            std::fs::remove_dir_all(inner.dir.run().join(name))?;
        }
    }
    let mut attachments = Vec::new();
    let mut holders = Vec::new();
    for task in &tasks {
        for name in task.container_names() {
            let Ok(Some(plan)) = task.plan(&name) else { continue };
            holders.push(plan.runtime_id);
            if plan.attached {
                let id = task.container_id(&name).to_string();
                attachments.push(network::AttachmentId::new(id).map_err(io::Error::other)?);
            }
        }
    }
    if let Some(network) = &inner.network {
        network.reconcile(&attachments).map_err(|e| io::Error::other(chain(&e)))?;
    }
    for (digest, holder) in inner.config.images.holds().map_err(|e| io::Error::other(chain(&e)))? {
        if !holders.contains(&holder) {
            let _ = inner.config.images.release(&digest, &holder);
        }
    }
    empty_trash(inner);
    Ok(())
}

fn empty_trash(inner: &Inner) {
    let trash = inner.dir.trash();
    std::thread::spawn(move || {
        for name in layout::folders(&trash).unwrap_or_default() {
            let _ = tree::remove(&trash.join(name));
            // Others of this process need the disk too.
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}
