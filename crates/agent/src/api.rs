//! The agent's calls of the AWS API: signed awsJson 1.1 over HTTP/1.1, plain or by TLS, and the back-off between attempts.
//! One attempt a call here; who calls decides about the next.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;
use wire::{
    Timestamp,
    sigv4::{self, Credentials},
};

use crate::{
    dial::{self, Dialer, Wire},
    trust::Trust,
};

/// Longest answer that is read.
const MAX_ANSWER: usize = 4 << 20;
/// Whole round trip.
const ROUND_TRIP: Duration = Duration::from_secs(42);
/// How long one who waits for a control plane that is away lets pass between two looks, at most. All of an agent's other calls wait
/// for that look, so a cluster of thousands of hosts knocks some thousand times a second at a closed door, and no oftener.
const AWAY: Duration = Duration::from_secs(2);

/// A failed call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No answer, or none that can be read.
    #[error("{0}")]
    Transport(String),
    /// The service answered with an error.
    #[error("{code}: {message}")]
    Service {
        /// The error's name, without namespace.
        code: String,
        message: String,
        /// HTTP status.
        status: u16,
    },
}

impl Error {
    /// The name of the service's error, if it answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Service { code, .. } => Some(code),
            Error::Transport(_) => None,
        }
    }

    /// Whether the same call may well succeed later.
    pub fn passes(&self) -> bool {
        match self {
            Error::Transport(_) => true,
            Error::Service { code, status, message } => {
                let skewed = message.contains("Signature expired") || message.contains("not yet current");
                *status >= 500
                    || *status == 429
                    // One of the clocks is wrong, and will be put right.
                    || code == "InvalidSignatureException" && skewed
                    || matches!(
                        code.as_str(),
                        "ThrottlingException" | "ServerException" | "ServiceUnavailableException"
                    )
            }
        }
    }
}

/// Which service, by its signing name and its target prefix.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    name: &'static str,
    target: &'static str,
}

/// Amazon ECS.
pub const ECS: Service = Service { name: "ecs", target: "AmazonEC2ContainerServiceV20141113" };
/// CloudWatch Logs.
pub const LOGS: Service = Service { name: "logs", target: "Logs_20140328" };

/// The control plane, as one who may call it.
pub struct Api {
    client: Client<Dialer, Full<Bytes>>,
    dialer: Dialer,
    endpoint: String,
    host: String,
    region: String,
    credentials: ArcSwap<Credentials>,
    /// Whether the last call was answered, whatever the answer.
    answers: watch::Sender<bool>,
}

impl Api {
    /// Calls go to `endpoint`, a URL without a path, which the host's own CAs vouch for where it is `https`.
    pub fn new(endpoint: &str, region: &str, credentials: Credentials) -> Result<Api, Error> {
        Api::trusting(endpoint, region, credentials, Arc::new(Trust::of_host()))
    }

    /// Calls go to `endpoint`, a URL without a path.
    ///
    /// # Errors
    /// Where it is none.
    pub fn trusting(
        endpoint: &str,
        region: &str,
        credentials: Credentials,
        trust: Arc<Trust>,
    ) -> Result<Api, Error> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
        let host = host.filter(|host| !host.is_empty() && !host.contains('/'));
        let host =
            host.ok_or_else(|| Error::Transport(format!("{endpoint} is no http(s):// URL of a host")))?;
        let dialer = Dialer::new(trust);
        Ok(Api {
            client: Client::builder(TokioExecutor::new()).build(dialer.clone()),
            dialer,
            host: host.to_owned(),
            region: region.to_owned(),
            credentials: ArcSwap::from_pointee(credentials),
            answers: watch::Sender::new(true),
            endpoint,
        })
    }

    /// Whether the control plane is spoken to by TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.endpoint.starts_with("https://")
    }

    /// A connection of its own to a host of the control plane.
    pub(crate) async fn dial(&self, uri: &http::Uri) -> Result<Wire, dial::Error> {
        let dialled = self.dialer.dial(uri).await;
        if dialled.is_err() {
            self.answered(false);
        }
        dialled
    }

    fn answered(&self, answers: bool) {
        self.answers.send_if_modified(|before| std::mem::replace(before, answers) != answers);
    }

    /// The pause before another attempt: as long as said, but no longer than until a control plane that was away answers again.
    pub async fn rest(&self, pause: Duration) {
        let mut answers = self.answers.subscribe();
        if *answers.borrow_and_update() {
            return tokio::time::sleep(pause).await;
        }
        let _ = tokio::time::timeout(pause, answers.wait_for(|answers| *answers)).await;
    }

    /// The pause of one whose next attempt finds out whether the control plane is back.
    pub async fn look_again(&self, pause: Duration) {
        let answers = *self.answers.borrow();
        let most = if answers { pause } else { AWAY.mul_f64(0.8 + 0.4 * random_fraction()) };
        self.rest(pause.min(most)).await;
    }

    /// Hears which CAs the control plane has.
    pub(crate) fn learn(&self, header: &str) {
        match self.dialer.trust().learn(header) {
            Ok(true) => {
                tracing::info!("the control plane has told of other CAs: they are trusted from now on")
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the CAs that the control plane tells of are not kept"),
        }
    }

    /// The key pair that calls are signed with.
    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.load_full()
    }

    /// From now on calls are signed with this pair.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.credentials.store(Arc::new(credentials));
    }

    /// The region that calls are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// One attempt of one operation.
    pub async fn call<T: DeserializeOwned>(
        &self,
        service: Service,
        operation: &str,
        input: &impl Serialize,
    ) -> Result<T, Error> {
        let attempt = self.attempt(service, operation, input);
        let answer = tokio::time::timeout(ROUND_TRIP, attempt).await;
        self.answered(matches!(answer, Ok(Ok(_))));
        let (status, body) =
            answer.map_err(|_| Error::Transport(format!("{operation}: no answer in time")))??;
        if status.is_success() {
            let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
            return serde_json::from_slice(text).map_err(transport);
        }
        Err(service_error(status, &body))
    }

    async fn attempt(
        &self,
        service: Service,
        operation: &str,
        input: &impl Serialize,
    ) -> Result<(http::StatusCode, Bytes), Error> {
        let body = serde_json::to_vec(input).map_err(transport)?;
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).map_err(transport);
        headers.insert(header::HOST, value(&self.host)?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        headers.insert("x-amz-target", value(&format!("{}.{operation}", service.target))?);
        let scope = (self.region.as_str(), service.name);
        sigv4::sign(("POST", "/", ""), &mut headers, &body, &self.credentials(), scope, now())
            .map_err(transport)?;
        let mut request =
            Request::post(format!("{}/", self.endpoint)).body(Full::from(body)).map_err(transport)?;
        *request.headers_mut() = headers;
        let response = self.client.request(request).await.map_err(|error| {
            // hyper's own text says only that it failed; the cause says why.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            Error::Transport(format!("{operation}: {}", cause.unwrap_or_else(|| error.to_string())))
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        Ok((status, body.map_err(transport)?.to_bytes()))
    }
}

fn transport(error: impl std::fmt::Display) -> Error {
    Error::Transport(error.to_string())
}

fn service_error(status: http::StatusCode, body: &[u8]) -> Error {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: &[&str]| names.iter().find_map(|name| answer[*name].as_str()).map(str::to_owned);
    let code = text(&["__type"]).unwrap_or_else(|| status.to_string());
    Error::Service {
        code: code.rsplit('#').next().unwrap_or_default().to_owned(),
        message: text(&["message", "Message"]).unwrap_or_default(),
        status: status.as_u16(),
    }
}

/// The wall clock.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Growing waits between attempts, with a fifth of jitter.
#[derive(Debug, Clone)]
pub struct BackOff {
    first: Duration,
    factor: f64,
    most: Duration,
    next: Duration,
}

impl BackOff {
    /// From `first`, times `factor` each time, up to `most`.
    pub fn new(first: Duration, factor: f64, most: Duration) -> BackOff {
        BackOff { first, factor, most, next: first }
    }

    /// Starts over.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next.mul_f64(0.8 + 0.4 * random_fraction());
        self.next = self.next.mul_f64(self.factor).min(self.most);
        wait
    }
}

/// Somewhere in 0..1; good enough to spread agents out.
pub fn random_fraction() -> f64 {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    f64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::Instant,
    };

    use super::*;

    /// However long it was away and the pauses have grown: who looks does so soon, and the others wait for nothing more.
    #[tokio::test]
    async fn a_control_plane_that_returns_is_asked_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let pair = Credentials { access_key: "AKID".into(), secret: "s".into(), token: None };
        let api = Arc::new(Api::new(&format!("http://{at}"), "us-east-1", pair).unwrap());
        let call = async |api: &Api| api.call::<serde_json::Value>(ECS, "ListClusters", &()).await;
        assert!(call(&api).await.is_err());
        let began = Instant::now();
        let hour = Duration::from_secs(3600);
        let others: Vec<_> = (0..3)
            .map(|_| {
                let api = api.clone();
                tokio::spawn(async move { api.rest(hour).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let listener = TcpListener::bind(at).await.unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}").await;
        });
        api.look_again(hour).await;
        assert!(matches!(call(&api).await, Err(Error::Service { status: 400, .. })), "it answers");
        for other in others {
            other.await.unwrap();
        }
        assert!(began.elapsed() < hour / 2);
        // One that answers, if by refusing, is not asked oftener for that.
        let asked = tokio::time::timeout(Duration::from_millis(50), api.look_again(hour)).await;
        assert!(asked.is_err());
    }
}
