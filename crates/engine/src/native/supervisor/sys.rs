//! The few system calls of the supervisor that the standard library has no safe form of.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sched::CloneFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};

/// Which side of a fork this is.
pub(crate) enum Fork {
    Child,
    Parent(i32),
}

/// Makes a copy of this process.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: spawner, supervisor and runner have one thread, so the child may do anything.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// [`fork`] of a child in new namespaces of some kinds. Of a PID namespace it is the first process.
pub(crate) fn fork_into(kinds: CloneFlags) -> io::Result<Fork> {
    let flags = libc::c_long::from(kinds.bits() | libc::SIGCHLD);
    // SAFETY: as in `fork`; without a stack the child goes on with a copy of this one.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => i32::try_from(pid).map(Fork::Parent).map_err(io::Error::other),
    }
}

/// For a child that is only there to be looked at: ends once nobody holds the other end of its pipe. Nothing but
/// system calls.
pub(crate) fn stay_until_closed(wait: &OwnedFd, hold: &OwnedFd) -> ! {
    let mut byte = 0_u8;
    // SAFETY: both are open here, this process's own copies; the byte is ours.
    unsafe {
        libc::close(hold.as_raw_fd());
        while libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1) < 0
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
        {}
    }
    exit_now(0)
}

/// Reaps a child that is about to end.
pub(crate) fn wait_for(pid: i32) {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

/// Becomes another user and group altogether, of this process's user namespace. For a process with one thread.
pub(crate) fn set_ids(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: touch no memory.
    let done = unsafe {
        libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
            && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// [`fork`] of a child in new namespaces of some kinds that is this process's sibling: their parent reaps it.
pub(crate) fn fork_sibling(kinds: CloneFlags) -> io::Result<Fork> {
    fork_into(kinds | CloneFlags::CLONE_PARENT)
}

/// [`fork`] of a child that ends when this process does: what it makes, nobody would look after.
pub(crate) fn fork_bound() -> io::Result<Fork> {
    let parent = std::process::id().cast_signed();
    let side = fork()?;
    if let Fork::Child = side {
        // SAFETY: touches no memory.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        // SAFETY: touches no memory. The parent may have ended before the line above.
        if unsafe { libc::getppid() } != parent {
            exit_now(1);
        }
    }
    Ok(side)
}

/// Whether the other end of a socket is gone.
pub(crate) fn is_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one valid entry.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 && poll.revents & libc::POLLHUP != 0 }
}

/// Ends this process without what `exit` would run, which belongs to the parent.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: takes no memory and does not return.
    unsafe { libc::_exit(code) }
}

/// A pair of connected packet sockets.
pub(crate) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// A pipe: (read, write).
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
}

/// Sends one packet, with a descriptor if there is one.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let fds: Vec<RawFd> = fd.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives one packet of at most `buffer`'s size. A length of 0 is the end.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut control = nix::cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut fd = None;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part {
            for raw in fds {
                // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
                fd = Some(unsafe { OwnedFd::from_raw_fd(raw) });
            }
        }
    }
    Ok((message.bytes, fd))
}

pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Closes every descriptor from 3 on but `keep`.
pub(crate) fn close_others(keep: &[RawFd]) {
    let mut keep = keep.to_vec();
    keep.sort_unstable();
    let mut from = 3;
    for fd in keep {
        if fd > from {
            close_range(from, fd - 1);
        }
        from = from.max(fd + 1);
    }
    close_range(from, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: called in a fresh child that uses none of these descriptors. Needs Linux 5.9; libcontainer
    // needs newer.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// How much sooner or later than by its size the kernel ends this process when memory is short: from -1000,
/// never, to 1000. Its children begin with the same.
pub(crate) fn set_oom_score_adj(value: i32) -> io::Result<()> {
    std::fs::write("/proc/self/oom_score_adj", value.to_string())
}

/// Lets a container start as from a fresh shell, whatever the agent was started with: the usual file
/// mode mask, signals as [`reset_signals`] leaves them, and none of what keeps the supervisor from being
/// ended when memory is short.
pub(crate) fn reset_process() {
    // Where it was raised for all that runs here, it cannot be lowered everywhere, and need not be.
    let _ = set_oom_score_adj(0);
    // SAFETY: touches no memory.
    unsafe { libc::umask(0o022) };
    reset_signals();
}

/// Undoes what the supervisor and the Rust runtime changed about signals: nothing blocked, nothing
/// ignored.
pub(crate) fn reset_signals() {
    // SAFETY: plain calls on values of ours; SIG_DFL is valid for every signal.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Sets a seccomp program on this process. Takes CAP_SYS_ADMIN, or no-new-privileges.
pub(crate) fn set_seccomp(program: &[u8]) -> io::Result<()> {
    const INSTRUCTION_BYTES: usize = 8;
    // The kernel reads instructions from any address, aligned or not.
    let length = u16::try_from(program.len() / INSTRUCTION_BYTES).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies `len` instructions, which are there.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// As the kernel reads and writes capabilities.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// Of 32 capabilities.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// Puts to use every capability that this process may have: a change of its user took them out of use.
pub(crate) fn use_capabilities() -> io::Result<()> {
    let (header, mut halves) = (Header { version: VERSION_3, pid: 0 }, [Half::default(); 2]);
    // SAFETY: both are laid out as the kernel reads and writes them, and outlive the calls.
    let done = unsafe {
        libc::syscall(libc::SYS_capget, &header, halves.as_mut_ptr()) == 0 && {
            halves.iter_mut().for_each(|half| half.effective = half.permitted);
            libc::syscall(libc::SYS_capset, &header, halves.as_ptr()) == 0
        }
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives up every capability but `keep` (bits), for good.
pub(crate) fn keep_capabilities(keep: u64) -> io::Result<()> {
    for number in (0..64).filter(|n| keep >> n & 1 == 0) {
        // SAFETY: touches no memory. Fails only for numbers that the kernel does not know.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
    }
    let half = |bits: u64| Half {
        effective: (bits & 0xffff_ffff) as u32,
        permitted: (bits & 0xffff_ffff) as u32,
        inheritable: 0,
    };
    let (header, halves) = (Header { version: VERSION_3, pid: 0 }, [half(keep), half(keep >> 32)]);
    // SAFETY: both are laid out as the kernel reads them, and outlive the call.
    match unsafe { libc::syscall(libc::SYS_capset, &header, halves.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives a pipe to a user, who can then open it by name too, as /dev/stdout. What belongs to the host, as
/// its /dev/null does, stays as it is. `uid` is of the host.
pub(crate) fn give(stream: BorrowedFd<'_>, uid: u32) -> io::Result<()> {
    use nix::sys::stat::{SFlag, fstat};
    if uid == 0 || SFlag::from_bits_truncate(fstat(stream)?.st_mode) & SFlag::S_IFMT != SFlag::S_IFIFO {
        return Ok(());
    }
    Ok(nix::unistd::fchown(stream, Some(nix::unistd::Uid::from_raw(uid)), None)?)
}

/// Gives the terminal of a master to a user. Somebody must have it open, as else it would hang up.
pub(crate) fn give_terminal(master: BorrowedFd<'_>, uid: u32) -> io::Result<()> {
    if uid == 0 {
        return Ok(());
    }
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: touches no memory; the descriptor is new and ours.
    let terminal = unsafe {
        match libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) {
            fd if fd >= 0 => OwnedFd::from_raw_fd(fd),
            _ => return Err(io::Error::last_os_error()),
        }
    };
    Ok(nix::unistd::fchown(&terminal, Some(nix::unistd::Uid::from_raw(uid)), None)?)
}

/// Blocks SIGCHLD and answers a descriptor that is readable when a child has ended.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: plain calls on a set of ours; the descriptor is new and ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        let fd = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// Reaps one child that has ended: its pid and its exit code as shells count, 128 and a signal.
pub(crate) fn reap() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` is ours.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    let code =
        if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
    (pid > 0).then_some((pid, code))
}

pub(crate) fn kill(pid: i32, signal: i32) {
    if pid > 0 {
        // SAFETY: touches no memory. `pid` is a child of ours that was not reaped yet.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Pins a process of this host.
pub(crate) fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(fd) {
        // SAFETY: the kernel just made this descriptor for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What there is of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Lives,
    /// Nobody has reaped it yet. The code is as shells count.
    Ended(i32),
    Gone,
}

/// Looks at a process that need be no child of ours.
pub(crate) fn life(pid: i32) -> Life {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.ok().and_then(|stat| parse_life(&stat)).unwrap_or(Life::Gone)
}

fn parse_life(stat: &str) -> Option<Life> {
    // The name, in brackets, may hold anything; the fields after it do not.
    let mut fields = stat.rsplit_once(") ")?.1.split_whitespace();
    if !matches!(fields.next()?, "Z" | "X") {
        return Some(Life::Lives);
    }
    // `exit_code` is the 52nd of all; the state was the third.
    let status = fields.nth(48)?.parse().ok()?;
    let signal = libc::WIFSIGNALED(status).then(|| 128 + libc::WTERMSIG(status));
    Some(Life::Ended(signal.unwrap_or(libc::WEXITSTATUS(status))))
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// When a process started, in the kernel's ticks: tells it from a later one with the same pid.
pub(crate) fn start_ticks(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; the fields after it do not. A zombie counts as gone.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_child_tells_its_code_before_it_is_reaped() {
        assert_eq!(life(std::process::id().cast_signed()), Life::Lives);
        for (script, code) in [("exit 7", 7), ("kill -9 $$", 137)] {
            let mut child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
            let pid = child.id().cast_signed();
            while life(pid) == Life::Lives {
                std::thread::yield_now();
            }
            assert_eq!(life(pid), Life::Ended(code), "{script}");
            child.wait().unwrap();
            assert_eq!(life(pid), Life::Gone);
        }
        assert_eq!(parse_life("7 (a) b) S 1"), Some(Life::Lives));
        assert_eq!(parse_life("7 (a) Z 1"), None);
    }
}
