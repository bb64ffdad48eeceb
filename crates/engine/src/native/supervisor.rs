//! The supervisor: one small process for each task, which makes the task's containers, holds their
//! output, reaps them and writes down how they ended. It outlives the agent, which finds it again by
//! its socket.
//!
//! It has one thread and one loop (`server`), and must stay small: an idle one is all that a task costs.
//! So everything that takes memory or time (libcontainer, JSON of a plan) is done in a child that ends
//! (`runner`, `tenant`), and supervisors are copies of one `spawner`, whose pages they share.

mod clients;
mod command;
mod container;
mod exec;
mod executor;
mod guest;
mod joined;
mod keeper;
mod notes;
mod program;
pub(crate) mod runner;
mod sandbox;
mod server;
mod shared;
mod spawner;
pub(crate) mod sys;
mod tenant;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

pub(crate) use server::Identity;
pub(crate) use spawner::Spawn;

/// The word that asks for a spawner; its socket is standard input.
pub(crate) const SPAWNER: &str = "--spawner";

/// The word that asks for a holder.
pub(crate) const HOLD: &str = "--hold";

/// Runs `supervise ARGS`. To be called before the program has made any thread or opened any file:
/// `--spawner ID8` serves as the spawner of an instance until the engine at the other end of standard
/// input goes; `--hold [NAMESPACE]` is what the engine `docker` runs in its holders.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let args: Vec<&str> = args.iter().filter_map(|a| a.to_str()).collect();
    match args.as_slice() {
        [SPAWNER, id8] => match spawner::serve(id8) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("roadstead supervise: {error}");
                ExitCode::from(1)
            }
        },
        [HOLD] => crate::docker::hold(None),
        [HOLD, namespace] => crate::docker::hold(Some(Path::new(namespace))),
        _ => {
            eprintln!("roadstead supervise is started by the agent; there is nothing to run by hand");
            ExitCode::from(64)
        }
    }
}

/// Binds or connects a socket in a folder whose path may be longer than a socket's address.
pub(crate) fn with_socket_path<T>(
    dir: &Path,
    name: &str,
    f: impl FnOnce(&Path) -> std::io::Result<T>,
) -> std::io::Result<T> {
    use std::os::fd::AsRawFd;
    let dir = std::fs::File::open(dir)?;
    f(Path::new(&format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())))
}
