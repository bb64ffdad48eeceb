//! Disks that are full or read-only: writes are refused with the reason, reads go on, and writing works again
//! without a restart. On real file systems; each test mounts in a mount namespace of its own, which goes with
//! the test however it ends. Without the right to mount they say that they were skipped.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use store::sqlite::{HistoryLimits, Options, Sqlite};
use store::{Commit, Error, Span, Store};

/// Runs `test` with a small tmpfs of its own.
fn on_small_disk(test: impl FnOnce(&Path) + Send) {
    let dir = tempfile::tempdir().expect("a directory");
    // A namespace is a thread's; the store's threads are started by this one and inherit it.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNS) {
                eprintln!("SKIPPED: no mount namespace can be made here: {error}");
                return;
            }
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)
                .expect("mounts become private");
            mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=6m"))
                .expect("mounted");
            test(dir.path());
        });
    });
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, Options::default()).expect("the store opens")
}

/// Takes all space that is left.
fn fill(dir: &Path) {
    let filler = fs::File::create(dir.join("filler")).expect("a file");
    let chunk = [1_u8; 4096];
    while std::io::Write::write_all(&mut &filler, &chunk).is_ok() {}
}

/// Commits until that fails; answers how many succeeded and why the last did not.
fn commit_until_refused(store: &Sqlite, from: usize) -> (usize, Error) {
    for i in from..from + 10_000 {
        if let Err(error) = store.commit(Commit::new().put(format!("row/{i:05}"), vec![i as u8; 8192])) {
            return (i, error);
        }
    }
    panic!("the disk never filled up");
}

fn check_rows(store: &Sqlite, count: usize) {
    let mut seen = 0;
    let revision = store.scan(&Span::prefix("row/"), &mut |entry| {
        assert_eq!((entry.key, &entry.value[..]), (format!("row/{seen:05}"), &vec![seen as u8; 8192][..]));
        seen += 1;
    });
    assert_eq!((seen, revision), (count, Ok(count as u64)));
}

fn wait_until_writable(store: &Sqlite) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !store.health().writable {
        assert!(Instant::now() < deadline, "still not writable: {:?}", store.health());
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    on_small_disk(|dir| {
        let path = dir.join("state.db");
        let store = open(&path);
        let mut count = 0;
        for round in 0..3 {
            store
                .commit(Commit::new().put(format!("row/{count:05}"), vec![count as u8; 8192]))
                .expect("there is space");
            count += 1;
            fill(dir);
            let (committed, error) = commit_until_refused(&store, count);
            count = committed;
            assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
            assert!(
                error.to_string().starts_with(&format!("no space left for the state in {}", path.display()))
            );
            let health = store.health();
            assert_eq!((health.writable, health.last_error), (false, Some(error)));
            check_rows(&store, count);
            let mut watch = store.watch(Span::all(), 0).expect("history can be read");
            assert_eq!(watch.recv().expect("an event").revision, 1);
            fs::remove_file(dir.join("filler")).expect("the filler goes");
            if round > 0 {
                wait_until_writable(&store);
            }
        }
        drop(store);
        check_rows(&open(&path), count);
    });
}

/// Runs `test` with a small ext4 of its own, which has all that a real disk has.
fn on_small_ext4(mib: u64, test: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().expect("a directory");
    let (image, at) = (dir.path().join("image"), dir.path().join("at"));
    fs::create_dir(&at).expect("a directory");
    fs::File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("a file");
    let run = |program: &str, words: &[&str]| {
        let done = Command::new(program).args(words).arg(&image).output();
        done.is_ok_and(|done| done.status.success())
    };
    let mounted = run("mkfs.ext4", &["-q", "-m", "0", "-F"])
        && Command::new("mount")
            .args(["-o", "loop"])
            .arg(&image)
            .arg(&at)
            .status()
            .is_ok_and(|s| s.success());
    if !mounted {
        eprintln!("SKIPPED: no ext4 can be mounted here");
        return;
    }
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&at)));
    let gone = Command::new("umount").arg(&at).status();
    assert!(gone.is_ok_and(|status| status.success()), "the store is closed");
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn with_room(path: &Path) -> Sqlite {
    let options = Options { history: HistoryLimits::NONE, keeps_room: true, ..Options::default() };
    Sqlite::open(path, options).expect("the store opens")
}

/// Takes all space and, with `inodes`, all names that are left.
fn exhaust(dir: &Path, inodes: bool) {
    fill(dir);
    let mut made = 0;
    while inodes && fs::File::create(dir.join(format!("inode-{made}"))).is_ok() {
        made += 1;
    }
}

#[test]
fn a_store_with_room_is_written_and_opened_on_a_full_disk() {
    for end in ["closed", "killed"] {
        on_small_ext4(64, |dir| {
            for step in [end, "opened"] {
                let child = Command::new(std::env::current_exe().expect("a name"))
                    .args(["--exact", "it::disk::one_step_on_a_full_disk", "--ignored", "--nocapture"])
                    .env("STORE_STEP", step)
                    .env("STORE_DIR", dir)
                    .output()
                    .expect("it runs");
                let told = String::from_utf8_lossy(&child.stdout);
                let errors = String::from_utf8_lossy(&child.stderr);
                assert!(told.contains(&format!("{step} as it should be")), "{end} {step}: {told}{errors}");
            }
        });
    }
}

/// Each step is another process, as each start of the program is one.
#[test]
#[ignore = "run by another test, in processes of their own"]
fn one_step_on_a_full_disk() {
    let (Ok(step), Some(dir)) = (std::env::var("STORE_STEP"), std::env::var_os("STORE_DIR")) else { return };
    let dir = Path::new(&dir);
    let store = with_room(&dir.join("state.db"));
    if step == "opened" {
        for i in 0..200 {
            let row = store.get(&format!("row/{i}")).expect("it can be read").expect("it is there");
            assert_eq!(row.value[..], vec![2; 3002][..]);
            store.commit(Commit::new().delete(format!("row/{i}"))).expect("what ends something is stored");
        }
        let mut seen = 0;
        store.scan(&Span::all(), &mut |_| seen += 1).expect("it can be read");
        assert_eq!(seen, 0);
        println!("{step} as it should be");
        return;
    }
    for i in 0..200 {
        store.commit(Commit::new().put(format!("row/{i}"), vec![7; 3000])).expect("there is space");
    }
    assert!(!store.is_tight());
    exhaust(dir, true);
    assert!(store.is_tight());
    for round in 0..3 {
        for i in 0..200 {
            let change = Commit::new().put(format!("row/{i}"), vec![round; 3000 + usize::from(round)]);
            store.commit(change).unwrap_or_else(|error| panic!("{round} {i}: {error}"));
        }
    }
    println!("{step} as it should be");
    if step == "killed" {
        std::process::abort();
    }
}

#[test]
fn an_old_log_says_nothing_to_a_file_that_is_put_beside_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, copy) = (dir.path().join("state.db"), dir.path().join("copy.db"));
    let store = with_room(&path);
    store.commit(Commit::new().put("a", "1")).expect("stored");
    store.backup(&copy).expect("copied");
    store.commit(Commit::new().put("a", "2").put("b", vec![1; 100_000])).expect("stored");
    drop(store);
    fs::rename(&copy, &path).expect("put in its place");
    let store = with_room(&path);
    assert_eq!(&store.get("a").expect("read").expect("a row").value[..], b"1");
    assert_eq!(store.get("b"), Ok(None));
}

#[test]
fn a_failed_lease_is_not_held() {
    on_small_disk(|dir| {
        let store = open(&dir.join("state.db"));
        fill(dir);
        commit_until_refused(&store, 0);
        let ttl = Duration::from_secs(60);
        // A lease needs little room: there may be some left in the log's last page, so take it.
        let taken = (0..10_000).find_map(|i| store.acquire_lease("l", &format!("holder {i}"), ttl).err());
        match taken.expect("either the disk or the holder refuses") {
            Error::DiskFull { .. } => {
                fs::remove_file(dir.join("filler")).expect("the filler goes");
                store.acquire_lease("l", "another", ttl).expect("nobody holds it");
            }
            held => assert!(matches!(held, Error::LeaseHeld { .. }), "{held:?}"),
        }
    });
}

#[test]
fn a_read_only_mount_is_refused_at_the_start() {
    on_small_disk(|dir| {
        let path = dir.join("state.db");
        open(&path).commit(Commit::new().put("a", "1")).expect("there is space");
        let remount = |flags: MsFlags| {
            let flags = MsFlags::MS_REMOUNT | flags;
            mount(None::<&str>, dir, None::<&str>, flags, None::<&str>).expect("remounted");
        };
        remount(MsFlags::MS_RDONLY);
        let refused = Sqlite::open(&path, Options::default()).err().expect("it cannot be written");
        assert!(matches!(refused, Error::ReadOnly { .. }), "{refused:?}");
        let missing = Sqlite::open(&dir.join("new.db"), Options::default()).err().expect("it cannot be made");
        assert!(matches!(missing, Error::ReadOnly { .. }), "{missing:?}");
        remount(MsFlags::empty());
        assert_eq!(open(&path).revision(), 1);
    });
}

/// Makes the store's files immutable, which stops writes through open files as a disk that turned read-only
/// does (a mount cannot be remounted read-only while files on it are open for writing).
struct Immutable<'a>(&'a Path);

impl<'a> Immutable<'a> {
    fn set(path: &'a Path) -> Option<Self> {
        let guard = Self(path);
        guard.change("+i").then_some(guard)
    }

    fn change(&self, flag: &str) -> bool {
        let wal = format!("{}-wal", self.0.display());
        Command::new("chattr").arg(flag).arg(self.0).arg(wal).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        self.change("-i");
    }
}

#[test]
fn a_disk_turned_read_only_refuses_writes_until_it_is_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let store = open(&path);
    store.commit(Commit::new().put("a", "1")).expect("it can be written");
    for round in 0..2 {
        let Some(immutable) = Immutable::set(&path) else {
            eprintln!("SKIPPED: this file system, or this user, cannot make files immutable");
            return;
        };
        for _ in 0..3 {
            let error = store.commit(Commit::new().put("a", "2")).expect_err("it cannot be written");
            if !matches!(error, Error::ReadOnly { .. }) {
                drop(immutable);
                panic!("{error:?}");
            }
            let entry = store.get("a").expect("reads go on").expect("the row is there");
            assert_eq!((&entry.value[..], store.health().writable), (&b"1"[..], false));
        }
        drop(immutable);
        if round == 0 {
            wait_until_writable(&store);
        }
    }
    store.commit(Commit::new().put("a", "3")).expect("it can be written again");
    drop(store);
    assert_eq!(&open(&path).get("a").expect("read").expect("a row").value[..], b"3");
}
