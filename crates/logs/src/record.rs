//! The bytes of one batch: what one PutLogEvents kept, as it lies in a segment file. Pure.
//!
//! A batch is a head of [`HEAD_LEN`] bytes (checksums first) and a body of events in order of time, each a
//! varint (milliseconds after the batch's first event), a varint (length) and the message.

use crate::error::Error;
use crate::limits::{BATCH_BYTES_MAX, EVENT_OVERHEAD, EVENTS_MAX};
use crate::types::InputLogEvent;

/// Where an event stands in its group: by time, then by order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The event's own time.
    pub timestamp: i64,
    /// Its batch's number in the group, from 1, in order of arrival.
    pub sequence: u64,
    /// Its place in the batch.
    pub index: u32,
}

impl Position {
    /// Before every event of this time.
    pub fn at(timestamp: i64) -> Self {
        Self { timestamp, sequence: 0, index: 0 }
    }

    /// Right after this event.
    pub fn next(self) -> Self {
        Self { index: self.index.saturating_add(1), ..self }
    }
}

/// Bytes before a batch's body.
pub(crate) const HEAD_LEN: usize = 64;
/// No body is longer: two varints cost less than AWS's 26 bytes an event.
pub(crate) const BODY_MAX: usize = BATCH_BYTES_MAX;

/// A batch's head, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub body_len: u32,
    pub body_crc: u32,
    pub count: u32,
    pub sequence: u64,
    pub stream: u64,
    pub first_timestamp: i64,
    pub last_timestamp: i64,
    pub ingestion_time: i64,
}

impl Head {
    /// Head and body together, in bytes.
    pub fn len(&self) -> usize {
        HEAD_LEN + self.body_len as usize
    }

    pub fn encode(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0_u8; HEAD_LEN];
        bytes[4..8].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.stream.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_timestamp.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last_timestamp.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.ingestion_time.to_le_bytes());
        let crc = crc32fast::hash(&bytes[4..]);
        bytes[0..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Whether a head may begin here: a quick look that costs no checksum. True for every whole one.
    pub fn may_begin(bytes: &[u8]) -> bool {
        let (len, count) = (u32_at(bytes, 4) as usize, u32_at(bytes, 12) as usize);
        len <= BODY_MAX && (1..=EVENTS_MAX).contains(&count) && count <= len
    }

    /// The head at the start of `bytes`, or nothing when it is torn or damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEAD_LEN)?;
        if crc32fast::hash(&bytes[4..]) != u32_at(bytes, 0) {
            return None;
        }
        let head = Self {
            body_len: u32_at(bytes, 4),
            body_crc: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            sequence: u64_at(bytes, 16),
            stream: u64_at(bytes, 24),
            first_timestamp: u64_at(bytes, 32).cast_signed(),
            last_timestamp: u64_at(bytes, 40).cast_signed(),
            ingestion_time: u64_at(bytes, 48).cast_signed(),
        };
        (head.body_len as usize <= BODY_MAX).then_some(head)
    }
}

/// A batch ready to be written; the writer gives it its sequence number.
#[derive(Debug)]
pub(crate) struct Batch {
    pub head: Head,
    pub body: Vec<u8>,
}

impl Batch {
    /// Encodes events that [`crate::put`] has checked: in order, at least one.
    pub fn encode(stream: u64, events: &[InputLogEvent], now_ms: i64) -> Self {
        let first = events.first().map_or(0, |event| event.timestamp);
        let last = events.last().map_or(0, |event| event.timestamp);
        let size = events.iter().map(|event| event.message.len() + EVENT_OVERHEAD / 2).sum();
        let mut body = Vec::with_capacity(size);
        for event in events {
            put_varint(&mut body, (event.timestamp - first).cast_unsigned());
            put_varint(&mut body, event.message.len() as u64);
            body.extend_from_slice(event.message.as_bytes());
        }
        let head = Head {
            body_len: body.len() as u32,
            body_crc: crc32fast::hash(&body),
            count: events.len() as u32,
            sequence: 0,
            stream,
            first_timestamp: first,
            last_timestamp: last,
            ingestion_time: now_ms,
        };
        Self { head, body }
    }
}

/// The events of one body; stops early if the body does not hold together.
pub(crate) struct Events<'a> {
    head: &'a Head,
    rest: &'a [u8],
    index: u32,
}

/// One event, borrowed from its body.
pub(crate) struct Event<'a> {
    pub position: Position,
    pub message: &'a [u8],
}

impl<'a> Events<'a> {
    pub fn new(head: &'a Head, body: &'a [u8]) -> Self {
        Self { head, rest: body, index: 0 }
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        if self.index >= self.head.count {
            return None;
        }
        let after = take_varint(&mut self.rest)?;
        let len = usize::try_from(take_varint(&mut self.rest)?).ok()?;
        let (message, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        let position = Position {
            timestamp: self.head.first_timestamp.wrapping_add_unsigned(after),
            sequence: self.head.sequence,
            index: self.index,
        };
        self.index += 1;
        Some(Event { position, message })
    }
}

/// A batch in a buffer, checked: its head, its events, and how long it is.
pub(crate) fn checked(bytes: &[u8]) -> Result<(Head, &[u8]), &'static str> {
    let head = Head::decode(bytes).ok_or("a batch's head does not match its checksum")?;
    let body = bytes.get(HEAD_LEN..head.len()).ok_or("a batch is cut short")?;
    if crc32fast::hash(body) != head.body_crc {
        return Err("a batch's body does not match its checksum");
    }
    Ok((head, body))
}

/// The largest time that fits the digits.
const TIME_MAX: i64 = 9_999_999_999_999_999;

/// The 56 digits that name a position, as event ids and page tokens look at AWS.
pub(crate) fn digits(position: Position, stream: u64) -> String {
    let Position { timestamp, sequence, index } = position;
    format!("3{:016}{sequence:018}{index:05}{stream:016}", timestamp.clamp(0, TIME_MAX))
}

/// The position that [`digits`] wrote.
pub(crate) fn parse_digits(text: &str) -> Result<Position, Error> {
    let wrong = || Error::invalid("The specified nextToken is invalid.");
    if text.len() != 56 || !text.starts_with('3') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let timestamp = text[1..17].parse().map_err(|_| wrong())?;
    let sequence = text[17..35].parse().map_err(|_| wrong())?;
    let index = text[35..40].parse().map_err(|_| wrong())?;
    Ok(Position { timestamp, sequence, index })
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Little-endian, at a place that the caller knows to be inside.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

/// Little-endian, at a place that the caller knows to be inside.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(timestamp: i64, message: &str) -> InputLogEvent {
        InputLogEvent { timestamp, message: message.to_owned() }
    }

    #[test]
    fn a_batch_reads_back_as_written() {
        let events = [
            event(1_700_000_000_000, "one"),
            event(1_700_000_000_000, "zwei ☃"),
            event(1_700_000_086_000, "x"),
        ];
        let mut batch = Batch::encode(7, &events, 5);
        batch.head.sequence = 9;
        let mut bytes = batch.head.encode().to_vec();
        bytes.extend_from_slice(&batch.body);
        let (head, body) = checked(&bytes).unwrap();
        assert_eq!((head.sequence, head.stream, head.ingestion_time), (9, 7, 5));
        let read: Vec<_> = Events::new(&head, body)
            .map(|event| (event.position.timestamp, String::from_utf8(event.message.to_vec()).unwrap()))
            .collect();
        assert_eq!(read, events.map(|event| (event.timestamp, event.message)));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let batch = Batch::encode(1, &[event(5, "hello"), event(6, "world")], 7);
        let mut bytes = batch.head.encode().to_vec();
        bytes.extend_from_slice(&batch.body);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(checked(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(checked(&bytes[..len]).is_err(), "length {len}");
        }
    }

    proptest! {
        #[test]
        fn digits_keep_order_and_read_back(a in 0_i64..9_999_999_999_999, b in 0_i64..9_999_999_999_999,
                                           s in 0_u64..1_000_000_000, i in 0_u32..10_000) {
            let (x, y) = (Position { timestamp: a, sequence: s, index: i }, Position { timestamp: b, sequence: 3, index: 4 });
            prop_assert_eq!(parse_digits(&digits(x, 12)).unwrap(), x);
            prop_assert_eq!(x.cmp(&y), digits(x, 0).cmp(&digits(y, 0)));
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in any::<u32>()) {
            let _ = checked(&bytes);
            let head = Head { body_len: 0, body_crc: 0, count, sequence: 0, stream: 0, first_timestamp: i64::MAX,
                              last_timestamp: 0, ingestion_time: 0 };
            let _ = Events::new(&head, &bytes).count();
            let _ = parse_digits(&String::from_utf8_lossy(&bytes));
        }
    }
}
