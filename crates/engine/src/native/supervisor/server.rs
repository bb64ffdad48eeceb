//! The supervisor's one loop: wait, see what happened, do what can be done without waiting.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use super::clients::{Asker, Clients};
use super::container::{Container, News, Place};
use super::exec::{Command, Exec};
use super::shared::{OfTask, Shared};
use super::{Spawn, sys};
use crate::native::cgroup::{GroupPath, Hierarchy};
use crate::native::layout::{self, Durable, TaskDir};
use crate::native::proto::{Answer, Io, Message, Op, Request};

/// Most children that ended before anybody knew them. They are known within the same turn or the next.
const ORPHANS_MAX: usize = 64;

/// Most commands at once in one task.
const EXECS_MAX: usize = 64;

/// How long another supervisor of the same task may take to see that nobody wants it.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// What `supervisor.json` says: which process is a task's supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// The kernel's ticks when it started.
    pub(crate) start_ticks: u64,
}

struct Server {
    /// The task's folder, locked: a task has one supervisor at a time.
    _turn: File,
    dir: TaskDir,
    group: GroupPath,
    hierarchy: Hierarchy,
    listener: UnixListener,
    children: OwnedFd,
    clients: Clients,
    containers: Vec<Container>,
    execs: Vec<Exec>,
    orphans: Vec<(i32, i32)>,
    shared: Shared,
    /// Asked to leave, and by whom.
    leaving: Option<Asker>,
    /// Who waits until no start is under way.
    settling: Vec<Asker>,
    execs_made: u64,
}

/// Serves a task until told to leave.
pub(super) fn run(spawn: &Spawn, client: OwnedFd, hierarchy: Hierarchy) -> io::Result<()> {
    let Some(turn) = take_turn(spawn, &client)? else { return Ok(()) };
    let mut server = Server::open(spawn, turn, hierarchy)?;
    // The next engine finds it if it looks from now on; one that has looked already did so because the first
    // was dead.
    if sys::is_hung_up(client.as_fd()) {
        return Ok(());
    }
    server.clients.add(client)?;
    trim();
    loop {
        server.wait()?;
        server.turn();
        if server.leaving.is_some() && server.is_quiet() {
            if let Some(asker) = server.leaving {
                server.clients.reply(asker, Ok(Answer::Done));
            }
            return Ok(());
        }
    }
}

/// Waits until no other process is the task's supervisor. `None`: the engine that asked for this one is gone.
/// The next engine may have made one of its own by now, or be about to, so this one must leave no trace.
fn take_turn(spawn: &Spawn, client: &OwnedFd) -> io::Result<Option<File>> {
    let turn = File::open(spawn.dir.run())?;
    let deadline = Instant::now() + TURN_WAIT;
    loop {
        let taken = turn.try_lock();
        if sys::is_hung_up(client.as_fd()) {
            return Ok(None);
        }
        match taken {
            Ok(()) => return Ok(Some(turn)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("the task has a supervisor")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Gives back the memory that the start took.
fn trim() {
    // SAFETY: frees only what is free.
    unsafe { libc::malloc_trim(0) };
}

impl Server {
    fn open(spawn: &Spawn, turn: File, hierarchy: Hierarchy) -> io::Result<Server> {
        // SAFETY: touches no memory. What a dead helper leaves behind comes to us and is reaped.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        // SAFETY: the name outlives the call.
        unsafe { libc::prctl(libc::PR_SET_NAME, c"roadstead-super".as_ptr()) };
        let children = sys::child_signals()?;
        let shared = Shared::open(&spawn.dir, &spawn.group, spawn.ids)?;
        let listener = super::with_socket_path(spawn.dir.run(), layout::SOCKET, |path| {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            UnixListener::bind(path)
        })?;
        listener.set_nonblocking(true)?;
        let dir = spawn.dir.clone();
        let pid = std::process::id().cast_signed();
        let identity = Identity { pid, start_ticks: sys::start_ticks(pid).unwrap_or(0) };
        layout::write_json(&dir.supervisor(), &identity, Durable::No)?;
        Ok(Server {
            _turn: turn,
            dir,
            group: spawn.group.clone(),
            hierarchy,
            listener,
            children,
            clients: Clients::default(),
            containers: Vec::new(),
            execs: Vec::new(),
            orphans: Vec::new(),
            shared,
            leaving: None,
            settling: Vec::new(),
            execs_made: 0,
        })
    }

    fn is_quiet(&self) -> bool {
        self.execs.is_empty() && self.containers.iter().all(Container::is_idle)
    }

    /// Waits until something can be done.
    fn wait(&self) -> io::Result<()> {
        let now = Instant::now();
        let deadline = self
            .containers
            .iter()
            .filter_map(Container::deadline)
            .chain(self.execs.iter().map(Exec::deadline))
            .min()
            .map(|at| at.saturating_duration_since(now) + Duration::from_millis(1));
        let timeout = match deadline {
            Some(wait) => {
                PollTimeout::try_from(wait.as_millis().min(60_000) as u32).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        let mut fds = vec![
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
        ];
        for (fd, write) in self.clients.poll() {
            let write = if write { PollFlags::POLLOUT } else { PollFlags::empty() };
            fds.push(PollFd::new(fd, PollFlags::POLLIN | write));
        }
        let streams = self.containers.iter().flat_map(Container::poll);
        for fd in streams.chain(self.execs.iter().flat_map(Exec::poll)) {
            fds.push(PollFd::new(fd, PollFlags::POLLIN));
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn turn(&mut self) {
        self.accept();
        for (asker, request) in self.clients.turn() {
            self.serve(asker, request);
        }
        self.reap();
        self.turn_containers();
        self.turn_execs();
        // Where containers see the host's processes, whatever they leave behind comes here too.
        let awaited =
            self.containers.iter().any(Container::is_starting) || self.execs.iter().any(Exec::is_starting);
        if !awaited {
            self.orphans.clear();
        } else if self.orphans.len() > ORPHANS_MAX {
            self.orphans.remove(0);
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let _ = self.clients.add(stream.into());
        }
    }

    fn reap(&mut self) {
        let mut buffer = [0; 1024];
        while nix::unistd::read(&self.children, &mut buffer).is_ok_and(|bytes| bytes > 0) {}
        while let Some((pid, code)) = sys::reap() {
            let known = self.containers.iter_mut().any(|c| c.reaped(pid, code, &self.hierarchy))
                || self.execs.iter_mut().any(|e| e.reaped(pid, code))
                || self.shared.reaped(pid);
            if !known {
                self.orphans.push((pid, code));
            }
        }
    }

    fn turn_containers(&mut self) {
        for container in &mut self.containers {
            match container.turn(&mut self.orphans, &self.hierarchy) {
                Some(News::Started(asker, result)) => {
                    self.clients.reply(asker, result.map(Answer::Started));
                }
                Some(News::Exited(exit)) => {
                    self.clients.tell_all(&Message::Exited { name: container.name.clone(), exit });
                }
                None => {}
            }
            if container.watch.is_some_and(|cursor| container.spool.end() > cursor)
                && !self.clients.is_empty()
            {
                container.watch = None;
                self.clients.tell_all(&Message::Output { name: container.name.clone() });
            }
        }
        if !self.containers.iter().any(Container::is_starting) {
            for asker in self.settling.drain(..) {
                self.clients.reply(asker, Ok(Answer::Done));
            }
        }
    }

    fn turn_execs(&mut self) {
        let mut answers = Vec::new();
        self.execs.retain_mut(|exec| match exec.turn(&mut self.orphans) {
            Some(answer) => {
                answers.push(answer);
                false
            }
            None => true,
        });
        for (asker, answer) in answers {
            self.clients.reply(asker, answer);
        }
    }

    fn serve(&mut self, asker: Asker, request: Request) {
        let answer = match request.op {
            Op::Start { name, io } => match self.start(&name, &io, asker) {
                Ok(()) => return,
                Err(error) => Err(error.to_string()),
            },
            Op::Stop { name, signal, timeout_ms } => {
                self.stop(&name, signal, Duration::from_millis(timeout_ms));
                Ok(Answer::Done)
            }
            Op::Exec { name, command, timeout_ms, max_output_bytes } => {
                let timeout = Duration::from_millis(timeout_ms);
                self.execs_made += 1;
                let number = self.execs_made;
                let command = Command { number, command, timeout, output_max: max_output_bytes };
                match self.exec(&name, command, asker) {
                    Ok(()) => return,
                    Err(error) => Err(error.to_string()),
                }
            }
            Op::Watch { name, cursor } => {
                if let Some(container) = self.find(&name) {
                    container.watch = Some(cursor);
                }
                Ok(Answer::Done)
            }
            Op::Release { name, cursor } => {
                if let Some(container) = self.find(&name) {
                    container.spool.release(cursor);
                }
                Ok(Answer::Done)
            }
            Op::Settle => {
                self.settling.push(asker);
                return;
            }
            Op::Shutdown => {
                self.leaving = Some(asker);
                for exec in &self.execs {
                    exec.kill();
                }
                // First: what stands for containers in there has nothing left to do then.
                self.shared.kill(&self.hierarchy);
                for container in &self.containers {
                    container.kill(&self.hierarchy);
                }
                return;
            }
        };
        self.clients.reply(asker, answer);
    }

    fn find(&mut self, name: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|c| c.name == name)
    }

    fn start(&mut self, name: &str, io: &Io, asker: Asker) -> io::Result<()> {
        if self.leaving.is_some() {
            return Err(io::Error::other("the task is being removed"));
        }
        if !layout::is_safe_name(name) {
            return Err(io::Error::other("bad container name"));
        }
        if let Some(at) = self.containers.iter().position(|c| c.name == name) {
            if !self.containers[at].is_idle() {
                return Err(io::Error::other("the container runs already"));
            }
            self.containers.swap_remove(at);
        }
        let task = OfTask { group: self.group.clone(), disk: self.dir.own_disk() };
        let place = Place { dir: self.dir.container(name), group: self.group.child(name), task };
        let joins = self.shared.joins(&self.hierarchy)?;
        self.containers.push(Container::start(name, place, io, asker, &self.hierarchy, joins)?);
        Ok(())
    }

    fn stop(&mut self, name: &str, signal: i32, timeout: Duration) {
        let Some(container) = self.find(name) else { return };
        if container.is_idle() {
            return;
        }
        container.signal(signal);
        let at = Instant::now() + timeout;
        container.kill_at = Some(container.kill_at.map_or(at, |before| before.min(at)));
    }

    fn exec(&mut self, name: &str, command: Command, asker: Asker) -> io::Result<()> {
        if self.execs.len() >= EXECS_MAX {
            return Err(io::Error::other("too many commands are running in this task"));
        }
        let container = self
            .containers
            .iter()
            .find(|c| c.name == name)
            .ok_or_else(|| io::Error::other(format!("container {name} is not running")))?;
        self.execs.push(Exec::start(container, &self.hierarchy, self.shared.sandbox(), command, asker)?);
        Ok(())
    }
}
