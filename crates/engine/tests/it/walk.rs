//! The first steps: a container runs, ends with its code, its output is read, and it is removed.

use engine::{Engine, NetworkMode};

use crate::host::{self, Host};

#[tokio::test]
async fn a_container_runs_ends_is_read_and_removed() {
    let host = Host::new();
    let engine = host.open().await;
    let mut events = engine.events();
    let id = host::run(&*engine, &host::shell("echo out; echo err >&2; exit 3")).await;
    let exit = host::event(&mut events, |e| match e {
        engine::Event::Exited { exit, .. } => Some(exit),
        _ => None,
    })
    .await;
    assert_eq!((exit.code, exit.oom_killed), (Some(3), false));
    let mut lines: Vec<_> = host::all_output(&*engine, &id)
        .await
        .into_iter()
        .map(|r| (r.stream, String::from_utf8(r.data).unwrap()))
        .collect();
    lines.sort_by_key(|(_, text)| text.clone());
    assert_eq!(lines, [(engine::Stream::Stderr, "err".into()), (engine::Stream::Stdout, "out".into())]);
    assert_eq!(engine.list().await.unwrap().len(), 1);
    engine.remove_task(&id.task).await.unwrap();
    assert_eq!(engine.list().await.unwrap(), []);
    assert!(!host.task_dir(&id.task).exists());
}

#[tokio::test]
async fn a_container_on_the_bridge_reaches_the_host_and_is_reached() {
    let host = Host::with_network();
    let engine = host.open().await;
    let mut spec = host::shell("echo hello > /index.html; exec httpd -f -p 80 -h /");
    spec.network = NetworkMode::Bridge;
    spec.port_mappings =
        vec![engine::PortMapping { container_port: 80, host_port: None, protocol: engine::Protocol::Tcp }];
    let id = host::run(&*engine, &spec).await;
    let created = engine.inspect(&id).await.unwrap().unwrap().created;
    let port = created.bindings[0].host_port;
    let body = host::until("an answer", async || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.ends_with("hello\n").then_some(text)
    })
    .await;
    assert!(body.contains("200 OK"), "{body}");
    assert!(engine.stats(&id).await.unwrap().rx.bytes > 0);
    engine.remove_task(&id.task).await.unwrap();
}

#[tokio::test]
async fn native_conforms() {
    let host = Host::new();
    let engine = host.open().await;
    engine::conformance::run(&*engine, &engine::conformance::Given { image: host::IMAGE.into() }).await;
}
