//! `roadstead down`: stops every task of a data directory, and removes all that was made on this host for
//! it. A program that still runs on the directory is ended first.

use crate::output::say;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::{
    commands::up::Settings,
    data_dir::{self, DataDir},
    running,
};

/// How long a running program may take to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Arguments of `roadstead down`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Remove the data directory too, with the state, the images and the logs
    #[arg(long)]
    purge: bool,
}

/// Stops and removes.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.config()?;
    if !config.data_dir.exists() {
        say!("nothing to do: {} does not exist", config.data_dir.display());
        return Ok(());
    }
    end_holder(&config.data_dir)?;
    let dir = DataDir::open(&config.data_dir)?;
    running::purge_host(&config, &dir)?;
    let path = dir.path().to_owned();
    if args.purge {
        std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        say!("removed {}", path.display());
    } else {
        say!("stopped every task of {}", path.display());
    }
    Ok(())
}

fn end_holder(path: &std::path::Path) -> anyhow::Result<()> {
    let Some(pid) = data_dir::holder(path) else { return Ok(()) };
    let raw = pid.parse().ok().and_then(rustix::process::Pid::from_raw);
    let raw = raw.with_context(|| format!("{} names no process", path.join("lock").display()))?;
    say!("ending process {pid}");
    rustix::process::kill_process(raw, rustix::process::Signal::TERM)?;
    let since = Instant::now();
    while data_dir::holder(path).is_some() {
        if since.elapsed() > PATIENCE {
            bail!("process {pid} did not end within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
