//! Network namespaces kept alive by a bind mount. Made and entered on threads of their own: a
//! caller's thread never changes namespace.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::thread;

use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use nix::sys::statfs;

use crate::error::{Error, Result};
use crate::netlink::Socket;
use crate::sysctl;

/// A namespace just made: its file, and a socket that works inside it from any thread.
pub(crate) struct Netns {
    pub file: File,
    pub inside: Socket,
}

/// Makes a namespace with `lo` up and [`sysctl::DEFAULTS`], and binds it to `path`, which must not be in use.
pub(crate) fn create(path: &Path) -> Result<Netns> {
    make_file(path)?;
    on_thread(|| {
        nix::sched::unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|e| Error::io("unshare network namespace for", path)(e.into()))?;
        // Links made later start without IPv6: the bridge has none, and duplicate address
        // detection would only delay the first packet. `lo` keeps ::1.
        let _ = sysctl::write("net.ipv6.conf.default.disable_ipv6", "1");
        sysctl::DEFAULTS.iter().try_for_each(|(name, value)| sysctl::write(name, value))?;
        let own = "/proc/thread-self/ns/net";
        nix::mount::mount(Some(own), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(|e| Error::io("bind namespace to", path)(e.into()))?;
        let file = File::open(own).map_err(Error::io("open", own))?;
        let mut inside = Socket::open()?;
        inside.set_up("lo")?;
        Ok(Netns { file, inside })
    })
}

/// Binds a namespace that somebody keeps alive to `path`.
pub(crate) fn bind(netns: &File, path: &Path) -> Result<()> {
    make_file(path)?;
    let source = format!("/proc/self/fd/{}", netns.as_raw_fd());
    nix::mount::mount(Some(source.as_str()), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(|e| Error::io("bind namespace to", path)(e.into()))
}

/// Something to bind to, in a folder that others may have taken away too.
fn make_file(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    let made = File::create(path).or_else(|_| {
        fs::create_dir_all(parent)?;
        File::create(path)
    });
    made.map(|_| ()).map_err(Error::io("create namespace file", path))
}

/// Runs `work` in the namespace bound to `path`, on a thread of its own.
pub(crate) fn enter<T: Send>(path: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    within(&File::open(path).map_err(Error::io("open namespace", path))?, work)
}

/// Runs `work` in a namespace, on a thread of its own.
pub(crate) fn within<T: Send>(netns: &File, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    on_thread(|| {
        nix::sched::setns(netns.as_fd(), CloneFlags::CLONE_NEWNET)
            .map_err(|e| Error::io("enter", "network namespace")(e.into()))?;
        work()
    })
}

/// Runs `work` in a namespace that ends with it.
pub(crate) fn scratch<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    on_thread(|| {
        nix::sched::unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|e| Error::io("unshare", "network namespace")(e.into()))?;
        work()
    })
}

/// Unbinds a namespace and removes its file; not an error when there is none. The kernel lets the
/// namespace go with the last process in it.
pub(crate) fn remove(path: &Path) -> Result<()> {
    // A file that was bound twice after a crash needs as many unmounts.
    while exists(path) {
        nix::mount::umount2(path, MntFlags::MNT_DETACH)
            .map_err(|e| Error::io("unmount namespace", path)(e.into()))?;
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove namespace file", path)(e))
        }
        _ => Ok(()),
    }
}

/// Whether a namespace is bound to `path`.
pub(crate) fn exists(path: &Path) -> bool {
    statfs::statfs(path).is_ok_and(|found| found.filesystem_type() == statfs::NSFS_MAGIC)
}

fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(work).join().unwrap_or(Err(Error::Stopped)))
}
