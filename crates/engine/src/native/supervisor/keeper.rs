//! The first process of a PID namespace that the containers of a task share: it reaps what they leave behind, and ends
//! with the supervisor, and all of them with it.
//!
//! Containers see it, and one that may trace processes can make it do anything. So it has nothing: no
//! capability, no file, and of every kind of namespace an empty one of its own.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::mount::{MntFlags, MsFlags};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;

use super::sys;
use crate::native::userns;

/// Where its own root is mounted first; nothing of what was there is seen from then on.
const ROOT: &str = "/proc";

/// A keeper at work.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) pid: i32,
    /// It ends when this closes.
    _life: OwnedFd,
}

impl Keeper {
    /// Returns once it has shut itself off. Its namespaces are of the user namespace `users`, if there is one.
    pub(super) fn start(users: Option<BorrowedFd<'_>>) -> io::Result<Keeper> {
        let failed = || io::Error::other("the processes of the task cannot be kept together");
        let (life, other) = sys::packet_pair()?;
        let pid = match users {
            None => match sys::fork_into(CloneFlags::CLONE_NEWPID)? {
                sys::Fork::Child => serve(&other),
                sys::Fork::Parent(pid) => pid,
            },
            Some(users) => match sys::fork()? {
                sys::Fork::Child => start_within(users, &other),
                sys::Fork::Parent(helper) => {
                    let mut pid = [0; 4];
                    let told = sys::receive(life.as_fd(), &mut pid);
                    sys::wait_for(helper);
                    match told {
                        Ok((4, _)) => i32::from_ne_bytes(pid),
                        _ => return Err(failed()),
                    }
                }
            },
        };
        drop(other);
        match sys::receive(life.as_fd(), &mut [0; 8]) {
            Ok((1, _)) => Ok(Keeper { pid, _life: life }),
            _ => Err(failed()),
        }
    }
}

/// Enters a user namespace and leaves a keeper there, as a sibling; tells its pid first.
fn start_within(users: BorrowedFd<'_>, other: &OwnedFd) -> ! {
    let Ok((go, wait)) = sys::packet_pair() else { sys::exit_now(1) };
    let made = userns::enter(users).and_then(|()| sys::fork_sibling(CloneFlags::CLONE_NEWPID));
    match made {
        Ok(sys::Fork::Child) => {
            drop(go);
            let _ = sys::receive(wait.as_fd(), &mut [0; 1]);
            serve(other)
        }
        Ok(sys::Fork::Parent(pid)) => {
            let _ = sys::send(other.as_fd(), &pid.to_ne_bytes(), None);
            sys::exit_now(0)
        }
        Err(_) => sys::exit_now(1),
    }
}

fn serve(other: &OwnedFd) -> ! {
    sys::close_others(&[other.as_raw_fd()]);
    let ready = shut_off().and_then(|()| sys::child_signals());
    match ready {
        Ok(children) if sys::send(other.as_fd(), b"1", None).is_ok() => keep(other, &children),
        _ => sys::exit_now(1),
    }
}

/// Gives up whatever this process has of its supervisor and of the host.
fn shut_off() -> io::Result<()> {
    let name = CString::from(c"roadstead-pause");
    // SAFETY: the name outlives the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    let own = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    nix::sched::unshare(own)?;
    let none = None::<&str>;
    nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    nix::mount::mount(Some("tmpfs"), ROOT, Some("tmpfs"), MsFlags::MS_RDONLY, Some("mode=0,size=4k"))?;
    nix::unistd::chdir(ROOT)?;
    nix::unistd::pivot_root(".", ".")?;
    nix::mount::umount2(".", MntFlags::MNT_DETACH)?;
    nix::unistd::chdir("/")?;
    for fd in 0..3 {
        // SAFETY: nothing here uses the standard streams.
        unsafe { libc::close(fd) };
    }
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    sys::keep_capabilities(0)
}

/// Reaps until the supervisor is gone.
fn keep(life: &OwnedFd, children: &OwnedFd) -> ! {
    loop {
        while nix::unistd::read(children, &mut [0; 1024]).is_ok_and(|bytes| bytes > 0) {}
        while sys::reap().is_some() {}
        let mut fds =
            [PollFd::new(life.as_fd(), PollFlags::empty()), PollFd::new(children.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::NONE);
        if sys::is_hung_up(life.as_fd()) {
            sys::exit_now(0)
        }
    }
}
