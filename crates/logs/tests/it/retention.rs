//! Retention and housekeeping.

use std::fs;
use std::path::Path;

use logs::{Limits, Logs, Pool, PutLogEvents, stored_bytes};

use super::support::*;

fn segments(dir: &Path) -> usize {
    let groups = fs::read_dir(dir.join("groups")).unwrap().flatten();
    let files = groups.filter_map(|group| fs::read_dir(group.path()).ok()).flat_map(|files| files.flatten());
    files.filter(|file| file.path().extension().is_some_and(|extension| extension == "seg")).count()
}

fn put_at(logs: &Logs, now_ms: i64, message: &str) {
    let request: PutLogEvents = batch("g", "s", &[(now_ms, message)]);
    assert_eq!(logs.put_log_events_wait(request, now_ms).unwrap().rejected, None);
}

#[test]
fn whole_segments_go_with_age_and_reads_go_on() {
    let (dir, logs) = store(small());
    logs.set_retention("g", Some(1)).unwrap();
    for i in 0..20 {
        put_at(&logs, NOW + i * DAY / 10, &format!("m{i}"));
    }
    let now = NOW + 2 * DAY;
    let before = segments(dir.path());
    // Expired events are hidden at once, their files go with housekeeping.
    assert_eq!(texts(&all(&logs, "g", "s", now)), (10..20).map(|i| format!("m{i}")).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| (0..50).for_each(|_| assert_eq!(all(&logs, "g", "s", now).len(), 10)));
        logs.maintain(now).unwrap();
        reader.join().unwrap();
    });
    assert!(segments(dir.path()) < before);
    assert_eq!(all(&logs, "g", "s", now).len(), 10);
    logs.maintain(now + 10 * DAY).unwrap();
    assert_eq!(segments(dir.path()), 0);
    assert!(all(&logs, "g", "s", now + 10 * DAY).is_empty());
    put_at(&logs, now + 10 * DAY, "again");
    drop(logs);
    let logs = Logs::open(dir.path(), small()).unwrap();
    assert_eq!(texts(&all(&logs, "g", "s", now + 10 * DAY)), ["again"]);
}

#[test]
fn expiry_is_found_after_a_restart_without_any_use() {
    let (dir, logs) = store(Limits::default());
    logs.set_retention("g", Some(3)).unwrap();
    put_at(&logs, NOW, "m");
    drop(logs);
    let logs = Logs::open(dir.path(), Limits::default()).unwrap();
    logs.maintain(NOW + DAY).unwrap();
    assert_eq!(segments(dir.path()), 1);
    logs.maintain(NOW + 4 * DAY).unwrap();
    assert_eq!(segments(dir.path()), 0);
}

#[test]
fn without_retention_nothing_goes() {
    let (dir, logs) = store(small());
    put_at(&logs, NOW, "m");
    logs.maintain(NOW + 4000 * DAY).unwrap();
    assert_eq!(texts(&all(&logs, "g", "s", NOW + 4000 * DAY)), ["m"]);
    logs.set_retention("g", Some(1)).unwrap();
    logs.maintain(NOW + 4000 * DAY).unwrap();
    assert_eq!(segments(dir.path()), 0);
}

#[test]
fn segments_of_deleted_streams_alone_go() {
    let (dir, logs) = store(small());
    logs.create_log_stream("g", "t", NOW).unwrap();
    for i in 0..8 {
        put(&logs, "s", &[(i, "s")]).unwrap();
    }
    put(&logs, "t", &[(9, "t")]).unwrap();
    logs.delete_log_stream("g", "s").unwrap();
    assert_eq!(segments(dir.path()), 3);
    logs.maintain(NOW).unwrap();
    assert_eq!(segments(dir.path()), 1);
    assert_eq!(texts(&all(&logs, "g", "t", NOW)), ["t"]);
}

#[test]
fn what_is_known_of_the_streams_that_stay_stays_right_while_segments_go() {
    let (dir, logs) = store(small());
    for (stream, at) in [("old", 0), ("s", 100)] {
        let _ = logs.create_log_stream("g", stream, NOW);
        for i in at..at + 8 {
            put(&logs, stream, &[(i, stream)]).unwrap();
        }
    }
    logs.delete_log_stream("g", "old").unwrap();
    // The second time no segment is looked into again.
    for _ in 0..2 {
        logs.maintain(NOW).unwrap();
        assert_eq!(segments(dir.path()), 2);
        let request = logs::DescribeLogStreams { log_group_name: "g".into(), ..Default::default() };
        let stream = &logs.describe_log_streams(&request, NOW).unwrap().items[0];
        let times = (stream.first_event_timestamp, stream.last_event_timestamp);
        assert_eq!(times, (Some(NOW + 100), Some(NOW + 107)));
        assert_eq!(all(&logs, "g", "s", NOW).len(), 8);
    }
    logs.create_log_stream("g", "t", NOW).unwrap();
    put(&logs, "t", &[(200, "t")]).unwrap();
    logs.delete_log_stream("g", "s").unwrap();
    logs.maintain(NOW).unwrap();
    assert_eq!(segments(dir.path()), 1);
    assert_eq!(texts(&all(&logs, "g", "t", NOW)), ["t"]);
}

#[test]
fn a_deleted_groups_files_go() {
    let (dir, logs) = store(small());
    put(&logs, "s", &[(0, "m")]).unwrap();
    logs.delete_log_group("g").unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while segments(dir.path()) > 0 {
        assert!(std::time::Instant::now() < deadline, "the deleted group's files stay");
        std::thread::yield_now();
    }
}

#[test]
fn a_flood_pushes_out_its_own_and_nothing_else() {
    let limits = Limits { segment_bytes: 20_000, total_bytes: 200_000, ..Limits::default() };
    let (dir, logs) = store(limits.clone());
    logs.create_log_group("quiet", Default::default(), NOW).unwrap();
    logs.create_log_stream("quiet", "q", NOW).unwrap();
    logs.put_log_events_wait(batch("quiet", "q", &[(NOW, "kept")]), NOW).unwrap();
    let text = "y".repeat(2_000);
    for i in 0..500 {
        put(&logs, "s", &[(i, &format!("{i} {text}"))]).unwrap();
        let stored: u64 =
            logs.describe_log_groups(&Default::default()).unwrap().items.iter().map(|g| g.stored_bytes).sum();
        assert!(stored <= limits.total_bytes, "{stored}");
    }
    assert_eq!(texts(&all(&logs, "quiet", "q", NOW)), ["kept"]);
    let kept = all(&logs, "g", "s", NOW);
    assert!(kept.len() > 40, "{}", kept.len());
    assert!(kept.last().unwrap().message.starts_with("499 "), "the newest stays");
    drop(logs);
    // What was written before there was a limit, or under a higher one, goes with the first put.
    let logs = Logs::open(dir.path(), Limits { total_bytes: 60_000, ..limits }).unwrap();
    put(&logs, "s", &[(500, "500 last")]).unwrap();
    let stored = logs.describe_log_groups(&Default::default()).unwrap().items[0].stored_bytes;
    assert!(stored <= 60_000, "{stored}");
    assert_eq!(all(&logs, "g", "s", NOW).last().unwrap().message, "500 last");
}

/// Opens a store with a group and a stream, within limits that others share.
fn within(pool: &Pool) -> (tempfile::TempDir, Logs) {
    let dir = tempfile::tempdir().unwrap();
    let logs = pool.open(dir.path()).unwrap();
    logs.create_log_group("g", Default::default(), NOW).unwrap();
    logs.create_log_stream("g", "s", NOW).unwrap();
    (dir, logs)
}

#[test]
fn stores_share_one_limit_and_whoever_holds_the_most_gives() {
    const ALL: u64 = 200_000;
    // The index of a segment that closes is counted at the next look.
    const SLACK: u64 = 20_000;
    let limits = Limits { segment_bytes: 20_000, total_bytes: ALL, ..Limits::default() };
    let pool = Pool::new(limits).unwrap();
    let ((quiet_dir, quiet), (loud_dir, loud)) = (within(&pool), within(&pool));
    let text = "y".repeat(2_000);
    let held = || stored_bytes(quiet_dir.path()) + stored_bytes(loud_dir.path());
    put(&quiet, "s", &[(0, "kept")]).unwrap();
    for i in 0..300 {
        put(&loud, "s", &[(i, &format!("{i} {text}"))]).unwrap();
        assert!(held() <= ALL + SLACK, "{}", held());
    }
    assert_eq!(texts(&all(&quiet, "g", "s", NOW)), ["kept"]);
    assert!(stored_bytes(loud_dir.path()) > ALL / 2);
    // The other one grows at the expense of the one that holds more, until both hold the same; together, at once.
    std::thread::scope(|scope| {
        for (logs, name) in [(&quiet, "quiet"), (&loud, "loud")] {
            let text = &text;
            scope.spawn(move || {
                for i in 300..600 {
                    put(logs, "s", &[(i, &format!("{i} {name} {text}"))]).unwrap();
                }
            });
        }
    });
    for (dir, logs) in [(&quiet_dir, &quiet), (&loud_dir, &loud)] {
        assert!(all(logs, "g", "s", NOW).last().unwrap().message.starts_with("599 "));
        assert!(stored_bytes(dir.path()) > ALL / 4, "{}", stored_bytes(dir.path()));
    }
    assert!(held() <= ALL + SLACK, "{}", held());
}
