//! The log driver `json-file`: Docker's file, one JSON object a line, turned over at a size. For people and
//! for collectors of logs; nothing of Roadstead reads it back.
//! <https://docs.docker.com/engine/logging/drivers/json-file/>

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::LINE_BYTES_MAX;
use crate::state::Stream;

/// Longest line of the file, in bytes: each byte of a container's line may take six (`\u0000`), and the rest
/// of the object has room.
const ENTRY_BYTES_MAX: u64 = 6 * LINE_BYTES_MAX as u64 + 256;

/// Writes one container's file. Bound to one file system, never to a reader.
#[derive(Debug)]
pub(super) struct JsonFile {
    path: PathBuf,
    /// It is turned over before a line that would begin beyond this, in bytes.
    max_bytes: u64,
    /// How many there are at most, with those turned over.
    files: u32,
    file: Option<File>,
    len: u64,
    /// The length at which it is turned over next: `max_bytes`, and more after an attempt that failed.
    turn_at: u64,
    /// Lines that are not on disk yet.
    buffer: Vec<u8>,
    buffered: u64,
    /// Of standard output and error: the start of a letter whose other bytes are in the next record.
    torn: [Vec<u8>; 2],
    /// Lines that the disk did not take.
    dropped: u64,
}

impl JsonFile {
    /// Goes on after what is there. Makes neither file nor folder yet.
    pub(super) fn open(path: PathBuf, max_bytes: u64, files: u32) -> io::Result<JsonFile> {
        let len = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => whole_lines(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(JsonFile {
            path,
            max_bytes: max_bytes.max(1),
            files: files.max(1),
            file: None,
            len,
            turn_at: max_bytes.max(1),
            buffer: Vec::new(),
            buffered: 0,
            torn: Default::default(),
            dropped: 0,
        })
    }

    /// Takes one record. `ends`: the line's end was in it. [`Self::flush`] brings it to disk.
    pub(super) fn add(&mut self, stream: Stream, at: Timestamp, data: &[u8], ends: bool) {
        if self.len + self.buffer.len() as u64 >= self.turn_at {
            self.flush();
            if self.len >= self.turn_at {
                self.turn_over();
            }
        }
        let mut text = std::mem::take(&mut self.torn[super::index(stream)]);
        text.extend_from_slice(data);
        if ends {
            text.push(b'\n');
        } else {
            let whole = whole_letters(&text);
            self.torn[super::index(stream)] = text.split_off(whole);
        }
        render(&mut self.buffer, stream, at, &text);
        self.buffered += 1;
    }

    /// The stream has ended, with what was its last line, if that had no end.
    pub(super) fn finish(&mut self, stream: Stream, at: Timestamp) {
        let torn = std::mem::take(&mut self.torn[super::index(stream)]);
        if !torn.is_empty() {
            render(&mut self.buffer, stream, at, &torn);
            self.buffered += 1;
        }
    }

    /// Writes what was added. As with Docker, what a full disk does not take is lost: a container never
    /// waits for a file. It is counted, and told once there is room.
    pub(super) fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let (buffer, buffered) = (std::mem::take(&mut self.buffer), std::mem::take(&mut self.buffered));
        match self.write(&buffer) {
            Ok(()) if self.dropped > 0 => {
                let (path, lines) = (self.path.display(), std::mem::take(&mut self.dropped));
                super::say(&format!("{path}: {lines} lines were dropped, as they could not be written"));
            }
            Ok(()) => {}
            Err(error) => {
                if self.dropped == 0 {
                    super::say(&format!("{}: cannot be written: {error}", self.path.display()));
                }
                self.dropped += buffered;
                self.file = None;
            }
        }
        // Its room serves the next time, unless it was much.
        if buffer.capacity() <= 4 * LINE_BYTES_MAX {
            self.buffer = buffer;
            self.buffer.clear();
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            fs::create_dir_all(self.path.parent().unwrap_or(&self.path))?;
            let file = OpenOptions::new().create(true).append(true).mode(0o640).open(&self.path)?;
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        // Somebody else may have emptied it.
        self.len = file.metadata()?.len();
        let written = file.write_all(bytes);
        match written {
            Ok(()) => self.len += bytes.len() as u64,
            // Nobody shall find part of a line.
            Err(_) => drop(file.set_len(self.len)),
        }
        written
    }

    /// Renames `.1` to `.2` and so on; the oldest goes. A file that cannot be turned over is gone on with.
    fn turn_over(&mut self) {
        let numbered = |number: u32| match number {
            0 => self.path.clone(),
            number => {
                let mut name = self.path.clone().into_os_string();
                name.push(format!(".{number}"));
                PathBuf::from(name)
            }
        };
        let turned = if self.files == 1 {
            OpenOptions::new().write(true).create(true).truncate(true).open(&self.path).map(drop)
        } else {
            (1..self.files).rev().try_for_each(|number| rename(&numbered(number - 1), &numbered(number)))
        };
        match turned {
            Ok(()) => (self.file, self.len, self.turn_at) = (None, 0, self.max_bytes),
            Err(error) => {
                super::say(&format!("{}: cannot be turned over: {error}", self.path.display()));
                self.turn_at = self.len.saturating_add(self.max_bytes);
            }
        }
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Cuts off a last line that a killed writer left without its end; answers the length.
fn whole_lines(mut file: File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let from = len.saturating_sub(ENTRY_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    (&file).take(ENTRY_BYTES_MAX).read_to_end(&mut tail)?;
    let whole = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => from + at as u64 + 1,
        None => from,
    };
    if whole < len {
        file.set_len(whole)?;
    }
    Ok(whole)
}

/// How many bytes at the start of `text` end with a whole letter, or with what is no letter anyway.
fn whole_letters(text: &[u8]) -> usize {
    let from = text.len().saturating_sub(3);
    let lead = text[from..].iter().rposition(|byte| byte & 0xc0 != 0x80);
    let Some(at) = lead.map(|at| from + at) else { return text.len() };
    match std::str::from_utf8(&text[at..]) {
        Err(error) if error.error_len().is_none() => at,
        _ => text.len(),
    }
}

fn render(out: &mut Vec<u8>, stream: Stream, at: Timestamp, text: &[u8]) {
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    out.extend_from_slice(b"{\"log\":");
    serde_json::to_writer(&mut *out, &String::from_utf8_lossy(text)).expect("text into memory");
    let _ = writeln!(out, ",\"stream\":\"{stream}\",\"time\":\"{at}\"}}");
}

#[cfg(test)]
mod tests;
