//! What tasks of launch type FARGATE need of a host beside what all tasks need.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Check;

/// The oldest kernel whose overlays take layers with mapped ids.
const OLDEST: (u32, u32) = (5, 19);

/// All of it.
pub(super) fn run() -> Vec<Check> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let namespaces = user_namespaces(
        &read("/proc/sys/kernel/osrelease"),
        read("/proc/sys/user/max_user_namespaces").trim(),
        Path::new("/proc/self/ns/user").exists(),
    );
    let mkfs = Command::new("mkfs.ext4").arg("-V").stdin(Stdio::null()).stderr(Stdio::null()).status();
    let storage = storage(mkfs.is_ok_and(|status| status.success()), Path::new("/dev/loop-control").exists());
    let found = engine::native::find_runsc(Path::new("runsc")).ok();
    let version = found.map(|program| engine::native::runsc_version(&program));
    vec![namespaces, storage, gvisor(version)]
}

/// `version` is what gVisor's program says of itself, or why it does not do; none where there is none, which is no fault.
pub(super) fn gvisor(version: Option<Result<String, String>>) -> Check {
    let (name, sandboxes) = ("gvisor", "fargate.isolation gvisor and isolationMode ISOLATED_SANDBOX");
    match version {
        Some(Ok(version)) => {
            Check::ok(name, format!("{sandboxes} are possible: runsc {version}, platform systrap"))
        }
        Some(Err(why)) => Check::warn(
            name,
            format!("{sandboxes} are refused: {why}"),
            "a newer runsc, as of the distribution's backports or of gVisor's own releases",
        ),
        None => Check::ok(name, format!("{sandboxes} are refused: there is no runsc")),
    }
}

/// `most` is user.max_user_namespaces.
pub(super) fn user_namespaces(release: &str, most: &str, there: bool) -> Check {
    let name = "user-namespaces";
    let refused = |why: String, remedy: &str| {
        let detail =
            format!("tasks of launch type FARGATE are refused, unless fargate.isolation is none: {why}");
        Check::warn(name, detail, remedy)
    };
    let mut numbers = release.trim().split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) < OLDEST => refused(
            format!("Linux {} is older than {}.{}", release.trim(), OLDEST.0, OLDEST.1),
            "install a newer kernel of the distribution",
        ),
        _ if !there => {
            refused("the kernel has no user namespaces".to_owned(), "a kernel with CONFIG_USER_NS")
        }
        _ if most == "0" => {
            refused("user.max_user_namespaces is 0".to_owned(), "sysctl -w user.max_user_namespaces=65536")
        }
        _ => Check::ok(name, "tasks of launch type FARGATE can have user namespaces"),
    }
}

/// What limits the storage of a task.
pub(super) fn storage(mkfs: bool, loops: bool) -> Check {
    let name = "task-storage";
    let refused = "tasks of launch type FARGATE are refused";
    match (mkfs, loops) {
        (false, _) => Check::warn(
            name,
            format!("{refused}: the program mkfs.ext4 is not there"),
            "apt-get install e2fsprogs",
        ),
        (true, false) => Check::warn(name, format!("{refused}: there are no loop devices"), "modprobe loop"),
        (true, true) => Check::ok(name, "storage of tasks can be limited"),
    }
}
