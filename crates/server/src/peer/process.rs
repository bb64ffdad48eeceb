//! Whether a socket is one of a container's: by the control group in which it was made, and by the process that
//! holds it. A container's root user has the number of the host's, and in `host` network mode its address too.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::Error;
use super::diag::Client;

/// The kind of a file handle that is a control group's id (`FILEID_KERNFS` of linux/exportfs.h).
const FILEID_KERNFS: libc::c_int = 0xfe;

/// Where the one hierarchy (cgroup v2) is mounted, alone or beside those of v1.
static UNIFIED: LazyLock<Option<(PathBuf, File)>> = LazyLock::new(|| {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let path = PathBuf::from(line.split(' ').nth(4)?);
    let file = File::open(&path).ok()?;
    Some((path, file))
});

/// Fails for a socket that was made in a container, as far as it has a control group (v2). Quick.
pub(super) fn made_outside_containers(client: &Client) -> Result<(), Error> {
    // Where it was made cannot be changed by handing it on.
    if let Some(path) = client.group.map(path_of).transpose()?.flatten()
        && let Some(found) = container(&path, group_of(&own_groups()?, "0").unwrap_or_default())
    {
        return Err(Error::Contained(found.to_owned()));
    }
    Ok(())
}

/// Fails for a socket that a container's process holds, and where that cannot be told. Looks through all processes.
pub(super) fn held_outside_containers(client: &Client) -> Result<(), Error> {
    let own = own_groups()?;
    // Where sockets have no group of their own, each of those that hold it counts: one that a container's process handed
    // on to another is still its own.
    let all = if has_hierarchies_of_v1(&own) { usize::MAX } else { 1 };
    let mut found = false;
    for pid in holders(client.inode).take(all) {
        check(pid, &own)?;
        found = true;
    }
    if found { Ok(()) } else { Err(Error::NoProcess) }
}

fn own_groups() -> Result<String, Error> {
    fs::read_to_string("/proc/self/cgroup").map_err(|error| Error::Unknown(error.to_string()))
}

/// Fails for a process in a container.
fn check(pid: u32, own: &str) -> Result<(), Error> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).map_err(|_| Error::NoProcess)?;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(hierarchy), Some(_), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if let Some(found) = container(path, group_of(own, hierarchy).unwrap_or_default()) {
            return Err(Error::Contained(found.to_owned()));
        }
    }
    for kind in ["pid", "user"] {
        let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/{kind}"));
        match (of(&pid.to_string()), of("self")) {
            (Ok(its), Ok(own)) if its == own => {}
            (Ok(_), Ok(_)) => return Err(Error::Contained(format!("a {kind} namespace of its own"))),
            _ => return Err(Error::NoProcess),
        }
    }
    Ok(())
}

/// Whether control groups of v1 may say what those of v2 do not.
fn has_hierarchies_of_v1(groups: &str) -> bool {
    groups.lines().any(|line| !line.starts_with("0:"))
}

/// The path, in one hierarchy, of what `/proc/<pid>/cgroup` lists.
fn group_of<'a>(groups: &'a str, hierarchy: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        line.strip_prefix(hierarchy)?.strip_prefix(':')?.split_once(':').map(|(_, path)| path)
    })
}

/// The part of a control group's path that makes it a container's. What we are in ourselves does not count.
fn container<'a>(path: &'a str, own: &str) -> Option<&'a str> {
    let mut own = own.split('/');
    let mut inside = true;
    path.split('/').find(|part| {
        inside = inside && own.next() == Some(part);
        !inside && is_container(part)
    })
}

/// Ours have `roadstead-` and eight hexadecimal digits; the others are as their makers name them.
fn is_container(part: &str) -> bool {
    let ours = |id: &str| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let begins = ["docker-", "libpod", "kubepods", "lxc", "crio-", "cri-containerd", "nerdctl", "podman-"];
    part.strip_prefix("roadstead-").is_some_and(ours)
        || part == "docker"
        || begins.iter().any(|begin| part.starts_with(begin))
}

/// The path of a control group by its id; nothing where this process may not ask, or there is no such hierarchy.
fn path_of(id: u64) -> Result<Option<String>, Error> {
    #[repr(C)]
    struct Handle {
        bytes: libc::c_uint,
        kind: libc::c_int,
        id: [u8; 8],
    }
    let Some((mount, root)) = UNIFIED.as_ref() else { return Ok(None) };
    let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
    // SAFETY: the handle is a `struct file_handle` with the eight bytes that its length says; the kernel reads it
    // during the call only.
    let opened = unsafe {
        libc::open_by_handle_at(
            root.as_raw_fd(),
            (&raw mut handle).cast::<libc::file_handle>(),
            libc::O_PATH | libc::O_CLOEXEC,
        )
    };
    if opened < 0 {
        let error = std::io::Error::last_os_error();
        return match error.raw_os_error() {
            // The group is gone, with all that was in it.
            Some(libc::ESTALE | libc::ENOENT) => Err(Error::NoProcess),
            _ => Ok(None),
        };
    }
    // SAFETY: the kernel just made it for us, and nobody else knows of it.
    let group = unsafe { OwnedFd::from_raw_fd(opened) };
    let path = fs::read_link(format!("/proc/self/fd/{}", group.as_raw_fd()))
        .map_err(|error| Error::Unknown(error.to_string()))?;
    let path = path.strip_prefix(mount).unwrap_or(&path);
    Ok(Some(format!("/{}", path.display())))
}

/// The processes that have a socket with that inode open. The youngest are looked at first: most clients are.
fn holders(inode: u32) -> impl Iterator<Item = u32> {
    let target = format!("socket:[{inode}]");
    let number = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<u32>().ok();
    let mut pids: Vec<u32> = fs::read_dir("/proc").into_iter().flatten().filter_map(number).collect();
    pids.sort_unstable_by(|a, b| b.cmp(a));
    pids.into_iter().filter(move |pid| holds(Path::new(&format!("/proc/{pid}/fd")), OsStr::new(&target)))
}

fn holds(files: &Path, target: &OsStr) -> bool {
    let Ok(files) = fs::read_dir(files) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_known_by_their_groups() {
        for (path, own, expected) in [
            ("/", "/", None),
            ("/user.slice/user-0.slice/session-1.scope", "/system.slice/roadstead.service", None),
            ("/system.slice/docker.service", "/", None),
            ("/roadstead-0123abcd/0f/main", "/", Some("roadstead-0123abcd")),
            ("/roadstead-0123abcd/_supervisors", "/", Some("roadstead-0123abcd")),
            ("/roadstead-backup/x", "/", None),
            ("/docker/0f", "/", Some("docker")),
            ("/system.slice/docker-0f.scope", "/system.slice/roadstead.service", Some("docker-0f.scope")),
            ("/machine.slice/libpod-0f.scope/container", "/", Some("libpod-0f.scope")),
            ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope", "/", Some("kubepods.slice")),
            // The control plane itself in a container, with its clients, and a task of it.
            ("/docker/0f", "/docker/0f", None),
            ("/docker/1f", "/docker/0f", None),
            ("/docker/0f/roadstead-0123abcd/t/c", "/docker/0f", Some("roadstead-0123abcd")),
        ] {
            assert_eq!(container(path, own), expected, "{path} {own}");
        }
        let groups = "9:name=systemd:/a\n1:cpu:/b:c\n0::/d\n";
        assert_eq!(group_of(groups, "1"), Some("/b:c"));
        assert_eq!(group_of(groups, "0"), Some("/d"));
        assert_eq!(group_of(groups, "2"), None);
        assert!(has_hierarchies_of_v1(groups) && !has_hierarchies_of_v1("0::/d\n"));
    }
}
