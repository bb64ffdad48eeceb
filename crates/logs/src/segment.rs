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
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

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
    /// Stretches between batches, or before the first, that are no batch: damage. Offset and length in bytes.
    pub gaps: Vec<(u64, u64)>,
    /// Bytes behind the last whole batch that are more than a batch cut short: damage, or a write whose pages
    /// did not all reach the disk. They are left where they are.
    pub has_odd_tail: bool,
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

    /// Passes over what is no batch, up to `to`.
    pub fn skip(&mut self, to: u64) {
        self.gaps.push((self.len, to - self.len));
        self.len = to;
    }

    /// The times it spans; nothing when it is empty.
    pub fn times(&self) -> Option<(i64, i64)> {
        let min = self.streams.values().map(|span| span.min_timestamp).min()?;
        let max = self.streams.values().map(|span| span.max_timestamp).max()?;
        Some((min, max))
    }
}

/// Reads a segment from its start to its last whole batch. What is damaged before that is passed over and said:
/// the batches behind it are whole, and known by their checksums.
pub(crate) fn scan(file: &File, path: &Path) -> Result<Contents> {
    let mut contents = Contents::empty();
    let end = file.metadata().map_err(Error::read)?.len();
    let mut window = Window { file, bytes: Vec::new(), start: 0, end };
    if end < contents.len {
        // The file was being made.
        return Ok(Contents { len: 0, ..Contents::default() });
    }
    if window.at(0, SEGMENT_MAGIC.len())? != SEGMENT_MAGIC {
        contents.gaps.push((0, contents.len));
    }
    while contents.len < end && contents.len <= u64::from(u32::MAX) {
        match window.batch(contents.len)? {
            Found::Whole(head) => contents.push(&head),
            Found::Damaged(from) => {
                let Some(next) = window.next_batch(from, &contents)? else {
                    contents.has_odd_tail = window.is_odd(contents.len)?;
                    break;
                };
                contents.skip(next);
            }
        }
    }
    for (offset, bytes) in &contents.gaps {
        let path = path.display();
        tracing::warn!(%path, offset, bytes, "log storage is damaged here; what lies behind is kept");
    }
    if contents.has_odd_tail {
        let (path, offset, bytes) = (path.display(), contents.len, end - contents.len);
        tracing::warn!(%path, offset, bytes, "the end of this log segment is no whole batch; it is left as it is");
    }
    Ok(contents)
}

/// What stands at a place of a segment.
enum Found {
    Whole(Head),
    /// No whole batch; where to look for the next one.
    Damaged(u64),
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

    /// The batch at `offset`.
    fn batch(&mut self, offset: u64) -> Result<Found> {
        if offset + HEAD_LEN as u64 > self.end {
            return Ok(Found::Damaged(self.end));
        }
        let Some(head) = Head::decode(self.at(offset, HEAD_LEN)?) else {
            return Ok(Found::Damaged(offset + 1));
        };
        let next = offset + head.len() as u64;
        if next > self.end {
            // Cut short, or its head is a chance: what follows may be whole all the same.
            return Ok(Found::Damaged(offset + 1));
        }
        match record::checked(self.at(offset, head.len())?) {
            Ok(_) => Ok(Found::Whole(head)),
            // The head is whole, so the next batch begins where this one ends.
            Err(_) => Ok(Found::Damaged(next)),
        }
    }

    /// Where the next whole batch begins, at `from` or behind. It must fit what came before: numbers rise, and
    /// each batch that is missing took the room of a head.
    fn next_batch(&mut self, from: u64, contents: &Contents) -> Result<Option<u64>> {
        for offset in from..self.end.saturating_sub(HEAD_LEN as u64 - 1) {
            if !Head::may_begin(self.at(offset, HEAD_LEN)?) {
                continue;
            }
            let missing = (offset - contents.len) / HEAD_LEN as u64;
            if let Found::Whole(head) = self.batch(offset)?
                && head.sequence > contents.last_sequence
                && (contents.last_sequence == 0 || head.sequence <= contents.last_sequence + missing + 1)
            {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// Whether the end of the file from `offset` on is something else than a batch cut short.
    fn is_odd(&mut self, offset: u64) -> Result<bool> {
        let len = self.end - offset;
        if len < HEAD_LEN as u64 {
            return Ok(false);
        }
        Ok(match Head::decode(self.at(offset, HEAD_LEN)?) {
            Some(head) => head.len() as u64 <= len,
            // A file that grew before its bytes were written holds zeros.
            None => self.at(offset, HEAD_LEN)?.iter().any(|&byte| byte != 0),
        })
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
    /// The index was made again, for it or the segment was found damaged.
    mended: Mutex<bool>,
    /// A stream in it that was there at the last look, so that the next one costs nothing; 0 before the first.
    keeper: AtomicU64,
}

impl Sealed {
    /// Writes the index of a segment that takes no more batches. Durable when it returns.
    pub fn seal(path: PathBuf, contents: &Contents) -> Result<Self> {
        let (min_timestamp, max_timestamp) = contents.times().unwrap_or_else(|| modified(&path));
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
            mended: Mutex::new(false),
            keeper: AtomicU64::new(0),
        })
    }

    /// The batches as the segment itself says, after one was not where the index has it, or not whole. The index
    /// is made again, so that this is done once.
    pub fn mend(&self, wanted: impl Fn(u64) -> bool) -> Result<Vec<BatchRef>> {
        let mut mended = self.mended.lock();
        let batches = match *mended {
            true => self.batches(&wanted)?,
            false => {
                let contents = scan(&File::open(&self.path).map_err(Error::read)?, &self.path)?;
                // On a disk that takes no writes the next reader does this again.
                *mended = Self::seal(self.path.clone(), &contents).is_ok();
                contents.batches
            }
        };
        Ok(batches.into_iter().filter(|batch| wanted(batch.stream)).collect())
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
            mended: Mutex::new(false),
            keeper: AtomicU64::new(0),
        };
        let spans = bytes[INDEX_HEAD_LEN..]
            .chunks_exact(STREAM_LEN)
            .map(decode_stream)
            .map(|(id, _, span)| (id, span));
        let spans = spans.collect();
        Ok(Some((sealed, spans)))
    }

    /// Whether any stream in it is still there. One whose index cannot be read may have one.
    pub fn has_live_stream(&self, is_live: impl Fn(u64) -> bool) -> bool {
        let keeper = self.keeper.load(Ordering::Relaxed);
        if keeper != 0 && is_live(keeper) {
            return true;
        }
        let Ok(Some((_, spans))) = Self::load(&self.path) else { return true };
        // The one that was written to last stays the longest.
        let live = spans.iter().filter(|(stream, _)| is_live(*stream));
        let last =
            live.max_by_key(|(stream, span)| (span.last_ingestion, *stream)).map(|(stream, _)| *stream);
        self.keeper.store(last.unwrap_or(0), Ordering::Relaxed);
        last.is_some()
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
            // Damaged numbers point behind the end.
            file.read_exact_at(&mut bytes, from).map_err(|_| damaged())?;
            batches.extend(bytes.chunks_exact(BATCH_LEN).map(|bytes| decode_batch(stream, bytes)));
            if !batches.iter().all(|batch| batch.fits(self.len)) {
                return Err(damaged());
            }
        }
        batches.sort_unstable_by_key(|batch| batch.offset);
        Ok(batches)
    }

    /// What it takes on disk, its index aside.
    pub fn stored(&self) -> u64 {
        fs::metadata(&self.path).map_or(self.len, |metadata| metadata.len())
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

/// The times of a segment in which no batch is whole: when it was written last.
fn modified(path: &Path) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    let at = fs::metadata(path).map_or(0, |metadata| metadata.mtime().saturating_mul(1000));
    (at, at)
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
