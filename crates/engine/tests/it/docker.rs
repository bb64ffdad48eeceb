//! The engine `docker` on a real daemon: the suite, what only it can do wrong, and deaths of either side.

#[path = "docker/daemon.rs"]
mod daemon;

use std::collections::BTreeMap;
use std::time::Duration;

use engine::{
    ContainerSpec, Engine, Event, ExecSpec, IpcMode, Mount, NetworkMode, OutputPolicy, Phase, PidMode,
    PortMapping, Protocol, TaskSpec, Tmpfs, Ulimit, Volume,
};

use crate::host::{self, finish, shell};
use daemon::Daemon;

/// Until it is asked to stop.
const SLEEP: &str = "trap 'exit 0' TERM; sleep 1000 & wait";

#[tokio::test]
async fn docker_conforms() {
    let Some(daemon) = Daemon::start(&[]).await else { return };
    let engine = daemon.open().await;
    assert!(engine.capabilities().version.starts_with("docker "), "{:?}", engine.capabilities());
    let others = daemon::bystander(&daemon).await;
    engine::conformance::run(&*engine, &engine::conformance::Given { image: host::IMAGE.into() }).await;
    others.stands().await;
}

#[tokio::test]
async fn containers_find_what_was_asked() {
    let Some(daemon) = Daemon::start(&[]).await else { return };
    let engine = daemon.open().await;
    let spec = ContainerSpec {
        environment: BTreeMap::from([("A".into(), "x y".into())]),
        working_directory: Some("/made/for/it".into()),
        hostname: Some("web-1".into()),
        user: Some("1001:50".into()),
        network: NetworkMode::None,
        readonly_root: true,
        init_process: true,
        capabilities_drop: vec!["ALL".into()],
        ulimits: vec![Ulimit { name: "nofile".into(), soft: 100, hard: 200 }],
        tmpfs: vec![Tmpfs {
            container_path: "/t".into(),
            size_bytes: 1 << 20,
            options: vec!["mode=1777".into()],
        }],
        shm_bytes: Some(8 << 20),
        memory_bytes: Some(64 << 20),
        ..shell(
            "pwd; id -u; echo $A; hostname; cat /etc/hostname; ulimit -n; ulimit -Hn; touch /x 2>/dev/null || echo no; \
             touch /t/x && echo yes; grep -c size=8192k /proc/mounts; grep CapBnd /proc/self/status; cat /proc/1/comm",
        )
    };
    let (code, text) = finish(&*engine, &spec).await;
    let want = "/made/for/it\n1001\nx y\nweb-1\nweb-1\n100\n200\nno\nyes\n1\n\
                CapBnd:\t0000000000000000\ndocker-init\n";
    assert_eq!((code, text.as_str()), (Some(0), want));
    let greedy = ContainerSpec {
        memory_bytes: Some(16 << 20),
        memory_swap_bytes: Some(16 << 20),
        ..shell("exec dd if=/dev/zero of=/dev/null bs=64M count=1")
    };
    let mut events = engine.events();
    let id = host::run(&*engine, &greedy).await;
    let exit = host::event(&mut events, |event| match event {
        Event::Exited { id: of, exit } if of == id => Some(exit),
        _ => None,
    });
    let exit = exit.await;
    assert_eq!((exit.code, exit.oom_killed), (Some(137), true));
    let polite = ContainerSpec {
        stop_signal: Some("SIGINT".into()),
        ..shell("trap 'echo bye; exit 5' INT; echo ready; while :; do sleep 0.05; done")
    };
    let id = host::run(&*engine, &polite).await;
    host::until("its word", async || {
        let chunk = engine.output(&id, 0, 100).await.unwrap();
        (!chunk.records.is_empty()).then_some(())
    })
    .await;
    engine.stop(&id, Duration::from_secs(20)).await.unwrap();
    assert_eq!(host::exit(&*engine, &id).await.code, Some(5));
    let (_, text) = finish(&*engine, &ContainerSpec { pseudo_terminal: true, ..shell("tty") }).await;
    assert_eq!(text.replace('\r', ""), "/dev/pts/0\n");
}

#[tokio::test]
async fn a_task_shares_volumes_limits_processes_and_a_bridge() {
    let Some(daemon) = Daemon::start(&[]).await else { return };
    let engine = daemon.open().await;
    let outside = daemon.dir.path().join("made/by/it");
    let task = TaskSpec {
        id: host::task_id(),
        memory_bytes: Some(256 << 20),
        cpu_millis: Some(500),
        pid_mode: PidMode::Task,
        ipc_mode: IpcMode::Task,
        volumes: [("data".into(), Volume::Empty), ("host".into(), Volume::Host(outside.clone()))].into(),
        ..TaskSpec::default()
    };
    engine.prepare_task(&task).await.unwrap();
    let mount = |volume: &str, path: &str| Mount {
        source_volume: volume.into(),
        container_path: path.into(),
        read_only: false,
    };
    let port = PortMapping { container_port: 80, host_port: None, protocol: Protocol::Tcp, more: 0 };
    let web = ContainerSpec {
        network: NetworkMode::Bridge,
        port_mappings: vec![port],
        mounts: vec![mount("data", "/etc"), mount("host", "/host")],
        ..shell(
            "echo shared > /etc/note; echo out > /host/note; while :; do echo hello | nc -w 1 -l -p 80; done",
        )
    };
    let (first, second) = (host::id(&task.id, "web"), host::id(&task.id, "other"));
    let created = engine.create(&first, &web).await.unwrap();
    let binding = created.bindings[0].clone();
    assert!(created.ipv4.is_some() && binding.container_port == 80 && binding.host_port > 0);
    engine.start(&first).await.unwrap();
    let get = || {
        use std::io::Read;
        let mut text = String::new();
        let stream = std::net::TcpStream::connect(("127.0.0.1", binding.host_port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        (&stream).read_to_string(&mut text).ok()?;
        (text == "hello\n").then_some(())
    };
    host::until("an answer on the host's port", async || get()).await;
    let other = ContainerSpec {
        network: NetworkMode::Bridge,
        links: vec![("web".into(), "w".into())],
        volumes_from: vec![("web".into(), true)],
        ..shell("sleep 1000")
    };
    engine.create(&second, &other).await.unwrap();
    engine.start(&second).await.unwrap();
    let say = async |script: &str| {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let exec = ExecSpec { command, timeout: Duration::from_secs(20), max_output_bytes: 4000 };
        String::from_utf8_lossy(&engine.exec(&second, &exec).await.unwrap().output).trim().to_owned()
    };
    assert_eq!(
        say("cat /etc/note /host/note; (echo x > /etc/x) 2>/dev/null || echo read-only").await.lines().last(),
        Some("read-only")
    );
    assert_eq!(say("echo $W_PORT_80_TCP_PORT").await, "80");
    host::until("an answer by the link's name", async || {
        (say("nc -w 1 w 80 < /dev/null").await == "hello").then_some(())
    })
    .await;
    assert!(
        say("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").await.contains("nc -w 1 -l -p 80"),
        "one sees the other"
    );
    let stats = engine.stats(&first).await.unwrap();
    assert!(stats.pids >= 1 && stats.memory_bytes > 0 && stats.rx.packets > 0, "{stats:?}");
    let name = format!("roadstead-{}/{}", daemon.config.instance_id8, task.id);
    let limit = ["memory/", ""].iter().find_map(|tree| {
        let file = if tree.is_empty() { "memory.max" } else { "memory.limit_in_bytes" };
        std::fs::read_to_string(format!("/sys/fs/cgroup/{tree}{name}/{file}")).ok()
    });
    assert_eq!(limit.unwrap().trim(), (256 << 20).to_string());
    assert_eq!(std::fs::read_to_string(outside.join("note")).unwrap(), "out\n");
    engine.stop(&first, Duration::ZERO).await.unwrap();
    host::exit(&*engine, &first).await;
    engine.release_task(&task.id).await.unwrap();
    assert!(std::net::TcpListener::bind(("0.0.0.0", binding.host_port)).is_ok(), "its port is free");
}

#[tokio::test]
async fn an_engine_that_opens_again_knows_all() {
    let Some(daemon) = Daemon::start(&[]).await else { return };
    let engine = daemon.open().await;
    let bridge = ContainerSpec {
        network: NetworkMode::Bridge,
        output: OutputPolicy::Blocking,
        ..shell(
            "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo error >&2; sleep 2; exit 7",
        )
    };
    let id = host::run(&*engine, &bridge).await;
    let some = engine.output(&id, 0, 1).await.unwrap();
    let before = engine.inspect(&id).await.unwrap().unwrap();
    drop(engine);
    let engine = daemon.open().await;
    let found = engine.list().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].containers[0].created, before.created);
    assert_eq!(host::exit(&*engine, &id).await.code, Some(7));
    let mut records = some.records;
    records.extend(host::all_output(&*engine, &id).await.into_iter().filter(|r| r.cursor > some.cursor));
    assert_eq!(records.len(), 2001, "nothing is lost, and nothing comes twice");
    let mut lines = records.iter().map(|r| String::from_utf8_lossy(&r.data).into_owned());
    assert!(
        lines.any(|line| line == "line 1999") && records.iter().any(|r| r.stream == engine::Stream::Stderr)
    );
    engine.remove_task(&id.task).await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_dies_is_waited_for() {
    for live_restore in [false, true] {
        let flags: &[&str] = if live_restore { &["--live-restore"] } else { &[] };
        let Some(mut daemon) = Daemon::start(flags).await else { return };
        let engine = daemon.open().await;
        let bridge = ContainerSpec { network: NetworkMode::Bridge, ..shell(SLEEP) };
        let id = host::run(&*engine, &bridge).await;
        let mut events = engine.events();
        daemon.crash().await;
        host::event(&mut events, |event| (event == Event::Missed).then_some(())).await;
        let state = engine.inspect(&id).await.unwrap().unwrap();
        match (live_restore, state.phase) {
            (true, Phase::Running(_)) => {}
            (false, Phase::Exited(exit)) => {
                let reason = exit.reason.unwrap_or_default();
                assert!(reason.starts_with("DockerDaemonError: "), "{reason}");
                engine.start(&id).await.expect("it starts again, with its network");
            }
            (_, phase) => panic!("live-restore {live_restore}: {phase:?}"),
        }
        let exec = ExecSpec {
            command: vec!["ip".into(), "addr".into()],
            timeout: Duration::from_secs(10),
            max_output_bytes: 4000,
        };
        let address = engine.exec(&id, &exec).await.unwrap().output;
        let want = state.created.ipv4.unwrap().to_string();
        assert!(String::from_utf8_lossy(&address).contains(&want), "{want}");
        engine.remove_task(&id.task).await.unwrap();
    }
}
