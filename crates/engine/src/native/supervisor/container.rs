//! One container as its supervisor knows it, from the start of a run to the record of its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::clients::Asker;
use super::guest;
use super::runner::{self, Start};
use super::shared::{Joins, OfTask};
use super::sys;
use crate::native::cgroup::{self, GroupPath, Hierarchy};
use crate::native::layout::{self, ContainerDir, Durable};
use crate::native::proto::{Io, Progress};
use crate::native::spool::{self, Writer};
use crate::state::{ContainerState, Exit, Phase, Started, Stream};

/// How long a start may take before it is given up.
const START_WAIT: Duration = Duration::from_secs(60);

/// How long output is still read after a container's end. Nothing of it runs by then, so this only
/// ends the wait for whoever outside was handed the other end of a pipe.
const DRAIN_WAIT: Duration = Duration::from_secs(2);

/// How often a group that is not empty yet is tried, 5 ms apart. The task's removal sees to the rest.
const REMOVE_TRIES: u16 = 200;

/// A run's state.
#[derive(Debug)]
enum Run {
    Starting {
        asker: Asker,
        runner: i32,
        status: OwnedFd,
        pid: Option<i32>,
        /// The code, when the first process has ended already.
        ended: Option<i32>,
        /// The first that was said to go wrong; what follows only repeats it, with less detail.
        note: Option<String>,
        deadline: Instant,
    },
    Running(Started),
    Draining {
        exit: Exit,
        deadline: Instant,
    },
    Idle,
}

/// What came of looking at a container.
#[derive(Debug)]
pub(super) enum News {
    Started(Asker, Result<Started, String>),
    Exited(Exit),
}

/// Where a container is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: ContainerDir,
    pub(super) group: GroupPath,
    pub(super) task: OfTask,
}

/// One container.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) dir: ContainerDir,
    pub(super) runtime_id: String,
    pub(super) group: GroupPath,
    task: OfTask,
    run: Run,
    /// Standard output and error; with a terminal its master, as output.
    streams: [Option<OwnedFd>; 2],
    /// Kept so that an interactive container's input does not end.
    input: Option<OwnedFd>,
    terminal: bool,
    /// Its first process then only stands for it.
    in_sandbox: bool,
    pub(super) spool: Writer,
    pub(super) kill_at: Option<Instant>,
    /// Announce output beyond this.
    pub(super) watch: Option<u64>,
    /// How often removing the group is still tried; 0 when it is gone.
    leftover: u16,
}

impl Container {
    /// Begins a run in those namespaces of its task that it joins. The state on disk must say that it does not run.
    pub(super) fn start(
        name: &str,
        place: Place,
        io: &Io,
        asker: Asker,
        hierarchy: &Hierarchy,
        joins: Joins<'_>,
    ) -> io::Result<Container> {
        let Place { dir, group, task } = place;
        let state: ContainerState =
            layout::last_json(&dir.state())?.ok_or_else(|| io::Error::other("no such container"))?;
        if matches!(state.phase, Phase::Running(_)) {
            return Err(io::Error::other("the container runs already"));
        }
        let spool = Writer::open(&dir.output(), &state.created.runtime_id, io.output.clone())?;
        let watch = Some(spool.end());
        let (status, status_child) = sys::packet_pair()?;
        let mut container = Container {
            name: name.to_owned(),
            dir,
            runtime_id: state.created.runtime_id,
            group,
            task,
            run: Run::Idle,
            streams: [None, None],
            input: None,
            terminal: io.terminal,
            in_sandbox: joins.sandbox.is_some(),
            spool,
            kill_at: None,
            watch,
            leftover: REMOVE_TRIES,
        };
        let streams = if io.terminal { None } else { Some(container.open_streams(io)?) };
        match sys::fork_bound()? {
            sys::Fork::Child => {
                runner::run(Start { dir: &container.dir, hierarchy, streams, status: status_child, joins })
            }
            sys::Fork::Parent(runner) => {
                sys::set_nonblocking(status.as_fd())?;
                let deadline = Instant::now() + START_WAIT;
                container.run =
                    Run::Starting { asker, runner, status, pid: None, ended: None, note: None, deadline };
            }
        }
        Ok(container)
    }

    /// Makes the standard streams; answers the container's ends.
    fn open_streams(&mut self, io: &Io) -> io::Result<[OwnedFd; 3]> {
        let input = if io.interactive {
            let (read, write) = sys::pipe()?;
            self.input = Some(write);
            read
        } else {
            std::fs::File::open("/dev/null")?.into()
        };
        let (out_read, out_write) = sys::pipe()?;
        let (err_read, err_write) = sys::pipe()?;
        sys::set_nonblocking(out_read.as_fd())?;
        sys::set_nonblocking(err_read.as_fd())?;
        self.streams = [Some(out_read), Some(err_read)];
        Ok([input, out_write, err_write])
    }

    /// Its first process, while it runs.
    pub(super) fn pid(&self) -> Option<i32> {
        match &self.run {
            Run::Running(started) => Some(started.pid),
            _ => None,
        }
    }

    pub(super) fn is_starting(&self) -> bool {
        matches!(self.run, Run::Starting { .. })
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.run, Run::Idle)
    }

    /// Descriptors to wait on.
    pub(super) fn poll(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let status = match &self.run {
            Run::Starting { status, .. } => Some(status.as_fd()),
            _ => None,
        };
        // A full spool is why a container waits; its end is read to the last byte all the same.
        let read = !self.spool.is_full() || matches!(self.run, Run::Draining { .. });
        let streams = self.streams.iter().flatten().filter(move |_| read).map(AsFd::as_fd);
        status.into_iter().chain(streams)
    }

    /// When to look again though nothing happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let run = match &self.run {
            Run::Starting { deadline, .. } | Run::Draining { deadline, .. } => Some(*deadline),
            _ => None,
        };
        let stuck = self.spool.is_full().then(|| Instant::now() + Duration::from_secs(1));
        let leftover =
            (self.leftover > 0 && self.is_idle()).then(|| Instant::now() + Duration::from_millis(5));
        [run, self.kill_at, stuck, leftover].into_iter().flatten().min()
    }

    /// Sends a signal to the first process.
    pub(super) fn signal(&self, signal: i32) {
        let signal = if self.in_sandbox && signal == libc::SIGKILL { guest::KILL } else { signal };
        match &self.run {
            Run::Running(started) => sys::kill(started.pid, signal),
            Run::Starting { pid: Some(pid), .. } => sys::kill(*pid, signal),
            _ => {}
        }
    }

    /// Ends all of it. The first process takes the others of a PID namespace of its own with it.
    pub(super) fn kill(&self, hierarchy: &Hierarchy) {
        if self.is_idle() && self.leftover == 0 {
            return;
        }
        if let Run::Running(started) = &self.run {
            cgroup::thaw(hierarchy, started.pid);
            if self.in_sandbox {
                return self.signal(libc::SIGKILL);
            }
        }
        self.signal(libc::SIGKILL);
        if let Run::Starting { runner, .. } = &self.run {
            sys::kill(*runner, libc::SIGKILL);
        }
        cgroup::kill(hierarchy, &self.group);
    }

    /// A child of the supervisor has ended; says whether it was of this container.
    pub(super) fn reaped(&mut self, pid: i32, code: i32, hierarchy: &Hierarchy) -> bool {
        match &mut self.run {
            Run::Starting { pid: first, ended, .. } if *first == Some(pid) => {
                *ended = Some(code);
                true
            }
            Run::Running(started) if started.pid == pid => {
                self.begin_drain(code, hierarchy);
                true
            }
            _ => false,
        }
    }

    fn begin_drain(&mut self, code: i32, hierarchy: &Hierarchy) {
        cgroup::kill(hierarchy, &self.group);
        let oom_killed = self.task.oom_killed(hierarchy, &self.group);
        // It may not be why it failed, but who looks for why wants to know.
        let reason = if code == 0 { None } else { self.task.limit_met(hierarchy, &self.group) };
        let exit = Exit { code: Some(code), oom_killed, exited_at_ms: sys::now_ms(), reason };
        // All may have been read while it was starting: then no more wakes this process.
        let open = self.streams.iter().any(Option::is_some);
        let wait = if open { DRAIN_WAIT } else { Duration::ZERO };
        self.run = Run::Draining { exit, deadline: Instant::now() + wait };
        self.kill_at = None;
    }

    /// Does what can be done now. `orphans` are ended children that nobody knew when they were reaped.
    pub(super) fn turn(&mut self, orphans: &mut Vec<(i32, i32)>, hierarchy: &Hierarchy) -> Option<News> {
        self.read_streams();
        if self.kill_at.is_some_and(|at| at <= Instant::now()) {
            self.kill_at = None;
            self.kill(hierarchy);
        }
        match &self.run {
            Run::Starting { .. } => self.turn_start(orphans, hierarchy),
            Run::Draining { deadline, .. } => {
                let done = self.streams.iter().all(Option::is_none) || *deadline <= Instant::now();
                if done { self.finish(hierarchy) } else { None }
            }
            Run::Idle if self.leftover > 0 => {
                self.remove_group(hierarchy);
                None
            }
            _ => None,
        }
    }

    fn turn_start(&mut self, orphans: &mut Vec<(i32, i32)>, hierarchy: &Hierarchy) -> Option<News> {
        let Run::Starting { asker, runner, status, pid, ended, note, deadline } = &mut self.run else {
            return None;
        };
        let (asker, runner) = (*asker, *runner);
        let result = loop {
            let mut buffer = [0; 8192];
            match sys::receive(status.as_fd(), &mut buffer) {
                Ok((0, _)) => {
                    break match *pid {
                        Some(pid) => Ok((pid, *ended)),
                        None => Err(unmade(note.take())),
                    };
                }
                Ok((bytes, fd)) => match serde_json::from_slice(&buffer[..bytes]) {
                    Ok(Progress::Pid(first)) => {
                        *pid = Some(first);
                        if let Some(at) = orphans.iter().position(|(orphan, _)| *orphan == first) {
                            *ended = Some(orphans.swap_remove(at).1);
                        }
                        if let Some(master) = fd {
                            let _ = sys::set_nonblocking(master.as_fd());
                            self.streams[0] = Some(master);
                        }
                    }
                    Ok(Progress::Note(message)) => {
                        note.get_or_insert(message);
                    }
                    // On a v2 host libcontainer lets its runner live, to tell where it failed, but not at what.
                    Ok(Progress::Failed(message)) => {
                        break Err(note.take().map_or(message, |note| unmade(Some(note))));
                    }
                    Err(_) => break Err("the runner cannot be understood".to_owned()),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() < *deadline {
                        return None;
                    }
                    break Err("the container did not start in time".to_owned());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error.to_string()),
            }
        };
        sys::kill(if result.is_err() { runner } else { 0 }, libc::SIGKILL);
        Some(News::Started(asker, self.settle_start(result, hierarchy)))
    }

    fn settle_start(
        &mut self,
        result: Result<(i32, Option<i32>), String>,
        hierarchy: &Hierarchy,
    ) -> Result<Started, String> {
        let settled = result.and_then(|(pid, ended)| {
            let started = Started { pid, started_at_ms: sys::now_ms() };
            self.write_state(Phase::Running(started.clone()), Durable::No).map_err(|e| e.to_string())?;
            Ok((started, ended))
        });
        match settled {
            Ok((started, ended)) => {
                self.run = Run::Running(started.clone());
                if let Some(code) = ended {
                    self.begin_drain(code, hierarchy);
                }
                Ok(started)
            }
            Err(message) => {
                self.kill(hierarchy);
                self.close();
                Err(message)
            }
        }
    }

    /// Writes the end down, then tells of it.
    fn finish(&mut self, hierarchy: &Hierarchy) -> Option<News> {
        let Run::Draining { exit, .. } = &self.run else { return None };
        let exit = exit.clone();
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.spool.finish(stream, jiff::Timestamp::now());
        }
        if let Err(error) = self.write_state(Phase::Exited(exit.clone()), Durable::Yes) {
            // A full disk: what cannot be written is not said. The next turn tries again.
            spool::say(&format!("{}: cannot record the end: {error}", self.name));
            if let Run::Draining { deadline, .. } = &mut self.run {
                *deadline = Instant::now() + Duration::from_secs(1);
            }
            return None;
        }
        self.close();
        self.remove_group(hierarchy);
        Some(News::Exited(exit))
    }

    fn close(&mut self) {
        self.run = Run::Idle;
        self.streams = [None, None];
        self.input = None;
        self.kill_at = None;
        runner::forget(&self.dir);
    }

    /// Tries once; a group that is not empty yet is tried again at the next turn.
    fn remove_group(&mut self, hierarchy: &Hierarchy) {
        let gone = cgroup::try_remove(hierarchy, &self.group);
        self.leftover = if gone { 0 } else { self.leftover.saturating_sub(1) };
    }

    fn write_state(&self, phase: Phase, durable: Durable) -> io::Result<()> {
        let mut state: ContainerState =
            layout::last_json(&self.dir.state())?.ok_or_else(|| io::Error::other("no such container"))?;
        if matches!(phase, Phase::Running(_)) {
            state.starts += 1;
        }
        state.phase = phase;
        layout::add_json(&self.dir.state(), &state, durable)
    }

    /// Takes what the container wrote. One bounded bite of each stream, so that no container starves
    /// another.
    fn read_streams(&mut self) {
        self.spool.flush();
        let draining = matches!(self.run, Run::Draining { .. });
        for (at, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            if self.spool.is_full() && !draining {
                return;
            }
            let Some(fd) = &self.streams[at] else { continue };
            let mut buffer = [0; 32 << 10];
            match nix::unistd::read(fd, &mut buffer).map_err(io::Error::from) {
                Ok(0) => self.streams[at] = None,
                Ok(bytes) => {
                    let bytes = &buffer[..bytes];
                    self.spool.push(stream, jiff::Timestamp::now(), bytes);
                }
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                // A terminal that nobody has open reads as an error. To close it too would hang up on
                // whatever still runs there.
                Err(_) if self.terminal && !draining => self.input = self.streams[at].take(),
                Err(_) => self.streams[at] = None,
            }
        }
    }
}

/// Why there is no container though its runner said nothing.
fn unmade(note: Option<String>) -> String {
    match note {
        Some(note) => format!("OCI runtime create failed: {note}"),
        None => "the runner ended before the container was made".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ContainerId, OutputPolicy};
    use crate::state::Created;

    /// In `dir`, with nothing left to read, whose first process ended before its start was told.
    fn ended_at_once(dir: &std::path::Path) -> Container {
        let task = layout::EngineDir::new(dir, &dir.join("run")).task("t");
        let dir = task.container("main");
        std::fs::create_dir_all(dir.path()).unwrap();
        let id = ContainerId { task: "t".into(), name: "main".into() };
        let created = Created {
            runtime_id: "r".into(),
            created_at_ms: 0,
            bindings: Vec::new(),
            ipv4: None,
            image_health_check: None,
        };
        let spool = Writer::open(&dir.output(), "r", OutputPolicy::default()).unwrap();
        let state = ContainerState { id, created, phase: Phase::Created, starts: 0 };
        layout::add_json(&dir.state(), &state, Durable::No).unwrap();
        let (status, runners) = sys::packet_pair().unwrap();
        drop(runners);
        let run = Run::Starting {
            asker: Asker::default(),
            runner: 0,
            status,
            pid: Some(0),
            ended: Some(3),
            note: None,
            deadline: Instant::now() + START_WAIT,
        };
        Container {
            name: "main".into(),
            dir,
            runtime_id: "r".into(),
            group: GroupPath::instance("t"),
            task: OfTask { group: GroupPath::instance("t"), disk: "/nowhere".into() },
            run,
            streams: [None, None],
            input: None,
            terminal: false,
            in_sandbox: false,
            spool,
            kill_at: None,
            watch: None,
            leftover: 0,
        }
    }

    #[test]
    fn an_end_with_nothing_left_to_read_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let hierarchy = Hierarchy::V2(dir.path().join("cgroup"));
        let mut container = ended_at_once(dir.path());
        let started = container.turn(&mut Vec::new(), &hierarchy);
        assert!(matches!(started, Some(News::Started(_, Ok(_)))), "{started:?}");
        // No descriptor would wake the supervisor.
        assert_eq!(container.poll().count(), 0);
        assert!(container.deadline().is_some_and(|at| at <= Instant::now()));
        let exited = container.turn(&mut Vec::new(), &hierarchy);
        assert!(matches!(exited, Some(News::Exited(Exit { code: Some(3), .. }))), "{exited:?}");
    }
}
