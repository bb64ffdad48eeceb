//! Finds the first (or last) events of a time range over all segments of a group, in order of time.
//!
//! Batches lie in order of arrival, which is nearly the order of time. So a scan takes pieces of segments in
//! order of their oldest (newest) event, keeps the best events seen, and stops when no later piece can hold
//! a better one. Memory is bounded by one page and one piece, whatever the order of arrival was.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::group::Loaded;
use crate::limits::{EVENT_OVERHEAD, PAGE_BYTES_MAX};
use crate::record::{self, Events, Position};
use crate::segment::{BatchRef, Sealed};

/// Which end of the range the page is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// What to look for.
pub(crate) struct Query<'a> {
    pub direction: Direction,
    /// From this position on, and before that one.
    pub range: Range<Position>,
    /// Most events.
    pub limit: usize,
    /// Most bytes to read before answering with what is known by then.
    pub budget: u64,
    pub is_wanted_stream: &'a dyn Fn(u64) -> bool,
    pub matches: &'a dyn Fn(&str) -> bool,
}

/// One event that was found.
pub(crate) struct Found {
    pub position: Position,
    pub stream: u64,
    pub ingestion_time: i64,
    pub message: String,
}

/// A page.
pub(crate) struct Page {
    /// In order of time, whatever the direction.
    pub events: Vec<Found>,
    /// All of the range up to (from, when backward) here has been looked at; nothing when all has.
    pub stopped_at: Option<Position>,
}

/// The pieces of a group, taken at one moment. Holds no lock.
pub(crate) struct Snapshot {
    pieces: Vec<Piece>,
}

/// A closed segment whose index has not been looked at, or a stretch of a segment that is read at once.
enum Piece {
    Segment(Arc<Sealed>),
    Stretch { file: Arc<SegmentFile>, offset: u64, len: usize, times: (i64, i64) },
}

/// A segment that is opened when first read.
struct SegmentFile {
    path: PathBuf,
    file: OnceLock<Arc<File>>,
    /// The closed segment whose index named the batches; none once they were looked for in the segment itself.
    indexed: Option<Arc<Sealed>>,
}

/// How reading a stretch went.
enum Read {
    Done,
    /// A batch is not where the index has it, or is damaged.
    Misled,
}

/// Stretches are joined up to this length, in bytes, and over gaps of other streams up to this one.
const STRETCH_MAX: u64 = 256 << 10;
const GAP_MAX: u64 = 8 << 10;

impl Snapshot {
    /// Takes what may hold events of the range and the wanted streams.
    pub fn take(loaded: &Loaded, query: &Query<'_>) -> Self {
        let overlaps = |min: i64, max: i64| query.overlaps((min, max));
        let sealed =
            loaded.sealed.iter().filter(|sealed| overlaps(sealed.min_timestamp, sealed.max_timestamp));
        let mut pieces: Vec<_> = sealed.map(|sealed| Piece::Segment(Arc::clone(sealed))).collect();
        let active = &loaded.active;
        let wanted = active.contents.batches.iter().filter(|batch| (query.is_wanted_stream)(batch.stream));
        let file = Arc::new(SegmentFile { path: active.path.clone(), file: OnceLock::new(), indexed: None });
        if let Some(open) = &active.file {
            let _ = file.file.set(Arc::clone(open));
        }
        pieces.extend(stretches(&file, wanted.copied(), query));
        Self { pieces }
    }
}

impl Query<'_> {
    fn overlaps(&self, times: (i64, i64)) -> bool {
        times.1 >= self.range.start.timestamp && times.0 <= self.range.end.timestamp
    }

    /// Smaller is better.
    fn rank(&self, position: Position) -> Rank {
        let Position { timestamp, sequence, index } = position;
        match self.direction {
            Direction::Forward => Rank(timestamp, sequence, index),
            Direction::Backward => Rank(-timestamp, !sequence, !index),
        }
    }

    /// The best rank in time that an event of a piece can have.
    fn best(&self, times: (i64, i64)) -> i64 {
        match self.direction {
            Direction::Forward => times.0.max(self.range.start.timestamp),
            Direction::Backward => -times.1.min(self.range.end.timestamp),
        }
    }

    /// Where a scan that stopped before a piece of this best rank goes on: all better events are known.
    fn resume_at(&self, best: i64) -> Position {
        match self.direction {
            Direction::Forward => Position::at(best),
            Direction::Backward => Position::at(-best + 1),
        }
    }

    /// Takes one page.
    pub fn run(&self, snapshot: Snapshot) -> Result<Page> {
        let mut waiting: BinaryHeap<Reverse<Waiting>> = BinaryHeap::new();
        let mut pieces = snapshot.pieces;
        let mut page =
            Best { query: self, found: BTreeMap::new(), bytes: 0, cut: None, may_have_more: false };
        let mut read = 0_u64;
        let mut number = 0_usize;
        loop {
            for piece in pieces.drain(..) {
                waiting.push(Reverse(Waiting { best: self.best(piece.times()), number, piece }));
                number += 1;
            }
            let Some(Reverse(next)) = waiting.pop() else { return Ok(page.finish(None)) };
            if page.is_settled_before(next.best) {
                return Ok(page.finish_full());
            }
            let resume_at = self.resume_at(next.best);
            if read >= self.budget && self.is_progress(resume_at) {
                return Ok(page.finish(Some(resume_at)));
            }
            match next.piece {
                Piece::Segment(sealed) => pieces = self.open_segment(&sealed)?,
                Piece::Stretch { file, offset, len, .. } => {
                    read += len as u64;
                    if let Read::Misled = self.read_stretch(&file, offset, len, &mut page)?
                        && let Some(sealed) = &file.indexed
                    {
                        pieces = self.mended(sealed)?;
                    }
                }
            }
        }
    }

    /// Whether going on from here leaves less than the whole range: a page that stops early must not repeat.
    fn is_progress(&self, resume_at: Position) -> bool {
        match self.direction {
            Direction::Forward => resume_at > self.range.start,
            Direction::Backward => resume_at < self.range.end,
        }
    }

    fn open_segment(&self, sealed: &Arc<Sealed>) -> Result<Vec<Piece>> {
        match sealed.batches(self.is_wanted_stream) {
            Ok(batches) => Ok(self.pieces(sealed, Some(Arc::clone(sealed)), batches)),
            Err(error) if is_deleted(&error) => Ok(Vec::new()),
            Err(Error::Corrupt { .. }) => self.mended(sealed),
            Err(error) => Err(error),
        }
    }

    /// The segment's pieces, found without its index.
    fn mended(&self, sealed: &Sealed) -> Result<Vec<Piece>> {
        match sealed.mend(self.is_wanted_stream) {
            Ok(batches) => Ok(self.pieces(sealed, None, batches)),
            Err(error) if is_deleted(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn pieces(&self, sealed: &Sealed, indexed: Option<Arc<Sealed>>, batches: Vec<BatchRef>) -> Vec<Piece> {
        let file = Arc::new(SegmentFile { path: sealed.path.clone(), file: OnceLock::new(), indexed });
        stretches(&file, batches.into_iter(), self)
    }

    fn read_stretch(&self, file: &SegmentFile, offset: u64, len: usize, page: &mut Best<'_>) -> Result<Read> {
        let mut bytes = vec![0_u8; len];
        let read = file.open().and_then(|file| file.read_exact_at(&mut bytes, offset).map_err(Error::read));
        match read {
            Err(error) if is_deleted(&error) => return Ok(Read::Done),
            // Damaged numbers, or a file that was cut.
            Err(error) if is_short(&error) && file.indexed.is_some() => return Ok(Read::Misled),
            other => other?,
        }
        let mut at = 0;
        while at < len {
            let Ok((head, body)) = record::checked(&bytes[at..]) else {
                if file.indexed.is_some() {
                    return Ok(Read::Misled);
                }
                // The gap is known and said; go on with the next whole batch.
                at = (at + 1..len).find(|&at| record::checked(&bytes[at..]).is_ok()).unwrap_or(len);
                continue;
            };
            at += head.len();
            let times = (head.first_timestamp, head.last_timestamp);
            if !(self.is_wanted_stream)(head.stream) || !self.overlaps(times) {
                continue;
            }
            if page.is_settled_before(self.best(times)) {
                page.may_have_more = true;
                continue;
            }
            for event in Events::new(&head, body) {
                if self.range.contains(&event.position) {
                    page.offer(&head, event.position, event.message);
                }
            }
        }
        Ok(Read::Done)
    }
}

fn is_short(error: &Error) -> bool {
    matches!(error, Error::Storage { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof)
}

/// Retention or a deletion took the file away after the snapshot: its events are gone.
fn is_deleted(error: &Error) -> bool {
    matches!(error, Error::Storage { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

impl SegmentFile {
    fn open(&self) -> Result<&File> {
        if self.file.get().is_none() {
            let _ = self.file.set(Arc::new(File::open(&self.path).map_err(Error::read)?));
        }
        Ok(self.file.get().expect("set just above"))
    }
}

impl Piece {
    fn times(&self) -> (i64, i64) {
        match self {
            Self::Segment(sealed) => (sealed.min_timestamp, sealed.max_timestamp),
            Self::Stretch { times, .. } => *times,
        }
    }
}

/// Joins neighbours among the batches that matter.
fn stretches(
    file: &Arc<SegmentFile>,
    batches: impl Iterator<Item = BatchRef>,
    query: &Query<'_>,
) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for batch in batches {
        let batch_times = (batch.min_timestamp, batch.max_timestamp);
        if !query.overlaps(batch_times) {
            continue;
        }
        let start = u64::from(batch.offset);
        let end = start + u64::from(batch.len);
        if let Some(Piece::Stretch { offset, len, times, .. }) = pieces.last_mut()
            && start <= *offset + *len as u64 + GAP_MAX
            && end - *offset <= STRETCH_MAX
        {
            *len = (end - *offset) as usize;
            *times = (times.0.min(batch_times.0), times.1.max(batch_times.1));
            continue;
        }
        let file = Arc::clone(file);
        pieces.push(Piece::Stretch { file, offset: start, len: batch.len as usize, times: batch_times });
    }
    pieces
}

/// A position turned so that smaller is better in the query's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(i64, u64, u32);

/// The best events seen so far.
struct Best<'a> {
    query: &'a Query<'a>,
    found: BTreeMap<Rank, Found>,
    bytes: usize,
    /// The best event that did not fit.
    cut: Option<Rank>,
    /// Something was passed over unread because the page was full.
    may_have_more: bool,
}

impl Best<'_> {
    fn offer(&mut self, head: &record::Head, position: Position, message: &[u8]) {
        let rank = self.query.rank(position);
        if self.is_worse_than_page(rank) {
            self.may_have_more = true;
            return;
        }
        let Ok(text) = std::str::from_utf8(message) else { return };
        if !(self.query.matches)(text) {
            return;
        }
        self.bytes += message.len() + EVENT_OVERHEAD;
        let found = Found {
            position,
            stream: head.stream,
            ingestion_time: head.ingestion_time,
            message: text.to_owned(),
        };
        // A stretch may be read twice, when its index misled.
        if let Some(same) = self.found.insert(rank, found) {
            self.bytes -= same.message.len() + EVENT_OVERHEAD;
        }
        while self.found.len() > self.query.limit || (self.bytes > PAGE_BYTES_MAX && self.found.len() > 1) {
            let Some((rank, gone)) = self.found.pop_last() else { return };
            self.bytes -= gone.message.len() + EVENT_OVERHEAD;
            self.cut = Some(rank);
        }
    }

    /// The worst event that can still be on the page, once that is known.
    fn last(&self) -> Option<Rank> {
        let is_full = self.found.len() >= self.query.limit;
        self.cut.or_else(|| self.found.last_key_value().filter(|_| is_full).map(|(&last, _)| last))
    }

    fn is_worse_than_page(&self, rank: Rank) -> bool {
        self.last().is_some_and(|last| rank > last)
    }

    /// Whether no event of this rank in time, or a worse one, can be on the page.
    fn is_settled_before(&self, best: i64) -> bool {
        self.last().is_some_and(|last| best > last.0)
    }

    /// The page is full, and there may be more.
    fn finish_full(self) -> Page {
        let edge = self.edge();
        self.into_page(edge)
    }

    /// All has been looked at, or all up to `stopped_at`.
    fn finish(mut self, stopped_at: Option<Position>) -> Page {
        if let Some(stopped_at) = stopped_at {
            let known = self.query.rank(stopped_at);
            // Backward, the boundary itself is not part of what is known; either way no event stands on it.
            self.found.retain(|&rank, _| rank < known);
            return self.into_page(Some(stopped_at));
        }
        let edge = self.edge().filter(|_| self.cut.is_some() || self.may_have_more);
        self.into_page(edge)
    }

    /// Right behind the page's worst event.
    fn edge(&self) -> Option<Position> {
        let (_, last) = self.found.last_key_value()?;
        Some(match self.query.direction {
            Direction::Forward => last.position.next(),
            Direction::Backward => last.position,
        })
    }

    fn into_page(self, stopped_at: Option<Position>) -> Page {
        let events = self.found.into_values();
        let events = match self.query.direction {
            Direction::Forward => events.collect(),
            Direction::Backward => events.rev().collect(),
        };
        Page { events, stopped_at }
    }
}

/// A piece with its place in the order of reading.
struct Waiting {
    best: i64,
    number: usize,
    piece: Piece,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.best, self.number).cmp(&(other.best, other.number))
    }
}
