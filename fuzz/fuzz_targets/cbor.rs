//! Bodies of the CBOR protocol through parsing and validation: the first byte picks the operation. What passes must be
//! JSON that passes again, and can be written.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use wire::protocol::{Incoming, codec};
use wire::schema::Protocol;
use wire::validate::validate;

fuzz_target!(|data: &[u8]| {
    let Some((pick, body)) = data.split_first() else { return };
    let service = &ecs_model::SERVICE;
    let operation = &service.operations[usize::from(*pick) % service.operations.len()];
    let headers = HeaderMap::new();
    let request = Incoming { method: "POST", path: "/", query: "", headers: &headers, body };
    let cbor = codec(Protocol::Cbor);
    if let Ok(mut input) = cbor.input(operation, &request) {
        if validate(service, operation, &mut input).is_ok() {
            let mut again = input.clone();
            validate(service, operation, &mut again).expect("what passed passes again");
            assert_eq!(input, again);
        }
        let _ = cbor.response(service, operation, input.to_string().into(), "id");
    }
});
