//! Frames of both agent sockets. What is read must survive being written and read again.
#![no_main]

use agent_protocol::{acs, tcs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = acs::Connect::parse(text);
    if let Ok(message) = acs::Message::decode(text) {
        acs::Message::decode(&message.encode()).expect("what was written can be read");
    }
    if let Ok(frame) = tcs::Frame::parse(text)
        && let Ok(message) = tcs::Message::decode(frame.body)
    {
        tcs::Message::decode(&message.encode()).expect("what was written can be read");
    }
});
