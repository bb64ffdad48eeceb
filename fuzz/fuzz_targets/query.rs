//! Requests of both query protocols, from URL and body, through parsing, validation and an error's rendering.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use wire::protocol::{Incoming, codec};
use wire::schema::Protocol;
use wire::validate::validate;

fuzz_target!(|data: &[u8]| {
    let Some((pick, rest)) = data.split_first() else { return };
    let (query, body) = match rest.iter().position(|byte| *byte == b'\n') {
        Some(at) => (std::str::from_utf8(&rest[..at]).unwrap_or_default(), &rest[at + 1..]),
        None => ("", rest),
    };
    let headers = HeaderMap::new();
    let request = Incoming { method: "POST", path: "/", query, headers: &headers, body };
    let codec = codec(if pick % 2 == 0 { Protocol::Query } else { Protocol::Ec2Query });
    // Any service's shapes will do; ECS has the most.
    let service = &ecs_model::SERVICE;
    let _ = codec.operation(service, &request);
    let operation = &service.operations[usize::from(*pick) % service.operations.len()];
    let result =
        codec.input(operation, &request).and_then(|mut input| validate(service, operation, &mut input));
    if let Err(error) = result {
        codec.error(Some(service), &error, "id");
    }
});
