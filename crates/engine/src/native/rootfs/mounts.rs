//! The mounts of a container, but for what shows its processes. Whoever has mounted the root file system
//! makes them too, at some ten system calls each; libcontainer, which does the rest, makes seventy. The
//! caller is in the container's network and IPC namespaces.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::Mount;
use nix::fcntl::OFlag;
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::Root;
use crate::native::layout;

/// Makes what can be made, in the order given; answers what is left to libcontainer. What might lie
/// within something that is left is left too. A bind of `own`, which is mounted for this container alone, is
/// moved to its place: one copy less of all that is mounted in it.
pub(crate) fn mount(root: &Root, mounts: Vec<Mount>, own: &Path) -> Result<Vec<Mount>, Refused> {
    let dev = root.at(Path::new("/dev"), OFlag::O_PATH | OFlag::O_NOFOLLOW);
    // libcontainer would follow a link there when it makes the devices, out of the root.
    if dev.is_ok_and(|dev| File::from(dev).metadata().is_ok_and(|m| !m.is_dir())) {
        let error = io::Error::other("in the image it is not a folder");
        return Err(Refused { destination: "/dev".into(), error });
    }
    let mut left = Left::default();
    for mount in mounts {
        let kind = match mount.source().as_deref() {
            Some(source) if source == own => Some(Kind::Moved { source }),
            _ => Kind::of(&mount),
        };
        match kind.filter(|_| !left.may_hold(&mount)) {
            Some(kind) => make(root, mount.destination(), &kind, &left)
                .map_err(|error| Refused { destination: mount.destination().clone(), error })?,
            None => left.add(mount),
        }
    }
    Ok(left.mounts)
}

/// What cannot be mounted, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) destination: PathBuf,
    pub(crate) error: io::Error,
}

/// What is left to libcontainer.
#[derive(Debug, Default)]
struct Left {
    mounts: Vec<Mount>,
    /// A link of the image may lead into one of them.
    unsure: bool,
}

impl Left {
    fn may_hold(&self, mount: &Mount) -> bool {
        self.unsure || self.holds(mount.destination())
    }

    fn holds(&self, path: &Path) -> bool {
        self.mounts.iter().any(|left| path.starts_with(left.destination()))
    }

    fn add(&mut self, mount: Mount) {
        self.unsure |= !is_kernels(mount.destination());
        self.mounts.push(mount);
    }
}

/// Whether the kernel's own file systems are mounted here, or below.
fn is_kernels(destination: &Path) -> bool {
    ["/proc", "/sys", "/dev/mqueue"].iter().any(|root| destination.starts_with(root))
}

/// What is mounted.
#[derive(Debug, PartialEq, Eq)]
enum Kind<'a> {
    /// Part of the host.
    Bind { source: &'a Path, recursive: bool, flags: MountAttrFlags },
    /// What is mounted already, with all in it, as it is.
    Moved { source: &'a Path },
    /// A file system of its own.
    New { kind: &'a str, options: Vec<(&'a str, Option<&'a str>)>, flags: MountAttrFlags },
}

impl Kind<'_> {
    /// `None` for what this file does not know how to make.
    fn of(mount: &Mount) -> Option<Kind<'_>> {
        let options = mount.options().as_deref().unwrap_or_default();
        let mut flags = MountAttrFlags::empty();
        let mut others = Vec::new();
        for option in options.iter().map(String::as_str) {
            match option {
                "ro" => flags |= MountAttrFlags::MOUNT_ATTR_RDONLY,
                "nosuid" => flags |= MountAttrFlags::MOUNT_ATTR_NOSUID,
                "nodev" => flags |= MountAttrFlags::MOUNT_ATTR_NODEV,
                "noexec" => flags |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
                "strictatime" => flags |= MountAttrFlags::MOUNT_ATTR_STRICTATIME,
                "noatime" => flags |= MountAttrFlags::MOUNT_ATTR_NOATIME,
                "nodiratime" => flags |= MountAttrFlags::MOUNT_ATTR_NODIRATIME,
                // As it is by itself.
                "rw" | "rprivate" | "private" | "defaults" | "suid" | "dev" | "exec" | "async" | "atime"
                | "diratime" | "relatime" | "norelatime" | "nostrictatime" | "nomand" => {}
                other => others.push(other),
            }
        }
        match mount.typ().as_deref()? {
            "bind" => {
                let recursive = others == ["rbind"];
                let source = mount.source().as_deref()?;
                (recursive || others.is_empty()).then_some(Kind::Bind { source, recursive, flags })
            }
            kind @ ("tmpfs" | "devpts" | "sysfs" | "mqueue") => {
                const KNOWN: [&str; 12] = [
                    "size",
                    "mode",
                    "gid",
                    "uid",
                    "newinstance",
                    "ptmxmode",
                    "nr_inodes",
                    "nr_blocks",
                    "mpol",
                    "huge",
                    "sync",
                    "dirsync",
                ];
                let options: Vec<(&str, Option<&str>)> = others
                    .into_iter()
                    .map(|o| o.split_once('=').map_or((o, None), |(name, value)| (name, Some(value))))
                    .collect();
                let known = options.iter().all(|(name, _)| KNOWN.contains(name));
                known.then_some(Kind::New { kind, options, flags })
            }
            _ => None,
        }
    }

    fn open(&self) -> io::Result<OwnedFd> {
        let tree = |source: &Path, flags| {
            open_tree(CWD, source, flags | OpenTreeFlags::OPEN_TREE_CLOEXEC)
                .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", source.display())))
        };
        match self {
            Kind::Moved { source } => tree(source, OpenTreeFlags::empty()),
            Kind::Bind { source, recursive: true, .. } => {
                tree(source, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE)
            }
            Kind::Bind { source, .. } => tree(source, OpenTreeFlags::OPEN_TREE_CLONE),
            Kind::New { kind, options, flags } => {
                let fs = fsopen(*kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
                fsconfig_set_string(fs.as_fd(), "source", *kind)?;
                for (name, value) in options {
                    let set = match value {
                        Some(value) => fsconfig_set_string(fs.as_fd(), *name, *value),
                        None => fsconfig_set_flag(fs.as_fd(), *name),
                    };
                    set.map_err(|e| {
                        let option =
                            [Some(*name), *value].into_iter().flatten().collect::<Vec<_>>().join("=");
                        let error = io::Error::from(e);
                        io::Error::new(
                            error.kind(),
                            format!("{kind} does not take the option {option}: {error}"),
                        )
                    })?;
                }
                fsconfig_create(fs.as_fd())?;
                Ok(fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, *flags)?)
            }
        }
    }
}

fn make(root: &Root, destination: &Path, kind: &Kind<'_>, left: &Left) -> io::Result<()> {
    let made = File::from(kind.open()?);
    let place = match root.plain_place(destination) {
        Some(fd) => fd,
        None => place(root, destination, &made, left)?,
    };
    if let Kind::Bind { flags, .. } = kind {
        super::restrict(made.as_fd(), u64::from(flags.bits()))?;
    }
    let how = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(made.as_fd(), "", place.as_fd(), "", how).map_err(|e| refused(kind, &made, place, e.into()))
}

/// What is to be mounted on, through whatever links lead there, made where it is not there.
fn place(root: &Root, destination: &Path, made: &File, left: &Left) -> io::Result<OwnedFd> {
    if destination.parent() == Some(Path::new("/etc"))
        && destination.file_name().is_some_and(|name| layout::ETC_FILES.iter().any(|file| name == *file))
    {
        root.replace_link(destination)?;
    }
    let found = root.place(destination, made.metadata()?.is_dir())?;
    let path = Path::new("/").join(found.path.unwrap_or_default());
    if left.holds(&path) {
        // That is mounted later, over this.
        let why = format!("a link of the image leads to {}, where nothing can be mounted", path.display());
        return Err(io::Error::other(why));
    }
    Ok(found.fd)
}

/// Why a mount is not taken where it belongs.
fn refused(kind: &Kind<'_>, made: &File, place: OwnedFd, error: io::Error) -> io::Error {
    let is_folder = |file: &File| file.metadata().is_ok_and(|m| m.is_dir());
    let source = match kind {
        Kind::Bind { source, .. } | Kind::Moved { source } => source.display().to_string(),
        Kind::New { kind, .. } => (*kind).to_owned(),
    };
    match (is_folder(made), is_folder(&File::from(place))) {
        (true, false) => io::Error::other(format!(
            "not a directory: {source} is a folder, but the container has a file there; mount a file, or \
             mount the folder at another path"
        )),
        (false, true) => io::Error::other(format!(
            "not a directory: {source} is a file, but the container has a folder there; mount a folder, or \
             give the path of a file"
        )),
        _ => io::Error::new(error.kind(), format!("{source}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use libcontainer::oci_spec::runtime::MountBuilder;

    use super::*;

    fn wanted(kind: &str, at: &str, options: &[&str]) -> Mount {
        MountBuilder::default()
            .typ(kind)
            .source("/somewhere")
            .destination(at)
            .options(options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>())
            .build()
            .unwrap()
    }

    #[test]
    fn what_it_does_not_know_is_left() {
        let known = |kind, at, options: &[&str]| Kind::of(&wanted(kind, at, options)).is_some();
        assert!(known("bind", "/data", &["rbind", "rprivate", "ro"]));
        assert!(!known("bind", "/data", &["rbind", "rshared"]));
        assert!(known("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]));
        assert!(known("tmpfs", "/run", &["noatime", "defaults"]) && known("tmpfs", "/run", &["nr_inodes=5"]));
        assert!(!known("tmpfs", "/run", &["remount"]));
        assert!(known("devpts", "/dev/pts", &["newinstance", "ptmxmode=0666", "gid=5"]));
        assert!(known("sysfs", "/sys", &["ro"]) && known("mqueue", "/dev/mqueue", &["noexec"]));
        assert!(!known("proc", "/proc", &[]) && !known("cgroup", "/sys/fs/cgroup", &[]));
    }

    #[test]
    fn what_may_lie_in_a_mount_that_is_left_is_left_too() {
        let left = |mounts: &[Mount]| -> Vec<String> {
            let mut left = Left::default();
            for mount in mounts {
                if left.may_hold(mount) || Kind::of(mount).is_none() {
                    left.add(mount.clone());
                }
            }
            left.mounts.iter().map(|mount| mount.destination().display().to_string()).collect()
        };
        let usual = [
            wanted("proc", "/proc", &[]),
            wanted("tmpfs", "/dev", &["mode=755"]),
            wanted("sysfs", "/sys", &["ro"]),
            wanted("bind", "/sys/fs/cgroup", &["ro", "rbind", "rprivate"]),
            wanted("mqueue", "/dev/mqueue", &[]),
            wanted("tmpfs", "/dev/shm", &["mode=1777"]),
            wanted("bind", "/etc/hosts", &["rbind", "rprivate", "rw"]),
        ];
        assert_eq!(left(&usual), ["/proc"]);
        let in_proc = [wanted("proc", "/proc", &[]), wanted("bind", "/proc/x", &["rbind"])];
        assert_eq!(left(&in_proc), ["/proc", "/proc/x"]);
        let v2 = [wanted("cgroup", "/sys/fs/cgroup", &["ro"]), wanted("tmpfs", "/dev/shm", &["mode=1777"])];
        assert_eq!(left(&v2), ["/sys/fs/cgroup"]);
        let odd = [wanted("tmpfs", "/run", &["remount"]), wanted("bind", "/var/run/x", &["rbind"])];
        assert_eq!(left(&odd), ["/run", "/var/run/x"], "/var/run may be a link to /run");
    }
}
