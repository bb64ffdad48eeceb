//! awsJson bodies through parsing and validation: the first byte picks the service and operation. What passes
//! must be JSON that passes again.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use wire::protocol::{Incoming, codec};
use wire::schema::Protocol;
use wire::validate::validate;

fuzz_target!(|data: &[u8]| {
    let Some((pick, body)) = data.split_first() else { return };
    let service = [&ecs_model::SERVICE, &logs_model::SERVICE][usize::from(*pick) % 2];
    let typed: Vec<_> = service.operations.iter().filter(|operation| operation.typed).collect();
    let operation = typed[usize::from(*pick) % typed.len()];
    let headers = HeaderMap::new();
    let request = Incoming { method: "POST", path: "/", query: "", headers: &headers, body };
    let json = codec(Protocol::Json11);
    if let Ok(mut input) = json.input(operation, &request)
        && validate(service, operation, &mut input).is_ok()
    {
        let mut again = input.clone();
        validate(service, operation, &mut again).expect("what passed passes again");
        assert_eq!(input, again);
    }
});
