//! Large, slow and many: what a client may not do, and what it sees then. And the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Client, HOST, TARGET, pairs};
use super::{Kernel, Limits, start, start_with};

#[tokio::test]
async fn a_long_body_is_refused() {
    let running = start(Limits { body_bytes: 1000, ..Limits::default() }).await;
    let mut client = Client::connect(running.address).await;
    let answer = client.ecs("DescribeTasks", &json!({"tasks": ["a".repeat(1000)]})).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["__type"], "RequestEntityTooLargeException");
    let mut client = Client::connect(running.address).await;
    assert_eq!(client.ecs("DescribeTasks", &json!({"tasks": ["a".repeat(900)]})).await.status, 200);
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    let long = "a".repeat(70_000);
    assert_eq!(client.raw("POST", "/", &[("x-amz-meta", &long)], b"").await.status, 431);
    let mut client = Client::connect(running.address).await;
    let many: Vec<(String, &str)> = (0..120).map(|i| (format!("x-h{i}"), "v")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(client.raw("POST", "/", &many, b"").await.status, 431);
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let short = Duration::from_millis(100);
    let running = start(Limits { head_timeout: short, body_timeout: short, ..Limits::default() }).await;
    let begin = Instant::now();
    // Nothing at all, half a head, and half a body.
    for text in ["", "POST / HTTP/1.1\r\nHost: a\r\n"] {
        let mut stream = tokio::net::TcpStream::connect(running.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
    }
    let mut client = Client::connect(running.address).await;
    let mut head = client.signed_head(("POST", "/", ""), &[("x-amz-target", TARGET)], b"{}");
    head.push(("content-length".to_owned(), "10".to_owned()));
    let answer = client.raw("POST", "/", &pairs(&head), b"{").await;
    assert_eq!((answer.status, &answer.json()["__type"]), (408, &json!("RequestTimeoutException")));
    assert!(begin.elapsed() < Duration::from_secs(20));
}

/// Whether the server has ended it; nothing was sent that is not answered.
async fn is_ended(client: &mut Client) -> bool {
    client.rest().await.is_empty()
}

#[tokio::test]
async fn who_said_nothing_right_for_the_longest_time_gives_way() {
    let running = start(Limits { connections: 2, ..Limits::default() }).await;
    let mut known = Client::connect(running.address).await;
    assert_eq!(known.ecs("DescribeTasks", &json!({"tasks": ["a"]})).await.status, 200);
    let mut silent = tokio::net::TcpStream::connect(running.address).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(running.address).await;
        assert_eq!(client.raw("GET", "/health", &[HOST], b"").await.status, 200);
        others.push(client);
    }
    assert_eq!(silent.read(&mut [0]).await.unwrap_or_default(), 0);
    let mut last = others.pop().unwrap();
    for client in &mut others {
        assert!(is_ended(client).await);
    }
    assert_eq!(known.ecs("DescribeTasks", &json!({"tasks": ["a"]})).await.status, 200);
    assert_eq!(last.raw("GET", "/health", &[HOST], b"").await.status, 200);
}

#[tokio::test]
async fn when_all_are_being_answered_health_and_the_hosts_own_users_get_in() {
    for admits in [true, false] {
        let kernel = Arc::new(Kernel { admits, holds: true, ..Kernel::default() });
        let running =
            start_with(Limits { connections: 1, reserve: 1, ..Limits::default() }, kernel.clone()).await;
        let mut busy = Client::connect(running.address).await;
        let answer = tokio::spawn(async move { busy.ecs("StopTask", &json!({"task": "a"})).await.status });
        kernel.begun.notified().await;
        let mut client = Client::connect(running.address).await;
        assert_eq!(client.raw("GET", "/health", &[HOST], b"").await.status, 200);
        let mut client = Client::connect(running.address).await;
        let found = client.ecs("DescribeTasks", &json!({"tasks": ["a"]})).await.status;
        assert_eq!(found, if admits { 200 } else { 503 });
        kernel.go.notify_one();
        assert_eq!(answer.await.unwrap(), 400);
    }
}

/// Asks and asks, and reads nothing, until the connection is gone.
async fn flood(address: std::net::SocketAddr) {
    let client = Client::connect(address).await;
    let body = json!({"tasks": ["a".repeat(500_000)]}).to_string();
    let head = client.signed_head(("POST", "/", ""), &[("x-amz-target", TARGET)], body.as_bytes());
    let mut request = "POST / HTTP/1.1\r\n".to_owned();
    for (name, value) in &head {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    while stream.write_all(request.as_bytes()).await.is_ok() {}
}

#[tokio::test]
async fn who_does_not_read_is_let_go() {
    let write_timeout = Duration::from_millis(100);
    let running = start(Limits { write_timeout, ..Limits::default() }).await;
    flood(running.address).await;
}

#[tokio::test]
async fn replies_that_wait_are_not_more_than_their_room() {
    let patient = Limits { write_timeout: Duration::from_secs(3600), ..Limits::default() };
    let running = start(Limits { all_replies_bytes: 600_000, ..patient }).await;
    let both = async {
        tokio::select! {
            () = flood(running.address) => {}
            () = flood(running.address) => {}
        }
    };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("one of them is let go");
}

#[tokio::test]
async fn lines_of_heads_end_in_cr_and_lf() {
    let running = start(Limits::default()).await;
    let send = |text: &'static str| async move {
        let mut stream = tokio::net::TcpStream::connect(running.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answers = String::new();
        let _ = stream.read_to_string(&mut answers).await;
        let status = |answer: &str| answer[..3].parse::<u16>().unwrap();
        answers.split("HTTP/1.1 ").skip(1).map(status).collect::<Vec<_>>()
    };
    assert_eq!(send("GET /health HTTP/1.1\nHost: localhost\n\n").await, [400]);
    assert_eq!(send("GET /health HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n").await, [400]);
    // In a body they are the body's; the next head is looked at again.
    let body = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\n\n\n\n\n";
    let health = "GET /health HTTP/1.1\r\nHost: localhost\r\n";
    let both: &'static str = Box::leak(format!("{health}\r\n{health}X: y\n\r\n").into_boxed_str());
    assert_eq!(send(both).await, [200, 400]);
    let last: &'static str =
        Box::leak(format!("{health}\r\n{health}Connection: close\r\n\r\n").into_boxed_str());
    assert_eq!(send(last).await, [200, 200]);
    let mut client = Client::connect(running.address).await;
    for _ in 0..3 {
        assert_eq!(client.ecs("DescribeTasks", &json!({"tasks": ["a\nb"]})).await.status, 200);
    }
    assert_eq!(send(body).await, [403], "not signed");
    // What has no length may be followed by nothing.
    let chunked = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\nHost: localhost\n\n";
    assert_eq!(send(chunked).await, [403]);
}

#[tokio::test]
async fn shutdown_answers_what_has_come_and_cuts_the_rest() {
    let kernel = Arc::new(Kernel { holds: true, ..Kernel::default() });
    let limits =
        Limits { grace: Duration::from_secs(2), linger: Duration::from_secs(60), ..Limits::default() };
    let running = start_with(limits, kernel.clone()).await;
    let mut idle = Client::connect(running.address).await;
    assert_eq!(idle.raw("GET", "/health", &[HOST], b"").await.status, 200);
    let mut half = tokio::net::TcpStream::connect(running.address).await.unwrap();
    half.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n").await.unwrap();
    let mut busy = Client::connect(running.address).await;
    let answer = tokio::spawn(async move { busy.ecs("StopTask", &json!({"task": "a"})).await });
    kernel.begun.notified().await;
    running.shutdown.cancel();
    // The next request on a connection in use is answered, and told that it is the last one.
    let last = idle.raw("GET", "/health", &[HOST], b"").await;
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    assert!(is_ended(&mut idle).await);
    kernel.go.notify_one();
    let answer = answer.await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (400, Some("close")));
    running.served.await.unwrap();
    assert!(tokio::net::TcpStream::connect(running.address).await.is_err());
}
