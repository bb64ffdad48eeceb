//! A full disk, a disk that takes no writes: a clear error, nothing half kept, and no restart once there is room.

use std::fs;
use std::path::Path;

use logs::{Error, Limits, Logs, Pool, stored_streams};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::thread::UnshareFlags;

use super::support::*;

/// Takes the file system away when the test ends, however it ends.
struct Disk<'a>(&'a Path);

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}

/// A small file system that only this thread and its children see.
fn small_disk(at: &Path) -> Disk<'_> {
    // SAFETY: only the mount namespace of this thread changes; no file descriptor table is shared or lost.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.expect("tests run as root");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    mount("tmpfs", at, "tmpfs", MountFlags::empty(), c"size=2m").unwrap();
    Disk(at)
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let _disk = small_disk(dir.path());
    let logs = Logs::open(&dir.path().join("logs"), Limits::default()).unwrap();
    logs.create_log_group("g", Default::default(), NOW).unwrap();
    logs.create_log_stream("g", "s", NOW).unwrap();
    put(&logs, "s", &[(0, "first")]).unwrap();

    let filler = dir.path().join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap();
    let message = "x".repeat(100_000);
    let mut kept = 1;
    let error = loop {
        match put(&logs, "s", &[(kept, &message)]) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the disk never fills");
    };
    assert!(matches!(error, Error::Storage { action: "write", .. }), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("No space left"), "{source}");
    assert_eq!(all(&logs, "g", "s", NOW).len() as i64, kept);
    // Not one byte left: changes to the catalog are refused too, reads go on.
    while fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.path().join("rest"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, &[0; 4096]))
        .is_ok()
    {}
    assert!((0..64).any(|i| {
        logs.create_log_group(&format!("/{}{i}", "x".repeat(400)), Default::default(), NOW).is_err()
    }));
    let groups = logs.describe_log_groups(&Default::default()).unwrap().items.len();
    assert_eq!(all(&logs, "g", "s", NOW).len() as i64, kept);

    fs::remove_file(&filler).unwrap();
    put(&logs, "s", &[(kept, "after")]).unwrap();
    logs.create_log_group("h", Default::default(), NOW).unwrap();
    assert_eq!(logs.describe_log_groups(&Default::default()).unwrap().items.len(), groups + 1);
    drop(logs);
    let logs = Logs::open(&dir.path().join("logs"), Limits::default()).unwrap();
    let events = all(&logs, "g", "s", NOW);
    assert_eq!(events.len() as i64, kept + 1);
    assert_eq!(events.last().unwrap().message, "after");
    assert_eq!(logs.describe_log_groups(&Default::default()).unwrap().items.len(), groups + 1);
}

#[test]
fn streams_that_cannot_give_way_shut_the_door_until_there_is_room() {
    let (dir, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _disk = small_disk(dir.path());
    let pool = Pool::new(Limits { streams_max: 120, ..Limits::default() }).unwrap();
    let (full, other) = (pool.open(&dir.path().join("logs")).unwrap(), pool.open(here.path()).unwrap());
    for logs in [&full, &other] {
        logs.create_log_group("g", Default::default(), NOW).unwrap();
    }
    // Names so long that the room which the catalog keeps is not enough for the deletion of all.
    let name = |i: i64| format!("{i:04}{}", "\u{1F512}".repeat(508));
    (0..120).for_each(|i| full.create_log_stream("g", &name(i), NOW + i).unwrap());
    let filler = fs::File::create(dir.path().join("filler")).unwrap();
    let mut filled = &filler;
    while std::io::Write::write_all(&mut filled, &[0; 4096]).is_ok() {}
    let make = |i: i64| other.create_log_stream("g", &format!("s{i}"), NOW);
    let (made, refused) = (0..120).find_map(|i| Some((i, make(i).err()?))).expect("the disk is full");
    assert!((20..60).contains(&made), "{made}");
    assert!(refused.to_string().contains("the oldest cannot be deleted"), "{refused}");
    let held = || stored_streams(&dir.path().join("logs")).held + stored_streams(here.path()).held;
    // One came before the disk was known to refuse.
    assert_eq!(held(), 121);
    put(&other, "s1", &[(0, "others are written to")]).unwrap();

    fs::remove_file(dir.path().join("filler")).unwrap();
    drop(filler);
    other.maintain(NOW).unwrap();
    make(made).unwrap();
    assert!((119..=120).contains(&held()), "{}", held());
}

/// Makes every segment refuse to be written, as a disk does that the kernel made read-only, or lets it again.
fn set_immutable(dir: &Path, immutable: bool) {
    for group in fs::read_dir(dir.join("groups")).unwrap().flatten() {
        for file in fs::read_dir(group.path()).unwrap().flatten() {
            let file = fs::File::open(file.path()).unwrap();
            let mut flags = ioctl_getflags(&file).unwrap();
            flags.set(IFlags::IMMUTABLE, immutable);
            ioctl_setflags(&file, flags).unwrap();
        }
    }
}

#[test]
fn segments_that_take_no_writes_are_still_read() {
    let dir = tempfile::tempdir().unwrap();
    let _disk = small_disk(dir.path());
    let path = dir.path().join("logs");
    // Groups are unloaded by every round of housekeeping, so that each use starts from the files.
    let limits = Limits { idle_ms: 0, ..Limits::default() };
    let logs = Logs::open(&path, limits).unwrap();
    logs.create_log_group("g", Default::default(), NOW).unwrap();
    logs.create_log_stream("g", "s", NOW).unwrap();
    put(&logs, "s", &[(0, "first")]).unwrap();
    logs.maintain(NOW).unwrap();

    set_immutable(&path, true);
    assert_eq!(texts(&all(&logs, "g", "s", NOW)), ["first"]);
    // What cannot be written on is closed, and the next segment takes what comes.
    put(&logs, "s", &[(1, "second")]).unwrap();
    set_immutable(&path, false);
    logs.maintain(NOW).unwrap();
    put(&logs, "s", &[(2, "third")]).unwrap();
    assert_eq!(texts(&all(&logs, "g", "s", NOW)), ["first", "second", "third"]);
}
