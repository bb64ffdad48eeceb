//! The spawner: a process that does nothing but copy itself, once for each task.
//!
//! A copy starts in a fraction of a millisecond and shares its memory with all others, where running
//! the program anew would cost megabytes of relocated pages each time. It leaves when the engine goes;
//! its copies stay.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use serde::{Deserialize, Serialize};

use super::{server, sys};
use crate::native::cgroup::{self, GroupPath, Hierarchy};
use crate::native::ids::Ids;
use crate::native::layout::TaskDir;

/// What the engine sends, with one end of a stream socket: the new supervisor's first client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spawn {
    /// The task's folders.
    pub(crate) dir: TaskDir,
    /// The task's group.
    pub(crate) group: GroupPath,
    /// What the task has of the host's ids, where it has a user namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ids: Option<Ids>,
}

/// Longest message, in bytes.
pub(crate) const SPAWN_BYTES_MAX: usize = 16 << 10;

/// When memory is short, the kernel is to end containers before what holds them: a supervisor takes little,
/// and with it go all of its task.
const OOM_SCORE_ADJ: i32 = -999;

pub(super) fn serve(id8: &str) -> io::Result<()> {
    // Not everywhere may this be; what starts it has said so already.
    let _ = sys::set_oom_score_adj(OOM_SCORE_ADJ);
    let hierarchy = Hierarchy::detect()?;
    leave_the_agent(&hierarchy, id8)?;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    // Supervisors end by themselves; nobody waits for them.
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let mut buffer = vec![0; SPAWN_BYTES_MAX];
    loop {
        let (bytes, client) = match sys::receive(socket.as_fd(), &mut buffer) {
            Ok((0, _)) => return Ok(()),
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let (Ok(spawn), Some(client)) = (serde_json::from_slice::<Spawn>(&buffer[..bytes]), client) else {
            continue;
        };
        if let Ok(sys::Fork::Child) = sys::fork() {
            drop(buffer);
            become_supervisor(&spawn, client, hierarchy);
        }
    }
}

/// A new session, and groups that no service manager takes for the agent's: what stops the agent must
/// not stop this.
fn leave_the_agent(hierarchy: &Hierarchy, id8: &str) -> io::Result<()> {
    // SAFETY: touches no memory. Fails only where this leads a group already, which is as good.
    unsafe { libc::setsid() };
    let group = GroupPath::instance(id8).child(cgroup::SUPERVISORS);
    cgroup::join(hierarchy, &group)?;
    std::env::set_current_dir("/")
}

fn become_supervisor(spawn: &Spawn, client: OwnedFd, hierarchy: Hierarchy) -> ! {
    // SAFETY: touches no memory.
    unsafe { libc::setsid() };
    // SAFETY: SIG_DFL is a valid disposition; without it no child could be waited for.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    sys::close_others(&[client.as_raw_fd()]);
    let code = match redirect(spawn).and_then(|()| server::run(spawn, client, hierarchy)) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("supervisor: {error}");
            1
        }
    };
    sys::exit_now(code)
}

/// Whatever a supervisor has to say of itself goes into its task's folder.
fn redirect(spawn: &Spawn) -> io::Result<()> {
    let log =
        std::fs::OpenOptions::new().create(true).append(true).open(spawn.dir.run().join("supervisor.log"))?;
    let null = std::fs::File::open("/dev/null")?;
    for (from, to) in [(null.as_raw_fd(), 0), (log.as_raw_fd(), 1), (log.as_raw_fd(), 2)] {
        // SAFETY: both are open; the standard streams are replaced, not closed.
        if unsafe { libc::dup2(from, to) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
