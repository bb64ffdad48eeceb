//! Messages of DNS, as tasks and name servers may send them: what is answered fits, and can be read.
#![no_main]

use dns::message::{self, DATAGRAM_MAX, Heard, NoQuestion, Sent};
use dns::zone::{Answer, View, Vpc};
use hickory_proto::op::{Message, ResponseCode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let vpc = Vpc::new("ec2.internal", ["10.0.0.0/16".parse().expect("a block")]).expect("a domain");
    let view = View { vpc, zones: Vec::new() };
    match message::read(data) {
        Err(NoQuestion::Silence) => {}
        Err(NoQuestion::Reply(reply)) => drop(Message::from_vec(&reply).expect("what is said can be read")),
        Ok(asked) => {
            let question = &asked.question;
            let known = view.answer(&question.name, question.kind);
            let reply = asked.answer(&known.unwrap_or(Answer::failed(ResponseCode::ServFail)), true);
            assert!(reply.len() <= usize::from(DATAGRAM_MAX));
            Message::from_vec(&reply).expect("an answer can be read");
            // The same bytes as an answer to it.
            let sent = Sent::new(question);
            let mut bytes = data.to_vec();
            bytes[..2].copy_from_slice(&sent.bytes[..2]);
            bytes[2] |= 0x80;
            if let Heard::Answer(answer) = sent.hear(&bytes) {
                asked.answer(&answer, false);
            }
        }
    }
});
