//! Room at the root of a v2 tree that is not the host's own. It must not touch the host's root.

use std::fs;
use std::io;
use std::path::Path;

/// The group for those who were at the root.
const INIT: &str = "init";
/// Processes may start while others are moved.
const ROUNDS: usize = 16;

/// Moves the processes at the root into a group of their own. Inside of a container that sees its own
/// group as the root, they are in the way: a group with processes cannot hand its controllers on, and only
/// the host's root is free of that rule.
pub(super) fn make_room(root: &Path) -> io::Result<()> {
    // Every group has this file but the host's root.
    if !root.join("cgroup.type").exists() {
        return Ok(());
    }
    let init = root.join(INIT);
    for _ in 0..ROUNDS {
        let processes = fs::read_to_string(root.join("cgroup.procs"))?;
        if processes.is_empty() {
            break;
        }
        match fs::create_dir(&init) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for pid in processes.lines() {
            // It may have ended, or be none of this container's; what is in the way still is told by the
            // limit that cannot be set.
            let _ = fs::write(init.join("cgroup.procs"), pid);
        }
    }
    Ok(())
}
