//! A data directory of before there were accounts and regions is taken over, with a copy of the state beside it as it
//! was. The copy is whole and on disk before a row is moved, and is made once.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::Context;
use server::{
    runtime::Identity,
    services::ecs::{Home, Homes, migrate},
};
use store::{Store as _, sqlite::Sqlite};

use crate::advice::{Advise, fail};

/// The copy of `state.db` as it was before its rows had accounts and regions.
pub const BEFORE_ACCOUNTS: &str = "state.db.before-accounts";

/// Takes over the rows of the store in the file `state`, if any are to be.
///
/// # Errors
/// A copy that cannot be made, before anything is changed; what the store says of the rows, some of which are moved
/// then: the next start goes on.
pub fn run(store: &Sqlite, state: &Path, identity: &Identity) -> anyhow::Result<()> {
    if !migrate::is_needed(store)? {
        return Ok(());
    }
    let copy = state.with_file_name(BEFORE_ACCOUNTS);
    if !copy.exists() {
        // What a start that was killed left of it would be taken for somebody's.
        for unfinished in [".partial", ".partial-journal"] {
            remove(&state.with_file_name(format!("{BEFORE_ACCOUNTS}{unfinished}")))?;
        }
        store
            .backup(&copy)
            .with_context(|| format!("cannot write {}", copy.display()))
            .advise("free as much space as state.db takes: a copy is kept of it as it was")?;
    }
    let moved = migrate::run(store, &identity.account, &identity.region)?;
    tracing::info!(moved, copy = %copy.display(), "the state of an earlier version was taken over");
    Ok(())
}

/// Refuses to give a host whose agent is a container instance of one account and region to another: its tasks would
/// have no agent. `dir` is the data directory.
///
/// # Errors
/// What to start it with.
pub fn refuse_another_place(control: &Homes, dir: &Path) -> anyhow::Result<()> {
    let own = control.own();
    if !own.clusters().is_empty() || !dir.join("agent/ledger.db").exists() {
        return Ok(());
    }
    let has_instances =
        |home: &Home| home.clusters().iter().any(|cluster| cluster.read().state.instances().next().is_some());
    let Some(home) = control.homes().into_iter().find(|home| has_instances(home)) else { return Ok(()) };
    let ((account, region), (wanted, there)) = (home.place(), own.place());
    fail!(
        format!("`--account {account} --region {region}`; or another `--data-dir`"),
        "{} is a host of account {account} in {region}, not of {wanted} in {there}",
        dir.display()
    );
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
