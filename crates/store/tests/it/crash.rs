//! kill -9 under load: what was acknowledged is there, whole; what was not is there whole or not at all.
//!
//! The test runs itself again as a child, which commits groups of rows from several threads and says on a
//! pipe which were acknowledged. The parent kills it at a random moment, opens the file and looks, again
//! and again on the same file: 10 times, or 300 times with `ROADSTEAD_LONG=1 cargo test -p store crash`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use store::sqlite::{Options, Sqlite};
use store::{Change, Commit, Span, Store};

const CHILD: &str = "ROADSTEAD_STORE_CRASH_FILE";
const WRITERS: usize = 6;
/// Rows of a group, all written by one commit.
const ROWS: usize = 5;
/// Groups that a writer leaves; each commit removes the one before them.
const KEPT: u64 = 40;

#[test]
fn kill_nine_loses_no_acknowledged_commit_and_halves_none() {
    if let Some(path) = std::env::var_os(CHILD) {
        work(Path::new(&path));
    }
    let kills = if std::env::var_os("ROADSTEAD_LONG").is_some() { 300 } else { 10 };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let mut random = Random::new();
    let mut acknowledged = BTreeMap::new();
    for kill in 0..kills {
        let acks = random.below(600) + 1;
        run_and_kill(&path, acks, &mut acknowledged);
        check(&path, &mut acknowledged)
            .unwrap_or_else(|what| panic!("kill {kill} after {acks} more: {what}"));
    }
    let commits: u64 = acknowledged.values().sum();
    println!("{kills} kills, {commits} commits of {ROWS} rows, none lost or halved");
}

/// The child: commits until it is killed.
fn work(path: &Path) -> ! {
    let store = Arc::new(Sqlite::open(path, Options::default()).expect("the store opens"));
    for writer in 0..WRITERS {
        let store = store.clone();
        thread::spawn(move || {
            let mut group = last_group(&*store, writer);
            loop {
                group += 1;
                store.commit(commit_of(writer, group)).expect("the commit succeeds");
                // One write: a line is never torn by another thread's.
                let line = format!("ack {writer} {group}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent reads");
            }
        });
    }
    loop {
        thread::park();
    }
}

fn commit_of(writer: usize, group: u64) -> Commit {
    let mut commit = Commit::new().put(format!("last/{writer}"), group.to_string());
    for row in 0..ROWS {
        commit = commit.put(key(writer, group, row), format!("{group:<900}"));
        if group > KEPT {
            commit = commit.delete(key(writer, group - KEPT, row));
        }
    }
    commit
}

fn key(writer: usize, group: u64, row: usize) -> String {
    format!("group/{writer}/{group:08}/{row}")
}

fn last_group(store: &dyn Store, writer: usize) -> u64 {
    let entry = store.get(&format!("last/{writer}")).expect("read");
    entry.map_or(0, |entry| String::from_utf8_lossy(&entry.value).parse().expect("a number"))
}

/// Runs the child until it has acknowledged `acks` commits, kills it, and notes all it acknowledged.
fn run_and_kill(path: &Path, acks: u64, acknowledged: &mut BTreeMap<usize, u64>) {
    let test = "it::crash::kill_nine_loses_no_acknowledged_commit_and_halves_none";
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut seen = 0;
    // After the kill the pipe still holds what was acknowledged before it.
    while let Some(line) = lines.next().map(|line| line.expect("the pipe can be read")) {
        let mut words = line.split(' ');
        if words.next() != Some("ack") {
            continue;
        }
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a number");
        let (writer, group) = (number() as usize, number());
        acknowledged.insert(writer, group);
        seen += 1;
        if seen == acks {
            child.kill().expect("the child is ours");
        }
    }
    let status = child.wait().expect("the child is ours");
    assert!(seen >= acks, "the child ended by itself: {status}");
}

fn check(path: &Path, acknowledged: &mut BTreeMap<usize, u64>) -> Result<(), String> {
    let store = Sqlite::open(path, Options::default()).map_err(|e| e.to_string())?;
    if let Some(damage) = store.damage() {
        return Err(format!("a kill is no damage: {damage}"));
    }
    for writer in 0..WRITERS {
        let (found, promised) = (last_group(&store, writer), acknowledged.get(&writer).copied().unwrap_or(0));
        // Each writer waits for one commit at a time, so at most one may be there unacknowledged.
        if found != promised && found != promised + 1 {
            return Err(format!("writer {writer}: group {found} is the last, {promised} was acknowledged"));
        }
        // What was seen once must stay.
        acknowledged.insert(writer, found);
        let mut expected = Vec::new();
        for group in found.saturating_sub(KEPT - 1).max(1)..=found {
            expected.extend((0..ROWS).map(|row| key(writer, group, row)));
        }
        let rows = store.range(&Span::prefix(&format!("group/{writer}/")), 0).map_err(|e| e.to_string())?;
        let keys: Vec<String> = rows.entries.into_iter().map(|entry| entry.key).collect();
        if found > 0 && keys != expected {
            return Err(format!("writer {writer}: after group {found} the rows are {keys:?}"));
        }
    }
    check_history(&store)
}

/// The history has no gap, and no commit in it is half there.
fn check_history(store: &Sqlite) -> Result<(), String> {
    let mut revision = store.health().oldest_watch;
    let mut watch = store.watch(Span::all(), revision).map_err(|e| e.to_string())?;
    while let Some(event) = watch.try_recv().map_err(|e| e.to_string())? {
        let puts = event.changes.iter().filter(|change| matches!(change, Change::Put { .. })).count();
        if event.revision != revision + 1 || puts != ROWS + 1 {
            return Err(format!("revision {} with {puts} rows follows revision {revision}", event.revision));
        }
        revision = event.revision;
    }
    if revision == store.revision() { Ok(()) } else { Err(format!("history ends at revision {revision}")) }
}

/// Enough randomness to choose a moment (xorshift).
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64 | 1))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
