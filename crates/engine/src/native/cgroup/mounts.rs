//! Which control group hierarchies this host has, read from its mount table.

use std::io;
use std::path::{Path, PathBuf};

/// What a host offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// v1, and hybrid, whose v2 tree has no controllers: one tree for each controller or few.
    V1(Vec<Mount>),
    /// One tree.
    V2(PathBuf),
}

/// One v1 tree, or the v2 tree of a hybrid host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) path: PathBuf,
    /// `memory`, `cpu` and so on; `name=systemd`; empty for the v2 tree.
    pub(crate) controllers: Vec<String>,
}

/// What a task is limited, measured or found by. A group in any other tree would only cost time: there
/// a task stays where its supervisor is.
const TASK_CONTROLLERS: [&str; 6] = ["blkio", "cpu", "cpuacct", "devices", "memory", "pids"];

impl Mount {
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }

    /// The v2 tree of a hybrid host.
    fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    fn is_for_tasks(&self) -> bool {
        self.is_unified() || TASK_CONTROLLERS.iter().any(|c| self.has(c))
    }
}

impl Hierarchy {
    /// Reads the mount table of this process.
    pub(crate) fn detect() -> io::Result<Hierarchy> {
        parse(&std::fs::read_to_string("/proc/self/mountinfo")?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "no cgroup file system is mounted"))
    }

    /// The trees in which tasks have groups; none on a v2 host. Without a v2 tree libcontainer makes a
    /// group in every tree, so these are all then.
    pub(crate) fn task_trees(&self) -> impl Iterator<Item = &Mount> {
        let mounts = match self {
            Hierarchy::V1(mounts) => mounts.as_slice(),
            Hierarchy::V2(_) => &[],
        };
        let all = self.unified().is_none();
        mounts.iter().filter(move |m| all || m.is_for_tasks())
    }

    /// The v2 tree, alone or beside v1's.
    pub(crate) fn unified(&self) -> Option<&Path> {
        match self {
            Hierarchy::V1(mounts) => mounts.iter().find(|m| m.is_unified()).map(|m| m.path.as_path()),
            Hierarchy::V2(root) => Some(root),
        }
    }

    /// The root folder of each tree.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Path> {
        let (many, one) = match self {
            Hierarchy::V1(mounts) => (mounts.as_slice(), None),
            Hierarchy::V2(root) => (&[][..], Some(root.as_path())),
        };
        many.iter().map(|m| m.path.as_path()).chain(one)
    }

    /// The tree of a controller.
    pub(crate) fn root_of(&self, controller: &str) -> Option<&Path> {
        match self {
            Hierarchy::V1(mounts) => mounts.iter().find(|m| m.has(controller)).map(|m| m.path.as_path()),
            Hierarchy::V2(root) => Some(root),
        }
    }

    /// `v1`, `hybrid` or `v2`, for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Hierarchy::V1(mounts) if mounts.iter().any(Mount::is_unified) => "hybrid",
            Hierarchy::V1(_) => "v1",
            Hierarchy::V2(_) => "v2",
        }
    }
}

const V1_CONTROLLERS: [&str; 14] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "debug",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
];

fn parse(mountinfo: &str) -> Option<Hierarchy> {
    let (mut v1, mut v2) = (Vec::<Mount>::new(), None);
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let mut left = left.split(' ');
        let (Some(root), Some(path)) = (left.nth(3), left.next()) else { continue };
        let mut right = right.split(' ');
        let (kind, options) = (right.next().unwrap_or(""), right.nth(1).unwrap_or(""));
        // A tree shown again inside a container's root, or in part only, is not where groups are made.
        if root != "/" || !path.starts_with("/sys/fs/cgroup") {
            continue;
        }
        let path = PathBuf::from(path);
        match kind {
            "cgroup2" => v2 = Some(path),
            "cgroup" => {
                let controllers: Vec<String> = options
                    .split(',')
                    .filter(|o| V1_CONTROLLERS.contains(o) || o.starts_with("name="))
                    .map(str::to_owned)
                    .collect();
                if !controllers.is_empty() && !v1.iter().any(|m| m.controllers == controllers) {
                    v1.push(Mount { path, controllers });
                }
            }
            _ => {}
        }
    }
    if v1.iter().all(|m| m.controllers.iter().all(|c| c.starts_with("name="))) {
        return v2.map(Hierarchy::V2);
    }
    v1.extend(v2.map(|path| Mount { path, controllers: Vec::new() }));
    Some(Hierarchy::V1(v1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_only() {
        let text = "28 1 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n\
                    29 1 0:28 / /proc rw - proc proc rw\n";
        let found = parse(text).unwrap();
        assert_eq!(found, Hierarchy::V2("/sys/fs/cgroup".into()));
        assert_eq!((found.name(), found.root_of("memory")), ("v2", Some(Path::new("/sys/fs/cgroup"))));
    }

    #[test]
    fn hybrid_with_controllers_mounted_together() {
        let text = "30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
                    31 30 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n\
                    32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
                    33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                    34 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                    35 99 0:30 /roadstead/x /srv/root/sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let found = parse(text).unwrap();
        assert_eq!(found.name(), "hybrid");
        assert_eq!(found.root_of("cpuacct"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
        assert_eq!(found.root_of("pids"), None);
        assert_eq!(found.roots().count(), 4);
        assert_eq!(found.unified(), Some(Path::new("/sys/fs/cgroup/unified")));
        let trees: Vec<_> = found.task_trees().filter_map(|m| m.path.file_name()).collect();
        assert_eq!(trees, ["cpu,cpuacct", "memory", "unified"], "not systemd's");
    }

    #[test]
    fn v1_only_and_none() {
        let text = "34 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                    35 30 0:31 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";
        let found = parse(text).unwrap();
        assert_eq!((found.name(), found.unified(), found.task_trees().count()), ("v1", None, 2));
        assert_eq!(parse("garbage\n1 2 3"), None);
        assert_eq!(parse(""), None);
    }
}
