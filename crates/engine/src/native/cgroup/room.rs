//! Room at the root of a v2 tree that is not the host's own. It must not be called for the host's root.

use std::fs;
use std::io;
use std::path::Path;

/// The group for those who were at the root.
const INIT: &str = "init";
/// Processes may start while others are moved.
const ROUNDS: usize = 16;

/// Moves the processes at the root into a group of their own. Inside of a container that sees its own
/// group as the root, they are in the way: a group with processes cannot hand controllers on, and only
/// the host's root is free of that rule.
pub(super) fn make_room(root: &Path) -> io::Result<()> {
    let init = root.join(INIT);
    match fs::create_dir(&init) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for _ in 0..ROUNDS {
        let processes = fs::read_to_string(root.join("cgroup.procs"))?;
        if processes.is_empty() {
            break;
        }
        for pid in processes.lines() {
            // It may have ended, or be none of this container's; whether enough went shows in the end.
            let _ = fs::write(init.join("cgroup.procs"), pid);
        }
    }
    Ok(())
}
