//! A full disk: a clear error, nothing half kept, and no restart once there is room.

use std::fs;
use std::path::Path;

use logs::{Error, Limits, Logs};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;

use super::support::*;

/// A small file system that only this thread and its children see, and that ends with them.
fn small_disk(at: &Path) {
    // SAFETY: only the mount namespace of this thread changes; no file descriptor table is shared or lost.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.expect("tests run as root");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    mount("tmpfs", at, "tmpfs", MountFlags::empty(), c"size=2m").unwrap();
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    small_disk(dir.path());
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
