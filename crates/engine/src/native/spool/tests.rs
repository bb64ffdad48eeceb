//! The spool, written and read through its files.

use std::fs::OpenOptions;

use jiff::Timestamp;

use super::*;
use crate::spec::OutputPolicy;
use crate::state::OutputRecord;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn open(dir: &Path, policy: OutputPolicy) -> Writer {
    Writer::open(dir, "id", policy).unwrap()
}

fn all(dir: &Path, mut cursor: u64) -> (Vec<OutputRecord>, u64) {
    let (mut records, mut dropped) = (Vec::new(), 0);
    loop {
        let chunk = read(dir, cursor, 1000).unwrap();
        dropped += chunk.dropped_bytes;
        if chunk.records.is_empty() && chunk.cursor == cursor {
            return (records, dropped);
        }
        cursor = chunk.cursor;
        records.extend(chunk.records);
    }
}

fn text(records: &[OutputRecord]) -> Vec<String> {
    records.iter().map(|r| String::from_utf8_lossy(&r.data).into_owned()).collect()
}

#[test]
fn what_is_written_is_read_in_order_from_any_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), OutputPolicy::Blocking);
    assert!(writer.push(Stream::Stdout, at(1), b"one\ntwo\nthr"));
    assert!(!writer.push(Stream::Stderr, at(2), b"err"));
    assert!(writer.push(Stream::Stdout, at(3), b"ee\n"));
    assert!(writer.finish(Stream::Stderr, at(4)));
    let (records, dropped) = all(dir.path(), 0);
    assert_eq!(
        (text(&records), dropped),
        (vec!["one".into(), "two".into(), "three".into(), "err".into()], 0)
    );
    assert_eq!(records.iter().map(|r| r.at_ms).collect::<Vec<_>>(), [1, 1, 3, 4]);
    assert_eq!(records.iter().map(|r| r.lines).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(records[3].stream, Stream::Stderr);
    assert_eq!(text(&all(dir.path(), records[1].cursor).0), ["three", "err"]);
    assert_eq!(writer.end(), records[3].cursor);
    let beyond = read(dir.path(), writer.end() + 99, 10).unwrap();
    assert_eq!((beyond.records.len(), beyond.cursor), (0, writer.end() + 99));
}

#[test]
fn a_new_writer_goes_on_after_a_torn_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), OutputPolicy::Blocking);
    writer.push(Stream::Stdout, at(1), b"one\n");
    let end = writer.end();
    drop(writer);
    OpenOptions::new().append(true).open(segment_path(dir.path(), 0)).unwrap().write_all(&[9; 20]).unwrap();
    assert_eq!(text(&all(dir.path(), 0).0), ["one"]);
    let mut writer = open(dir.path(), OutputPolicy::Blocking);
    assert_eq!(writer.end(), end);
    writer.push(Stream::Stdout, at(2), b"two\n");
    let (records, _) = all(dir.path(), 0);
    assert_eq!((text(&records), records[1].lines), (vec!["one".into(), "two".into()], 2));
}

#[test]
fn records_of_the_first_version_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (at_ms, flags, data) = (7i64.to_le_bytes(), [FLAG_STDERR], b"old words");
    let sum = crc32fast::hash(&[&at_ms[..], &flags, data].concat());
    let record = [&9u32.to_le_bytes()[..], &sum.to_le_bytes(), &at_ms, &flags, data].concat();
    std::fs::write(segment_path(dir.path(), 0), &record).unwrap();
    open(dir.path(), OutputPolicy::Blocking).push(Stream::Stdout, at(8), b"new\n");
    let (records, _) = all(dir.path(), 0);
    assert_eq!(text(&records), ["old words", "new"]);
    assert_eq!((records[0].at_ms, records[0].stream, records[0].lines), (7, Stream::Stderr, 0));
}

#[test]
fn a_blocking_spool_fills_and_release_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), OutputPolicy::Blocking);
    let mut block = vec![b'x'; 8 << 10];
    block.push(b'\n');
    while !writer.is_full() {
        writer.push(Stream::Stdout, at(1), &block);
    }
    assert!(segments(dir.path()).unwrap().len() > 10);
    let middle = read(dir.path(), 0, 4 << 20).unwrap();
    assert_eq!(middle.dropped_bytes, 0);
    writer.release(middle.cursor);
    assert!(!writer.is_full());
    assert!(segments(dir.path()).unwrap()[0] > 0);
    // What was not released is all there.
    assert_eq!(all(dir.path(), middle.cursor).1, 0);
}

#[test]
fn a_non_blocking_spool_drops_the_oldest_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let max_bytes = 256 << 10;
    let mut writer = open(dir.path(), OutputPolicy::NonBlocking { max_bytes });
    for n in 0..1000 {
        writer.push(Stream::Stdout, at(n), format!("{n} {}\n", "y".repeat(1000)).as_bytes());
        assert!(!writer.is_full());
    }
    let (records, dropped) = all(dir.path(), 0);
    assert!(dropped > 0);
    let kept: u64 = records.iter().map(|r| (HEADER_BYTES + LINES_BYTES + r.data.len()) as u64).sum();
    assert_eq!(kept + dropped, writer.end());
    assert!(kept <= max_bytes + (64 << 10), "{kept}");
    assert!(text(&records).last().unwrap().starts_with("999 "));
    // Every record knows how many lines were before it, kept or not.
    for (record, text) in records.iter().zip(text(&records)) {
        assert_eq!(text.split(' ').next().unwrap().parse(), Ok(record.lines - 1));
    }
}

#[test]
fn discard_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), OutputPolicy::Discard);
    assert!(!writer.push(Stream::Stdout, at(1), b"gone\n"));
    assert!(segments(dir.path()).unwrap().is_empty());
}
