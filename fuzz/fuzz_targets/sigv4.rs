//! Signed heads: `Authorization`, the date header, path and query, a line each. Nothing may be let in: the
//! secret is not in the input.
#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use wire::sigv4::{Rules, Signature, Signed, Verifier};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(5, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("localhost"));
    for name in ["authorization", "x-amz-date"] {
        let line = lines.next().unwrap_or_default();
        if let (false, Ok(value)) = (line.is_empty(), HeaderValue::from_bytes(line)) {
            headers.append(name, value);
        }
    }
    let mut text = || std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let (path, query) = (text(), text());
    if let Ok(signature) = Signature::read(&headers, query) {
        let request = Signed { method: "POST", path, query, headers: &headers, body: b"{}" };
        for rules in [Rules::default(), Rules::S3] {
            let result = Verifier::default().verify(&signature, &request, "a secret", rules, signature.time);
            assert!(result.is_err());
        }
    }
});
