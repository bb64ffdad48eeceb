//! What the front door is given: the keys, and who is at the other end.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use http::{
    header::{HOST, HeaderName, HeaderValue},
    request::Parts,
};
use wire::Timestamp;

use super::Ends;
use crate::gate::Caller;

/// Whether a proxy in front speaks TLS with the client.
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Marks a request that came in over TLS to us.
#[derive(Debug, Clone, Copy)]
pub(super) struct OverTls;

/// The URL by which a client reaches us, without a path: the host as the client named and signed it, and `https`
/// where it is TLS to us, or a proxy in front, which ends TLS, says so. Only what the same client is told may depend on it. It is written out
/// only where it is asked for. That of calls from inside has no host.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    tls: bool,
    host: Option<HeaderValue>,
}

impl Origin {
    /// As the head of a request tells.
    pub fn of(parts: &Parts) -> Origin {
        let headers = &parts.headers;
        let forwarded =
            headers.get(X_FORWARDED_PROTO).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let first = forwarded.split(',').next().unwrap_or_default();
        let ours = parts.extensions.get::<OverTls>().is_some();
        let tls = ours || first.trim().eq_ignore_ascii_case("https");
        Origin { tls, host: headers.get(HOST).cloned() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let host = self.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        write!(f, "{scheme}://{host}")
    }
}

/// One access key.
#[derive(Debug, Clone)]
pub struct Key {
    /// The secret. `None`: any signature is taken for right (only for the mode that accepts any key).
    pub secret: Option<String>,
    /// The session token that must come with the key; `None` for a long-lived key.
    pub session_token: Option<String>,
    /// When the key ends; `None` for never.
    pub expires: Option<Timestamp>,
    /// Whose it is.
    pub caller: Caller,
    /// The one region that it is good for; `None` for all.
    pub region: Option<Arc<str>>,
    /// Everybody knows it: it serves only the connections that [`Peers`] admits.
    pub known: bool,
}

/// The store of access keys. Called for every request, so it must answer from memory.
pub trait Keys: Send + Sync {
    /// The key of that id.
    fn find(&self, access_key: &str) -> Option<Arc<Key>>;
}

/// Who is at the other end of a connection.
#[async_trait]
pub trait Peers: Send + Sync {
    /// Whether a key that everybody knows serves this connection, and why not. Asked once a connection, before a
    /// body is read. How many may be looked up at a time is its own to say.
    async fn admit(&self, ends: &Ends) -> Result<(), String>;
}
