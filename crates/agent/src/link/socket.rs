//! Dials a web socket of the agent link: signed upgrade, refusals decoded.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Uri, header};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, handshake::client::generate_key, protocol::WebSocketConfig},
};
use wire::sigv4;

use crate::api::{Api, now};

/// A connected socket.
pub(super) type Socket = WebSocketStream<TcpStream>;

/// Dial and handshake together.
const DIAL: Duration = Duration::from_secs(30);
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
    host: String,
    path: String,
    query: String,
}

impl Target {
    /// `<endpoint>/ws?<query>`.
    pub(super) fn new(endpoint: &str, query: String) -> Result<Target, Error> {
        let bad = || Error::Transport(format!("{endpoint} is no http:// URL"));
        let uri: Uri = endpoint.parse().map_err(|_| bad())?;
        // The one place where TLS will be put.
        if !matches!(uri.scheme_str(), Some("http" | "ws")) {
            return Err(bad());
        }
        let authority = uri.authority().ok_or_else(bad)?;
        let path = format!("{}/ws", uri.path().trim_end_matches('/'));
        Ok(Target { host: authority.to_string(), path, query })
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
        let dialing = tokio::time::timeout(DIAL, self.connect(api));
        dialing.await.map_err(|_| Error::Transport("no web socket in time".into()))?
    }

    async fn connect(&self, api: &Api) -> Result<Socket, Error> {
        let mut headers = self.sign(api, b"")?;
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let key = HeaderValue::from_str(&generate_key()).map_err(|e| Error::Transport(e.to_string()))?;
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
        let url = format!("ws://{}{}?{}", self.host, self.path, self.query);
        let mut request = Request::get(url).body(()).map_err(|e| Error::Transport(e.to_string()))?;
        *request.headers_mut() = headers;
        let address = if self.host.contains(':') { self.host.clone() } else { format!("{}:80", self.host) };
        let stream = TcpStream::connect(address).await.map_err(|e| Error::Transport(e.to_string()))?;
        stream.set_nodelay(true).map_err(|e| Error::Transport(e.to_string()))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(response)) => Err(refusal(&response)),
            Err(error) => Err(Error::Transport(error.to_string())),
        }
    }
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
