//! What a container wrote, from the file in which Docker's driver json-file keeps it: a line of JSON for each line or
//! part of one. A cursor is how many bytes of the file lie before it.
//!
//! The file is never turned over (see `body::log`). What was read and is safe elsewhere is given back to the disk by
//! holes at its beginning, which move no other byte; the daemon goes on appending at its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use serde::Deserialize;

use crate::spec::OutputPolicy;
use crate::state::{OutputChunk, OutputRecord, Stream};

/// How much is read at once. A line of Docker's is 16 KiB at most, six bytes of JSON for each in the worst case.
const READ_BYTES: usize = 256 << 10;

/// So much of what was read stays, so that `docker logs` shows it.
const KEPT_BYTES: u64 = 32 << 20;
/// What is given back at once, at least.
const GIVEN_BACK_BYTES: u64 = 1 << 20;

/// A line of the file.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    time: String,
}

/// Reads on after `cursor`, about `max_bytes`. `ended` in the answer is left false. A file that is not there yet is empty.
pub(super) fn read(
    path: &Path,
    policy: &OutputPolicy,
    cursor: u64,
    max_bytes: usize,
) -> io::Result<OutputChunk> {
    let mut chunk = OutputChunk { cursor, ..OutputChunk::default() };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(chunk),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    if let OutputPolicy::NonBlocking { max_bytes } = policy
        && length.saturating_sub(cursor) > *max_bytes
    {
        skip_to(&mut chunk, next_line(&file, length - max_bytes)?);
    }
    let mut buffer = vec![0; READ_BYTES];
    let mut left = max_bytes.max(1);
    while left > 0 {
        let got = file.read_at(&mut buffer, chunk.cursor)?;
        if buffer[..got].first() == Some(&0) {
            // What is asked for was given back.
            let Some(data) = after_hole(&file, chunk.cursor)? else { return Ok(chunk) };
            skip_to(&mut chunk, data);
            continue;
        }
        let Some(whole) = buffer[..got].iter().rposition(|byte| *byte == b'\n') else {
            if got == READ_BYTES {
                // No line of Docker's is so long.
                chunk.cursor += got as u64;
                continue;
            }
            return Ok(chunk);
        };
        take(&mut chunk, &buffer[..=whole], &mut left);
    }
    Ok(chunk)
}

fn skip_to(chunk: &mut OutputChunk, cursor: u64) {
    chunk.dropped_bytes += cursor.saturating_sub(chunk.cursor);
    chunk.cursor = cursor;
}

/// Takes whole lines until there are as many bytes as were asked for.
fn take(chunk: &mut OutputChunk, bytes: &[u8], left: &mut usize) {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        chunk.cursor += line.len() as u64;
        // One that is no line of Docker's, as a power cut leaves, counts as none.
        let Ok(read) = serde_json::from_slice::<Line>(line) else { continue };
        let mut data = read.log.into_bytes();
        let partial = data.pop_if(|last| *last == b'\n').is_none();
        *left = left.saturating_sub(data.len().max(1));
        chunk.records.push(OutputRecord {
            at_ms: read.time.parse::<Timestamp>().map_or(0, |time| time.as_millisecond()),
            stream: if read.stream == "stderr" { Stream::Stderr } else { Stream::Stdout },
            data,
            partial,
            cursor: chunk.cursor,
            lines: 0,
        });
        if *left == 0 {
            return;
        }
    }
}

/// Where the first line begins at `from` or after it.
fn next_line(file: &File, from: u64) -> io::Result<u64> {
    let (mut at, mut buffer) = (from.saturating_sub(1), vec![0; READ_BYTES]);
    loop {
        let got = file.read_at(&mut buffer, at)?;
        if let Some(end) = buffer[..got].iter().position(|byte| *byte == b'\n') {
            return Ok(at + end as u64 + 1);
        }
        if got == 0 {
            return Ok(at);
        }
        at += got as u64;
    }
}

/// Where the file begins again after a hole; none at its end.
fn after_hole(file: &File, from: u64) -> io::Result<Option<u64>> {
    let mut at = match seek(file, SeekFrom::Data(from)) {
        Ok(at) => at,
        Err(rustix::io::Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Less than a block is no hole, but zeros.
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let got = file.read_at(&mut buffer, at)?;
        match buffer[..got].iter().position(|byte| *byte != 0) {
            Some(zeros) => return Ok(Some(at + zeros as u64)),
            None if got == 0 => return Ok(None),
            None => at += got as u64,
        }
    }
}

/// Whether so much more was read that some of it is to be given back.
pub(super) fn is_worth(before: u64, cursor: u64) -> bool {
    cursor.saturating_sub(KEPT_BYTES).saturating_sub(before) >= GIVEN_BACK_BYTES
}

/// Gives back to the disk what lies before `cursor`, but for the newest of it. `before` was given back already; answers
/// up to where all is now.
pub(super) fn give_back(path: &Path, before: u64, cursor: u64) -> io::Result<u64> {
    if !is_worth(before, cursor) {
        return Ok(before);
    }
    let until = cursor.saturating_sub(KEPT_BYTES);
    let file = File::options().write(true).open(path)?;
    fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, before, until - before)?;
    Ok(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, stream: &str) -> String {
        let line = serde_json::json!({ "log": text, "stream": stream, "time": "1970-01-01T00:00:02.5Z" });
        format!("{line}\n")
    }

    fn texts(chunk: &OutputChunk) -> Vec<String> {
        chunk.records.iter().map(|r| String::from_utf8_lossy(&r.data).into_owned()).collect()
    }

    #[test]
    fn lines_parts_and_what_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let none = read(&path, &OutputPolicy::Blocking, 0, 10).unwrap();
        assert_eq!((none.cursor, none.records.len()), (0, 0));
        let content = line("one\n", "stdout") + "broken\n" + &line("part", "stderr") + "{\"log\":\"not wh";
        std::fs::write(&path, &content).unwrap();
        let all = read(&path, &OutputPolicy::Blocking, 0, 1 << 20).unwrap();
        assert_eq!(texts(&all), ["one", "part"]);
        let [one, part] = &all.records[..] else { panic!("two") };
        assert_eq!((one.stream, one.partial, one.at_ms), (Stream::Stdout, false, 2500));
        assert_eq!((part.stream, part.partial), (Stream::Stderr, true));
        assert_eq!(all.cursor, content.rfind("{\"log\":\"not").unwrap() as u64);
        // At least one, and from where it ends.
        let first = read(&path, &OutputPolicy::Blocking, 0, 1).unwrap();
        assert_eq!((texts(&first), first.cursor), (vec!["one".to_owned()], one.cursor));
        let second = read(&path, &OutputPolicy::Blocking, one.cursor, 1).unwrap();
        assert_eq!(
            (texts(&second), second.cursor, second.dropped_bytes),
            (vec!["part".to_owned()], all.cursor, 0)
        );
    }

    #[test]
    fn the_oldest_goes_beyond_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let all: String = (0..100).map(|n| line(&format!("{n}\n"), "stdout")).collect();
        std::fs::write(&path, &all).unwrap();
        let policy = OutputPolicy::NonBlocking { max_bytes: 3 * line("99\n", "stdout").len() as u64 };
        let chunk = read(&path, &policy, 0, 1 << 20).unwrap();
        assert_eq!(texts(&chunk), ["97", "98", "99"]);
        assert_eq!(chunk.dropped_bytes + 3 * line("99\n", "stdout").len() as u64, all.len() as u64);
        let next = read(&path, &policy, chunk.cursor, 1 << 20).unwrap();
        assert_eq!((next.records.len(), next.dropped_bytes, next.cursor), (0, 0, chunk.cursor));
    }

    #[test]
    fn what_was_given_back_is_a_hole_that_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = "x".repeat(16 << 10) + "\n";
        let all: String = (0..2600).map(|n| line(&format!("{n} {text}"), "stdout")).collect();
        std::fs::write(&path, &all).unwrap();
        assert_eq!(give_back(&path, 0, KEPT_BYTES).unwrap(), 0, "the newest stays");
        let cut = all.len() as u64 - KEPT_BYTES;
        assert_eq!(give_back(&path, 0, all.len() as u64).unwrap(), cut);
        let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap());
        assert!(blocks * 512 < all.len() as u64 - cut / 2, "the disk has it back");
        let chunk = read(&path, &OutputPolicy::Blocking, 0, 1).unwrap();
        assert!(chunk.dropped_bytes >= cut && chunk.dropped_bytes < cut + (64 << 10));
        assert_eq!(chunk.records.len(), 1);
        let mut cursor = chunk.cursor;
        loop {
            let next = read(&path, &OutputPolicy::Blocking, cursor, 1 << 20).unwrap();
            if next.records.is_empty() {
                break;
            }
            assert_eq!(next.dropped_bytes, 0);
            cursor = next.cursor;
        }
        assert_eq!(cursor, all.len() as u64);
    }
}
