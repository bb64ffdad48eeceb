//! Docker's file, through a writer and as a collector of logs finds it.

use serde_json::Value;

use super::super::Writer;
use super::*;
use crate::spec::OutputPolicy;

const AT: &str = "2026-11-23T14:29:35.120000001Z";

fn writer(dir: &Path, max_bytes: u64, files: u32) -> Writer {
    Writer::open(dir, "c0ffee", OutputPolicy::JsonFile { max_bytes, files }).unwrap()
}

fn push(writer: &mut Writer, stream: Stream, bytes: &[u8]) {
    assert!(!writer.push(stream, AT.parse().unwrap(), bytes), "nobody reads it through the engine");
}

fn raw(dir: &Path, suffix: &str) -> String {
    fs::read_to_string(dir.join(format!("c0ffee-json.log{suffix}"))).unwrap()
}

fn logs(text: &str) -> Vec<String> {
    let value = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    text.lines().map(|line| value(line)["log"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_line_is_an_object_as_docker_writes_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = writer(dir.path(), 1 << 20, 1);
    push(&mut w, Stream::Stdout, b"one \"1\"\n\ntw");
    push(&mut w, Stream::Stderr, b"err\x1b\xff\n");
    push(&mut w, Stream::Stdout, b"o\nno end");
    w.finish(Stream::Stdout, AT.parse().unwrap());
    w.finish(Stream::Stderr, AT.parse().unwrap());
    let line = |log: &str, stream: &str| format!(r#"{{"log":"{log}","stream":"{stream}","time":"{AT}"}}"#);
    let want = [
        line(r#"one \"1\"\n"#, "stdout"),
        line("\\n", "stdout"),
        line("err\\u001b\u{fffd}\\n", "stderr"),
        line("two\\n", "stdout"),
        line("no end", "stdout"),
    ];
    assert_eq!(raw(dir.path(), "").lines().collect::<Vec<_>>(), want);
    assert!(!w.is_full() && w.end() == 0);
    assert_eq!(crate::native::spool::read(dir.path(), 0, 99).unwrap().records, []);
}

#[test]
fn a_long_line_comes_in_parts_of_16_kib_and_no_letter_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = writer(dir.path(), 1 << 20, 1);
    let long = format!("x{}\n", "\u{1f600}".repeat(10_000));
    long.as_bytes().chunks(1000).for_each(|piece| push(&mut w, Stream::Stdout, piece));
    let logs = logs(&raw(dir.path(), ""));
    assert_eq!(logs.concat(), long);
    assert_eq!(logs.len(), 3);
    assert!(logs[..2].iter().all(|log| log.len().abs_diff(LINE_BYTES_MAX) < 4 && !log.ends_with('\n')));
    // What never was a letter does not wait for its rest.
    push(&mut w, Stream::Stderr, &[&vec![b'x'; LINE_BYTES_MAX - 2][..], b"\xf0\x9f", b"end"].concat());
    w.finish(Stream::Stderr, AT.parse().unwrap());
    assert!(raw(dir.path(), "").lines().last().unwrap().contains("\u{fffd}end"));
}

#[test]
fn it_is_turned_over_before_a_line_beyond_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = writer(dir.path(), 300, 3);
    let lines: Vec<String> = (0..20).map(|n| format!("line {n}\n")).collect();
    push(&mut w, Stream::Stdout, lines[..11].concat().as_bytes());
    // A new writer, after a restart of the container, goes on where the last stopped.
    drop(w);
    let mut w = writer(dir.path(), 300, 3);
    push(&mut w, Stream::Stdout, lines[11..].concat().as_bytes());
    let kept = [".2", ".1", ""].map(|suffix| logs(&raw(dir.path(), suffix)));
    assert_eq!(kept.concat(), lines[8..], "4 lines of 77 bytes a file");
    assert!(kept[..2].iter().all(|part| part.len() == 4), "{kept:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn a_single_file_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = writer(dir.path(), 100, 1);
    push(&mut w, Stream::Stdout, b"1\n2\n3\n4\n5\n");
    assert_eq!(logs(&raw(dir.path(), "")), ["5\n"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_line_that_a_killed_writer_tore_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = writer(dir.path(), 1 << 20, 1);
    push(&mut w, Stream::Stdout, b"whole\n");
    OpenOptions::new()
        .append(true)
        .open(dir.path().join("c0ffee-json.log"))
        .unwrap()
        .write_all(b"{\"log\":\"to")
        .unwrap();
    let mut w = writer(dir.path(), 1 << 20, 1);
    push(&mut w, Stream::Stdout, b"after\n");
    assert_eq!(logs(&raw(dir.path(), "")), ["whole\n", "after\n"]);
}

#[test]
fn what_cannot_be_written_is_dropped_and_the_container_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = writer(dir.path(), 1 << 20, 1);
    let path = dir.path().join("c0ffee-json.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    for _ in 0..100 {
        push(&mut w, Stream::Stdout, b"lost\n");
        assert!(!w.is_full());
    }
    fs::remove_file(&path).unwrap();
    push(&mut w, Stream::Stdout, b"kept\n");
    assert_eq!(logs(&raw(dir.path(), "")), ["kept\n"]);
}
