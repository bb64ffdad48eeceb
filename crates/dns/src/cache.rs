//! What others have answered, for as long as they said: by question, bounded in entries and bytes. Pure: time is passed in.
//!
//! That something is not there is kept as RFC 2308 has it: for the smaller of the SOA's own TTL and its last number. What is too old is
//! kept for a day more, for when nobody can be asked (RFC 8767), and goes first where room is wanted.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};

use crate::message::Question;
use crate::zone::Answer;

/// Longest that anything counts as new, in seconds.
const TTL_MAX: u32 = 86_400;
/// Longest that it counts that something is not there, in seconds.
const NEGATIVE_MAX: u32 = 900;
/// How long what is too old is kept.
const STALE_MAX: Duration = Duration::from_secs(86_400);
/// The TTL of what is too old, as RFC 8767 recommends.
const STALE_TTL: u32 = 30;
/// What an entry costs besides its records, in bytes: about.
const ENTRY_BYTES: usize = 512;
/// What a record costs besides its content as it was sent.
const RECORD_BYTES: usize = 256;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Answers.
    pub entries: usize,
    /// Bytes, estimated.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { entries: 20_000, bytes: 32 << 20 }
    }
}

struct Entry {
    answer: Answer,
    stored: Instant,
    /// Seconds from then on.
    ttl: u32,
    bytes: usize,
    /// Its place in the order of use.
    used: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It counts, with the TTL that is left.
    New(Answer),
    /// It is too old.
    Old(Answer),
}

/// The answers.
pub struct Cache {
    limits: Limits,
    entries: HashMap<Question, Entry>,
    /// By when they were used last.
    order: BTreeMap<u64, Question>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    /// An empty one.
    pub fn new(limits: Limits) -> Cache {
        Cache { limits, entries: HashMap::new(), order: BTreeMap::new(), bytes: 0, clock: 0 }
    }

    /// The answer to a question, if it is there.
    pub fn get(&mut self, question: &Question, now: Instant) -> Option<Found> {
        let entry = self.entries.get(question)?;
        let age = now.saturating_duration_since(entry.stored);
        let life = Duration::from_secs(u64::from(entry.ttl));
        if age >= life + STALE_MAX {
            self.remove(question);
            return None;
        }
        let (is_new, passed) = (age < life, u32::try_from(age.as_secs()).unwrap_or(u32::MAX));
        let mut answer = entry.answer.clone();
        for record in answer.records.iter_mut().chain(&mut answer.authority) {
            record.ttl = if is_new { record.ttl.min(TTL_MAX).saturating_sub(passed) } else { STALE_TTL };
        }
        self.touch(question);
        Some(if is_new { Found::New(answer) } else { Found::Old(answer) })
    }

    /// Keeps an answer of so many bytes, where it may be kept.
    pub fn put(&mut self, question: &Question, answer: &Answer, size: usize, now: Instant) {
        let Some(ttl) = lifetime(answer, question.kind) else { return };
        let records = answer.records.len() + answer.authority.len();
        let bytes = ENTRY_BYTES + size + RECORD_BYTES * records;
        if bytes > self.limits.bytes / 8 {
            return;
        }
        self.remove(question);
        self.bytes += bytes;
        let entry = Entry { answer: answer.clone(), stored: now, ttl, bytes, used: 0 };
        self.entries.insert(question.clone(), entry);
        self.touch(question);
        while self.entries.len() > self.limits.entries || self.bytes > self.limits.bytes {
            let Some(oldest) = self.order.values().next().cloned() else { break };
            self.remove(&oldest);
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Cache::new(self.limits);
    }

    /// How many answers there are, and how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    fn touch(&mut self, question: &Question) {
        self.clock += 1;
        if let Some(entry) = self.entries.get_mut(question) {
            self.order.remove(&entry.used);
            entry.used = self.clock;
            self.order.insert(self.clock, question.clone());
        }
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.entries.remove(question) {
            self.order.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

/// For how many seconds an answer may be kept; none where it may not.
fn lifetime(answer: &Answer, kind: RecordType) -> Option<u32> {
    // RFC 2181, 8: what has the first bit is nought.
    let ttl = |ttl: u32| if ttl > i32::MAX as u32 { 0 } else { ttl };
    let least = answer.records.iter().chain(&answer.authority).map(|record| ttl(record.ttl)).min();
    let is_there = answer.records.iter().any(|record| record.record_type() == kind);
    let most = match answer.code {
        ResponseCode::NoError if is_there => TTL_MAX,
        ResponseCode::NoError | ResponseCode::NXDomain => {
            let soa = answer.authority.iter().find_map(|record| match &record.data {
                RData::SOA(soa) => Some(soa.minimum.min(ttl(record.ttl))),
                _ => None,
            });
            soa?.min(NEGATIVE_MAX)
        }
        _ => return None,
    };
    Some(least.unwrap_or(0).min(most)).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests;
