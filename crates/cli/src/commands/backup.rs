//! `roadstead backup`: a consistent copy of the state, while the control plane runs or not.

use crate::output::say;
use std::path::PathBuf;

use anyhow::Context;

use crate::{advice::Advise, commands::up::Settings};

/// Arguments of `roadstead backup`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// The file to write; it must not exist
    file: PathBuf,
}

/// Copies the state.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.config()?;
    let state = config.data_dir.join("state.db");
    store::sqlite::backup(&state, &args.file)
        .with_context(|| format!("cannot copy {}", state.display()))
        .advise("a file that does not exist yet, and the `--data-dir` of a control plane that has run")?;
    say!("wrote {}", args.file.display());
    Ok(())
}
