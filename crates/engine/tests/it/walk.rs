//! The first steps: a container runs, ends with its code, its output is read, and it is removed.

use std::time::Duration;

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
    spec.port_mappings = vec![engine::PortMapping {
        container_port: 80,
        host_port: None,
        protocol: engine::Protocol::Tcp,
        more: 0,
    }];
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
async fn the_kernel_s_file_systems_show_the_container_s_own_namespaces() {
    let host = Host::with_network();
    let engine = host.open().await;
    let script = "ls /sys/class/net | tr '\\n' ' '; touch /dev/mqueue/mine; ls /dev/mqueue; \
                  for n in ipc net uts mnt pid; do readlink /proc/self/ns/$n; done; sleep 1000";
    let mut seen = Vec::new();
    for mode in [NetworkMode::Bridge, NetworkMode::None] {
        let id = host::run(&*engine, &engine::ContainerSpec { network: mode, ..host::shell(script) }).await;
        let text = host::until("all of it", async || {
            let records = engine.output(&id, 0, 1 << 20).await.unwrap().records;
            let lines: Vec<String> =
                records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect();
            (lines.len() == 6).then_some(lines)
        })
        .await;
        let links = if mode == NetworkMode::Bridge { "eth0 lo mine" } else { "lo mine" };
        assert_eq!(text[0], links, "its own links, and no queue but its own");
        // What joins it finds the same.
        let command = ["sh", "-c", "readlink /proc/self/ns/ipc; ls /dev/mqueue"].map(str::to_owned).to_vec();
        let exec = engine::ExecSpec { command, timeout: Duration::from_secs(10), max_output_bytes: 1000 };
        let told = engine.exec(&id, &exec).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&told.output), format!("{}\nmine\n", text[1]));
        seen.extend(text[1..].to_vec());
    }
    let own = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    seen.extend(["ipc", "net", "uts", "mnt", "pid"].map(|name| own(name).display().to_string()));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 15, "each has its own: {seen:?}");
}

#[tokio::test]
async fn native_conforms() {
    let host = Host::new();
    let engine = host.open().await;
    engine::conformance::run(&*engine, &engine::conformance::Given { image: host::IMAGE.into() }).await;
}
