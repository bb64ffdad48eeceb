//! A container's output on disk, between the supervisor that writes it and the agent that reads it.
//!
//! A spool is a folder of segments. Each is named by the cursor of its first byte; a cursor is the
//! number of bytes of records before it, since the container was made. A record is
//! `length u32, crc32 u32, at_ms i64, flags u8, lines u64, data`, little endian; the checksum is of all
//! after it, the length is of `lines` and `data`. `lines` counts the lines that have ended, this one
//! included, so that a reader who finds a gap knows how many are missing.
//! One process writes; any number read at the same time, straight from the files, and see whole records
//! only. Cursors stay true when segments are dropped or the writer is replaced.
//!
//! With the log driver json-file there is no spool, but Docker's file (see `json_file`).

mod json_file;
mod lines;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::state::Stream;

pub(crate) use lines::{LINE_BYTES_MAX, Lines};
pub(crate) use reader::read;
pub(crate) use writer::Writer;

const HEADER_BYTES: usize = 17;

/// In front of a record's data.
const LINES_BYTES: usize = 8;

/// How much unread output of a blocking spool waits on disk before the container waits, in bytes.
pub(crate) const BLOCKING_BYTES_MAX: u64 = 32 << 20;

/// Largest segment, in bytes, where the policy asks for none smaller.
const SEGMENT_BYTES: u64 = 1 << 20;

const FLAG_STDERR: u8 = 1;
const FLAG_PARTIAL: u8 = 2;
/// The record counts lines; those of the first version did not.
const FLAG_LINES: u8 = 4;

/// What a supervisor has to say of itself goes to its log; that one may be full too.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

fn segment_path(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:020}"))
}

/// The first cursors of all segments, in order.
fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(starts),
        Err(error) => return Err(error),
    };
    for entry in entries {
        if let Some(start) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            starts.push(start);
        }
    }
    starts.sort_unstable();
    Ok(starts)
}

/// A record as a buffer holds it.
struct Record<'a> {
    at_ms: i64,
    stream: Stream,
    partial: bool,
    lines: u64,
    data: &'a [u8],
}

fn encode(out: &mut Vec<u8>, record: &Record<'_>) {
    let stream = if record.stream == Stream::Stderr { FLAG_STDERR } else { 0 };
    let flags = FLAG_LINES | stream | if record.partial { FLAG_PARTIAL } else { 0 };
    let length = u32::try_from(LINES_BYTES + record.data.len()).expect("a line is cut far below 4 GiB");
    let lines = record.lines.to_le_bytes();
    let mut sum = crc32fast::Hasher::new();
    for part in [&record.at_ms.to_le_bytes()[..], &[flags], &lines, record.data] {
        sum.update(part);
    }
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&sum.finalize().to_le_bytes());
    out.extend_from_slice(&record.at_ms.to_le_bytes());
    out.push(flags);
    out.extend_from_slice(&lines);
    out.extend_from_slice(record.data);
}

/// The record at the start of `bytes`, if it is whole and sound, and how many bytes it takes.
fn decode(bytes: &[u8]) -> Option<(Record<'_>, usize)> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let length = u32::from_le_bytes(*header.first_chunk()?) as usize;
    if length > LINES_BYTES + LINE_BYTES_MAX {
        return None;
    }
    let body = rest.get(..length)?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&header[8..]);
    sum.update(body);
    if header[4..8] != sum.finalize().to_le_bytes() {
        return None;
    }
    let at_ms = i64::from_le_bytes(header[8..16].try_into().ok()?);
    let flags = header[16];
    let stream = if flags & FLAG_STDERR == 0 { Stream::Stdout } else { Stream::Stderr };
    let (lines, data) = match body.split_first_chunk() {
        Some((lines, data)) if flags & FLAG_LINES != 0 => (u64::from_le_bytes(*lines), data),
        _ => (0, body),
    };
    Some((Record { at_ms, stream, partial: flags & FLAG_PARTIAL != 0, lines, data }, HEADER_BYTES + length))
}
