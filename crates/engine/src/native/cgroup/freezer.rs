//! Processes that somebody froze: SIGKILL ends one of the v1 freezer only once it is thawed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::{GroupPath, Hierarchy};

/// Thaws the groups that a process is in.
pub(crate) fn thaw(hierarchy: &Hierarchy, pid: i32) {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    for line in groups.lines() {
        let Some((controllers, path)) = parse(line) else { continue };
        let (root, file, value) = match controllers {
            "" => (hierarchy.unified(), "cgroup.freeze", "0"),
            list if list.split(',').any(|c| c == "freezer") => {
                (hierarchy.root_of("freezer"), "freezer.state", "THAWED")
            }
            _ => continue,
        };
        let Some(root) = root else { continue };
        let path = root.join(path.trim_start_matches('/')).join(file);
        // A root has no such file, and is never frozen.
        let _ = OpenOptions::new().write(true).open(path).and_then(|mut f| f.write_all(value.as_bytes()));
    }
}

/// Whether a process is in a group, or in one inside it.
pub(crate) fn holds(group: &GroupPath, pid: i32) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let group = group.absolute();
    groups.lines().filter_map(parse).any(|(_, path)| Path::new(path).starts_with(&group))
}

/// A line of a process's `cgroup` file: `number:controllers:path`.
fn parse(line: &str) -> Option<(&str, &str)> {
    line.split_once(':')?.1.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_versions() {
        assert_eq!(parse("6:freezer:/a/b"), Some(("freezer", "/a/b")));
        assert_eq!(parse("0::/a:b"), Some(("", "/a:b")));
        assert_eq!(parse(""), None);
        assert!(!holds(&GroupPath::instance("ffffffff"), std::process::id().cast_signed()));
    }
}
