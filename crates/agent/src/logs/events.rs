//! From records of output to log events and batches of them, within the bounds of PutLogEvents. Pure.

use std::{collections::VecDeque, time::Duration};

use engine::{OutputRecord, Stream};
use logs_model::InputLogEvent;
use tokio::time::Instant;
use wire::{awslogs, go::regexp::Regexp};

use crate::ledger::Shipped;

/// How long an event of several lines waits for its next line.
pub(super) const EVENT_PATIENCE: Duration = Duration::from_secs(1);
/// What CloudWatch Logs counts for each event beside its message.
const OVERHEAD: usize = 26;
/// Longest message: 256 KiB with the overhead.
const MAX_MESSAGE: usize = (256 << 10) - OVERHEAD;
const MAX_BATCH_BYTES: usize = 1 << 20;
const MAX_BATCH_EVENTS: usize = 10_000;
/// Within a batch, between the first and the last.
const MAX_BATCH_SPAN_MS: i64 = 24 * 3600 * 1000;

/// Puts lines together, and events.
pub(super) struct Assembler {
    event_start: Option<Regexp>,
    /// A line whose end has not come: stdout, stderr.
    lines: [Option<Pending>; 2],
    /// An event that may get another line.
    event: Option<Pending>,
    /// Whole events, in the order of their ends.
    ready: VecDeque<Event>,
    ready_bytes: usize,
    /// After the last record.
    at: Shipped,
}

struct Pending {
    at_ms: i64,
    data: Vec<u8>,
    /// Before its first record.
    from: Shipped,
    since: Instant,
}

struct Event {
    at_ms: i64,
    message: String,
    /// Once this event and all before it are shipped, up to where output is safe elsewhere.
    safe: Shipped,
}

/// Events for one call.
pub(super) struct Batch {
    pub events: Vec<InputLogEvent>,
    /// Where shipping goes on after this.
    pub at: Shipped,
}

impl Assembler {
    /// Goes on at `at`. Datetime format and multiline pattern were checked when the task was lowered; what cannot
    /// be used makes every line an event.
    pub(super) fn new([datetime, multiline]: [Option<&str>; 2], at: Shipped) -> Assembler {
        Assembler {
            event_start: awslogs::event_start(datetime, multiline).ok().flatten(),
            lines: [None, None],
            event: None,
            ready: VecDeque::new(),
            ready_bytes: 0,
            at,
        }
    }

    /// Takes the next record in.
    pub(super) fn push(&mut self, record: OutputRecord) {
        let slot = match record.stream {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
        };
        self.count_missing(&record);
        let after = Shipped { cursor: record.cursor, lines: record.lines, ..self.at };
        let from = std::mem::replace(&mut self.at, after);
        let new = || Pending { at_ms: record.at_ms, data: Vec::new(), from, since: Instant::now() };
        let mut line = self.lines[slot].take().unwrap_or_else(new);
        line.data.extend_from_slice(&record.data);
        while line.data.len() > MAX_MESSAGE {
            // Each piece but the last is as long as a message may be.
            let rest = line.data.split_off(boundary(&line.data, MAX_MESSAGE));
            let piece = std::mem::replace(&mut line, Pending { data: rest, ..new() });
            self.lines[slot] = Some(Pending { data: Vec::new(), ..new() });
            self.line(piece);
        }
        self.lines[slot] = None;
        match record.partial {
            true => self.lines[slot] = Some(line),
            false => self.line(line),
        }
    }

    /// So much of what would have come next is gone.
    pub(super) fn dropped(&mut self, bytes: u64) {
        // What the rest of a line was is not known; what comes next is none of it.
        self.finish();
        self.at.dropped_bytes += bytes;
        self.at.cursor += bytes;
    }

    fn count_missing(&mut self, record: &OutputRecord) {
        let known = self.at.lines > 0 || self.at.cursor == 0 || self.at.dropped_bytes == self.at.cursor;
        let before = record.lines.saturating_sub(u64::from(!record.partial));
        if known && before > self.at.lines {
            self.at.dropped_lines += before - self.at.lines;
        }
    }

    /// How far it has read, and what was dropped on the way.
    pub(super) fn at(&self) -> Shipped {
        self.at
    }

    fn line(&mut self, line: Pending) {
        let Some(start) = &self.event_start else {
            self.ready(line);
            return;
        };
        let starts = start.is_match(&line.data);
        match &mut self.event {
            Some(event) if !starts && event.data.len() + line.data.len() < MAX_MESSAGE => {
                event.data.push(b'\n');
                event.data.extend_from_slice(&line.data);
            }
            _ => {
                let before = self.event.replace(line);
                if let Some(event) = before {
                    self.ready(event);
                }
            }
        }
    }

    fn ready(&mut self, pending: Pending) {
        let text = String::from_utf8_lossy(&pending.data);
        let mut rest: &str = &text;
        // The API takes no empty message.
        while !rest.is_empty() {
            let (message, after) = rest.split_at(rest.floor_char_boundary(MAX_MESSAGE));
            rest = after;
            self.ready_bytes += message.len() + OVERHEAD;
            let event = Event { at_ms: pending.at_ms, message: message.to_owned(), safe: Shipped::default() };
            self.ready.push_back(event);
        }
        let safe = self.safe();
        if let Some(last) = self.ready.back_mut() {
            last.safe = safe;
        }
    }

    /// Up to where output is safe though nothing waits to be shipped: what was read held no event.
    pub(super) fn idle_at(&self) -> Option<Shipped> {
        self.ready.is_empty().then(|| self.safe())
    }

    /// Up to where nothing is held back.
    fn safe(&self) -> Shipped {
        let held = self.lines.iter().flatten().chain(&self.event).map(|pending| pending.from);
        held.min_by_key(|from| from.cursor).unwrap_or(self.at)
    }

    /// Whether an event waits for more lines.
    pub(super) fn holds_event(&self) -> bool {
        self.event.is_some()
    }

    /// Gives up waiting for more lines of an event that has waited long.
    pub(super) fn release_old(&mut self, now: Instant) {
        let old = self.event.as_ref().is_some_and(|event| now.duration_since(event.since) >= EVENT_PATIENCE);
        if old && let Some(event) = self.event.take() {
            self.ready(event);
        }
    }

    /// No more will come: what is held back is whole now.
    pub(super) fn finish(&mut self) {
        for slot in 0..self.lines.len() {
            if let Some(line) = self.lines[slot].take() {
                self.line(line);
            }
        }
        if let Some(event) = self.event.take() {
            self.ready(event);
        }
    }

    /// The next batch. Without `all`, only a full one.
    pub(super) fn batch(&mut self, all: bool) -> Option<Batch> {
        let full = self.ready_bytes >= MAX_BATCH_BYTES || self.ready.len() >= MAX_BATCH_EVENTS;
        if self.ready.is_empty() || !(all || full) {
            return None;
        }
        let (mut events, mut bytes, mut safe) = (Vec::new(), 0, Shipped::default());
        let (mut oldest, mut newest) = (i64::MAX, i64::MIN);
        while let Some(next) = self.ready.front() {
            let size = next.message.len() + OVERHEAD;
            (oldest, newest) = (oldest.min(next.at_ms), newest.max(next.at_ms));
            let too_long = newest.saturating_sub(oldest) >= MAX_BATCH_SPAN_MS;
            if events.len() >= MAX_BATCH_EVENTS || bytes + size > MAX_BATCH_BYTES || too_long {
                break;
            }
            let Some(next) = self.ready.pop_front() else { break };
            bytes += size;
            // Only the last part of a message that was cut has one.
            if next.safe.cursor > safe.cursor {
                safe = next.safe;
            }
            events.push(InputLogEvent { timestamp: next.at_ms, message: next.message });
        }
        self.ready_bytes -= bytes;
        // Both streams of a container are read in order of writing, but a line that came in parts is as
        // old as its first.
        events.sort_by_key(|event| event.timestamp);
        let at = if self.ready.is_empty() { self.safe() } else { safe };
        Some(Batch { events, at })
    }
}

/// The farthest place up to `most` that is not within a character.
fn boundary(data: &[u8], most: usize) -> usize {
    let goes_on = |at: &usize| data.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    // A character has four bytes at most; what has more such bytes in a row is no text.
    (most.saturating_sub(3)..=most).rev().find(|at| !goes_on(at)).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at_ms: i64, text: &str, partial: bool, cursor: u64) -> OutputRecord {
        OutputRecord {
            at_ms,
            stream: Stream::Stdout,
            data: text.as_bytes().to_vec(),
            partial,
            cursor,
            lines: 0,
        }
    }

    fn all(assembler: &mut Assembler) -> (Vec<String>, u64) {
        let batch = assembler.batch(true).unwrap();
        (batch.events.into_iter().map(|event| event.message).collect(), batch.at.cursor)
    }

    #[test]
    fn lines_are_events_and_a_part_holds_the_cursor_back() {
        let mut a = Assembler::new([None, None], Shipped::default());
        a.push(record(1, "one", false, 10));
        a.push(record(2, "", false, 11));
        a.push(record(3, "tw", true, 20));
        assert_eq!(all(&mut a), (vec!["one".to_string()], 11));
        assert!(a.batch(true).is_none());
        let other = OutputRecord { stream: Stream::Stderr, ..record(4, "err", false, 30) };
        a.push(other);
        assert_eq!(all(&mut a), (vec!["err".to_string()], 11), "the part is not shipped yet");
        a.push(record(5, "o", false, 40));
        assert_eq!(all(&mut a), (vec!["two".to_string()], 40));
    }

    #[test]
    fn the_end_makes_a_part_whole() {
        let mut a = Assembler::new([None, None], Shipped::default());
        a.push(record(1, "no newline", true, 10));
        a.finish();
        assert_eq!(all(&mut a), (vec!["no newline".to_string()], 10));
    }

    #[test]
    fn a_long_line_is_cut_where_a_message_ends_and_never_within_a_character() {
        const PART: usize = 16 << 10;
        for (unit, length) in [("x", MAX_MESSAGE), ("é", MAX_MESSAGE), ("€", MAX_MESSAGE - MAX_MESSAGE % 3)]
        {
            let text = unit.repeat((3 * MAX_MESSAGE + 10) / unit.len());
            let mut a = Assembler::new([None, None], Shipped::default());
            let parts: Vec<&[u8]> = text.as_bytes().chunks(PART).collect();
            for (at, part) in parts.iter().enumerate() {
                let whole = at + 1 == parts.len();
                a.push(OutputRecord { data: part.to_vec(), ..record(1, "", !whole, at as u64 + 1) });
            }
            let (messages, cursor) = all(&mut a);
            assert_eq!((messages.concat() == text, cursor), (true, parts.len() as u64), "{unit}");
            assert!(messages[..messages.len() - 1].iter().all(|m| m.len() == length), "{unit}");
        }
        let mut a = Assembler::new([None, None], Shipped::default());
        for (at, partial) in (1..=17).map(|at| (at, at < 17)) {
            a.push(OutputRecord { data: vec![b'x'; PART], ..record(1, "", partial, at) });
        }
        assert_eq!(a.batch(true).map(|b| b.events.len()), Some(2));
        a.push(OutputRecord { data: vec![b'y'; MAX_MESSAGE], ..record(1, "", false, 18) });
        assert_eq!(a.batch(true).map(|b| b.events.len()), Some(1), "one of just that length is whole");
        let held = |a: &mut Assembler, records: u64| {
            (1..=records).for_each(|at| {
                a.push(OutputRecord { data: vec![b'z'; PART], ..record(1, "", true, 18 + at) })
            });
            a.batch(true).map(|b| b.at.cursor)
        };
        assert_eq!(held(&mut a, 16), Some(18 + 15), "the rest of a part is not shipped yet");
    }

    #[test]
    fn a_pattern_starts_events() {
        let mut a = Assembler::new([None, Some("^\\d")], Shipped::default());
        for (at, text) in [(1, "1 error"), (2, "  at x"), (3, "  at y"), (4, "2 next")] {
            a.push(record(at, text, false, at as u64 * 10));
        }
        assert_eq!(all(&mut a), (vec!["1 error\n  at x\n  at y".to_string()], 30));
        a.release_old(Instant::now());
        assert!(a.batch(true).is_none());
        a.release_old(Instant::now() + EVENT_PATIENCE);
        assert_eq!(all(&mut a), (vec!["2 next".to_string()], 40));
    }

    #[test]
    fn what_is_missing_is_counted_by_lines() {
        let line = |n: u64, partial| OutputRecord { lines: n, ..record(1, "x", partial, 10 * n) };
        let mut a = Assembler::new([None, None], Shipped::default());
        a.push(line(1, false));
        a.push(line(1, true));
        // Lines 2 to 5 have ended unseen, the first of which began.
        a.dropped(40);
        a.push(line(6, false));
        assert_eq!(all(&mut a), (["x", "x", "x"].map(str::to_owned).to_vec(), 60));
        let at = Shipped { cursor: 60, lines: 6, dropped_lines: 4, dropped_bytes: 40 };
        assert_eq!(a.at(), at);
        // From the ledger, and from one that did not count lines.
        for (at, missing) in [(at, 5), (Shipped { cursor: 60, ..Shipped::default() }, 0)] {
            let mut a = Assembler::new([None, None], at);
            a.dropped(5);
            a.push(line(8, false));
            a.push(line(9, false));
            assert_eq!(a.at().dropped_lines, missing);
        }
    }

    #[test]
    fn batches_keep_to_the_bounds_and_lose_nothing() {
        let mut a = Assembler::new([None, None], Shipped::default());
        let long = "é".repeat(MAX_MESSAGE); // twice as many bytes
        a.push(record(1, &long, false, 1));
        for n in 0..25_000u64 {
            a.push(record(2, "x", false, 2 + n));
        }
        a.push(record(2 + MAX_BATCH_SPAN_MS, "late", false, 30_000));
        let (mut messages, mut last) = (Vec::new(), 0);
        while let Some(batch) = a.batch(true) {
            let bytes: usize = batch.events.iter().map(|e| e.message.len() + OVERHEAD).sum();
            assert!(bytes <= MAX_BATCH_BYTES && batch.events.len() <= MAX_BATCH_EVENTS);
            let times: Vec<i64> = batch.events.iter().map(|e| e.timestamp).collect();
            assert!(times.is_sorted() && times[times.len() - 1] - times[0] < MAX_BATCH_SPAN_MS);
            assert!(batch.at.cursor >= last);
            last = batch.at.cursor;
            messages.extend(batch.events.into_iter().map(|e| e.message));
        }
        assert_eq!(last, 30_000);
        assert_eq!(messages.concat(), format!("{long}{}late", "x".repeat(25_000)));
    }
}
