//! `roadstead repair`: the rows of a data directory that were set aside, and what is kept of damaged files. While no
//! program has the directory, rows are put back or forgotten.

use std::path::{Path, PathBuf};

use anyhow::Context;
use store::{
    Store,
    aside::{self, Aside},
    sqlite::{HistoryLimits, Options, Sqlite},
};
use wire::Timestamp;

use crate::{
    advice::{Advise, fail},
    commands::up::Settings,
    data_dir::{self, DataDir},
    output::say,
    takeover,
};

/// The files with rows, in a data directory.
pub const FILES: [&str; 2] = ["state.db", "agent/ledger.db"];

/// Arguments of `roadstead repair`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Put the row of this key back where it was, in the place of one that is there now
    #[arg(long, value_name = "KEY", conflicts_with = "forget")]
    put_back: Option<String>,
    /// Forget the row of this key for good
    #[arg(long, value_name = "KEY", num_args = 0..=1)]
    forget: Option<Option<String>>,
    /// With --forget: every row that was set aside
    #[arg(long, requires = "forget")]
    all: bool,
}

/// What is to be done.
enum Order {
    List,
    PutBack(String),
    Forget(String),
    ForgetAll,
}

/// Lists, or mends.
pub fn run(args: Args) -> anyhow::Result<()> {
    let order = match (args.put_back, args.forget, args.all) {
        (Some(key), ..) => Order::PutBack(key),
        (None, Some(Some(key)), false) => Order::Forget(key),
        (None, Some(None), true) => Order::ForgetAll,
        (None, None, _) => Order::List,
        _ => fail!("`roadstead repair --forget KEY`, or `--forget --all`", "--forget takes a key, or --all"),
    };
    let path = args.settings.config()?.data_dir;
    if !data_dir::find(&path)? {
        say!("nothing to do: there is no data directory {}", path.display());
        return Ok(());
    }
    if let Order::List = order {
        return list(&path);
    }
    if let Some(pid) = data_dir::holder(&path) {
        fail!(
            format!("to end process {pid} first, by Ctrl-C or SIGTERM; tasks go on without it"),
            "rows are put back and forgotten only while no program has the data directory {}",
            path.display()
        );
    }
    let dir = DataDir::open(&path)?;
    let mut done = 0;
    for file in FILES.map(|file| dir.path().join(file)).iter().filter(|file| file.is_file()) {
        done += mend(file, &order).with_context(|| format!("cannot repair {}", file.display()))?;
    }
    match order {
        Order::PutBack(key) | Order::Forget(key) if done == 0 => {
            fail!("`roadstead repair`, which lists them", "no row {key} was set aside")
        }
        _ => Ok(()),
    }
}

fn list(path: &Path) -> anyhow::Result<()> {
    let mut found = false;
    let before = path.join(takeover::BEFORE_ACCOUNTS);
    if before.is_file() {
        say!(
            "{} is the state as an earlier version left it; delete it when you need it no more",
            before.display()
        );
        found = true;
    }
    for file in FILES.map(|file| path.join(file)) {
        for kept in kept(&file) {
            say!("{} is what a damaged file was; delete it when you need it no more", kept.display());
            found = true;
        }
        if !file.is_file() {
            continue;
        }
        let rows = store::sqlite::aside(&file).with_context(|| format!("cannot read {}", file.display()))?;
        for row in rows {
            say!("{}: {}: {}", file.display(), row.key, told(&row));
            found = true;
        }
    }
    if !found {
        say!("nothing was set aside in {}", path.display());
    }
    Ok(())
}

fn told(row: &Aside) -> String {
    let at = Timestamp::from_seconds(i64::try_from(row.at).unwrap_or(0)).to_iso8601();
    let reason = &row.reason;
    match (row.key.as_str(), row.revision) {
        (aside::UNKNOWN, _) => format!("set aside {at}, rows whose keys are lost: {reason}"),
        (_, 0) => format!("set aside {at}, nothing is left of it: {reason}"),
        (_, revision) => format!("set aside {at}, of revision {revision}: {reason}"),
    }
}

/// What is kept of a damaged file, and of its log.
pub fn kept(file: &Path) -> Vec<PathBuf> {
    let (Some(dir), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let is_kept = |entry: &std::fs::DirEntry| {
        let found = entry.file_name();
        let rest = found.to_str().and_then(|found| found.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with(".damaged-") || rest.starts_with("-wal.damaged-"))
    };
    let mut kept: Vec<PathBuf> = entries.filter(is_kept).map(|entry| entry.path()).collect();
    kept.sort();
    kept
}

/// Does what is ordered in one file; to how many rows.
fn mend(file: &Path, order: &Order) -> anyhow::Result<usize> {
    // As the program has them open, so that nothing else of them changes.
    let options = Options { history: HistoryLimits::NONE, keeps_room: true, ..Options::default() };
    let store = Sqlite::open(file, options)?;
    if let Some(damage) = store.damage() {
        say!("{damage}");
    }
    let rows = aside::list(&store)?;
    let of_key = |key: &str| rows.iter().filter(|row| row.key == key).cloned().collect::<Vec<_>>();
    match order {
        Order::List => Ok(0),
        Order::PutBack(key) => {
            // One key may have been set aside more than once.
            let Some(row) = of_key(key).into_iter().max_by_key(|row| row.revision) else { return Ok(0) };
            let commit = aside::put_back(&store, &row).advise(
                "`--forget` with the same key; docs/repair.md says what makes up for a row of its kind",
            )?;
            store.commit(commit)?;
            say!("put back: {key}");
            Ok(1)
        }
        Order::Forget(key) => forget(&store, &of_key(key)),
        Order::ForgetAll => forget(&store, &rows),
    }
}

fn forget(store: &Sqlite, rows: &[Aside]) -> anyhow::Result<usize> {
    for row in rows {
        store.commit(aside::forget(row))?;
        say!("forgot: {}", row.key);
    }
    Ok(rows.len())
}

#[cfg(test)]
mod tests {
    use store::{Commit, Entry};

    use super::*;

    fn open(file: &Path) -> Sqlite {
        Sqlite::open(file, Options::default()).unwrap()
    }

    fn value(file: &Path, key: &str) -> Option<Vec<u8>> {
        open(file).get(key).unwrap().map(|row: Entry| row.value.to_vec())
    }

    #[test]
    fn rows_are_put_back_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state.db");
        let store = open(&file);
        for text in ["older", "newer"] {
            store.commit(Commit::new().put("a", text).put("b", "b")).unwrap();
            for key in ["a", "b"] {
                let row = store.get(key).unwrap().unwrap();
                store.commit(aside::commit(&row, "it cannot be read")).unwrap();
            }
        }
        drop(store);
        assert_eq!(mend(&file, &Order::PutBack("c".into())).unwrap(), 0);
        assert_eq!(mend(&file, &Order::PutBack("a".into())).unwrap(), 1);
        assert_eq!(value(&file, "a").unwrap(), b"newer");
        assert_eq!(mend(&file, &Order::Forget("b".into())).unwrap(), 2);
        assert_eq!(value(&file, "b"), None);
        assert_eq!(aside::list(&open(&file)).unwrap().len(), 1, "the older one of a");
        assert_eq!(mend(&file, &Order::ForgetAll).unwrap(), 1);
        assert_eq!(aside::list(&open(&file)), Ok(Vec::new()));
        assert_eq!(value(&file, "a").unwrap(), b"newer");
    }

    #[test]
    fn damaged_files_that_are_kept_are_found() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["state.db", "state.db-wal", "state.db.damaged-1", "state.db-wal.damaged-2", "other.damaged-1"]
        {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let kept = kept(&dir.path().join("state.db"));
        let expected = ["state.db-wal.damaged-2", "state.db.damaged-1"].map(|name| dir.path().join(name));
        assert_eq!(kept, expected);
    }
}
