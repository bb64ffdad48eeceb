//! A web socket of the agent link: signed upgrade, refusals decoded; frames of text, each way; its end.

use std::time::Duration;

use agent_protocol::join::TRUST;
use futures_util::SinkExt;
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Utf8Bytes, handshake::client::generate_key, protocol::WebSocketConfig},
};
use wire::sigv4;

use crate::{
    Timers,
    api::{Api, now, random_fraction},
    dial::Wire,
};

/// A connected socket.
pub(super) type Socket = WebSocketStream<Wire>;

/// What comes of waiting for a frame.
pub(super) type Heard = Option<Result<tungstenite::Message, tungstenite::Error>>;
/// Why a connection ended.
pub(super) type End = String;

/// A connection that lived this long starts the back-off over.
pub(super) const STEADY: Duration = Duration::from_secs(60);
/// Dial and handshake together.
const DIAL: Duration = Duration::from_secs(30);
/// How long a frame may take to be taken.
const SEND: Duration = Duration::from_secs(180);
/// How long a farewell may take.
const CLOSE: Duration = Duration::from_secs(1);
/// Longest frame that is read.
const MAX_FRAME: usize = 4 << 20;

/// Why a socket did not come about.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The instance was deregistered.
    #[error("the instance is no longer registered: {0}")]
    Inactive(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Transport(String),
}

/// Where a socket leads; frames of TCS are signed with it as well.
#[derive(Debug, Clone)]
pub(super) struct Target {
    tls: bool,
    host: String,
    path: String,
    query: String,
}

impl Target {
    /// `<endpoint>/ws?<query>`.
    pub(super) fn new(endpoint: &str, query: String) -> Result<Target, Error> {
        let bad = || Error::Transport(format!("{endpoint} is no http(s):// URL"));
        let uri: Uri = endpoint.parse().map_err(|_| bad())?;
        let tls = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(bad()),
        };
        let authority = uri.authority().ok_or_else(bad)?;
        let path = format!("{}/ws", uri.path().trim_end_matches('/'));
        Ok(Target { tls, host: authority.to_string(), path, query })
    }

    /// The headers of a signed GET of this, with that body.
    pub(super) fn sign(&self, api: &Api, body: &[u8]) -> Result<HeaderMap, Error> {
        let transport = |error: &dyn std::fmt::Display| Error::Transport(error.to_string());
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(&self.host).map_err(|error| transport(&error))?);
        let scope = (api.region(), "ecs");
        sigv4::sign(("GET", &self.path, &self.query), &mut headers, body, &api.credentials(), scope, now())
            .map_err(|error| transport(&error))?;
        Ok(headers)
    }

    /// Connects.
    pub(super) async fn dial(&self, api: &Api) -> Result<Socket, Error> {
        let dialing = timeout(DIAL, self.connect(api));
        dialing.await.map_err(|_| Error::Transport("no web socket in time".into()))?
    }

    async fn connect(&self, api: &Api) -> Result<Socket, Error> {
        let mut headers = self.sign(api, b"")?;
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let key = HeaderValue::from_str(&generate_key()).map_err(|e| Error::Transport(e.to_string()))?;
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
        // Who is known by TLS is never spoken to without.
        if api.is_tls() && !self.tls {
            return Err(Error::Transport(format!("{} is offered without TLS", self.host)));
        }
        let scheme = if self.tls { "wss" } else { "ws" };
        let url = format!("{scheme}://{}{}?{}", self.host, self.path, self.query);
        let mut request = Request::get(url).body(()).map_err(|e| Error::Transport(e.to_string()))?;
        *request.headers_mut() = headers;
        let stream = api.dial(request.uri()).await.map_err(|e| Error::Transport(e.to_string()))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, response)) => {
                let told = response.headers().get(TRUST).and_then(|told| told.to_str().ok());
                if let Some(told) = told.filter(|_| self.tls) {
                    api.learn(told);
                }
                Ok(socket)
            }
            Err(tungstenite::Error::Http(response)) => Err(refusal(&response)),
            Err(error) => Err(Error::Transport(error.to_string())),
        }
    }
}

/// The text of a frame, if it has any.
pub(super) fn text(heard: Heard) -> Result<Option<Utf8Bytes>, End> {
    match heard {
        Some(Ok(tungstenite::Message::Text(text))) => Ok(Some(text)),
        Some(Ok(tungstenite::Message::Close(_))) | None => Err("closed by the server".into()),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(error.to_string()),
    }
}

/// Sends a frame of text.
pub(super) async fn send(socket: &mut Socket, text: String) -> Result<(), End> {
    match timeout(SEND, socket.send(tungstenite::Message::text(text))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the server does not read".into()),
    }
}

/// When a connection that begins now is made anew.
pub(super) fn expires(timers: &Timers) -> Instant {
    Instant::now() + timers.reconnect_after.mul_f64(1.0 + random_fraction() / 6.0)
}

/// Waits until a connection has to end: nothing was heard since then for too long, or it expires.
pub(super) async fn over(timers: &Timers, heard_at: Instant, expires: Instant) -> End {
    tokio::select! {
        () = sleep_until(heard_at + timers.heartbeat_timeout) => "the server is silent".into(),
        () = sleep_until(expires) => "ConnectionExpired: Reconnect to continue".into(),
    }
}

/// Ends a connection.
pub(super) async fn close(mut socket: Socket) {
    // Best effort: the server may be gone.
    let _ = timeout(CLOSE, socket.close(None)).await;
}

/// `{"type":"X","message":{"message":"text"}}` or `{"X":"text"}`.
fn refusal(response: &http::Response<Option<Vec<u8>>>) -> Error {
    let body = response.body().as_deref().unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let inactive = "InactiveInstanceException";
    let text = String::from_utf8_lossy(body).into_owned();
    if answer["type"] == inactive || answer.get(inactive).is_some() {
        return Error::Inactive(text);
    }
    Error::Refused(format!("{}: {text}", response.status()))
}
