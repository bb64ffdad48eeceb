//! The spool, written and read through its files.

use std::fs::OpenOptions;
use std::io::Write;

use super::*;
use crate::spec::OutputPolicy;
use crate::state::OutputRecord;

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
    let mut writer = Writer::open(dir.path(), OutputPolicy::Blocking).unwrap();
    assert!(writer.push(Stream::Stdout, 1, b"one\ntwo\nthr"));
    assert!(!writer.push(Stream::Stderr, 2, b"err"));
    assert!(writer.push(Stream::Stdout, 3, b"ee\n"));
    assert!(writer.finish(Stream::Stderr, 4));
    let (records, dropped) = all(dir.path(), 0);
    assert_eq!(
        (text(&records), dropped),
        (vec!["one".into(), "two".into(), "three".into(), "err".into()], 0)
    );
    assert_eq!(records.iter().map(|r| r.at_ms).collect::<Vec<_>>(), [1, 1, 3, 4]);
    assert_eq!(records[3].stream, Stream::Stderr);
    assert_eq!(text(&all(dir.path(), records[1].cursor).0), ["three", "err"]);
    assert_eq!(writer.end(), records[3].cursor);
    let beyond = read(dir.path(), writer.end() + 99, 10).unwrap();
    assert_eq!((beyond.records.len(), beyond.cursor), (0, writer.end() + 99));
}

#[test]
fn a_new_writer_goes_on_after_a_torn_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), OutputPolicy::Blocking).unwrap();
    writer.push(Stream::Stdout, 1, b"one\n");
    let end = writer.end();
    drop(writer);
    OpenOptions::new().append(true).open(segment_path(dir.path(), 0)).unwrap().write_all(&[9; 20]).unwrap();
    assert_eq!(text(&all(dir.path(), 0).0), ["one"]);
    let mut writer = Writer::open(dir.path(), OutputPolicy::Blocking).unwrap();
    assert_eq!(writer.end(), end);
    writer.push(Stream::Stdout, 2, b"two\n");
    assert_eq!(text(&all(dir.path(), 0).0), ["one", "two"]);
}

#[test]
fn a_blocking_spool_fills_and_release_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), OutputPolicy::Blocking).unwrap();
    let mut block = vec![b'x'; 8 << 10];
    block.push(b'\n');
    while !writer.is_full() {
        writer.push(Stream::Stdout, 1, &block);
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
    let mut writer = Writer::open(dir.path(), OutputPolicy::NonBlocking { max_bytes }).unwrap();
    for n in 0..1000 {
        writer.push(Stream::Stdout, n, format!("{n} {}\n", "y".repeat(1000)).as_bytes());
        assert!(!writer.is_full());
    }
    let (records, dropped) = all(dir.path(), 0);
    assert!(dropped > 0);
    let kept: u64 = records.iter().map(|r| (HEADER_BYTES + r.data.len()) as u64).sum();
    assert_eq!(kept + dropped, writer.end());
    assert!(kept <= max_bytes + (64 << 10), "{kept}");
    assert!(text(&records).last().unwrap().starts_with("999 "));
}

#[test]
fn rotation_keeps_so_many_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), OutputPolicy::Rotating { max_bytes: 500, files: 3 }).unwrap();
    for n in 0..100 {
        writer.push(Stream::Stdout, n, format!("line {n}\n").as_bytes());
    }
    assert_eq!(segments(dir.path()).unwrap().len(), 3);
    assert_eq!(text(&all(dir.path(), 0).0).last().unwrap(), "line 99");
}

#[test]
fn discard_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), OutputPolicy::Discard).unwrap();
    assert!(!writer.push(Stream::Stdout, 1, b"gone\n"));
    assert!(segments(dir.path()).unwrap().is_empty());
}
