//! What a registry's failures are called: Docker's words, since that is what people know and search for.

use reqwest::StatusCode;
use serde::Deserialize;

use crate::{Error, Reference};

/// A registry's error document.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    errors: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Longer messages of registries are cut: they end up in a task's `stoppedReason`.
const MESSAGE_CHARS_MAX: usize = 300;

/// What was asked for when a registry refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The manifest that the user named.
    Manifest,
    /// Something that the manifest named.
    Blob,
}

/// The error for an answer that is none of the expected ones.
pub fn refusal(reference: &Reference, wanted: Wanted, status: StatusCode, body: &[u8]) -> Error {
    let stated = stated(body);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => denied(reference, stated.as_deref()),
        StatusCode::NOT_FOUND if wanted == Wanted::Manifest => {
            let cause = stated.unwrap_or_else(|| "manifest unknown: manifest unknown".into());
            Error::NotFound(format!("manifest for {} not found: {cause}", reference.familiar()))
        }
        StatusCode::NOT_FOUND => {
            let cause = stated.unwrap_or_else(|| "blob unknown: blob unknown to registry".into());
            Error::NotFound(format!("{}: {cause}", reference.familiar()))
        }
        StatusCode::TOO_MANY_REQUESTS => {
            Error::Network(stated.unwrap_or_else(|| "toomanyrequests: too many requests to registry".into()))
        }
        _ if status.is_server_error() => Error::Network(format!("received unexpected HTTP status: {status}")),
        _ => Error::Invalid(match stated {
            Some(stated) => format!("received unexpected HTTP status: {status}: {stated}"),
            None => format!("received unexpected HTTP status: {status}"),
        }),
    }
}

/// A registry does not tell a private repository from a missing one.
pub fn denied(reference: &Reference, stated: Option<&str>) -> Error {
    Error::Unauthorized(format!(
        "pull access denied for {}, repository does not exist or may require 'docker login': {}",
        reference.familiar_repository(),
        stated.unwrap_or("denied: requested access to the resource is denied")
    ))
}

/// The error for a request without an answer.
pub fn unreachable(error: &reqwest::Error) -> Error {
    let mut words = match error.url() {
        Some(url) => format!("Get \"{}\"", without_secrets(url)),
        None => "request".to_owned(),
    };
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    if cause.is_none() {
        words += ": no answer";
    }
    while let Some(next) = cause {
        words += &format!(": {next}");
        cause = next.source();
    }
    Error::Network(words)
}

/// Query strings of redirects are signatures that let anybody read the blob.
fn without_secrets(url: &reqwest::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    let _ = url.set_password(None);
    url.to_string()
}

/// `manifest unknown: manifest unknown`, from the code and the message of the first error.
fn stated(body: &[u8]) -> Option<String> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    let Item { code, message } = envelope.errors.into_iter().next()?;
    let code = code.to_lowercase().replace('_', " ");
    let words = if message.is_empty() { code } else { format!("{code}: {message}") };
    let printable = words.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect::<String>();
    (!printable.is_empty()).then_some(printable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn failures_are_called_what_docker_calls_them() {
        let reference: Reference = "nginx:nope".parse().expect("a reference");
        let body = |code: &str, message: &str| {
            format!(r#"{{"errors":[{{"code":"{code}","message":"{message}","detail":null}}]}}"#)
        };
        for (status, body, kind, words) in [
            (
                404,
                body("MANIFEST_UNKNOWN", "manifest unknown"),
                Kind::NotFound,
                "manifest for nginx:nope not found: manifest unknown: manifest unknown",
            ),
            (
                404,
                String::new(),
                Kind::NotFound,
                "manifest for nginx:nope not found: manifest unknown: manifest unknown",
            ),
            (
                401,
                body("UNAUTHORIZED", "authentication required"),
                Kind::Unauthorized,
                "pull access denied for nginx, repository does not exist or may require 'docker login': unauthorized: authentication required",
            ),
            (
                403,
                "<html>".into(),
                Kind::Unauthorized,
                "pull access denied for nginx, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            ),
            (429, body("TOOMANYREQUESTS", "slow down"), Kind::Network, "toomanyrequests: slow down"),
            (503, String::new(), Kind::Network, "received unexpected HTTP status: 503 Service Unavailable"),
            (400, body("X", ""), Kind::Invalid, "received unexpected HTTP status: 400 Bad Request: x"),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let error = refusal(&reference, Wanted::Manifest, status, body.as_bytes());
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, words));
        }
    }
}
