//! Segment files: a group's batches in order of arrival, and the index beside each closed one.
//!
//! A segment is written only at its end. Once closed it never changes; it is deleted whole. Its index says
//! which streams have batches in it and where; it is written when the segment is closed, and made again from
//! the segment if it is missing or damaged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::record::{self, HEAD_LEN, Head, u32_at, u64_at};

/// The first bytes of a segment file; the last is the format's version.
pub(crate) const SEGMENT_MAGIC: &[u8; 8] = b"RSLOGS\x00\x01";
const INDEX_MAGIC: &[u8; 8] = b"RSLOGI\x00\x01";
const INDEX_HEAD_LEN: usize = 56;
const STREAM_LEN: usize = 48;
const BATCH_LEN: usize = 24;

/// Where a batch lies and what time it spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchRef {
    pub offset: u32,
    pub len: u32,
    pub stream: u64,
    pub min_timestamp: i64,
    pub max_timestamp: i64,
}

impl BatchRef {
    /// Whether a segment of this length can hold it: what an index says is not believed blindly.
    fn fits(&self, len: u64) -> bool {
        self.len as usize <= HEAD_LEN + record::BODY_MAX
            && u64::from(self.offset) + u64::from(self.len) <= len
    }
}

/// What a segment, or a whole group, holds of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamSpan {
    pub min_timestamp: i64,
    pub max_timestamp: i64,
    pub last_ingestion: i64,
    pub bytes: u64,
}

/// What is held of each of several streams.
pub(crate) type StreamSpans = Vec<(u64, StreamSpan)>;

impl StreamSpan {
    pub fn of(head: &Head) -> Self {
        Self {
            min_timestamp: head.first_timestamp,
            max_timestamp: head.last_timestamp,
            last_ingestion: head.ingestion_time,
            bytes: head.len() as u64,
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.min_timestamp = self.min_timestamp.min(other.min_timestamp);
        self.max_timestamp = self.max_timestamp.max(other.max_timestamp);
        self.last_ingestion = self.last_ingestion.max(other.last_ingestion);
        self.bytes += other.bytes;
    }
}

/// All that is known of a segment's content.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// In order of arrival.
    pub batches: Vec<BatchRef>,
    pub streams: BTreeMap<u64, StreamSpan>,
    /// The length up to which the file is whole, in bytes.
    pub len: u64,
    pub last_sequence: u64,
    pub first_ingestion: Option<i64>,
}

impl Contents {
    pub fn empty() -> Self {
        Self { len: SEGMENT_MAGIC.len() as u64, ..Self::default() }
    }

    pub fn push(&mut self, head: &Head) {
        let span = StreamSpan::of(head);
        self.batches.push(BatchRef {
            offset: self.len as u32,
            len: head.len() as u32,
            stream: head.stream,
            min_timestamp: head.first_timestamp,
            max_timestamp: head.last_timestamp,
        });
        self.streams.entry(head.stream).and_modify(|known| known.merge(&span)).or_insert(span);
        self.len += head.len() as u64;
        self.last_sequence = head.sequence;
        self.first_ingestion.get_or_insert(head.ingestion_time);
    }

    /// The times it spans; nothing when it is empty.
    pub fn times(&self) -> Option<(i64, i64)> {
        let min = self.streams.values().map(|span| span.min_timestamp).min()?;
        let max = self.streams.values().map(|span| span.max_timestamp).max()?;
        Some((min, max))
    }
}

/// Reads a segment from its start to the first batch that is torn or damaged.
pub(crate) fn scan(file: &File) -> Result<Contents> {
    let mut contents = Contents::empty();
    let end = file.metadata().map_err(Error::read)?.len();
    let mut window = Window { file, bytes: Vec::new(), start: 0, end };
    if end < contents.len || window.at(0, SEGMENT_MAGIC.len())? != SEGMENT_MAGIC {
        return Ok(Contents { len: 0, ..Contents::default() });
    }
    while contents.len + HEAD_LEN as u64 <= end && contents.len <= u64::from(u32::MAX) {
        let Some(head) = Head::decode(window.at(contents.len, HEAD_LEN)?) else { break };
        if contents.len + head.len() as u64 > end {
            break;
        }
        if record::checked(window.at(contents.len, head.len())?).is_err() {
            break;
        }
        contents.push(&head);
    }
    Ok(contents)
}

/// A sliding view of a file, so that a scan makes few system calls.
struct Window<'a> {
    file: &'a File,
    bytes: Vec<u8>,
    start: u64,
    end: u64,
}

impl Window<'_> {
    const LEN: usize = 1 << 20;

    /// `len` bytes at `offset`; the caller keeps inside the file.
    fn at(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let inside = offset >= self.start && offset + len as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            let want = (Self::LEN.max(len) as u64).min(self.end - offset) as usize;
            self.bytes.resize(want, 0);
            self.file.read_exact_at(&mut self.bytes, offset).map_err(Error::read)?;
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + len])
    }
}

/// A closed segment: what of its index stays in memory.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub path: PathBuf,
    pub len: u64,
    pub last_sequence: u64,
    pub min_timestamp: i64,
    pub max_timestamp: i64,
}

impl Sealed {
    /// Writes the index of a segment that takes no more batches. Durable when it returns.
    pub fn seal(path: PathBuf, contents: &Contents) -> Result<Self> {
        let (min_timestamp, max_timestamp) = contents.times().unwrap_or((i64::MAX, i64::MIN));
        let bytes = encode_index(contents, min_timestamp, max_timestamp);
        let part = path.with_extension("idx-part");
        write_durably(&part, &bytes).map_err(Error::write)?;
        fs::rename(&part, path.with_extension("idx")).map_err(Error::write)?;
        sync_parent(&path).map_err(Error::write)?;
        Ok(Self {
            len: contents.len,
            last_sequence: contents.last_sequence,
            min_timestamp,
            max_timestamp,
            path,
        })
    }

    /// The closed segment at `path` and what it holds of each stream; nothing when its index is missing or damaged.
    pub fn load(path: &Path) -> Result<Option<(Self, StreamSpans)>> {
        let bytes = match read_index_front(&path.with_extension("idx")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::read)?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let sealed = Self {
            path: path.to_owned(),
            len: u64_at(&bytes, 24),
            last_sequence: u64_at(&bytes, 32),
            min_timestamp: u64_at(&bytes, 40).cast_signed(),
            max_timestamp: u64_at(&bytes, 48).cast_signed(),
        };
        let spans = bytes[INDEX_HEAD_LEN..]
            .chunks_exact(STREAM_LEN)
            .map(decode_stream)
            .map(|(id, _, span)| (id, span));
        let spans = spans.collect();
        Ok(Some((sealed, spans)))
    }

    /// The batches of the streams that `wanted` names, in order of arrival.
    pub fn batches(&self, wanted: impl Fn(u64) -> bool) -> Result<Vec<BatchRef>> {
        let path = self.path.with_extension("idx");
        let damaged =
            || Error::Corrupt { path: path.clone(), offset: 0, what: "the index does not hold together" };
        let front = read_index_front(&path).map_err(Error::read)?.ok_or_else(damaged)?;
        let file = File::open(&path).map_err(Error::read)?;
        let mut batches = Vec::new();
        let mut bytes = Vec::new();
        for entry in front[INDEX_HEAD_LEN..].chunks_exact(STREAM_LEN) {
            let (stream, (first, count), _) = decode_stream(entry);
            if !wanted(stream) {
                continue;
            }
            let from = front.len() as u64 + u64::from(first) * BATCH_LEN as u64;
            bytes.resize(count as usize * BATCH_LEN, 0);
            file.read_exact_at(&mut bytes, from).map_err(Error::read)?;
            batches.extend(bytes.chunks_exact(BATCH_LEN).map(|bytes| decode_batch(stream, bytes)));
            if !batches.iter().all(|batch| batch.fits(self.len)) {
                return Err(damaged());
            }
        }
        batches.sort_unstable_by_key(|batch| batch.offset);
        Ok(batches)
    }

    /// Takes both files away; readers that have them open go on.
    pub fn delete(&self) -> io::Result<()> {
        // The segment first: an index without a segment is litter, a segment without an index is data.
        for path in [self.path.clone(), self.path.with_extension("idx")] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync_parent(&self.path)
    }
}

fn encode_index(contents: &Contents, min_timestamp: i64, max_timestamp: i64) -> Vec<u8> {
    let mut by_stream: BTreeMap<u64, Vec<&BatchRef>> = BTreeMap::new();
    for batch in &contents.batches {
        by_stream.entry(batch.stream).or_default().push(batch);
    }
    let mut streams = Vec::with_capacity(by_stream.len() * STREAM_LEN);
    let mut batches = Vec::with_capacity(contents.batches.len() * BATCH_LEN);
    for (stream, refs) in &by_stream {
        let span = &contents.streams[stream];
        streams.extend_from_slice(&stream.to_le_bytes());
        streams.extend_from_slice(&((batches.len() / BATCH_LEN) as u32).to_le_bytes());
        streams.extend_from_slice(&(refs.len() as u32).to_le_bytes());
        streams.extend_from_slice(&span.min_timestamp.to_le_bytes());
        streams.extend_from_slice(&span.max_timestamp.to_le_bytes());
        streams.extend_from_slice(&span.last_ingestion.to_le_bytes());
        streams.extend_from_slice(&span.bytes.to_le_bytes());
        for batch in refs {
            batches.extend_from_slice(&batch.offset.to_le_bytes());
            batches.extend_from_slice(&batch.len.to_le_bytes());
            batches.extend_from_slice(&batch.min_timestamp.to_le_bytes());
            batches.extend_from_slice(&batch.max_timestamp.to_le_bytes());
        }
    }
    let mut bytes = vec![0_u8; INDEX_HEAD_LEN];
    bytes[0..8].copy_from_slice(INDEX_MAGIC);
    bytes[16..20].copy_from_slice(&(by_stream.len() as u32).to_le_bytes());
    bytes[20..24].copy_from_slice(&(contents.batches.len() as u32).to_le_bytes());
    bytes[24..32].copy_from_slice(&contents.len.to_le_bytes());
    bytes[32..40].copy_from_slice(&contents.last_sequence.to_le_bytes());
    bytes[40..48].copy_from_slice(&min_timestamp.to_le_bytes());
    bytes[48..56].copy_from_slice(&max_timestamp.to_le_bytes());
    bytes.extend_from_slice(&streams);
    let crc = crc32fast::hash(&bytes[16..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&batches);
    bytes
}

/// An index up to and with its list of streams, checked; nothing when damaged.
fn read_index_front(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut bytes = vec![0_u8; INDEX_HEAD_LEN];
    if len < INDEX_HEAD_LEN as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut bytes, 0)?;
    let front = INDEX_HEAD_LEN as u64 + u64::from(u32_at(&bytes, 16)) * STREAM_LEN as u64;
    let whole = front + u64::from(u32_at(&bytes, 20)) * BATCH_LEN as u64;
    if &bytes[0..8] != INDEX_MAGIC || len != whole {
        return Ok(None);
    }
    bytes.resize(front as usize, 0);
    file.read_exact_at(&mut bytes[INDEX_HEAD_LEN..], INDEX_HEAD_LEN as u64)?;
    Ok((crc32fast::hash(&bytes[16..]) == u32_at(&bytes, 8)).then_some(bytes))
}

fn decode_stream(bytes: &[u8]) -> (u64, (u32, u32), StreamSpan) {
    let span = StreamSpan {
        min_timestamp: u64_at(bytes, 16).cast_signed(),
        max_timestamp: u64_at(bytes, 24).cast_signed(),
        last_ingestion: u64_at(bytes, 32).cast_signed(),
        bytes: u64_at(bytes, 40),
    };
    (u64_at(bytes, 0), (u32_at(bytes, 8), u32_at(bytes, 12)), span)
}

fn decode_batch(stream: u64, bytes: &[u8]) -> BatchRef {
    BatchRef {
        offset: u32_at(bytes, 0),
        len: u32_at(bytes, 4),
        stream,
        min_timestamp: u64_at(bytes, 8).cast_signed(),
        max_timestamp: u64_at(bytes, 16).cast_signed(),
    }
}

/// Makes a whole file and syncs it; its name becomes durable with [`sync_parent`].
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in a file's directory durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
