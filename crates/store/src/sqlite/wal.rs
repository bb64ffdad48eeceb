//! The write-ahead log as it lies on disk, looked at before SQLite is: the format is
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.
//!
//! SQLite takes a log to end where the first frame does not fit, and says nothing, as that is what a power cut leaves.
//! But only the newest transaction can be left so: each one before it was on disk when the next was written. So a
//! frame that does not fit, with a transaction behind it on which another was built, is damage, and what lies behind
//! it was acknowledged. A single byte that is not as it was is found by the checksum, wherever it is, and mended.
//!
//! It must not decide what becomes of a damaged log: that is `salvage`. Memory: 12 bytes a frame. Work: the file is
//! read once.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::file;
use sums::Sums;

mod sums;

/// The log's head, and the head of each frame, in bytes.
const HEAD: usize = 32;
const FRAME_HEAD: usize = 24;
/// What the log begins with; the last bit is set where words begin with their highest byte.
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;
/// Pages are of SQLite's usual size, in bytes, unless the log says otherwise.
const PAGE: usize = 4096;

/// A frame, which is a page as one transaction left it.
#[derive(Clone, Copy, Debug)]
struct Frame {
    page: u32,
    /// Pages of the whole file, where a transaction ends with this frame; else 0.
    size: u32,
    /// Carries the marks of this log, and not of one that began at the same place before.
    ours: bool,
    /// Its checksum follows from that of the frame before it.
    fits: bool,
    /// One byte in it is wrong, but it cannot be told which: no power cut does that.
    is_wrong: bool,
}

/// Bytes that are to stand at a place of the log.
#[derive(Debug)]
struct Mend {
    at: u64,
    bytes: Vec<u8>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Log {
    page_bytes: usize,
    /// Up to the end of the last transaction that counts.
    frames: Vec<Frame>,
    mends: Vec<Mend>,
    is_broken: bool,
}

/// Looks at the log of the store at `path`. One that somebody is writing to has nothing wrong.
pub(super) fn look(path: &Path) -> io::Result<Log> {
    let file = match File::open(file::beside(path, "-wal")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Log::default()),
        file => file?,
    };
    let mut log = Log::default();
    let mut before = [0; HEAD];
    if !read(&file, 0, &mut before)? {
        return Ok(log);
    }
    let Some(head) = Head::find(&file, &before, &mut log.mends)? else { return Ok(Log::default()) };
    log.page_bytes = head.page_bytes;
    log.walk(&file, &head)?;
    log.settle(head.sums.is_none());
    let mut after = [0; HEAD];
    read(&file, 0, &mut after)?;
    Ok(if before == after { log } else { Log::default() })
}

impl Log {
    /// Acknowledged transactions lie behind what cannot be mended, or partly in it.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// How many places [`Log::mend`] changes.
    pub(super) fn mends(&self) -> usize {
        self.mends.len()
    }

    /// Whether the log, or else the file at `path`, is not a store's. What the log holds of the first page counts more.
    pub(super) fn is_foreign(&self, path: &Path, application: u32) -> io::Result<bool> {
        let mut found = None;
        if let Some(nth) = self.frames.iter().rposition(|frame| frame.fits && frame.page == 1) {
            found = word_at(&File::open(file::beside(path, "-wal"))?, self.page_at(nth) + APPLICATION_AT)?;
        } else if let Ok(file) = File::open(path) {
            found = word_at(&file, APPLICATION_AT)?;
        }
        // One that was never checkpointed has nothing of its own in the file yet.
        Ok(found.is_some_and(|found| found != application && found != 0))
    }

    /// Makes mended places as they were. On disk when this returns.
    pub(super) fn mend(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(file::beside(path, "-wal"))?;
        for mend in &self.mends {
            file.write_all_at(&mend.bytes, mend.at)?;
        }
        file.sync_data()
    }

    /// Writes to `to` what the store at `path` is with its (mended) log: each page as the newest frame that fits has
    /// it. `doubtful`: or as the newest frame has it, whether it fits or not.
    pub(super) fn view(&self, path: &Path, to: &Path, doubtful: bool) -> io::Result<()> {
        let held = fs::copy(path, to)?;
        if self.frames.is_empty() {
            return Ok(());
        }
        let log = File::open(file::beside(path, "-wal"))?;
        let view = OpenOptions::new().write(true).open(to)?;
        // A file grows by no more pages than were written; what is said of others is damage.
        let most = held / self.page_bytes as u64 + self.frames.len() as u64;
        let mut page = vec![0; self.page_bytes];
        for (nth, frame) in self.frames.iter().enumerate() {
            let counts = frame.fits || (doubtful && frame.ours);
            if counts
                && (1..=most).contains(&u64::from(frame.page))
                && read(&log, self.page_at(nth), &mut page)?
            {
                view.write_all_at(&page, (u64::from(frame.page) - 1) * self.page_bytes as u64)?;
            }
        }
        Ok(())
    }

    fn page_at(&self, nth: usize) -> u64 {
        frame_at(self.page_bytes, nth) + FRAME_HEAD as u64
    }

    /// Reads all frames, and finds what can be mended.
    fn walk(&mut self, file: &File, head: &Head) -> io::Result<()> {
        let mut this = vec![0; FRAME_HEAD + head.page_bytes];
        let mut next = this.clone();
        let (mut seed, mut after_ours) = (head.sums, true);
        for nth in 0.. {
            if !read(file, frame_at(head.page_bytes, nth), &mut this)? {
                break;
            }
            let (mut fits, mut is_wrong) = (head.fits(seed, &this), false);
            // Frames of a log before follow from one another too.
            if let (false, true, Some(seed)) = (fits, after_ours, seed) {
                let follows = read(file, frame_at(head.page_bytes, nth + 1), &mut next)?;
                match head.mend(seed, &this, follows.then_some(&next[..])) {
                    Verdict::Mend(at, bytes) => {
                        this[at..at + bytes.len()].copy_from_slice(&bytes);
                        self.mends.push(Mend { at: frame_at(head.page_bytes, nth) + at as u64, bytes });
                        fits = head.fits(Some(seed), &this);
                    }
                    Verdict::Wrong => is_wrong = true,
                    Verdict::Unknown => {}
                }
            }
            let (page, size) = (number(&this, 0), number(&this, 4));
            self.frames.push(Frame { page, size, ours: this[8..16] == head.salts, fits, is_wrong });
            (seed, after_ours) = (Some(stored(&this)), this[8..16] == head.salts);
        }
        Ok(())
    }

    /// Finds the end. The end of a transaction is one if all of it fits, or another was built on it: SQLite does that
    /// only once it is on disk. What a refused transaction left behind the one that was written over it is neither.
    fn settle(&mut self, head_is_lost: bool) {
        if let (true, [first, second, ..]) = (head_is_lost, &mut self.frames[..]) {
            first.fits = second.fits && first.ours;
        }
        let (mut end, mut is_whole) = (0, true);
        for (nth, frame) in self.frames.iter().enumerate() {
            is_whole &= frame.fits || frame.is_wrong;
            if frame.ours && frame.size != 0 {
                let is_built_on = self.frames.get(nth + 1).is_some_and(|next| next.fits);
                if is_whole || is_built_on {
                    end = nth + 1;
                }
                is_whole = true;
            }
        }
        self.frames.truncate(end);
        let (page_bytes, behind) = (self.page_bytes, self.frames.len());
        self.mends.retain(|mend| behind > 0 && mend.at < frame_at(page_bytes, behind));
        self.is_broken = (head_is_lost && end > 0) || self.frames.iter().any(|frame| !frame.fits);
    }
}

/// What is to be done about a frame that does not fit.
enum Verdict {
    /// These bytes belong at this place of it.
    Mend(usize, Vec<u8>),
    /// It is damaged.
    Wrong,
    /// It is damaged, or was never written whole.
    Unknown,
}

/// What the log's head says.
struct Head {
    big: bool,
    page_bytes: usize,
    salts: [u8; 8],
    /// Where checksums go on from; none where the head is lost.
    sums: Option<Sums>,
}

impl Head {
    /// Reads the head; where that is damaged, mends it, or finds by the frames what stood in it. None for a log that
    /// says nothing.
    fn find(file: &File, bytes: &[u8; HEAD], mends: &mut Vec<Mend>) -> io::Result<Option<Head>> {
        let mut first = [0; FRAME_HEAD];
        read(file, HEAD as u64, &mut first)?;
        // Cleared, as all of the log is in the file (see `room`).
        if bytes.iter().all(|byte| *byte == 0) && first.iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        if let Some(head) = Head::parse(bytes) {
            return Ok(Some(head));
        }
        let mut frame = vec![0; FRAME_HEAD + PAGE];
        for big in [false, true] {
            let (found, wanted) =
                (sums::over(big, (0, 0), &bytes[..24]), (number(bytes, 24), number(bytes, 28)));
            let sum = Some((24, [found.0.to_be_bytes(), found.1.to_be_bytes()].concat()));
            let byte = sums::one_byte(big, found, wanted, &bytes[..24]);
            for (at, right) in sum.into_iter().chain(byte.into_iter().map(|(at, byte)| (at, vec![byte]))) {
                let mut mended = *bytes;
                mended[at..at + right.len()].copy_from_slice(&right);
                // The first frame tells which of them it is.
                let Some(head) = Head::parse(&mended).filter(|head| head.big == big) else { continue };
                frame.resize(FRAME_HEAD + head.page_bytes, 0);
                if read(file, HEAD as u64, &mut frame)? && head.fits(head.sums, &frame) {
                    mends.push(Mend { at: at as u64, bytes: right });
                    return Ok(Some(head));
                }
            }
        }
        Head::of_frames(file)
    }

    fn parse(bytes: &[u8; HEAD]) -> Option<Head> {
        let magic = number(bytes, 0);
        let big = magic & 1 == 1;
        let page_bytes = number(bytes, 8);
        let is_one = magic & !1 == MAGIC
            && number(bytes, 4) == VERSION
            && page_bytes.is_power_of_two()
            && (512..=65536).contains(&page_bytes);
        let sums = sums::over(big, (0, 0), &bytes[..24]);
        let is_one = is_one && sums == (number(bytes, 24), number(bytes, 28));
        let salts = bytes[16..24].try_into().ok()?;
        is_one.then_some(Head { big, page_bytes: page_bytes as usize, salts, sums: Some(sums) })
    }

    /// By the first frame that follows from the one before it.
    fn of_frames(file: &File) -> io::Result<Option<Head>> {
        let mut before = vec![0; FRAME_HEAD + PAGE];
        let mut this = before.clone();
        let mut nth = 0;
        while read(file, frame_at(PAGE, nth), &mut this)? {
            for big in [false, true] {
                let salts = this[8..16].try_into().unwrap_or_default();
                let head = Head { big, page_bytes: PAGE, salts, sums: None };
                if nth > 0 && before[8..16] == salts && head.fits(Some(stored(&before)), &this) {
                    return Ok(Some(head));
                }
            }
            std::mem::swap(&mut before, &mut this);
            nth += 1;
        }
        Ok(None)
    }

    fn fits(&self, seed: Option<Sums>, frame: &[u8]) -> bool {
        let is_ours = frame[8..16] == self.salts && number(frame, 0) != 0;
        is_ours && seed.is_some_and(|seed| self.over(seed, frame) == stored(frame))
    }

    /// The checksum that a frame must have.
    fn over(&self, seed: Sums, frame: &[u8]) -> Sums {
        sums::over(self.big, sums::over(self.big, seed, &frame[..8]), &frame[FRAME_HEAD..])
    }

    /// What makes a frame fit: the salts, which no checksum covers; its checksum, if the next frame was built on the
    /// right one; or one byte.
    fn mend(&self, seed: Sums, frame: &[u8], next: Option<&[u8]>) -> Verdict {
        let (found, wanted) = (self.over(seed, frame), stored(frame));
        if found == wanted && number(frame, 0) != 0 {
            return Verdict::Mend(8, self.salts.to_vec());
        }
        if frame[8..16] != self.salts {
            return Verdict::Unknown;
        }
        let sum = [found.0.to_be_bytes(), found.1.to_be_bytes()].concat();
        let is_next = |seed: Sums| next.is_some_and(|next| self.fits(Some(seed), next));
        if is_next(found) {
            return Verdict::Mend(16, sum);
        }
        // The last word of a page and half of the checksum show the same: it is the one that nothing is built on.
        if let Some(nth) = sums::only_difference(&frame[16..24], &sum).filter(|_| !is_next(wanted)) {
            // A wrong highest byte in the page may look like one of these.
            return if nth % 4 == 0 { Verdict::Wrong } else { Verdict::Mend(16, sum) };
        }
        let covered = [&frame[..8], &frame[FRAME_HEAD..]].concat();
        match sums::one_byte(self.big, found, wanted, &covered)[..] {
            [] => Verdict::Unknown,
            [(at, byte)] if at % 4 != if self.big { 0 } else { 3 } => {
                Verdict::Mend(if at < 8 { at } else { at + FRAME_HEAD - 8 }, vec![byte])
            }
            _ => Verdict::Wrong,
        }
    }
}

/// Where the first page has the mark of whose file it is.
const APPLICATION_AT: u64 = 68;

fn frame_at(page_bytes: usize, nth: usize) -> u64 {
    HEAD as u64 + nth as u64 * (FRAME_HEAD + page_bytes) as u64
}

fn stored(frame: &[u8]) -> Sums {
    (number(frame, 16), number(frame, 20))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap_or_default())
}

fn word_at(file: &File, at: u64) -> io::Result<Option<u32>> {
    let mut word = [0; 4];
    Ok(read(file, at, &mut word)?.then(|| u32::from_be_bytes(word)))
}

/// Fills `into`; false where the file ends before.
fn read(file: &File, at: u64, into: &mut [u8]) -> io::Result<bool> {
    match file.read_exact_at(into, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        outcome => outcome.map(|()| true),
    }
}
