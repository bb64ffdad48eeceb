//! TLS: both versions of HTTP, their limits, a certificate that changes, and the place where nobody signs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_protocol::join::{self, Bundle, Granted, Reason, Refused, Trade};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use wire::Timestamp;

use super::client::{Client, HOST, TARGET};
use super::{Echo, Kernel, Limits, NOW, Ring, Stops, Takes, config, kernel};
use crate::front_door::{FrontDoor, Listener, OpenDoor};
use crate::gate::{Gate, Service};
use crate::join::{Desk, Tokens, Wish};
use crate::keys::OperatorKeys;
use crate::tls::{Source, Tls, authority::Authority};

/// A front door that takes TLS, and plain HTTP beside it.
struct Secure {
    address: std::net::SocketAddr,
    plain: std::net::SocketAddr,
    shutdown: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    tls: Arc<Tls>,
    tokens: Tokens,
    dir: tempfile::TempDir,
}

async fn start(limits: Limits, kernel: Arc<Kernel>) -> Secure {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::Own { dir: dir.path().join("tls"), names: vec!["localhost".to_owned()] };
    let tls = Arc::new(Tls::open(source, real()).unwrap());
    let tokens = Tokens::new(dir.path().join("tokens"));
    let desk = Desk::new(tokens.clone(), OperatorKeys::new("master"), tls.clone(), "c", || NOW);
    let services: Vec<Arc<dyn Service>> = vec![Arc::new(Echo(kernel.clone()))];
    let gate = Arc::new(Gate::new(services, Arc::new(Stops)).unwrap());
    let config = crate::front_door::Config { limits, ..config() };
    let door = FrontDoor::new(config, gate, Arc::new(Ring), kernel, vec![Arc::new(Takes)]);
    let door = door.with_open(Arc::new(desk) as Arc<dyn OpenDoor>);
    let bind = || TcpListener::bind("127.0.0.1:0");
    let (secure, plain) = (bind().await.unwrap(), bind().await.unwrap());
    let (address, at) = (secure.local_addr().unwrap(), plain.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let listeners = vec![plain.into(), Listener::tls(secure, tls.clone())];
    let served = tokio::spawn(Arc::new(door).serve(listeners, shutdown.clone()));
    Secure { address, plain: at, shutdown, served, tls, tokens, dir }
}

/// Certificates are good by the clock of whoever looks at them.
fn real() -> Timestamp {
    crate::runtime::now()
}

async fn dial(running: &Secure, trusted: &Bundle, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for der in trusted.certificates() {
        roots.add(CertificateDer::from(der.clone())).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let tcp = TcpStream::connect(running.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

type H2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn http2(running: &Secure) -> H2 {
    let stream = dial(running, &running.tls.bundle(), b"h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1000);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A signed call, as HTTP/2 has it: the host is the authority.
fn call(operation: &str, input: &Value) -> Request<Full<Bytes>> {
    let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
    let headers = [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.1")];
    let body = input.to_string();
    let mut request = Request::builder().method(Method::POST).uri(format!("https://{}/", HOST.1));
    for (name, value) in signer().signed_head(("POST", "/", ""), &headers, body.as_bytes()) {
        if name != "host" {
            request = request.header(name, value);
        }
    }
    request.body(Full::from(body)).unwrap()
}

fn signer() -> Client {
    Client::signing("AKID", "secret")
}

async fn read(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_and_told_apart() {
    let running = start(Limits::default(), kernel(true)).await;
    let mut sender = http2(&running).await;
    let answer = sender.send_request(call("DescribeTasks", &json!({"tasks": ["a"]}))).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(read(answer).await["origin"], "https://localhost:4566");
    let health = Request::get(format!("https://{}/health", HOST.1)).body(Full::default()).unwrap();
    assert_eq!(sender.send_request(health).await.unwrap().status(), StatusCode::OK);
    let foreign = Request::get("https://evil.example/health").body(Full::default()).unwrap();
    assert_eq!(sender.send_request(foreign).await.unwrap().status(), StatusCode::FORBIDDEN);
    let stream = dial(&running, &running.tls.bundle(), b"http/1.1").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let (mut parts, body) = call("DescribeTasks", &json!({"tasks": ["a"]})).into_parts();
        parts.headers.insert("host", HOST.1.parse().unwrap());
        parts.uri = "/".parse().unwrap();
        let answer = sender.send_request(Request::from_parts(parts, body)).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_11);
        assert_eq!(read(answer).await["origin"], "https://localhost:4566");
        sender.ready().await.unwrap();
    }
}

#[tokio::test]
async fn requests_of_one_connection_do_not_wait_for_each_other() {
    let kernel = Arc::new(Kernel { admits: true, holds: true, ..Default::default() });
    let running = start(Limits { connections: 1, ..Limits::default() }, kernel.clone()).await;
    let mut sender = http2(&running).await;
    let mut other = sender.clone();
    let held = tokio::spawn(async move { other.send_request(call("StopTask", &json!({"task": "a"}))).await });
    kernel.begun.notified().await;
    let answer = sender.send_request(call("DescribeTasks", &json!({"tasks": ["a"]}))).await.unwrap();
    assert_eq!(read(answer).await["operation"], "DescribeTasks");
    // It is being answered still: no other takes its place.
    let _other = TcpStream::connect(running.plain).await.unwrap();
    kernel.go.notify_one();
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_new_certificate_cuts_no_connection() {
    let running = start(Limits::default(), kernel(true)).await;
    let before = running.tls.bundle();
    let mut sender = http2(&running).await;
    Authority::rotate(&running.dir.path().join("tls"), Duration::ZERO, real()).unwrap();
    assert!(running.tls.refresh(real()).unwrap());
    let error = dial(&running, &before, b"h2").await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    dial(&running, &running.tls.bundle(), b"h2").await.unwrap();
    let answer = sender.send_request(call("DescribeTasks", &json!({"tasks": ["a"]}))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn slow_clients_are_let_go_with_tls_too() {
    let short = Duration::from_millis(100);
    let limits =
        Limits { handshake_timeout: short, head_timeout: short, write_timeout: short, ..Limits::default() };
    let running = start(limits, kernel(true)).await;
    let begin = Instant::now();
    // Nothing at all, and plain HTTP.
    for text in ["", "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    }
    // Nothing after the handshake.
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let mut stream = dial(&running, &running.tls.bundle(), protocol).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    // A reply that is not taken.
    let mut sender = http2(&running).await;
    let long = json!({"tasks": ["a".repeat(200_000)]});
    let answer = sender.send_request(call("DescribeTasks", &long)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let ended = async {
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(30));
    drop(answer);
}

#[tokio::test]
async fn at_the_end_what_has_come_is_answered() {
    let kernel = Arc::new(Kernel { admits: true, holds: true, ..Default::default() });
    let running = start(Limits::default(), kernel.clone()).await;
    let sender = http2(&running).await;
    let mut other = sender.clone();
    let held = tokio::spawn(async move { other.send_request(call("StopTask", &json!({"task": "a"}))).await });
    kernel.begun.notified().await;
    running.shutdown.cancel();
    kernel.go.notify_one();
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::BAD_REQUEST);
    tokio::time::timeout(Duration::from_secs(20), running.served).await.unwrap().unwrap();
}

/// What a POST to the desk comes to.
async fn knock(running: &Secure, body: &[u8]) -> (StatusCode, Bytes) {
    let mut sender = http2(running).await;
    let uri = format!("https://{}{}", HOST.1, join::PATH);
    let request = Request::post(uri).body(Full::from(body.to_vec())).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn a_token_is_traded_where_nobody_signs() {
    let running = start(Limits::default(), kernel(true)).await;
    let wish = Wish {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        cluster: None,
        ttl: Duration::from_secs(60),
    };
    let made = running.tokens.create(&wish, NOW).unwrap();
    let trade = Trade { id: made.id.clone(), secret: made.secret.clone(), claim: "a".repeat(32), now: NOW.0 };
    let text = |trade: &Trade| serde_json::to_vec(trade).unwrap();
    let wrong = Trade { secret: "b".repeat(64), ..trade.clone() };
    for (body, status, reason) in [
        (b"nonsense".to_vec(), StatusCode::BAD_REQUEST, Reason::Malformed),
        (text(&wrong), StatusCode::FORBIDDEN, Reason::Unknown),
        (text(&Trade { now: 0, ..trade.clone() }), StatusCode::CONFLICT, Reason::Clock),
    ] {
        let (found, body) = knock(&running, &body).await;
        let refused: Refused = serde_json::from_slice(&body).unwrap();
        assert_eq!((found, refused.error), (status, reason), "{refused}");
    }
    assert_eq!(knock(&running, &[b' '; 5000]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let mut plain = Client::connect(running.plain).await;
    let answer = plain.raw("POST", join::PATH, &[HOST], &text(&trade)).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("Malformed")));
    assert_eq!(plain.raw("GET", join::PATH, &[HOST], b"").await.status, 405);
    let (status, body) = knock(&running, &text(&trade)).await;
    assert_eq!(status, StatusCode::OK);
    let granted: Granted = serde_json::from_slice(&body).unwrap();
    assert!(granted.access_key_id.starts_with("RSOP") && granted.secret_access_key.len() >= 40);
    assert_eq!((granted.region.as_str(), granted.cluster.as_str()), ("us-east-1", "c"));
    assert_eq!(Bundle::from_header(&granted.trust), Ok(running.tls.bundle()));
    let (_, again) = knock(&running, &text(&trade)).await;
    assert_eq!(serde_json::from_slice::<Granted>(&again).unwrap().access_key_id, granted.access_key_id);
    let (status, _) = knock(&running, &text(&Trade { claim: "c".repeat(32), ..trade })).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // Whoever tries for too long waits.
    let mut last = StatusCode::FORBIDDEN;
    for _ in 0..40 {
        last = knock(&running, &text(&wrong)).await.0;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_call_is_signed_for_its_host_whichever_way_it_is_named() {
    let running = start(Limits::default(), kernel(true)).await;
    let mut sender = http2(&running).await;
    let mut wrong = call("DescribeTasks", &json!({"tasks": ["a"]}));
    *wrong.uri_mut() = "https://localhost:1/".parse().unwrap();
    assert!(sender.send_request(wrong).await.unwrap().status().is_client_error());
    let mut unsigned = Request::post(format!("https://{}/", HOST.1)).body(Full::default()).unwrap();
    unsigned.headers_mut().insert("x-amz-target", TARGET.parse().unwrap());
    assert!(sender.send_request(unsigned).await.unwrap().status().is_client_error());
}
