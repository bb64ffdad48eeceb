//! Control groups: which version is mounted where, and whether the controllers that limit tasks are there.

use std::fs;
use std::path::Path;

use super::Check;

/// Controllers that tasks need in any version.
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];
/// Those needed besides in version 1, where devices and freezing are controllers.
const NEEDED_V1: [&str; 2] = ["devices", "freezer"];

pub(super) fn run() -> Check {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let layout = parse(&mounts);
    let unified = layout
        .unified
        .as_deref()
        .map(|at| fs::read_to_string(Path::new(at).join("cgroup.controllers")).unwrap_or_default());
    judge(&layout, unified.as_deref().unwrap_or_default())
}

/// What is mounted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Controllers of version 1 that have a hierarchy, in the order of mounting.
    pub(super) v1: Vec<String>,
    /// Where version 2 is mounted.
    pub(super) unified: Option<String>,
}

/// `mounts` is /proc/self/mountinfo.
pub(super) fn parse(mounts: &str) -> Layout {
    let mut layout = Layout::default();
    for line in mounts.lines() {
        // "36 35 98:0 /root /mnt rw,noatime master:1 - type source superoptions"
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        let Some(at) = mount.split(' ').nth(4) else { continue };
        let mut words = filesystem.split(' ');
        match (words.next(), words.nth(1)) {
            (Some("cgroup2"), _) => layout.unified = layout.unified.or_else(|| Some(at.to_owned())),
            (Some("cgroup"), Some(options)) => {
                let controllers = options.split(',').filter(|o| is_controller(o));
                layout.v1.extend(controllers.map(str::to_owned));
            }
            _ => {}
        }
    }
    layout
}

/// Among a version 1 hierarchy's mount options, the controllers are those that no mount option is.
fn is_controller(option: &str) -> bool {
    !matches!(option, "rw" | "ro" | "xattr" | "noprefix" | "clone_children" | "none")
        && !option.starts_with("name=")
        && !option.starts_with("release_agent=")
}

/// `unified` is cgroup.controllers of version 2.
pub(super) fn judge(layout: &Layout, unified: &str) -> Check {
    let unified: Vec<&str> = unified.split_whitespace().collect();
    let has = |name: &&str| layout.v1.iter().any(|c| c == name) || unified.contains(name);
    let (mode, needed): (&str, Vec<&str>) = match (layout.v1.is_empty(), &layout.unified) {
        (true, None) => {
            let mend = "mount them: mount -t cgroup2 none /sys/fs/cgroup";
            return Check::fail("cgroups", "no control groups are mounted", mend);
        }
        (true, Some(_)) => ("version 2", NEEDED.to_vec()),
        (false, None) => ("version 1", NEEDED.iter().chain(&NEEDED_V1).copied().collect()),
        (false, Some(_)) => ("hybrid", NEEDED.iter().chain(&NEEDED_V1).copied().collect()),
    };
    let missing: Vec<&str> = needed.iter().copied().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return Check::ok("cgroups", format!("{mode}, with {}", needed.join(", ")));
    }
    let mend = if missing.contains(&"memory") {
        "boot with `cgroup_enable=memory` (Raspberry Pi: in /boot/firmware/cmdline.txt), or give this container's \
         cgroup all controllers"
    } else {
        "use a kernel with these controllers, and do not disable them with `cgroup_disable=` at boot"
    };
    Check::fail("cgroups", format!("{mode}, without {}", missing.join(", ")), mend)
}
