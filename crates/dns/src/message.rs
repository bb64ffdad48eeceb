//! From the bytes of a question to what is asked, and from an answer to bytes; and the same with those who are asked. Pure, and made
//! for anything that anybody may send.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::zone::Answer;

/// Most bytes of a question.
pub const QUESTION_MAX: usize = 4_096;
/// Most bytes of a datagram, either way: what passes everywhere without being cut to pieces.
pub const DATAGRAM_MAX: u16 = 1_232;
/// Bytes of a header.
const HEADER: usize = 12;

/// What is asked, as others are asked and as answers are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// In small letters.
    pub name: Name,
    /// The type of records.
    pub kind: RecordType,
    /// Signatures are wanted (DO).
    pub dnssec: bool,
    /// Signatures need not be checked (CD).
    pub unchecked: bool,
}

/// A question as somebody put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    id: u16,
    query: Query,
    /// Others may be asked (RD).
    pub recursive: bool,
    /// Most bytes of a datagram that it takes; none without EDNS.
    room: Option<u16>,
    /// It asks to be told whether the answer is authentic.
    authentic: bool,
    /// What is asked.
    pub question: Question,
}

/// Why there is no question in the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoQuestion {
    /// Nothing is said to that.
    Silence,
    /// This is said.
    Reply(Vec<u8>),
}

/// Reads a question.
///
/// # Errors
/// What is to be said to it instead of an answer.
pub fn read(bytes: &[u8]) -> Result<Asked, NoQuestion> {
    // An answer to an answer would have no end.
    let Some([high, low, flags]) = bytes.get(..3).filter(|_| bytes.len() >= HEADER) else {
        return Err(NoQuestion::Silence);
    };
    if flags & 0x80 != 0 {
        return Err(NoQuestion::Silence);
    }
    let id = u16::from_be_bytes([*high, *low]);
    let refuse = |code| Err(NoQuestion::Reply(refusal(id, flags, code)));
    if (flags >> 3) & 0xf != 0 {
        return refuse(ResponseCode::NotImp);
    }
    let Ok(message) = Message::from_vec(bytes) else { return refuse(ResponseCode::FormErr) };
    let [query] = message.queries.as_slice() else { return refuse(ResponseCode::FormErr) };
    if message.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        let mut reply = reply(id, query);
        reply.metadata.response_code = ResponseCode::BADVERS;
        reply.set_edns(own_edns(false));
        return Err(NoQuestion::Reply(reply.to_vec().unwrap_or_default()));
    }
    let kind = query.query_type();
    if query.query_class() != DNSClass::IN || matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return refuse(ResponseCode::Refused);
    }
    // RFC 8482: no answer to that need be whole, and it is the longest that there is.
    if kind == RecordType::ANY {
        return refuse(ResponseCode::NotImp);
    }
    let dnssec = message.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
    let question = Question {
        name: query.name().to_lowercase(),
        kind,
        dnssec,
        unchecked: message.metadata.checking_disabled,
    };
    Ok(Asked {
        id,
        recursive: message.metadata.recursion_desired,
        room: message.edns.as_ref().map(Edns::max_payload),
        authentic: dnssec || message.metadata.authentic_data,
        query: query.clone(),
        question,
    })
}

/// A header alone: what could not be read is not said again.
fn refusal(id: u16, flags: &u8, code: ResponseCode) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    // What it asked for by its opcode, and RD, come back.
    let mut out = vec![high, low, 0x80 | (flags & 0x79), 0x80 | code.low()];
    out.resize(HEADER, 0);
    out
}

fn reply(id: u16, query: &Query) -> Message {
    let mut reply = Message::response(id, OpCode::Query);
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    reply
}

fn own_edns(dnssec: bool) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(DATAGRAM_MAX).set_version(0).set_dnssec_ok(dnssec);
    edns
}

impl Asked {
    /// The bytes of the answer. What does not fit into a datagram says so, and nothing else (TC).
    pub fn answer(&self, answer: &Answer, is_datagram: bool) -> Vec<u8> {
        let mut message = reply(self.id, &self.query);
        let head = &mut message.metadata;
        head.recursion_desired = self.recursive;
        head.checking_disabled = self.question.unchecked;
        head.authoritative = answer.authoritative;
        head.authentic_data = answer.authentic && self.authentic;
        head.response_code = answer.code;
        message.add_answers(answer.records.iter().cloned());
        message.add_authorities(answer.authority.iter().cloned());
        if self.room.is_some() {
            message.set_edns(own_edns(self.question.dnssec));
        }
        let most = match is_datagram {
            true => usize::from(self.room.unwrap_or(512).clamp(512, DATAGRAM_MAX)),
            false => usize::from(u16::MAX),
        };
        match message.to_vec() {
            Ok(bytes) if bytes.len() <= most => bytes,
            Ok(_) => message.truncate().to_vec().unwrap_or_default(),
            Err(_) => refusal(self.id, &u8::from(self.recursive), ResponseCode::ServFail),
        }
    }
}

/// A question on its way to somebody who knows, by a number that nobody can guess.
#[derive(Debug, Clone)]
pub struct Sent {
    id: u16,
    query: Query,
    dnssec: bool,
    /// What is sent.
    pub bytes: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It is none of ours: the answer may still come.
    Nothing,
    /// It is ours, and nobody can read it.
    Broken,
    /// It did not fit: to be asked again over TCP.
    Truncated,
    /// The answer.
    Answer(Answer),
}

impl Sent {
    /// A question to send.
    pub fn new(question: &Question) -> Sent {
        let mut message = Message::query();
        let query = Query::query(question.name.clone(), question.kind);
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = question.unchecked;
        message.add_query(query.clone());
        message.set_edns(own_edns(question.dnssec));
        // A name that was read can be written.
        let bytes = message.to_vec().unwrap_or_default();
        Sent { id: message.metadata.id, query, dnssec: question.dnssec, bytes }
    }

    /// Reads what came. Only what has its number and says its question again is an answer to it.
    pub fn hear(&self, bytes: &[u8]) -> Heard {
        if bytes.get(..2) != Some(&self.id.to_be_bytes()) {
            return Heard::Nothing;
        }
        let Ok(mut message) = Message::from_vec(bytes) else { return Heard::Broken };
        let is_ours = message.metadata.message_type == MessageType::Response
            && message.metadata.op_code == OpCode::Query
            && (message.queries.as_slice() == [self.query.clone()] || self.is_refusal(&message));
        if !is_ours {
            return Heard::Nothing;
        }
        if message.metadata.truncation {
            return Heard::Truncated;
        }
        let is_negative =
            message.answers.iter().all(|record| record.record_type() != self.query.query_type());
        let authority = std::mem::take(&mut message.authorities);
        Heard::Answer(Answer {
            code: message.metadata.response_code,
            authentic: message.metadata.authentic_data,
            authoritative: false,
            // Who has what was asked for need not hear who else knows it.
            authority: if is_negative || self.dnssec { authority } else { Vec::new() },
            records: message.answers,
        })
    }

    /// Some refuse with a header alone.
    fn is_refusal(&self, message: &Message) -> bool {
        message.queries.is_empty()
            && message.answers.is_empty()
            && !matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
    }
}

#[cfg(test)]
mod tests;
