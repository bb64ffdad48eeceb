//! Chores of the repository: `cargo xtask codegen | tidy | ci`. Each chore is a module; this file only parses
//! the command line. Nothing here is linked into the product.

mod codegen;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the repository")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write crates/models from the service models of an installed botocore.
    Codegen {
        /// A directory that holds botocore: a virtual environment, a site-packages, or botocore itself.
        #[arg(long, env = "BOTOCORE")]
        botocore: Option<PathBuf>,
        /// Write nothing; fail when the committed files differ from what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Check the repository's own rules.
    Tidy,
    /// Run everything that must hold: `make test`.
    Ci,
}

fn main() -> ExitCode {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default();
    let done = match Cli::parse().chore {
        Chore::Codegen { botocore, check } => codegen::run(&root, botocore, check),
        Chore::Tidy => tidy::run(&root),
        Chore::Ci => ci(&root),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what continuous integration runs.
fn ci(root: &Path) -> anyhow::Result<()> {
    let status = Command::new("make").arg("test").current_dir(root).status()?;
    anyhow::ensure!(status.success(), "`make test` failed");
    Ok(())
}
