//! What bytes become, and that none are too strange.

use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{RData, Record};

use super::*;
use crate::zone::name;

fn asking(text: &str, kind: RecordType, room: Option<u16>) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name(text).unwrap(), kind));
    if let Some(room) = room {
        let mut edns = Edns::new();
        edns.set_max_payload(room);
        message.set_edns(edns);
    }
    message
}

fn asked(message: &Message) -> Asked {
    read(&message.to_vec().unwrap()).unwrap()
}

fn code(bytes: &[u8]) -> ResponseCode {
    match read(bytes) {
        Err(NoQuestion::Reply(reply)) => {
            let reply = Message::from_vec(&reply).unwrap();
            assert_eq!(reply.metadata.message_type, MessageType::Response);
            assert_eq!(bytes[..2], reply.metadata.id.to_be_bytes());
            reply.metadata.response_code
        }
        other => panic!("{other:?}"),
    }
}

fn texts(count: usize) -> Answer {
    let record = |number: usize| {
        let text = TXT::new(vec![format!("{number:0100}")]);
        Record::from_rdata(name("t.example.com").unwrap(), 5, RData::TXT(text))
    };
    Answer { records: (0..count).map(record).collect(), ..Answer::failed(ResponseCode::NoError) }
}

#[test]
fn what_is_no_question_is_refused_or_not_heard() {
    let plain = asking("a.example.com", RecordType::A, None);
    let bytes = |message: &Message| message.to_vec().unwrap();
    assert_eq!(read(&[]), Err(NoQuestion::Silence));
    assert_eq!(read(&bytes(&plain)[..11]), Err(NoQuestion::Silence));
    let mut answer = plain.clone();
    answer.metadata.message_type = MessageType::Response;
    assert_eq!(read(&bytes(&answer)), Err(NoQuestion::Silence));
    let mut update = bytes(&plain);
    update[2] |= 5 << 3;
    assert_eq!(code(&update), ResponseCode::NotImp);
    assert_eq!(code(&bytes(&plain)[..20]), ResponseCode::FormErr);
    let mut two = plain.clone();
    two.add_query(plain.queries[0].clone());
    assert_eq!(code(&bytes(&two)), ResponseCode::FormErr);
    let mut chaos = plain.clone();
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(code(&bytes(&chaos)), ResponseCode::Refused);
    for (kind, expected) in [
        (RecordType::AXFR, ResponseCode::Refused),
        (RecordType::IXFR, ResponseCode::Refused),
        (RecordType::ANY, ResponseCode::NotImp),
    ] {
        assert_eq!(code(&bytes(&asking("a.example.com", kind, None))), expected);
    }
    let mut later = asking("a.example.com", RecordType::A, Some(1232));
    later.edns.as_mut().unwrap().set_version(1);
    // The number has two names.
    assert_eq!(u16::from(code(&bytes(&later))), 16);
}

#[test]
fn an_answer_says_the_question_as_it_was_put() {
    let question = asking("MiXed.example.com", RecordType::A, Some(4096));
    let asked = asked(&question);
    assert_eq!(asked.question.name.to_ascii(), "mixed.example.com.");
    let record =
        Record::from_rdata(name("mixed.example.com").unwrap(), 7, RData::A(A([192, 0, 2, 1].into())));
    let known = Answer {
        records: vec![record.clone()],
        authoritative: true,
        authentic: true,
        ..Answer::failed(ResponseCode::NoError)
    };
    let message = Message::from_vec(&asked.answer(&known, true)).unwrap();
    assert_eq!(message.metadata.id, question.metadata.id);
    assert!(message.queries[0].name().eq_case(question.queries[0].name()));
    let head = message.metadata;
    assert!(head.recursion_desired && head.recursion_available && head.authoritative && !head.authentic_data);
    assert_eq!((message.answers, message.edns.unwrap().max_payload()), (vec![record], DATAGRAM_MAX));
}

#[test]
fn what_does_not_fit_is_cut_off() {
    for (room, count, is_datagram, is_cut) in [
        (None, 3, true, false),
        (None, 5, true, true),
        (Some(100), 3, true, false),
        (Some(1232), 9, true, false),
        (Some(65535), 20, true, true),
        (None, 20, false, false),
        (None, 1000, false, true),
    ] {
        let bytes = asked(&asking("t.example.com", RecordType::TXT, room)).answer(&texts(count), is_datagram);
        let message = Message::from_vec(&bytes).unwrap();
        let case = format!("{room:?} {count} {is_datagram}");
        // On a connection there is nowhere else to ask: what fits is there.
        let is_empty = is_cut && is_datagram;
        assert_eq!((message.metadata.truncation, message.answers.is_empty()), (is_cut, is_empty), "{case}");
        assert!(!is_datagram || bytes.len() <= usize::from(room.unwrap_or(512).clamp(512, DATAGRAM_MAX)));
        assert_eq!(message.queries.len(), 1);
    }
}

#[test]
fn only_the_answer_to_what_was_sent_is_heard() {
    let question = asked(&asking("a.example.com", RecordType::A, None)).question;
    let sent = Sent::new(&question);
    let mut good = Message::from_vec(&sent.bytes).unwrap();
    assert!(good.metadata.recursion_desired && !good.metadata.checking_disabled);
    assert_eq!(sent.hear(&sent.bytes), Heard::Nothing, "that was the question");
    good.metadata.message_type = MessageType::Response;
    good.add_answer(Record::from_rdata(
        name("a.example.com").unwrap(),
        7,
        RData::A(A([192, 0, 2, 1].into())),
    ));
    let hear = |change: &dyn Fn(&mut Message)| {
        let mut changed = good.clone();
        change(&mut changed);
        sent.hear(&changed.to_vec().unwrap())
    };
    assert!(matches!(hear(&|_| {}), Heard::Answer(answer) if answer.records.len() == 1));
    assert_eq!(hear(&|m| m.metadata.id ^= 1), Heard::Nothing);
    assert_eq!(hear(&|m| m.queries[0].name = name("b.example.com").unwrap()), Heard::Nothing);
    assert_eq!(hear(&|m| m.queries[0].query_type = RecordType::AAAA), Heard::Nothing);
    assert_eq!(hear(&|m| m.queries.clear()), Heard::Nothing);
    assert!(matches!(hear(&|m| m.queries[0].name = name("A.Example.COM").unwrap()), Heard::Answer(_)));
    assert_eq!(hear(&|m| m.metadata.truncation = true), Heard::Truncated);
    let refusal = hear(&|m| {
        m.queries.clear();
        m.answers.clear();
        m.metadata.response_code = ResponseCode::ServFail;
    });
    assert_eq!(refusal, Heard::Answer(Answer::failed(ResponseCode::ServFail)));
    let bytes = good.to_vec().unwrap();
    assert_eq!(sent.hear(&bytes[..bytes.len() - 1]), Heard::Broken);
}

#[test]
fn no_two_questions_have_a_number_that_follows() {
    let question = asked(&asking("a.example.com", RecordType::A, None)).question;
    let ids: std::collections::BTreeSet<u16> = (0..200).map(|_| Sent::new(&question).id).collect();
    assert!(ids.len() > 190, "{}", ids.len());
}

proptest::proptest! {
    #[test]
    fn no_bytes_are_too_strange(mut bytes in proptest::collection::vec(0u8.., 0..300), flags in 0u8..) {
        if let Some(byte) = bytes.get_mut(2) {
            *byte = flags & 0x07;
        }
        if let Ok(asked) = read(&bytes) {
            let reply = asked.answer(&texts(4), true);
            proptest::prop_assert!(reply.len() <= usize::from(DATAGRAM_MAX));
        }
        let mut sent = Sent::new(&asked(&asking("a.example.com", RecordType::A, None)).question);
        if let Some(id) = bytes.get(..2) {
            sent.id = u16::from_be_bytes([id[0], id[1]]);
        }
        let _ = sent.hear(&bytes);
    }
}
