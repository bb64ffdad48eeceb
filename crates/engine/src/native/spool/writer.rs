//! The writing side of a spool: one supervisor, one thread, never waiting for a reader.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::json_file::JsonFile;
use super::{
    BLOCKING_BYTES_MAX, Lines, Record, SEGMENT_BYTES, decode, encode, index, segment_path, segments,
};
use crate::spec::OutputPolicy;
use crate::state::Stream;

/// Smallest segment that a policy can bring about, in bytes.
const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// Writes one container's output.
#[derive(Debug)]
pub(crate) struct Writer {
    dir: PathBuf,
    policy: OutputPolicy,
    /// First cursors of the segments there are; the last is being written.
    starts: VecDeque<u64>,
    /// The last segment; opened at the first write.
    file: Option<File>,
    /// The cursor after the last record.
    end: u64,
    /// Output before this is safe elsewhere.
    released: u64,
    lines: [Lines; 2],
    /// How many lines have ended.
    ended: u64,
    /// In place of all segments.
    json: Option<JsonFile>,
    /// Encoded records that are not on disk yet, because the disk was full.
    pending: Vec<u8>,
}

impl Writer {
    /// Opens the spool in `dir`, which is made with the first output, to go on after what is there. `id` is the container's: it
    /// names a json-file.
    pub(crate) fn open(dir: &Path, id: &str, policy: OutputPolicy) -> io::Result<Writer> {
        let starts: VecDeque<u64> = segments(dir)?.into();
        let (mut end, mut ended) = (0, 0);
        if let Some(last) = starts.back() {
            let path = segment_path(dir, *last);
            let (sound, lines) = sound_bytes(&fs::read(&path)?);
            ended = lines;
            // A writer that was killed may have left part of a record.
            OpenOptions::new().write(true).open(&path)?.set_len(sound)?;
            end = last + sound;
        }
        let json = match policy {
            OutputPolicy::JsonFile { max_bytes, files } => {
                Some(JsonFile::open(dir.join(format!("{id}-json.log")), max_bytes, files)?)
            }
            _ => None,
        };
        let released = starts.front().copied().unwrap_or(0);
        Ok(Writer {
            dir: dir.to_owned(),
            policy,
            starts,
            file: None,
            end,
            released,
            lines: Default::default(),
            ended,
            json,
            pending: Vec::new(),
        })
    }

    /// The cursor after the last record that a reader can see.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Takes bytes that the container wrote. Says whether a reader has something new.
    pub(crate) fn push(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]) -> bool {
        if self.policy == OutputPolicy::Discard {
            return false;
        }
        let lines = &mut self.lines[index(stream)];
        match &mut self.json {
            Some(json) => lines.push(bytes, |data, partial| json.add(stream, at, data, !partial)),
            None => {
                let (pending, ended) = (&mut self.pending, &mut self.ended);
                lines.push(bytes, |data, partial| add(pending, ended, stream, at, data, partial));
            }
        }
        self.flush()
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, stream: Stream, at: Timestamp) -> bool {
        let lines = &mut self.lines[index(stream)];
        match &mut self.json {
            Some(json) => {
                lines.finish(|data, _| json.add(stream, at, data, false));
                json.finish(stream, at);
            }
            None => {
                let (pending, ended) = (&mut self.pending, &mut self.ended);
                lines.finish(|data, partial| add(pending, ended, stream, at, data, partial));
            }
        }
        self.flush()
    }

    /// Whether the container must wait before more of its output is read.
    pub(crate) fn is_full(&self) -> bool {
        !self.pending.is_empty()
            || self.policy == OutputPolicy::Blocking
                && self.end.saturating_sub(self.released) >= BLOCKING_BYTES_MAX
    }

    /// Output up to `cursor` may go.
    pub(crate) fn release(&mut self, cursor: u64) {
        self.released = self.released.max(cursor.min(self.end));
        while self.starts.get(1).is_some_and(|next| *next <= self.released) {
            self.drop_oldest();
        }
    }

    /// Tries again to write what a full disk kept back. Says whether a reader has something new.
    pub(crate) fn flush(&mut self) -> bool {
        if let Some(json) = &mut self.json {
            json.flush();
        }
        if self.pending.is_empty() {
            return false;
        }
        let pending = std::mem::take(&mut self.pending);
        match self.append(&pending) {
            Ok(()) => {
                self.end += pending.len() as u64;
                self.enforce();
                true
            }
            Err(_) if self.policy == OutputPolicy::Blocking => {
                self.pending = pending;
                false
            }
            Err(_) => {
                // The gap before the next segment shows how much was dropped.
                self.end += pending.len() as u64;
                self.file = None;
                false
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let start = self.starts.back().copied();
        let full = start.is_none_or(|start| self.end - start >= self.segment_bytes());
        let gap = self.file.is_none()
            && start.is_some_and(|s| self.on_disk(s).is_none_or(|len| s + len != self.end));
        if full || gap {
            self.file = None;
            fs::create_dir_all(&self.dir)?;
            let file =
                OpenOptions::new().create(true).append(true).open(segment_path(&self.dir, self.end))?;
            self.starts.push_back(self.end);
            self.file = Some(file);
        }
        let start = self.starts.back().copied().unwrap_or(self.end);
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().append(true).open(segment_path(&self.dir, start))?);
        }
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let written = file.write_all(bytes);
        if written.is_err() {
            // No reader takes part of a record, but the next write must not follow one.
            let _ = file.set_len(self.end - start);
        }
        written
    }

    fn on_disk(&self, start: u64) -> Option<u64> {
        fs::metadata(segment_path(&self.dir, start)).ok().map(|m| m.len())
    }

    fn segment_bytes(&self) -> u64 {
        match self.policy {
            OutputPolicy::Blocking | OutputPolicy::JsonFile { .. } | OutputPolicy::Discard => SEGMENT_BYTES,
            OutputPolicy::NonBlocking { max_bytes } => {
                (max_bytes / 8).clamp(SEGMENT_BYTES_MIN.min(max_bytes.max(1)), SEGMENT_BYTES)
            }
        }
    }

    /// Drops what the policy lets go.
    fn enforce(&mut self) {
        loop {
            let first = self.starts.front().copied().unwrap_or(self.end).max(self.released);
            let over = match self.policy {
                OutputPolicy::Blocking | OutputPolicy::JsonFile { .. } | OutputPolicy::Discard => false,
                OutputPolicy::NonBlocking { max_bytes } => self.end - first.min(self.end) > max_bytes,
            };
            if !over || self.starts.len() < 2 {
                return;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(start) = self.starts.pop_front() {
            let _ = fs::remove_file(segment_path(&self.dir, start));
        }
    }
}

fn add(pending: &mut Vec<u8>, ended: &mut u64, stream: Stream, at: Timestamp, data: &[u8], partial: bool) {
    *ended += u64::from(!partial);
    encode(pending, &Record { at_ms: at.as_millisecond(), stream, partial, lines: *ended, data });
}

/// How many bytes at the start of a segment are whole records, and how many lines have ended by then.
fn sound_bytes(segment: &[u8]) -> (u64, u64) {
    let (mut at, mut lines) = (0, 0);
    while let Some((record, bytes)) = decode(&segment[at..]) {
        at += bytes;
        lines = record.lines;
    }
    (at as u64, lines)
}
