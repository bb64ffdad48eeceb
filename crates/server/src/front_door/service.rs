//! What the front door is given: the keys, who is at the other end, and what takes over web sockets.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::{
    HeaderMap,
    header::{HOST, HeaderName, HeaderValue},
};
use http_body_util::Full;
use wire::Timestamp;

use super::Ends;
use crate::gate::Caller;

/// Whether a proxy in front speaks TLS with the client.
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The URL by which a client reaches us, without a path: the host as the client named and signed it, and `https`
/// where a proxy in front, which ends TLS, says so. Only what the same client is told may depend on it. It is written out
/// only where it is asked for. That of calls from inside has no host.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    tls: bool,
    host: Option<HeaderValue>,
}

impl Origin {
    /// As these headers of a request tell.
    pub fn of(headers: &HeaderMap) -> Origin {
        let forwarded =
            headers.get(X_FORWARDED_PROTO).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let first = forwarded.split(',').next().unwrap_or_default();
        Origin { tls: first.trim().eq_ignore_ascii_case("https"), host: headers.get(HOST).cloned() }
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
    /// The operations that it may call; `None` for all.
    pub may: Option<&'static [&'static str]>,
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
pub trait Peers: Send + Sync {
    /// Whether a key that everybody knows serves this connection, and why not. Asked once a connection, before a
    /// body is read; it may wait for the kernel.
    fn admit(&self, ends: &Ends) -> Result<(), String>;
}

/// Takes over connections that ask for a web socket.
#[async_trait]
pub trait Upgrade: Send + Sync {
    /// Answers the request: `101` (and then serves `on_upgrade` in a task of its own), or a refusal.
    async fn upgrade(&self, call: UpgradeCall) -> http::Response<Full<Bytes>>;

    /// Closes all that was taken over, in order, and waits until it is closed. Nothing is taken over any more.
    async fn close(&self);
}

/// A request for a web socket whose signature is right.
#[derive(Debug)]
pub struct UpgradeCall {
    /// Method, path, query and headers.
    pub parts: http::request::Parts,
    /// Becomes the connection once `101` is sent.
    pub on_upgrade: hyper::upgrade::OnUpgrade,
    /// Who asks.
    pub caller: Caller,
    /// The id of this request.
    pub request_id: String,
    /// The region that it is for: the one that the client signed for.
    pub region: Arc<str>,
    /// When the request came in.
    pub now: Timestamp,
}
