//! The reading side of a spool: any process, any time, no lock.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{HEADER_BYTES, LINE_BYTES_MAX, LINES_BYTES, decode, segment_path, segments};
use crate::state::{OutputChunk, OutputRecord};

/// How often a read starts anew because the writer dropped the segment that was to be read.
const RETRIES: usize = 8;

/// Reads on after `cursor`, about `max_bytes`. `ended` in the answer is left false: only the
/// container's state tells. An answer with no records means that nothing is there now.
pub(crate) fn read(dir: &Path, cursor: u64, max_bytes: usize) -> io::Result<OutputChunk> {
    for _ in 0..RETRIES {
        match read_once(dir, cursor, max_bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
    }
    Ok(OutputChunk { cursor, ..OutputChunk::default() })
}

fn read_once(dir: &Path, cursor: u64, max_bytes: usize) -> io::Result<OutputChunk> {
    let starts = segments(dir)?;
    let mut chunk = OutputChunk { cursor, ..OutputChunk::default() };
    let first = starts.partition_point(|start| *start <= cursor).saturating_sub(1);
    let mut left = max_bytes.max(1);
    for (at, start) in starts.iter().enumerate().skip(first) {
        if *start > chunk.cursor {
            if !chunk.records.is_empty() {
                // `dropped_bytes` tells of a gap before the first record, so this one waits.
                return Ok(chunk);
            }
            chunk.dropped_bytes += start - chunk.cursor;
            chunk.cursor = *start;
        }
        let file = File::open(segment_path(dir, *start))?;
        let full = read_segment(&file, *start, &mut chunk, &mut left)?;
        if full {
            return Ok(chunk);
        }
        // Only the last segment grows; one with a successor was complete before the folder was read.
        if chunk.records.is_empty() && starts.get(at + 1).is_some_and(|next| *next > chunk.cursor) {
            continue;
        }
    }
    Ok(chunk)
}

/// Adds records from one segment; true when the caller's limit is reached.
fn read_segment(file: &File, start: u64, chunk: &mut OutputChunk, left: &mut usize) -> io::Result<bool> {
    let mut buffer = Vec::new();
    loop {
        let want = (*left).clamp(HEADER_BYTES + LINES_BYTES + LINE_BYTES_MAX, 256 << 10);
        buffer.resize(want, 0);
        let got = read_at(file, &mut buffer, chunk.cursor.saturating_sub(start))?;
        let mut at = 0;
        while let Some((record, bytes)) = decode(&buffer[at..got]) {
            at += bytes;
            chunk.cursor += bytes as u64;
            chunk.records.push(OutputRecord {
                at_ms: record.at_ms,
                stream: record.stream,
                data: record.data.to_vec(),
                partial: record.partial,
                cursor: chunk.cursor,
                lines: record.lines,
            });
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                return Ok(true);
            }
        }
        if at == 0 {
            return Ok(false);
        }
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(bytes) => got += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
