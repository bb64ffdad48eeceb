//! `roadstead down`: stops every task of a data directory, and removes all that was made on this host for
//! it. A program that still runs on the directory is ended first.

use crate::output::say;
use std::time::{Duration, Instant};

use crate::{
    advice::fail,
    commands::up::Settings,
    data_dir::{self, DataDir, Left},
    running,
};

/// How long a running program may take to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Arguments of `roadstead down`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Remove the data directory too, with the state, the images and the logs; what else is in it stays
    #[arg(long)]
    purge: bool,
}

/// Stops and removes.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.config()?;
    let path = &config.data_dir;
    // Whose the folder is comes first: in one of others not even a process may be ended.
    if !data_dir::find(path)? {
        say!("nothing to do: there is no data directory {}", path.display());
        return Ok(());
    }
    if args.purge {
        data_dir::check_removable(path)?;
    }
    end_holder(path)?;
    let dir = DataDir::open(path)?;
    running::purge_host(&config, &dir)?;
    let path = dir.path();
    if !args.purge {
        say!("stopped every task of {}", path.display());
        return Ok(());
    }
    match data_dir::remove(path)? {
        Left::Nothing => say!("removed {}", path.display()),
        Left::MountPoint => {
            say!("removed all of Roadstead's in {}, which is mounted and stays", path.display())
        }
    }
    Ok(())
}

fn end_holder(path: &std::path::Path) -> anyhow::Result<()> {
    let Some(pid) = data_dir::holder(path) else { return Ok(()) };
    // No process has a number below 1: there, it would mean many.
    let raw = pid.parse().ok().filter(|pid| *pid > 0).and_then(rustix::process::Pid::from_raw);
    let raw = raw.filter(|pid| data_dir::holds(*pid, path));
    let lock = path.join("lock");
    let Some(raw) = raw else {
        fail!(
            format!("to end the one that has it (`fuser {}` says which), and then again", lock.display()),
            "{} is locked, but not by the process that it names: '{pid}'",
            lock.display()
        );
    };
    say!("ending process {pid}");
    rustix::process::kill_process(raw, rustix::process::Signal::TERM)?;
    let since = Instant::now();
    while data_dir::holder(path).is_some() {
        if since.elapsed() > PATIENCE {
            fail!(
                format!("again, or `kill -9 {pid}` and then again: nothing that was acknowledged is lost"),
                "process {pid} did not end within {} s",
                PATIENCE.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
