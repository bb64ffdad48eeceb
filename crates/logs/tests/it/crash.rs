//! What was acknowledged survives `kill -9` and torn files.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use logs::{Limits, Logs};
use proptest::prelude::*;

use super::support::*;

const DIR: &str = "ROADSTEAD_LOGS_TEST_DIR";
const KILLS: usize = 12;
const WRITERS: usize = 4;

/// Kills the writing process when a test ends early.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<usize, i64> = BTreeMap::new();
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "it::crash::writing_process", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .map(Killed)
            .unwrap();
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let Some((writer, number)) = line.strip_prefix("ack ").and_then(|rest| rest.split_once(' '))
            else {
                continue;
            };
            acknowledged.insert(writer.parse().unwrap(), number.parse().unwrap());
            seen += 1;
            if seen == 40 + round * 7 {
                child.0.kill().unwrap();
            }
        }
        drop(child);
        let logs = Logs::open(dir.path(), small()).unwrap();
        for (writer, number) in &acknowledged {
            let events = all(&logs, "g", &format!("w{writer}"), NOW);
            let numbers: Vec<i64> = events.iter().map(|event| event.message.parse().unwrap()).collect();
            assert_eq!(
                numbers,
                (0..numbers.len() as i64).collect::<Vec<_>>(),
                "writer {writer}, round {round}"
            );
            assert!(numbers.len() as i64 > *number, "writer {writer} lost {number}, round {round}");
        }
    }
    assert_eq!(acknowledged.len(), WRITERS);
}

/// Not a test of its own: the process that the test above kills; alone it does nothing. Each writer goes on counting where it was.
#[test]
fn writing_process() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let logs = Logs::open(&dir, small()).unwrap();
    let _ = logs.create_log_group("g", Default::default(), NOW);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let logs = &logs;
            scope.spawn(move || {
                let stream = format!("w{writer}");
                let _ = logs.create_log_stream("g", &stream, NOW);
                for number in all(logs, "g", &stream, NOW).len() as i64.. {
                    put(logs, &stream, &[(number, &number.to_string())]).unwrap();
                    println!("ack {writer} {number}");
                }
            });
        }
    });
}

/// Streams that there may be while [`crowding_process`] makes more.
const CROWD: usize = 30;

fn crowded() -> Limits {
    Limits { streams_max: CROWD, ..small() }
}

#[test]
fn kill_9_leaves_the_newest_streams_and_no_more_than_there_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "it::crash::crowding_process", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .map(Killed)
            .unwrap();
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let Some(number) = line.strip_prefix("ack ") else { continue };
            acknowledged = number.parse().unwrap();
            seen += 1;
            if seen == 40 + round * 7 {
                child.0.kill().unwrap();
            }
        }
        drop(child);
        let told = logs::stored_streams(dir.path());
        assert!(told.held <= CROWD, "{told:?}, round {round}");
        let logs = Logs::open(dir.path(), crowded()).unwrap();
        // The newest are whole; one more may have been made that was not acknowledged.
        for number in acknowledged - (CROWD as i64 - 2)..=acknowledged {
            assert_eq!(
                texts(&all(&logs, "g", &format!("n{number}"), NOW)),
                [number.to_string()],
                "round {round}"
            );
        }
        assert_eq!(filter_all(&logs, filter()).len(), told.held - empty(&logs), "round {round}");
        // What went is counted once each: the group began with `n0`.
        let made = newest(&logs) + 1;
        assert_eq!(told.held as i64 + told.gave_way as i64, made, "round {round}");
    }
    assert!(acknowledged > 40 * KILLS as i64);
}

/// The streams of `g` by name; none before it is there.
fn streams(logs: &Logs) -> Vec<logs::LogStream> {
    let request = logs::DescribeLogStreams { log_group_name: "g".into(), ..Default::default() };
    logs.describe_log_streams(&request, NOW).map(|page| page.items).unwrap_or_default()
}

fn empty(logs: &Logs) -> usize {
    streams(logs).iter().filter(|stream| stream.last_event_timestamp.is_none()).count()
}

/// The highest number of a stream; -1 without any.
fn newest(logs: &Logs) -> i64 {
    let number = |stream: logs::LogStream| stream.log_stream_name[1..].parse().unwrap();
    streams(logs).into_iter().map(number).max().unwrap_or(-1)
}

/// As [`writing_process`]: makes streams, each with its number as the one event, and goes on counting where it was.
#[test]
fn crowding_process() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let logs = Logs::open(&dir, crowded()).unwrap();
    let _ = logs.create_log_group("g", Default::default(), NOW);
    for number in newest(&logs) + 1.. {
        logs.create_log_stream("g", &format!("n{number}"), NOW + number).unwrap();
        let event = [(NOW + number, number.to_string())];
        let event = event.each_ref().map(|(at, text)| (*at, text.as_str()));
        logs.put_log_events_wait(batch("g", &format!("n{number}"), &event), NOW + number).unwrap();
        println!("ack {number}");
    }
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let groups = fs::read_dir(dir.join("groups")).unwrap().flatten();
    let mut files: Vec<_> = groups
        .flat_map(|group| fs::read_dir(group.path()).unwrap().flatten().map(|file| file.path()))
        .collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

#[test]
fn a_torn_end_is_cut_at_every_length() {
    let (dir, logs) = store(Limits::default());
    for i in 0..3 {
        put(&logs, "s", &[(i, &format!("m{i}"))]).unwrap();
    }
    drop(logs);
    let path = &files(dir.path(), "seg")[0];
    let whole = fs::read(path).unwrap();
    for len in (0..whole.len()).rev() {
        fs::write(path, &whole[..len]).unwrap();
        let logs = Logs::open(dir.path(), Limits::default()).unwrap();
        let kept = all(&logs, "g", "s", NOW).len();
        assert!(kept < 3, "length {len}");
        put(&logs, "s", &[(9, "after")]).unwrap();
        let events = all(&logs, "g", "s", NOW);
        assert_eq!(events.len(), kept + 1, "length {len}");
        assert_eq!(events[kept].message, "after", "length {len}");
    }
}

#[test]
fn a_torn_catalog_is_cut_and_a_damaged_one_is_read_around() {
    let (dir, logs) = store(Limits::default());
    logs.create_log_stream("g", "t", NOW).unwrap();
    logs.create_log_group("h", Default::default(), NOW).unwrap();
    logs.create_log_stream("h", "u", NOW).unwrap();
    put(&logs, "s", &[(0, "s")]).unwrap();
    put(&logs, "t", &[(1, "t")]).unwrap();
    logs.put_log_events_wait(batch("h", "u", &[(NOW, "u")]), NOW).unwrap();
    drop(logs);
    let path = dir.path().join("catalog.log");
    let whole = fs::read(&path).unwrap();
    let events = |logs: &Logs| -> Vec<String> {
        let groups = logs.describe_log_groups(&Default::default()).unwrap().items;
        let all = groups.into_iter().flat_map(|group| {
            filter_all(logs, logs::FilterLogEvents { log_group_name: group.log_group_name, ..filter() })
        });
        all.map(|event| event.message).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    };
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        // Twice: what was found again is in the new catalog too.
        for _ in 0..2 {
            let logs = Logs::open(dir.path(), Limits::default()).unwrap();
            assert_eq!(events(&logs), ["s", "t", "u"], "byte {at}");
        }
        let kept = dir.path().join("catalog.log.damaged-1");
        assert_eq!(fs::read(&kept).unwrap(), damaged, "byte {at}");
        fs::remove_file(kept).unwrap();
    }
    for len in 0..whole.len() {
        let torn = tempfile::tempdir().unwrap();
        fs::write(torn.path().join("catalog.log"), &whole[..len]).unwrap();
        drop(Logs::open(torn.path(), Limits::default()).unwrap());
        assert!(!torn.path().join("catalog.log.damaged-1").exists(), "length {len}");
    }
}

#[test]
fn damage_in_a_segment_costs_what_is_damaged_and_nothing_else() {
    for limits in [Limits::default(), Limits { segment_batches: 40, ..Limits::default() }] {
        let (dir, logs) = store(limits.clone());
        for i in 0..100 {
            put(&logs, "s", &[(i, &format!("message {i:03}"))]).unwrap();
        }
        drop(logs);
        let path = &files(dir.path(), "seg")[0];
        let whole = fs::read(path).unwrap();
        for (round, at) in (0..whole.len() - 8).step_by(97).enumerate() {
            let mut damaged = whole.clone();
            damaged[at..at + 8].iter_mut().for_each(|byte| *byte ^= 0xFF);
            fs::write(path, &damaged).unwrap();
            let logs = Logs::open(dir.path(), limits.clone()).unwrap();
            let found = texts(&all(&logs, "g", "s", NOW)).iter().filter(|text| text.starts_with("m")).count();
            // Eight bytes lie in two batches at most; none in the first eight, which are the file's own.
            assert!((98..=100).contains(&found) && (at > 7 || found >= 99), "{found} left, bytes {at}");
            put(&logs, "s", &[(200 + round as i64, "after")]).unwrap();
            let backward = logs::GetLogEvents { start_from_head: false, limit: Some(1), ..get("s") };
            assert_eq!(texts(&logs.get_log_events(&backward, NOW).unwrap().events), ["after"]);
            drop(logs);
            let now = fs::read(path).unwrap();
            assert_eq!(now[..damaged.len()], damaged[..], "not a byte is cut, bytes {at}");
            fs::write(path, &whole).unwrap();
            files(dir.path(), "seg")[1..].iter().filter(|_| limits.segment_batches > 40).for_each(|path| {
                fs::remove_file(path).unwrap();
            });
            if limits.segment_batches > 40 {
                files(dir.path(), "idx").iter().for_each(|path| fs::remove_file(path).unwrap());
            }
        }
    }
}

#[test]
fn a_damaged_index_costs_nothing() {
    let (dir, logs) = store(Limits { segment_batches: 40, ..Limits::default() });
    for i in 0..100 {
        put(&logs, "s", &[(i, &format!("m{i}"))]).unwrap();
    }
    drop(logs);
    let path = &files(dir.path(), "idx")[0];
    let whole = fs::read(path).unwrap();
    for at in (0..whole.len()).step_by(5) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xFF;
        fs::write(path, &damaged).unwrap();
        let logs = Logs::open(dir.path(), Limits::default()).unwrap();
        assert_eq!(all(&logs, "g", "s", NOW).len(), 100, "byte {at}");
        let times = logs::GetLogEvents { start_time: Some(NOW + 30), end_time: Some(NOW + 50), ..get("s") };
        // The times of a batch that a damaged index tells wrong are known again once it was made anew.
        assert!(logs.get_log_events(&times, NOW).unwrap().events.len() <= 20);
    }
}

#[test]
fn indexes_are_made_again() {
    let (dir, logs) = store(small());
    for i in 0..20 {
        put(&logs, "s", &[(i, &format!("m{i}"))]).unwrap();
    }
    drop(logs);
    let indexes = files(dir.path(), "idx");
    assert!(indexes.len() >= 3);
    fs::remove_file(&indexes[0]).unwrap();
    fs::write(&indexes[1], b"nonsense").unwrap();
    let len = fs::metadata(&indexes[2]).unwrap().len();
    OpenOptions::new().write(true).open(&indexes[2]).unwrap().set_len(len - 1).unwrap();
    let logs = Logs::open(dir.path(), small()).unwrap();
    assert_eq!(all(&logs, "g", "s", NOW).len(), 20);
    assert_eq!(files(dir.path(), "idx").len(), indexes.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any byte of any file may be wrong: reads then fail or give what was written, and nothing panics.
    #[test]
    fn no_damage_makes_it_panic_or_lie(hits in proptest::collection::vec((any::<usize>(), any::<usize>(), any::<u8>()), 1..6)) {
        let (dir, logs) = store(small());
        for i in 0..12 {
            put(&logs, "s", &[(i, &format!("m{i}"))]).unwrap();
        }
        drop(logs);
        let mut paths = files(dir.path(), "seg");
        paths.extend(files(dir.path(), "idx"));
        for (file, at, byte) in hits {
            let path = &paths[file % paths.len()];
            let at = at as u64 % fs::metadata(path).unwrap().len();
            OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[byte], at).unwrap();
        }
        let logs = Logs::open(dir.path(), small()).unwrap();
        for request in [get("s"), logs::GetLogEvents { start_from_head: false, ..get("s") }] {
            if let Ok(page) = logs.get_log_events(&request, NOW) {
                for event in page.events {
                    prop_assert_eq!(event.message, format!("m{}", event.timestamp - NOW));
                }
            }
        }
        let _ = logs.filter_log_events(&filter(), NOW);
        let _ = put(&logs, "s", &[(20, "after")]);
        logs.maintain(NOW).unwrap();
    }
}
