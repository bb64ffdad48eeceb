//! The link over real sockets, with an agent played by the test.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use agent_protocol::{acs, tcs};
use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::sync::{Mutex, mpsc};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite};

use super::*;
use crate::front_door::{BodyStream, Surface, SurfaceCall};
use crate::gate::Caller;

type Agent = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// A driver played by the test: assignments come from a channel, what happens is told on another.
struct Driver {
    assignments: Arc<Mutex<mpsc::UnboundedReceiver<Assignment>>>,
    told: mpsc::UnboundedSender<String>,
}

struct FakeSession {
    assignments: Arc<Mutex<mpsc::UnboundedReceiver<Assignment>>>,
    told: mpsc::UnboundedSender<String>,
}

#[async_trait]
impl Assignments for Driver {
    fn identify(&self, hello: &Hello, _: &Caller, _: &Place) -> Result<String, Refusal> {
        // By id or ARN, as it comes.
        let named = &hello.container_instance;
        Ok(named.strip_prefix("arn:").unwrap_or(named).to_owned())
    }

    async fn connect(&self, hello: Hello, _: &Place, origin: &str) -> Result<Box<dyn Session>, Refusal> {
        assert!(origin.starts_with("http://127.0.0.1:"), "{origin}");
        if hello.container_instance == "gone" {
            let message = "deregistered".into();
            return Err(Refusal { kind: RefusalKind::InactiveInstance, message });
        }
        self.told.send(format!("connected {}", hello.agent_version)).unwrap();
        Ok(Box::new(FakeSession { assignments: self.assignments.clone(), told: self.told.clone() }))
    }

    async fn telemetry(&self, _: Hello, _: &Place) -> Result<Box<dyn Telemetry>, Refusal> {
        Ok(Box::new(FakeSession { assignments: self.assignments.clone(), told: self.told.clone() }))
    }
}

#[async_trait]
impl Session for FakeSession {
    fn cluster_arn(&self) -> &str {
        "arn:cluster"
    }

    fn instance_arn(&self) -> &str {
        "arn:instance"
    }

    async fn next(&mut self) -> Option<Assignment> {
        self.assignments.lock().await.recv().await
    }

    async fn manifest(&mut self) -> Option<Manifest> {
        Some(Manifest { timeline: 7, tasks: Vec::new() })
    }

    async fn verify_stop(&mut self, candidates: Vec<acs::TaskIdentifier>) -> Vec<acs::TaskIdentifier> {
        candidates.into_iter().take(1).collect()
    }
}

#[async_trait]
impl Telemetry for FakeSession {
    async fn metrics(&mut self, metrics: tcs::PublishMetricsRequest) -> Result<(), Refusal> {
        let idle = metrics.metadata.and_then(|m| m.idle);
        self.told.send(format!("metrics {idle:?}")).unwrap();
        Ok(())
    }

    async fn health(&mut self, _: tcs::PublishHealthRequest) -> Result<(), Refusal> {
        Err(Refusal { kind: RefusalKind::Server, message: "no".into() })
    }

    async fn instance_status(&mut self, _: tcs::PublishInstanceStatusRequest) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        let _ = self.told.send("gone".into());
    }
}

struct World {
    address: SocketAddr,
    link: Arc<AgentLink>,
    assign: mpsc::UnboundedSender<Assignment>,
    told: mpsc::UnboundedReceiver<String>,
}

async fn world(limits: Limits) -> World {
    let (assign, assignments) = mpsc::unbounded_channel();
    let (tell, told) = mpsc::unbounded_channel();
    let driver = Driver { assignments: Arc::new(Mutex::new(assignments)), told: tell };
    let link = Arc::new(AgentLink::new(Arc::new(driver), limits));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = link.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let link = serving.clone();
            let service =
                hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
                    let link = link.clone();
                    async move {
                        let on_upgrade = hyper::upgrade::on(&mut request);
                        let (parts, _) = request.into_parts();
                        Ok::<_, std::convert::Infallible>(link.handle(call(parts, on_upgrade)).await)
                    }
                });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    World { address, link, assign, told }
}

fn call(parts: http::request::Parts, on_upgrade: hyper::upgrade::OnUpgrade) -> SurfaceCall {
    SurfaceCall {
        parts,
        body: BodyStream::empty(),
        upgrade: Some(on_upgrade),
        caller: crate::keys::administrator("aws", "000000000000", "test"),
        request_id: "r".into(),
        region: "us-east-1".into(),
        now: wire::Timestamp::default(),
        stopping: Default::default(),
    }
}

fn connect() -> acs::Connect {
    acs::Connect {
        cluster: "default".into(),
        container_instance: "arn:instance".into(),
        agent_version: "1.0.0".into(),
        ..Default::default()
    }
}

impl World {
    async fn dial(&self, path: &str, query: String) -> Result<Agent, tungstenite::Error> {
        let url = format!("ws://{}{path}?{query}", self.address);
        Ok(tokio_tungstenite::connect_async(url).await?.0)
    }

    /// The whole answer to an upgrade that is refused: the client of web sockets does not read its body.
    async fn refused(&self, path: &str, query: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET {path}?{query} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        let reading = stream.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap().unwrap();
        answer
    }

    async fn acs(&self) -> Agent {
        self.dial(ACS_PATH, connect().acs_query()).await.unwrap()
    }

    async fn told(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(10), self.told.recv()).await.unwrap().unwrap()
    }

    fn task(&self, arn: &str) {
        let task = acs::Task { arn: Some(arn.into()), ..Default::default() };
        self.assign.send(Assignment::Task { task: Box::new(task), seq_num: 3 }).unwrap();
    }
}

async fn text(agent: &mut Agent) -> Option<String> {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), agent.next()).await.unwrap()? {
            Ok(tungstenite::Message::Text(text)) => return Some(text.to_string()),
            Ok(tungstenite::Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn hear(agent: &mut Agent) -> acs::Message {
    acs::Message::decode(&text(agent).await.expect("the socket is open")).unwrap()
}

async fn say(agent: &mut Agent, message: impl Into<acs::Message>) {
    agent.send(tungstenite::Message::text(message.into().encode())).await.unwrap();
}

async fn payload(agent: &mut Agent) -> acs::PayloadMessage {
    match hear(agent).await {
        acs::Message::PayloadMessage(payload) => payload,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_carries_manifest_payloads_and_stop_verification() {
    let mut w = world(Limits { max_unacked: 1, ..Limits::default() }).await;
    let mut agent = w.acs().await;
    assert_eq!(w.told().await, "connected 1.0.0");
    let acs::Message::TaskManifestMessage(manifest) = hear(&mut agent).await else { panic!("no manifest") };
    assert_eq!((manifest.timeline, manifest.cluster_arn.as_deref()), (Some(7), Some("arn:cluster")));

    w.task("a");
    w.task("b");
    let first = payload(&mut agent).await;
    assert_eq!((first.tasks[0].arn.as_deref(), first.seq_num), (Some("a"), Some(3)));
    // The second is held back until the first is acknowledged; what comes instead is the verification.
    let candidate = |arn: &str| acs::TaskIdentifier { task_arn: Some(arn.into()), ..Default::default() };
    say(
        &mut agent,
        acs::TaskStopVerificationMessage {
            message_id: manifest.message_id.clone(),
            stop_candidates: vec![candidate("x"), candidate("y")],
        },
    )
    .await;
    let acs::Message::TaskStopVerificationAck(ack) = hear(&mut agent).await else { panic!("no answer") };
    assert_eq!((ack.message_id, ack.stop_tasks), (manifest.message_id, vec![candidate("x")]));
    say(&mut agent, acs::AckRequest { message_id: first.message_id, ..Default::default() }).await;
    assert_eq!(payload(&mut agent).await.tasks[0].arn.as_deref(), Some("b"));
    drop(agent);
    assert_eq!(w.told().await, "gone");
}

#[tokio::test]
async fn the_newer_socket_wins_and_close_ends_all() {
    let mut w = world(Limits::default()).await;
    let mut old = w.acs().await;
    assert_eq!(w.told().await, "connected 1.0.0");
    // The same instance, though it is named by its id this time.
    let by_id = acs::Connect { container_instance: "instance".into(), ..connect() };
    let mut new = w.dial(ACS_PATH, by_id.acs_query()).await.unwrap();
    assert_eq!(w.told().await, "gone");
    assert_eq!(w.told().await, "connected 1.0.0");
    hear(&mut old).await;
    assert_eq!(text(&mut old).await, None);
    hear(&mut new).await;
    let (link, ended) = (w.link.clone(), text(&mut new));
    let ((), ended) = tokio::join!(async move { link.close().await }, ended);
    assert_eq!(ended, None);
    assert_eq!(w.told().await, "gone");
    assert!(w.dial(ACS_PATH, connect().acs_query()).await.is_err());
}

/// The stock agent takes a close without a code for a failure, and waits before it connects again.
#[tokio::test]
async fn a_socket_is_closed_with_a_code_and_a_reason() {
    let w = world(Limits::default()).await;
    for (path, query) in [(ACS_PATH, connect().acs_query()), (TCS_PATH, connect().tcs_query())] {
        let mut agent = w.dial(path, query).await.unwrap();
        agent.send(tungstenite::Message::text("{")).await.unwrap();
        let closed = loop {
            let next = tokio::time::timeout(Duration::from_secs(10), agent.next()).await.unwrap();
            if let tungstenite::Message::Close(frame) = next.expect("an end that is told").unwrap() {
                break frame.expect("a code");
            }
        };
        assert_eq!(u16::from(closed.code), 1001, "{path}");
        assert!(!closed.reason.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn heartbeats_are_sent_and_missing_acks_end_the_socket() {
    let millis = Duration::from_millis;
    let mut w = world(Limits { heartbeat: millis(20), ack_timeout: millis(100), ..Limits::default() }).await;
    let mut agent = w.acs().await;
    hear(&mut agent).await;
    assert!(matches!(hear(&mut agent).await, acs::Message::HeartbeatMessage(_)));
    w.task("a");
    while text(&mut agent).await.is_some() {}
    assert_eq!(w.told().await, "connected 1.0.0");
    assert_eq!(w.told().await, "gone");
}

#[tokio::test]
async fn refusals_are_in_the_form_that_agents_decode() {
    let w = world(Limits::default()).await;
    let gone = acs::Connect { container_instance: "gone".into(), ..connect() };
    for (path, query, name) in [
        (ACS_PATH, gone.acs_query(), "InactiveInstanceException"),
        (ACS_PATH, String::new(), "BadRequestException"),
        ("/elsewhere", connect().acs_query(), "BadRequestException"),
    ] {
        let answer = w.refused(path, &query).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 4") && head.contains("content-type: application/json"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        // One of the two forms of the protocol, section b.3.
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["type"], name);
        assert!(body["message"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
}

#[tokio::test]
async fn telemetry_is_acknowledged() {
    let mut w = world(Limits::default()).await;
    let mut agent = w.dial(TCS_PATH, connect().tcs_query()).await.unwrap();
    let metrics: tcs::Message = tcs::PublishMetricsRequest {
        metadata: Some(tcs::MetricsMetadata { idle: Some(true), ..Default::default() }),
        ..Default::default()
    }
    .into();
    let headers = vec![("Authorization", "AWS4-HMAC-SHA256 x"), ("Host", "h")];
    let body = metrics.encode();
    let frame = tcs::Frame { headers, body: &body }.write();
    agent.send(tungstenite::Message::text(frame)).await.unwrap();
    assert_eq!(w.told().await, "metrics Some(true)");
    let ack = tcs::Message::decode(&text(&mut agent).await.unwrap()).unwrap();
    assert!(matches!(ack, tcs::Message::AckPublishMetric(_)));
    let health: tcs::Message = tcs::PublishHealthRequest::default().into();
    agent.send(tungstenite::Message::text(health.encode())).await.unwrap();
    let refused = tcs::Message::decode(&text(&mut agent).await.unwrap()).unwrap();
    assert!(matches!(refused, tcs::Message::ServerException(_)));
}

#[tokio::test]
async fn nonsense_ends_the_socket() {
    let mut w = world(Limits::default()).await;
    for frame in ["{", "{\"type\":\"AckRequest\",\"message\":{\"messageId\":5}}"] {
        let mut agent = w.acs().await;
        assert_eq!(w.told().await, "connected 1.0.0");
        hear(&mut agent).await;
        agent.send(tungstenite::Message::text(frame)).await.unwrap();
        assert_eq!(text(&mut agent).await, None, "{frame}");
        assert_eq!(w.told().await, "gone");
    }
}
