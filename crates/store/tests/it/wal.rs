//! Damage in the write-ahead log: none of it may cost a commit that was acknowledged without a word, and what a power
//! cut leaves is none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use store::sqlite::{HistoryLimits, Options, Sqlite};
use store::{Commit, Error, Span, Store, aside};

const HEAD: usize = 32;
const FRAME: usize = 24 + 4096;

type Rows = BTreeMap<String, Vec<u8>>;

fn open(path: &Path) -> Sqlite {
    let options = Options { history: HistoryLimits::NONE, ..Options::default() };
    Sqlite::open(path, options).expect("the store opens")
}

fn rows(store: &Sqlite) -> Rows {
    let mut rows = Rows::new();
    store
        .scan(&Span::all(), &mut |entry| {
            if !entry.key.starts_with(aside::PREFIX) && entry.whole {
                rows.insert(entry.key, entry.value.to_vec());
            }
        })
        .expect("read");
    rows
}

/// The files of a store as a crash leaves them, and what its rows were after each commit.
struct Crashed {
    file: Vec<u8>,
    log: Vec<u8>,
    /// Bytes of the log, and the rows, after each commit.
    commits: Vec<(usize, Rows)>,
}

fn crashed(commits: usize) -> Crashed {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let store = open(&path);
    let mut seen = Vec::new();
    for n in 0..commits {
        // New rows, rows that change, rows of several pages, rows that go.
        let mut commit =
            Commit::new().put(format!("new/{n:03}"), vec![n as u8; 700]).put("one", n.to_string());
        if n % 3 == 0 {
            commit = commit.put(format!("large/{}", n % 4), vec![n as u8; 9000]);
        }
        if n % 4 == 3 {
            commit = commit.delete(format!("new/{:03}", n - 2));
        }
        store.commit(commit).expect("committed");
        seen.push((fs::read(log_of(&path)).expect("read").len(), rows(&store)));
    }
    let (file, log) = (fs::read(&path).expect("read"), fs::read(log_of(&path)).expect("read"));
    assert!(log.len() > HEAD + commits * FRAME);
    Crashed { file, log, commits: seen }
}

fn log_of(path: &Path) -> PathBuf {
    path.with_file_name("state.db-wal")
}

impl Crashed {
    fn frames(&self) -> usize {
        (self.log.len() - HEAD) / FRAME
    }

    /// Opens the files with another log, in a directory of their own.
    fn open(&self, log: &[u8]) -> (tempfile::TempDir, Sqlite) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state.db");
        fs::write(&path, &self.file).expect("written");
        fs::write(log_of(&path), log).expect("written");
        let store = open(&path);
        (dir, store)
    }

    fn newest(&self) -> &Rows {
        &self.commits.last().expect("commits").1
    }

    /// How many of the commits end before this byte of the log.
    fn before(&self, at: usize) -> usize {
        self.commits.iter().filter(|(end, _)| *end <= at).count()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).expect("read").flatten();
    let mut names: Vec<String> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn one_wrong_byte_anywhere_in_the_log_costs_nothing() {
    let crashed = crashed(12);
    let last = HEAD + (crashed.frames() - 1) * FRAME;
    let middle = HEAD + crashed.frames() / 2 * FRAME;
    let mut places: Vec<usize> = (0..HEAD).collect();
    for frame in [HEAD, middle, last] {
        // Where nothing was built on a checksum, its highest bytes might be a page's.
        places.extend((frame..frame + 24).filter(|at| frame != last || ![16, 20].contains(&(at - frame))));
        places.extend((0..8).map(|nth| frame + 24 + nth * 512));
        places.extend([frame + 25, frame + 700, frame + FRAME - 6]);
    }
    // The end of a page whose frame others were built on.
    places.extend(middle + FRAME - 4..middle + FRAME);
    for at in places {
        let mut log = crashed.log.clone();
        // Not in the last byte of a word: see below.
        log[at] ^= if at % 4 == 3 { 0 } else { 0x41 };
        if log == crashed.log {
            continue;
        }
        let (dir, store) = crashed.open(&log);
        assert_eq!(rows(&store), *crashed.newest(), "byte {at}");
        assert_eq!(aside::list(&store), Ok(Vec::new()), "byte {at}");
        let damage = store.damage().unwrap_or_else(|| panic!("byte {at} is said"));
        assert!(damage.contains("state.db-wal was damaged in 1 places"), "{damage}");
        assert_eq!(fs::read(dir.path().join("state.db-wal.damaged-1")).expect("kept"), log);
        let next = store.commit(Commit::new().put("after", "")).expect("it is a store as any");
        drop(store);
        let again = open(&dir.path().join("state.db"));
        assert_eq!((again.damage(), again.revision()), (None, next));
        assert!(again.get("after").expect("read").is_some(), "byte {at}");
    }
}

/// The checksum does not always tell which byte of several, a word's highest, is wrong.
#[test]
fn a_wrong_byte_that_is_not_found_costs_a_row_at_most_and_is_said() {
    let crashed = crashed(9);
    for frame in [1, crashed.frames() / 2, crashed.frames() - 2, crashed.frames() - 1] {
        for nth in 0..16 {
            let at = HEAD + frame * FRAME + 24 + nth * 256 + 3;
            let mut log = crashed.log.clone();
            log[at] ^= 0x80;
            let (dir, store) = crashed.open(&log);
            let found = rows(&store);
            let missing =
                crashed.newest().iter().filter(|(key, value)| found.get(*key) != Some(value)).count();
            assert!(missing <= 1, "byte {at}: {missing}");
            let unknown = aside::list(&store).expect("listed").iter().any(|row| row.key == aside::UNKNOWN);
            assert!(missing == 0 || unknown, "byte {at}");
            assert!(store.damage().is_some(), "byte {at}");
            drop(store);
            assert_eq!(open(&dir.path().join("state.db")).damage(), None, "byte {at}");
        }
    }
}

/// The checksum's second half and the last word of its page cannot be told apart where no frame was built on them.
#[test]
fn the_last_word_of_the_log_is_right_or_said_to_be_wrong() {
    let crashed = crashed(9);
    for at in crashed.log.len() - 4..crashed.log.len() {
        let mut log = crashed.log.clone();
        log[at] ^= 0x10;
        let (_dir, store) = crashed.open(&log);
        let mut unread = 0;
        store.scan(&Span::all(), &mut |entry| unread += usize::from(!entry.whole)).expect("read");
        let is_said = unread > 0 || !aside::list(&store).expect("listed").is_empty();
        assert!(rows(&store) == *crashed.newest() || is_said, "byte {at}");
        assert!(store.damage().is_some(), "byte {at}");
    }
}

#[test]
fn what_is_left_of_a_log_with_a_damaged_sector_is_taken_over_and_the_rest_is_said() {
    let crashed = crashed(20);
    // Behind the last transaction but one nothing tells damage from a power cut.
    let sure = crashed.commits[crashed.commits.len() - 3].0;
    let mut kept_rows = 0;
    let mut at = 0;
    while at + 512 < sure {
        let mut log = crashed.log.clone();
        log[at..at + 512].fill(0xA5);
        let (dir, store) = crashed.open(&log);
        let unknown = aside::list(&store).expect("listed").iter().any(|row| row.key == aside::UNKNOWN);
        assert!(unknown && store.damage().is_some(), "byte {at}: {:?}", store.damage());
        assert_eq!(fs::read(dir.path().join("state.db.damaged-1-wal")).expect("kept"), log);
        assert_eq!(fs::read(dir.path().join("state.db.damaged-1")).expect("kept"), crashed.file);
        let found = rows(&store);
        kept_rows += crashed.newest().iter().filter(|(key, value)| found.get(*key) == Some(value)).count();
        store.commit(Commit::new().put("after", "")).expect("it is a store as any");
        drop(store);
        assert_eq!(open(&dir.path().join("state.db")).damage(), None);
        let expected = ["state.db", "state.db.damaged-1", "state.db.damaged-1-wal"];
        assert_eq!(names(dir.path()), expected, "byte {at}");
        at += 1700;
    }
    let all = at.div_ceil(1700) * crashed.newest().len();
    assert!(kept_rows * 10 >= all * 9, "{kept_rows} of {all} rows");
}

#[test]
fn what_a_power_cut_leaves_of_the_last_commit_is_no_damage() {
    let crashed = crashed(12);
    let (end, before) = &crashed.commits[10];
    let newest = crashed.newest();
    let silent = |log: &[u8], expected: &Rows, what: &str| {
        let (dir, store) = crashed.open(log);
        // Zeros in the place of zeros change nothing; of zeros and one other byte, what one wrong byte is: it is found.
        if rows(&store) == *newest && store.damage().is_none_or(|damage| damage.contains("whole again")) {
            return;
        }
        assert!(rows(&store) == *expected, "{what}");
        assert_eq!((store.damage(), aside::list(&store)), (None, Ok(Vec::new())), "{what}");
        drop(store);
        assert!(!names(dir.path()).iter().any(|name| name.contains("damaged")), "{what}");
    };
    silent(&crashed.log, newest, "all of it");
    // Cut off anywhere.
    for cut in (*end..crashed.log.len()).step_by(97) {
        silent(&crashed.log[..cut], before, &format!("cut at {cut}"));
    }
    // Sectors that never came to the disk, with others behind them that did; and what lay there before.
    for old in [0, 0xA5] {
        for at in (*end..crashed.log.len() - 512).step_by(512) {
            let mut log = crashed.log.clone();
            log[at..at + 512].fill(old);
            silent(&log, before, &format!("hole at {at}"));
        }
    }
    // Behind the log, anything of one before.
    let mut log = crashed.log.clone();
    let mut older = crashed.log[HEAD..].to_vec();
    older.chunks_mut(FRAME).for_each(|frame| frame[8] ^= 1);
    log.extend(older);
    silent(&log, newest, "an older log behind it");
    // Cleared, as all of it is in the file.
    let mut log = crashed.log.clone();
    log[..HEAD].fill(0);
    silent(&log, &Rows::new(), "a cleared log");
}

/// A refused transaction is written over by the next. Where that is shorter, the rest of it lies behind.
#[test]
fn what_a_refused_transaction_left_behind_is_no_damage() {
    let base = crashed(5);
    let more = |changes: usize| {
        let (dir, store) = base.open(&base.log);
        let commit =
            (0..changes).fold(Commit::new(), |commit, n| commit.put(format!("{n:04}"), vec![7; 900]));
        store.commit(commit).expect("committed");
        (fs::read(log_of(&dir.path().join("state.db"))).expect("read"), rows(&store))
    };
    let (refused, _) = more(60);
    let (other, _) = more(30);
    let (written, expected) = more(2);
    assert!(refused.starts_with(&base.log) && written.starts_with(&base.log));
    let mut log = written.clone();
    log.extend(&refused[log.len()..]);
    let (_dir, store) = base.open(&log);
    assert_eq!((rows(&store), store.damage()), (expected.clone(), None));
    // And two of them.
    let mut log = written;
    log.extend(&other[log.len()..]);
    log.extend(&refused[log.len()..]);
    let (_dir, store) = base.open(&log);
    assert_eq!((rows(&store), store.damage()), (expected, None));
}

#[test]
fn a_backup_of_a_damaged_log_is_refused_until_it_is_whole() {
    let crashed = crashed(6);
    let dir = tempfile::tempdir().expect("a directory");
    let (path, copy) = (dir.path().join("state.db"), dir.path().join("copy.db"));
    fs::write(&path, &crashed.file).expect("written");
    let mut log = crashed.log.clone();
    log[HEAD + 3 * FRAME + 1000] ^= 1;
    fs::write(log_of(&path), &log).expect("written");
    assert!(matches!(store::sqlite::backup(&path, &copy), Err(Error::Corrupt { .. })));
    assert!(!copy.exists());
    drop(open(&path));
    store::sqlite::backup(&path, &copy).expect("the backup succeeds");
    assert_eq!(rows(&open(&copy)), *crashed.newest());
}

#[test]
fn the_damaged_log_of_somebody_else_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let other = rusqlite::Connection::open(dir.path().join("other.db")).expect("opened");
    other
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA application_id=7; CREATE TABLE t (x); INSERT INTO t VALUES (1);",
        )
        .expect("made");
    fs::copy(dir.path().join("other.db"), &path).expect("copied");
    let mut log = fs::read(dir.path().join("other.db-wal")).expect("read");
    log[HEAD + FRAME + 100] ^= 1;
    fs::write(log_of(&path), &log).expect("written");
    let refused = Sqlite::open(&path, Options::default()).err();
    assert!(matches!(refused, Some(Error::Foreign { .. })), "{refused:?}");
    assert!(!names(dir.path()).iter().any(|name| name.contains("damaged")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_damaged_no_acknowledged_row_is_lost_in_silence(
        at: prop::sample::Index,
        bytes in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        thread_local! { static CRASHED: Crashed = crashed(15); }
        CRASHED.with(|crashed| {
            let mut log = crashed.log.clone();
            let first = at.index(log.len());
            for (old, by) in log[first..].iter_mut().zip(bytes) {
                *old ^= by;
            }
            let (_dir, store) = crashed.open(&log);
            let mut is_said = !aside::list(&store).expect("listed").is_empty();
            store.scan(&Span::all(), &mut |entry| is_said |= !entry.whole).expect("read");
            let found = rows(&store);
            // A power cut leaves the last transaction so; where its bounds are damaged, it is more than one.
            let cut = crashed.before(first).max(crashed.commits.len() - 3);
            let may_be = crashed.commits[cut - 1..].iter().any(|(_, rows)| *rows == found);
            prop_assert!(is_said || may_be, "damaged from {first} of {}", log.len());
            Ok(())
        })?;
    }
}
