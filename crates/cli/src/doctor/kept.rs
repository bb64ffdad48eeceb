//! What a data directory keeps: rows that were set aside, and how full its logs are.

use std::fmt::Write as _;
use std::path::Path;

use super::{Args, Check};
use crate::{commands::repair, takeover};

/// Nothing where there is no data directory yet.
pub(super) fn run(args: &Args) -> Vec<Check> {
    let logs = args.data_dir.join("logs");
    let mut checks = Vec::new();
    for file in repair::FILES {
        let path = args.data_dir.join(file);
        // What cannot be opened is told by the program that has to.
        if path.is_file()
            && let Ok(rows) = store::sqlite::aside(&path)
        {
            checks.extend(set_aside(&path, &rows));
        }
    }
    checks.extend(before_accounts(&args.data_dir));
    if logs.is_dir() {
        checks.push(fill(server::services::logs::stored_bytes(&logs), args.logs.max_bytes(&logs), &logs));
        checks.push(streams(server::services::logs::stored_streams(&logs), args.logs.max_streams));
    }
    checks
}

fn set_aside(path: &Path, rows: &[store::aside::Aside]) -> Option<Check> {
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).take(5).collect();
    let detail = format!("{}: {} rows cannot be read: {}", path.display(), rows.len(), keys.join(", "));
    let mend = "`roadstead repair` lists them all, and docs/repair.md says what each kind means";
    (!rows.is_empty()).then(|| Check::warn("rows", detail, mend))
}

/// The copy of the state from before the takeover, which nothing needs any more once that has proven itself.
fn before_accounts(data_dir: &Path) -> Option<Check> {
    let copy = data_dir.join(takeover::BEFORE_ACCOUNTS);
    let bytes = copy.metadata().ok()?.len();
    let detail = format!(
        "{} is the state as an earlier version left it ({} MiB); delete it when you need it no more",
        copy.display(),
        bytes.div_ceil(1 << 20)
    );
    Some(Check::ok("before-accounts", detail))
}

fn fill(held: u64, most: u64, logs: &Path) -> Check {
    let detail = format!("{}: {} of {} MiB", logs.display(), held >> 20, most >> 20);
    if held >= most - most / 8 {
        let mend = "nothing, if the oldest events of the largest group may go; else set `logs.max_size_mib` higher, \
                    or give groups a retention";
        return Check::warn("logs", detail, mend);
    }
    Check::ok("logs", detail)
}

/// Near the limit, or with streams that went: whoever misses one learns why.
fn streams(stored: logs::StoredStreams, most: usize) -> Check {
    let logs::StoredStreams { held, gave_way } = stored;
    let mut detail = format!("{held} of {most}");
    if gave_way > 0 {
        let _ = write!(detail, "; {gave_way} of the oldest gave way to new ones so far");
    }
    if held >= most - most / 8 {
        let mend = "nothing, if the oldest streams of the largest group may go, with their events; else set \
                    `logs.max_streams` higher, or delete groups and streams that nobody needs";
        return Check::warn("log-streams", detail, mend);
    }
    Check::ok("log-streams", detail)
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_state_of_before_accounts_that_is_kept_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(before_accounts(dir.path()), None);
        std::fs::write(dir.path().join(takeover::BEFORE_ACCOUNTS), "x").unwrap();
        let check = before_accounts(dir.path()).unwrap();
        assert!(check.detail.contains("(1 MiB)") && check.status == Status::Ok, "{check:?}");
    }

    #[test]
    fn logs_that_are_nearly_full_are_told() {
        for (held, status) in [(0, Status::Ok), (80 << 20, Status::Ok), (95 << 20, Status::Warn)] {
            let check = fill(held, 100 << 20, Path::new("/d/logs"));
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.detail.contains(&format!("{} of 100 MiB", held >> 20)), "{check:?}");
        }
    }

    #[test]
    fn streams_that_give_way_are_told() {
        let check = |held, gave_way| streams(logs::StoredStreams { held, gave_way }, 80);
        assert_eq!(check(69, 0), Check::ok("log-streams", "69 of 80"));
        assert_eq!(check(70, 0).status, Status::Warn);
        let told = check(79, 1234);
        assert_eq!(told.detail, "79 of 80; 1234 of the oldest gave way to new ones so far");
        assert!(told.mend.is_some_and(|mend| mend.contains("logs.max_streams")));
    }
}
