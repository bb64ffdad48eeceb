//! The SQLite engine's file: what it keeps, which files it refuses, and its copies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::sqlite::{HistoryLimits, Options, Sqlite};
use store::{Commit, Condition, Entry, Error, ManualClock, Span, Store, aside};

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, Options::default()).expect("the store opens")
}

fn refused(path: &Path) -> Error {
    let before = fs::read(path).ok();
    let error = Sqlite::open(path, Options::default()).err().expect("the file is refused");
    assert_eq!(fs::read(path).ok(), before, "a refused file is left as it is");
    error
}

#[test]
fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let store = open(&path);
    store.commit(Commit::new().put("a", "1").put("b", "")).expect("committed");
    store.commit(Commit::new().delete("a")).expect("committed");
    drop(store);
    assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    let store = open(&path);
    assert_eq!((store.revision(), store.get("a")), (2, Ok(None)));
    let mut watch = store.watch(Span::all(), 0).expect("the history is there");
    assert_eq!(watch.recv().expect("an event").changes.len(), 2);
    assert_eq!(watch.recv().expect("an event").revision, 2);
    assert_eq!(store.commit(Commit::new().put("c", "1")), Ok(3));
    assert_eq!(watch.recv().expect("an event").revision, 3);
}

#[test]
fn leases_run_anew_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let clock = Arc::new(ManualClock::default());
    let options = || Options { clock: clock.clone(), ..Options::default() };
    let ttl = Duration::from_secs(10);
    let store = Sqlite::open(&path, options()).expect("the store opens");
    let lease = store.acquire_lease("l", "one", ttl).expect("it is free");
    store.acquire_lease("gone", "one", ttl).and_then(|gone| store.release_lease(&gone)).expect("released");
    clock.advance(Duration::from_secs(9));
    drop(store);
    let store = Sqlite::open(&path, options()).expect("the store opens");
    clock.advance(Duration::from_secs(9));
    assert!(matches!(store.acquire_lease("l", "two", ttl), Err(Error::LeaseHeld { .. })));
    let fence = Condition::Lease { name: "l".into(), token: lease.token };
    assert!(store.commit(Commit::new().put("a", "").when(fence)).is_ok());
    assert!(store.acquire_lease("gone", "two", ttl).is_ok());
    clock.advance(Duration::from_secs(1));
    assert!(store.acquire_lease("l", "two", ttl).expect("it ran out").token > lease.token);
}

#[test]
fn history_is_bounded_by_bytes_and_age_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let limits = [
        HistoryLimits { bytes: 20_000, ..HistoryLimits::default() },
        HistoryLimits { age: Duration::ZERO, ..HistoryLimits::default() },
    ];
    for (i, history) in limits.into_iter().enumerate() {
        let options = Options { history: history.clone(), ..Options::default() };
        let store = Sqlite::open(&dir.path().join(i.to_string()), options).expect("the store opens");
        for n in 0..100 {
            store.commit(Commit::new().put("k", vec![n; 1000]).put("j", "")).expect("committed");
        }
        let oldest = store.health().oldest_watch;
        assert!(oldest >= 80, "{history:?}: {oldest}");
        assert!(store.watch(Span::all(), oldest).is_ok());
    }
}

#[test]
fn without_history_a_watch_begins_now_and_an_older_history_goes() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let open = |history| Sqlite::open(&path, Options { history, ..Options::default() }).expect("it opens");
    let put = |store: &Sqlite, key: &str| store.commit(Commit::new().put(key, "v")).expect("committed");
    let store = open(HistoryLimits::default());
    let first = put(&store, "before");
    drop(store);

    let store = open(HistoryLimits::NONE);
    let mut live = store.watch(Span::all(), first).expect("nothing came after it");
    let second = put(&store, "without");
    let third = put(&store, "without");
    let seen: Vec<u64> = (0..2).map(|_| live.recv().expect("an event").revision).collect();
    assert_eq!(seen, [second, third]);
    let late = store.watch(Span::all(), first).map(drop);
    assert!(matches!(late, Err(Error::Compacted { oldest }) if oldest == third), "{late:?}");
    drop((live, store));
    let conn = rusqlite::Connection::open(&path).expect("opened");
    let kept: i64 = conn.query_row("SELECT count(*) FROM history", [], |row| row.get(0)).expect("a count");
    assert_eq!(kept, 0);
    drop(conn);

    let store = open(HistoryLimits::default());
    let fourth = put(&store, "after");
    let mut again = store.watch(Span::all(), third).expect("nothing is missing");
    assert_eq!(again.recv().expect("an event").revision, fourth);
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("text");
    fs::write(&text, "this is no database, however long it may be ".repeat(100)).expect("written");
    assert!(matches!(refused(&text), Error::Foreign { .. }));
    let other = dir.path().join("other.db");
    let conn = rusqlite::Connection::open(&other).expect("opened");
    conn.execute_batch("CREATE TABLE t (x); PRAGMA application_id=7;").expect("made");
    drop(conn);
    assert!(matches!(refused(&other), Error::Foreign { .. }));
    assert!(matches!(refused(dir.path()), Error::Foreign { .. }));
    let nowhere = refused(&dir.path().join("no/such/directory/state.db"));
    assert!(matches!(nowhere, Error::Io { .. }), "{nowhere:?}");
}

#[test]
fn a_newer_schema_is_refused_with_its_number() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    drop(open(&path));
    let conn = rusqlite::Connection::open(&path).expect("opened");
    conn.execute_batch("PRAGMA user_version=9; PRAGMA wal_checkpoint(TRUNCATE);").expect("set");
    drop(conn);
    let error = refused(&path);
    assert!(matches!(error, Error::TooNew { found: 9, known: 2, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("schema version 9") && text.contains("versions up to 2"), "{text}");
}

fn scan(store: &Sqlite) -> Vec<Entry> {
    let mut rows = Vec::new();
    store.scan(&Span::all(), &mut |entry| rows.push(entry)).expect("all can be read");
    rows
}

#[test]
fn a_damaged_row_is_told_from_whole_ones() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let store = open(&path);
    for i in 0..50 {
        store.commit(Commit::new().put(format!("row/{i:03}"), format!("value {i:03}"))).expect("committed");
    }
    drop(store);
    let mut bytes = fs::read(&path).expect("read");
    // The history holds it as well.
    let at = |bytes: &[u8]| bytes.windows(9).position(|found| found == b"value 017");
    while let Some(at) = at(&bytes) {
        bytes[at + 2] ^= 1;
    }
    fs::write(&path, bytes).expect("written");
    let store = open(&path);
    let damaged: Vec<Entry> = scan(&store).into_iter().filter(|entry| !entry.whole).collect();
    assert_eq!(damaged.len(), 1);
    assert_eq!((damaged[0].key.as_str(), &damaged[0].value[..]), ("row/017", &b"vamue 017"[..]));
    assert!(!store.get("row/017").expect("read").expect("a row").whole);

    store.commit(aside::commit(&damaged[0], "its checksum is wrong")).expect("set aside");
    let listed = aside::list(&store).expect("listed");
    assert_eq!((listed.len(), listed[0].key.as_str()), (1, "row/017"));
    assert_eq!(listed[0].reason, "its checksum is wrong");
    assert_eq!(store::sqlite::aside(&path).expect("listed from outside"), listed);
    let mut seen = Vec::new();
    store::sqlite::look(&path, &mut |entry| seen.push(entry)).expect("read from outside");
    assert_eq!(seen, store.range(&Span::all(), usize::MAX).expect("read").entries);
    assert_eq!(&store.get(&aside::kept(&listed[0])).expect("read").expect("kept").value[..], b"vamue 017");
    assert_eq!(store.get("row/017"), Ok(None));
    store.commit(aside::put_back(&store, &listed[0]).expect("it is kept")).expect("put back");
    assert_eq!(&store.get("row/017").expect("read").expect("a row").value[..], b"vamue 017");
    assert_eq!(aside::list(&store), Ok(Vec::new()));
    assert_eq!(scan(&store).iter().filter(|entry| entry.whole).count(), 50);
}

#[test]
fn what_can_be_read_of_a_damaged_file_is_taken_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let store = open(&path);
    for i in 0..200 {
        store.commit(Commit::new().put(format!("{i:03}"), vec![i as u8; 1000])).expect("committed");
    }
    drop(store);
    let whole = fs::read(&path).expect("read");
    let pages = whole.len() / 4096;
    let mut taken_over = 0;
    // Page 0 holds the schema: without it nothing is known to be a row.
    for page in 1..pages {
        let here = dir.path().join(format!("{page}"));
        fs::create_dir(&here).expect("made");
        let path = here.join("state.db");
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xA5);
        fs::write(&path, &damaged).expect("written");
        let store = open(&path);
        let rows = scan(&store);
        let rows: Vec<&Entry> = rows.iter().filter(|entry| !entry.key.starts_with(aside::PREFIX)).collect();
        assert!(rows.iter().all(|row| row.whole && row.value[..] == vec![row.value[0]; 1000]), "page {page}");
        let lost = aside::list(&store).expect("listed");
        let known = lost.iter().all(|lost| lost.key != aside::UNKNOWN);
        assert!(!known || rows.len() + lost.len() >= 200, "page {page}: {} rows, lost {lost:?}", rows.len());
        if here.join("state.db.damaged-1").exists() {
            taken_over += 1;
            assert_eq!(fs::read(here.join("state.db.damaged-1")).expect("kept").len(), damaged.len());
        }
        store.commit(Commit::new().put("after", "")).expect("it is a store as any");
        assert!(store.revision() > 200);
        drop(store);
        drop(open(&path));
        assert!(!here.join("state.db.damaged-2").exists(), "once is enough, page {page}");
        assert!(!here.join("state.db.salvaged").exists() && !here.join("state.db.partial").exists());
    }
    assert!(taken_over > pages / 2, "{taken_over} of {pages}");
}

#[test]
fn a_file_of_the_first_version_is_read_and_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    fs::write(&path, include_bytes!("../golden/version-1.db")).expect("written");
    let store = open(&path);
    let rows = scan(&store);
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.whole));
    store.commit(Commit::new().put("b", "2")).expect("committed");
    drop(store);
    assert_eq!(&open(&path).get("b").expect("read").expect("a row").value[..], b"2");
}

#[test]
fn a_backup_is_whole_while_writes_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&dir.path().join("state.db"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let value = format!("{i:<2000}");
                store.commit(Commit::new().put("a", value.clone()).put("z", value)).expect("committed");
            }
        });
        while store.revision() < 20 {
            std::thread::yield_now();
        }
        for n in 0..5 {
            let to = dir.path().join(format!("copy-{n}"));
            let before = store.revision();
            store.backup(&to).expect("the backup succeeds");
            let copy = open(&to);
            let (a, z) = (copy.get("a").expect("read"), copy.get("z").expect("read"));
            assert_eq!(a.map(|row| row.value), z.map(|row| row.value));
            assert!(copy.revision() >= before);
            assert!(copy.commit(Commit::new().put("b", "")).is_ok());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let taken = dir.path().join("copy-0");
    let before = fs::read(&taken).expect("read");
    assert!(matches!(store.backup(&taken), Err(Error::Invalid(_))));
    assert_eq!(fs::read(&taken).expect("read"), before);
    assert!(store.backup(&dir.path().join("no/such/copy")).is_err());
    let partial = fs::read_dir(dir.path()).expect("read").flatten();
    let partial = partial.filter(|entry| entry.file_name().to_string_lossy().contains("partial"));
    assert_eq!(partial.count(), 0);
}

#[test]
fn a_store_that_nobody_has_open_can_be_backed_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, copy) = (dir.path().join("state.db"), dir.path().join("copy.db"));
    for round in 1..=2 {
        open(&path).commit(Commit::new().put("a", format!("{round}"))).expect("committed");
        let to = dir.path().join(format!("{round}"));
        store::sqlite::backup(&path, &to).expect("the backup succeeds");
        assert_eq!(open(&to).revision(), round);
    }
    let text = dir.path().join("text");
    fs::write(&text, "no database ".repeat(1000)).expect("written");
    assert!(matches!(store::sqlite::backup(&text, &copy), Err(Error::Foreign { .. })));
    let other = dir.path().join("other.db");
    rusqlite::Connection::open(&other)
        .and_then(|conn| conn.execute_batch("CREATE TABLE t (x)"))
        .expect("made");
    assert!(matches!(store::sqlite::backup(&other, &copy), Err(Error::Foreign { .. })));
    assert!(store::sqlite::backup(&dir.path().join("nothing"), &copy).is_err());
    assert!(!copy.exists() && !dir.path().join("nothing").exists());
}
