//! A disk, as far as one file that is only appended to knows it: what is written may be lost until it is synced, in part
//! too, and both may fail. Beside the file stands the last checkpoint, which was put in its place whole.

use parking_lot::Mutex;
use store::Change;

use crate::random::Random;

/// What a write was refused with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Nothing is left.
    Full,
    /// The file can be written, but not be made durable.
    Sync,
}

/// What the next writes meet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Nothing can be written.
    pub full: bool,
    /// So little is left that nothing new should be begun.
    pub tight: bool,
    /// Syncing fails.
    pub failing: bool,
    /// Each sync takes so much longer, in milliseconds.
    pub slow_ms: i64,
}

/// The disk of one host.
#[derive(Default)]
pub struct Disk(Mutex<State>);

#[derive(Default)]
struct State {
    checkpoint: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    /// What a sync has promised of it and not kept.
    promised: Vec<u8>,
    /// What was written behind it and not synced.
    cached: Vec<u8>,
    weather: Weather,
}

impl Disk {
    /// Changes what the next writes meet.
    pub fn set(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.0.lock().weather);
    }

    /// What writes meet now.
    pub fn weather(&self) -> Weather {
        self.0.lock().weather
    }

    /// Appends, in the place of what could not be synced before.
    ///
    /// # Errors
    /// The disk is full.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Refused> {
        let mut state = self.0.lock();
        if state.weather.full {
            return Err(Refused::Full);
        }
        state.cached.clear();
        state.cached.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes all that was written durable. `lies`: says so and does not.
    ///
    /// # Errors
    /// It could not; what was written may or may not be found again.
    pub fn sync(&self, lies: bool) -> Result<(), Refused> {
        let mut state = self.0.lock();
        if state.weather.failing {
            return Err(Refused::Sync);
        }
        let cached = std::mem::take(&mut state.cached);
        if lies {
            state.promised.extend_from_slice(&cached);
        } else {
            state.durable.extend_from_slice(&cached);
        }
        Ok(())
    }

    /// The host ends at once: of what was not synced some first part is found again.
    pub fn crash(&self, random: &mut Random) {
        let mut state = self.0.lock();
        let kept = match random.range(0, 2) {
            0 => 0,
            1 => state.cached.len(),
            _ => usize::try_from(random.range(0, state.cached.len() as i64)).unwrap_or(0),
        };
        state.cached.truncate(kept);
        state.promised.clear();
        let cached = std::mem::take(&mut state.cached);
        state.durable.extend_from_slice(&cached);
    }

    /// The process ends at once: what it has written is the kernel's, and gets to the disk.
    pub fn process_ends(&self) {
        let mut state = self.0.lock();
        let (promised, cached) = (std::mem::take(&mut state.promised), std::mem::take(&mut state.cached));
        state.durable.extend_from_slice(&promised);
        state.durable.extend_from_slice(&cached);
    }

    /// Everything on it is gone.
    pub fn wipe(&self) {
        let mut state = self.0.lock();
        *state = State { weather: state.weather, ..State::default() };
    }

    /// How much was appended to the last checkpoint, in bytes.
    pub fn grown(&self) -> usize {
        self.0.lock().durable.len()
    }

    /// The last checkpoint, and what was appended since.
    pub fn read(&self) -> (Vec<u8>, Vec<u8>) {
        let state = self.0.lock();
        (state.checkpoint.clone(), state.durable.clone())
    }

    /// Puts a checkpoint in the place of all there was, at once or not at all.
    pub fn replace(&self, checkpoint: Vec<u8>) {
        let mut state = self.0.lock();
        state.checkpoint = checkpoint;
        state.durable.clear();
        state.promised.clear();
        state.cached.clear();
    }
}

/// A commit as it lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub revision: u64,
    pub changes: Vec<Change>,
}

/// Length, sum, and what they are of.
const HEAD: usize = 16;

/// Appends records as one: they are found again together, or not at all.
pub fn encode(records: &[Record], out: &mut Vec<u8>) {
    let began = out.len();
    out.extend_from_slice(&[0; HEAD]);
    put(out, records.len() as u64);
    for record in records {
        put(out, record.revision);
        put(out, record.changes.len() as u64);
        for change in &record.changes {
            let (key, value) = match change {
                Change::Put { key, value } => (key, Some(value)),
                Change::Delete { key } => (key, None),
            };
            put(out, key.len() as u64);
            put(out, value.map_or(u64::MAX, |value| value.len() as u64));
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(value.map_or(&[], |value| value.as_ref()));
        }
    }
    let length = (out.len() - began - HEAD) as u64;
    let sum = sum(&out[began + HEAD..]);
    out[began..began + 8].copy_from_slice(&length.to_le_bytes());
    out[began + 8..began + HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// Reads what was appended, up to the first part that is not whole. `believes`: that one too, as far as it goes.
pub fn decode(bytes: &[u8], believes: bool) -> Vec<Record> {
    let (mut records, mut rest) = (Vec::new(), bytes);
    while let Some((head, after)) = rest.split_at_checked(HEAD) {
        let (length, told) = (number(&head[..8]), number(&head[8..]));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let whole = after.split_at_checked(length).filter(|(body, _)| sum(body) == told);
        match whole {
            Some((body, after)) => {
                take(body, &mut records);
                rest = after;
            }
            None => {
                if believes {
                    take(after, &mut records);
                }
                break;
            }
        }
    }
    records
}

/// Takes records apart, as far as there are any.
fn take(body: &[u8], records: &mut Vec<Record>) {
    let mut rest = body;
    let mut next = |bytes: usize| {
        let (one, after) = rest.split_at_checked(bytes)?;
        rest = after;
        Some(one)
    };
    let mut all = || {
        for _ in 0..number(next(8)?) {
            let (revision, changes) = (number(next(8)?), number(next(8)?));
            records.push(Record { revision, changes: Vec::new() });
            for _ in 0..changes {
                let (key, value) = (number(next(8)?), number(next(8)?));
                let key = String::from_utf8(next(usize::try_from(key).ok()?)?.to_vec()).ok()?;
                let change = match value {
                    u64::MAX => Change::Delete { key },
                    length => {
                        let value = next(usize::try_from(length).ok()?)?.to_vec().into();
                        Change::Put { key, value }
                    }
                };
                records.last_mut()?.changes.push(change);
            }
        }
        Some(())
    };
    // What is missing at the end of a torn one is missing.
    let _ = all();
}

fn put(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn number(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
    u64::from_le_bytes(eight)
}

/// FNV-1a over words: quick, and it tells torn records from whole ones.
fn sum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum, chunk| step(sum, number(chunk)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(revision: u64) -> Record {
        let put = Change::Put { key: format!("k{revision}"), value: vec![7; 40].into() };
        Record { revision, changes: vec![put, Change::Delete { key: "gone".to_owned() }] }
    }

    #[test]
    fn records_are_found_whole_or_not_at_all() {
        let mut bytes = Vec::new();
        encode(&[record(1), record(2)], &mut bytes);
        let first = bytes.len();
        encode(&[record(3)], &mut bytes);
        assert_eq!(decode(&bytes, false), [record(1), record(2), record(3)]);
        for cut in 0..bytes.len() {
            let found = decode(&bytes[..cut], false);
            assert_eq!(found.len(), if cut < first { 0 } else { 2 }, "{cut}");
        }
        bytes[first / 2] ^= 1;
        assert_eq!(decode(&bytes, false), []);
    }
}
