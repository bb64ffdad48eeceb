//! A container's output on disk, between the supervisor that writes it and the agent that reads it.
//!
//! A spool is a folder of segments. Each is named by the cursor of its first byte; a cursor is the
//! number of bytes of records before it, since the container was made. A record is
//! `length u32, crc32 u32, at_ms i64, flags u8, data`, little endian; the checksum is of all after it.
//! One process writes; any number read at the same time, straight from the files, and see whole records
//! only. Cursors stay true when segments are dropped or the writer is replaced.

mod lines;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use crate::state::Stream;

pub(crate) use lines::{LINE_BYTES_MAX, Lines};
pub(crate) use reader::read;
pub(crate) use writer::Writer;

const HEADER_BYTES: usize = 17;

/// How much unread output of a blocking spool waits on disk before the container waits, in bytes.
pub(crate) const BLOCKING_BYTES_MAX: u64 = 32 << 20;

/// Largest segment, in bytes, where the policy asks for none smaller.
const SEGMENT_BYTES: u64 = 1 << 20;

const FLAG_STDERR: u8 = 1;
const FLAG_PARTIAL: u8 = 2;

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

fn encode(out: &mut Vec<u8>, at_ms: i64, stream: Stream, partial: bool, data: &[u8]) {
    let flags =
        if stream == Stream::Stderr { FLAG_STDERR } else { 0 } | if partial { FLAG_PARTIAL } else { 0 };
    let length = u32::try_from(data.len()).expect("a line is cut far below 4 GiB");
    let mut sum = crc32fast::Hasher::new();
    sum.update(&at_ms.to_le_bytes());
    sum.update(&[flags]);
    sum.update(data);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&sum.finalize().to_le_bytes());
    out.extend_from_slice(&at_ms.to_le_bytes());
    out.push(flags);
    out.extend_from_slice(data);
}

/// A record inside a buffer.
struct Decoded<'a> {
    at_ms: i64,
    stream: Stream,
    partial: bool,
    data: &'a [u8],
}

/// The record at the start of `bytes`, if it is whole and sound.
fn decode(bytes: &[u8]) -> Option<Decoded<'_>> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let length = u32::from_le_bytes(*header.first_chunk()?) as usize;
    if length > LINE_BYTES_MAX {
        return None;
    }
    let data = rest.get(..length)?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&header[8..]);
    sum.update(data);
    if header[4..8] != sum.finalize().to_le_bytes() {
        return None;
    }
    let at_ms = i64::from_le_bytes(header[8..16].try_into().ok()?);
    let stream = if header[16] & FLAG_STDERR == 0 { Stream::Stdout } else { Stream::Stderr };
    Some(Decoded { at_ms, stream, partial: header[16] & FLAG_PARTIAL != 0, data })
}
