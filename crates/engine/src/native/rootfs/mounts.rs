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

/// Makes what can be made, in the order given; answers what is left to libcontainer. What might lie
/// within something that is left is left too. A bind of `own`, which is mounted for this container alone, is
/// moved to its place: one copy less of all that is mounted in it.
pub(crate) fn mount(root: &Root, mounts: Vec<Mount>, own: &Path) -> io::Result<Vec<Mount>> {
    if let Some(dev) = root.find(Path::new("/dev"), OFlag::O_NOFOLLOW)? {
        // libcontainer would follow a link there when it makes the devices, out of the root.
        if !File::from(dev).metadata()?.is_dir() {
            return Err(io::Error::other("the image's /dev is not a folder"));
        }
    }
    let mut left = Left::default();
    for mount in mounts {
        let kind = match mount.source().as_deref() {
            Some(source) if source == own => Some(Kind::Moved { source }),
            _ => Kind::of(&mount),
        };
        let made = match kind.filter(|_| !left.may_hold(&mount)) {
            Some(kind) => make(root, mount.destination(), &kind).map_err(|e| {
                io::Error::new(e.kind(), format!("mount at {}: {e}", mount.destination().display()))
            })?,
            None => false,
        };
        if !made {
            left.add(mount);
        }
    }
    Ok(left.mounts)
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
        self.unsure || self.mounts.iter().any(|left| mount.destination().starts_with(left.destination()))
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
                "rw" | "rprivate" => {}
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
                const KNOWN: [&str; 6] = ["size", "mode", "gid", "uid", "newinstance", "ptmxmode"];
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
                    match value {
                        Some(value) => fsconfig_set_string(fs.as_fd(), *name, *value)?,
                        None => fsconfig_set_flag(fs.as_fd(), *name)?,
                    }
                }
                fsconfig_create(fs.as_fd())?;
                Ok(fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, *flags)?)
            }
        }
    }
}

/// Says whether it could be made.
fn make(root: &Root, destination: &Path, kind: &Kind<'_>) -> io::Result<bool> {
    let made = kind.open()?;
    let made = File::from(made);
    let Some(place) = place(root, destination, made.metadata()?.is_dir())? else { return Ok(false) };
    if let Kind::Bind { flags, .. } = kind {
        super::restrict(made.as_fd(), u64::from(flags.bits()))?;
    }
    let how = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(made.as_fd(), "", place.as_fd(), "", how)?;
    Ok(true)
}

/// What is to be mounted on, made where it is not there. `None` where that is not simple: a link that
/// leads nowhere yet.
fn place(root: &Root, path: &Path, folder: bool) -> io::Result<Option<OwnedFd>> {
    let find = || root.find(path, OFlag::empty());
    if let Some(found) = find()? {
        return Ok(Some(found));
    }
    if folder {
        return Ok(root.make_folders(path).ok().and(find()?));
    }
    let parent: PathBuf = path.parent().map(Path::to_owned).unwrap_or_default();
    let made = root.make_folders(&parent).and_then(|()| root.make_file(path));
    Ok(made.ok().and(find()?))
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
        assert!(!known("tmpfs", "/run", &["noatime"]) && !known("tmpfs", "/run", &["huge=always"]));
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
        let odd = [wanted("tmpfs", "/run", &["noatime"]), wanted("bind", "/var/run/x", &["rbind"])];
        assert_eq!(left(&odd), ["/run", "/var/run/x"], "/var/run may be a link to /run");
    }

    #[test]
    fn a_place_is_made_within_the_root_only() {
        let dir = tempfile::tempdir().unwrap();
        let root_dir = dir.path().join("root");
        std::fs::create_dir_all(root_dir.join("etc")).unwrap();
        for (link, to) in [("etc/resolv.conf", "../run/stub"), ("etc/hosts", "../../../made"), ("up", "..")] {
            std::os::unix::fs::symlink(to, root_dir.join(link)).unwrap();
        }
        let root = Root::open(&root_dir).unwrap();
        let place = |path: &str, folder| place(&root, Path::new(path), folder).unwrap();
        assert!(place("/a/b/file", false).is_some() && root_dir.join("a/b/file").is_file());
        assert!(place("/a/b/folder", true).is_some() && root_dir.join("a/b/folder").is_dir());
        assert!(place("/etc/resolv.conf", false).is_none(), "its folder is not there");
        assert!(place("/etc/hosts", false).is_some() && root_dir.join("made").is_file());
        assert!(place("/up/up/x", true).is_some() && root_dir.join("x").is_dir());
        assert!(!dir.path().join("made").exists() && !dir.path().join("x").exists());
    }
}
