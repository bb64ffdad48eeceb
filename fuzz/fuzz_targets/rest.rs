//! Requests of the REST protocols, from path to validation: the first byte picks the protocol and the service, the first
//! line is method, path and query, the second one a header.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use wire::protocol::{Incoming, codec};
use wire::schema::Protocol;
use wire::validate::validate;

// The tables of real services that only wire's tests have.
#[path = "../../crates/wire/tests/generated/all.rs"]
mod generated;

fuzz_target!(|data: &[u8]| {
    let Some((pick, rest)) = data.split_first() else { return };
    let mut lines = rest.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (head, header, body) = (line(), line(), line());
    let Some((method, target)) = std::str::from_utf8(head).ok().and_then(|head| head.split_once(' ')) else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = HeaderMap::new();
    let mut parts = header.splitn(2, |byte| *byte == b':').map(<[u8]>::trim_ascii);
    if let (Some(Ok(name)), Some(Ok(value))) =
        (parts.next().map(HeaderName::from_bytes), parts.next().map(HeaderValue::from_bytes))
    {
        headers.insert(name, value);
    }
    let request = Incoming { method, path, query, headers: &headers, body };
    let service = generated::SERVICES[usize::from(*pick / 2) % generated::SERVICES.len()];
    let codec = codec(if pick % 2 == 0 { Protocol::RestJson } else { Protocol::RestXml });
    let Ok(operation) = codec.operation(service, &request) else { return };
    let result = codec.input(operation, &request).and_then(|mut input| validate(service, operation, &mut input));
    if let Err(error) = result {
        codec.error(Some(service), &error, "id");
    }
});
