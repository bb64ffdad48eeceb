//! The canonical request: the exact text that both sides sign. All bytes come from the client; nothing here
//! trusts their form.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::signature::{Place, Signature};
use super::{ALGORITHM, Refusal, Rules, Signed, UNSIGNED_PAYLOAD};
use crate::headers;

/// All but the letters, digits and four marks that RFC 3986 calls unreserved.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// A path keeps its slashes.
const PATH: &AsciiSet = &STRICT.remove(b'/');

/// The SHA-256 of a body, in hex.
pub fn payload_hash(body: &[u8]) -> String {
    let mut hash = vec![0; 64];
    // Written in place: `hex::encode` makes its string digit by digit. Neither of the two can fail.
    let _ = hex::encode_to_slice(Sha256::digest(body), &mut hash);
    String::from_utf8(hash).unwrap_or_default()
}

/// What stands for the body in the canonical request. A client that sends `x-amz-content-sha256` must have
/// told the truth in it.
pub fn payload(signature: &Signature, request: &Signed, rules: Rules) -> Result<Cow<'static, str>, Refusal> {
    let told = request.headers.get(headers::CONTENT_SHA256).map(|value| value.as_bytes());
    let told = match (told, signature.place) {
        // A presigned S3 URL never covers the body.
        (None, Place::Query { .. }) if rules == Rules::S3 => Some(UNSIGNED_PAYLOAD.as_bytes()),
        (told, _) => told,
    };
    if told == Some(UNSIGNED_PAYLOAD.as_bytes()) {
        return if rules.unsigned_payload { Ok(UNSIGNED_PAYLOAD.into()) } else { Err(Refusal::DoesNotMatch) };
    }
    let hash = payload_hash(request.body);
    match told {
        Some(told) if !told.eq_ignore_ascii_case(hash.as_bytes()) => Err(Refusal::DoesNotMatch),
        _ => Ok(hash.into()),
    }
}

/// The canonical request.
pub fn request(signature: &Signature, request: &Signed, payload: &str, rules: Rules) -> Vec<u8> {
    let presigned = matches!(signature.place, Place::Query { .. });
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(path(request.path, rules).as_bytes());
    out.push(b'\n');
    query(request.query, presigned, &mut out);
    out.push(b'\n');
    for name in signature.signed_headers.as_bytes().split(|byte| *byte == b';') {
        header(request.headers, name, &mut out);
    }
    out.push(b'\n');
    out.extend_from_slice(signature.signed_headers.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload.as_bytes());
    out
}

/// What the key signs.
pub fn string_to_sign(signature: &Signature, canonical: &[u8]) -> String {
    let hash = payload_hash(canonical);
    [ALGORITHM, "\n", &signature.time_text, "\n", signature.scope(), "\n", &hash].concat()
}

/// The path: dot segments and double slashes resolved, then escaped once more than it came.
fn path(path: &str, rules: Rules) -> Cow<'_, str> {
    if path.is_empty() || path == "/" {
        return Cow::Borrowed("/");
    }
    let normal = if rules.keep_path { Cow::Borrowed(path) } else { Cow::Owned(normal(path)) };
    if rules.escape_once {
        let raw: Vec<u8> = percent_decode(normal.as_bytes()).collect();
        return Cow::Owned(percent_encode(&raw, PATH).to_string());
    }
    Cow::Owned(utf8_percent_encode(&normal, PATH).to_string())
}

fn normal(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let directory = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let slash = if directory && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

/// The query's parameters, each escaped strictly, sorted by name and value; without the signature itself.
fn query(query: &str, presigned: bool, out: &mut Vec<u8>) {
    if query.is_empty() {
        return;
    }
    let escape = |text: &str| utf8_percent_encode(text, STRICT).to_string();
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !(presigned && name == "X-Amz-Signature"))
        .map(|(name, value)| (escape(&name), escape(&value)))
        .collect();
    pairs.sort();
    for (at, (name, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}

/// `name:value\n`: values trimmed, inner runs of blanks made one, several headers of one name joined by commas.
fn header(sent: &HeaderMap, name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b':');
    // There are few headers: to look at each is quicker than to make a name of what the client wrote. A signature with
    // many names is no more work than its length allows.
    let named = sent.iter().filter(|(sent, _)| sent.as_str().as_bytes() == name);
    for (at, (_, value)) in named.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let words = value.as_bytes().split(|b| *b == b' ' || *b == b'\t').filter(|word| !word.is_empty());
        for (at, word) in words.enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
    out.push(b'\n');
}
