//! The signing test suite that the `aws-sigv4` crate ships, read from that crate's source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use wire::Timestamp;
use wire::sigv4::{Refusal, Rules, Signature, Signed, Verifier};

/// Where cargo keeps the source of `aws-sigv4`.
fn suite() -> PathBuf {
    let output = Command::new(std::env::var("CARGO").unwrap_or("cargo".into()))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "aws-sigv4").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("aws-signing-test-suite/v4")
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
}

fn read(text: &str) -> Request {
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    // A line that begins with a blank goes on with the header before it.
    let head = head.replace("\n ", " ");
    let mut lines = head.lines();
    let first = lines.next().unwrap();
    let (method, rest) = first.split_once(' ').unwrap();
    let url = rest.rsplit_once(' ').unwrap().0;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    Request { method: method.into(), path: path.into(), query: query.into(), headers, body: body.into() }
}

fn verify(request: &Request, context: &Value, body: &str) -> Result<(), Refusal> {
    let rules = Rules { keep_path: context["normalize"] == false, ..Rules::default() };
    let now = Timestamp::parse_iso8601(context["timestamp"].as_str().unwrap()).unwrap();
    let signature = Signature::read(&request.headers, &request.query)?;
    assert_eq!(signature.access_key, context["credentials"]["access_key_id"]);
    let signed = Signed {
        method: &request.method,
        path: &request.path,
        query: &request.query,
        headers: &request.headers,
        body: body.as_bytes(),
    };
    let secret = context["credentials"]["secret_access_key"].as_str().unwrap();
    Verifier::default().verify(&signature, &signed, secret, rules, now.plus_millis(60_000))
}

#[test]
fn every_signed_request_of_the_suite_is_right() {
    let mut checked = 0;
    for case in fs::read_dir(suite()).unwrap() {
        let case = case.unwrap().path();
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let context: Value = match (fs::read_to_string(case.join("context.json")), name.as_str()) {
            (Ok(context), _) => serde_json::from_str(&context).unwrap(),
            // The key of this case stands in the crate's own test.
            (Err(_), "double-encode-path") => serde_json::json!({
                "credentials": {"access_key_id": "ANOTREAL", "secret_access_key": "notrealrnrELgWzOk3IfjzDKtFBhDby"},
                "timestamp": "2015-08-30T12:36:00Z",
            }),
            // No key is told for this one: it is about the canonical request only.
            (Err(_), "double-url-encode") => continue,
            (Err(error), name) => panic!("{name}: {error}"),
        };
        for kind in ["header", "query"] {
            // A URL whose token was added after signing: only one AWS service does that, none of ours.
            if kind == "query" && context["omit_session_token"] == true {
                continue;
            }
            let Ok(text) = fs::read_to_string(case.join(format!("{kind}-signed-request.txt"))) else {
                continue;
            };
            let request = read(&text);
            assert_eq!(verify(&request, &context, &request.body), Ok(()), "{name} {kind}");
            let changed = format!("{}x", request.body);
            assert_eq!(verify(&request, &context, &changed), Err(Refusal::DoesNotMatch), "{name} {kind}");
            checked += 1;
        }
    }
    assert!(checked >= 76, "only {checked} requests were found");
}
