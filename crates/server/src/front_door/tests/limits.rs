//! Large, slow and many: what a client may not do, and what it sees then. And the end.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Client, HOST, TARGET, pairs};
use super::{Limits, start};

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

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let running = start(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = Client::connect(running.address).await;
    assert_eq!(first.raw("GET", "/health", &[HOST], b"").await.status, 200);
    let mut second = Client::connect(running.address).await;
    let waiting =
        tokio::time::timeout(Duration::from_millis(100), second.raw("GET", "/health", &[HOST], b""));
    assert!(waiting.await.is_err());
    drop(first);
    assert_eq!(second.answer().await.status, 200);
}

#[tokio::test]
async fn shutdown_lets_requests_end_and_cuts_the_rest() {
    let running = start(Limits { grace: Duration::from_secs(2), ..Limits::default() }).await;
    let mut idle = Client::connect(running.address).await;
    assert_eq!(idle.raw("GET", "/health", &[HOST], b"").await.status, 200);
    let mut half = tokio::net::TcpStream::connect(running.address).await.unwrap();
    half.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n").await.unwrap();
    let mut busy = Client::connect(running.address).await;
    let shutdown = running.shutdown.clone();
    let answer = async {
        let answer = busy.ecs("StopTask", &json!({"task": "a"})).await;
        answer.status
    };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        shutdown.cancel();
    };
    let (status, ()) = tokio::join!(answer, stop);
    assert_eq!(status, 400);
    tokio::time::timeout(Duration::from_secs(10), running.served).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(running.address).await.is_err());
}
