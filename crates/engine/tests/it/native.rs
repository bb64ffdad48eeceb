//! What a container finds: its user, environment, limits, file systems, devices and rights, and how it
//! ends. One real container or two for each line of Docker's behaviour.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use engine::{
    ContainerSpec, Engine, ExecSpec, Kind, Mount, NetworkMode, OutputPolicy, Phase, PortMapping, Protocol,
    TaskSpec, Tmpfs, Ulimit, Volume,
};

use crate::host::{self, Host, finish, shell};

fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

#[tokio::test]
async fn process_environment_and_identity() {
    let host = Host::new();
    let engine = host.open().await;
    let spec = ContainerSpec {
        environment: BTreeMap::from([("A".into(), "x y".into())]),
        working_directory: Some("/made/for/it".into()),
        hostname: Some("web-1".into()),
        user: Some("1001:50".into()),
        ..shell("pwd; id -u; id -g; echo $A $HOME $HOSTNAME; hostname; cat /etc/hostname; echo $PATH")
    };
    let (code, text) = finish(&*engine, &spec).await;
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let want = format!("/made/for/it\n1001\n50\nx y / web-1\nweb-1\nweb-1\n{path}\n");
    assert_eq!((code, text), (Some(0), want));
}

#[tokio::test]
async fn rights_are_docker_s_default() {
    let host = Host::new();
    let engine = host.open().await;
    let script = "grep -E 'CapEff|CapBnd|CapInh|NoNewPrivs|^Seccomp:' /proc/self/status; \
                  cat /proc/timer_list | wc -c; echo x > /proc/sys/kernel/hostname || echo read-only; \
                  touch /sys/x || echo read-only; mkdir /sys/fs/cgroup/x || echo read-only; \
                  grep -c ' /proc/kcore ' /proc/mounts; mount -t tmpfs t /mnt || echo no mount; ls /dev";
    let (code, text) = finish(&*engine, &shell(&format!("exec 2>/dev/null; {script}"))).await;
    assert_eq!(code, Some(0), "{text}");
    let fields = [
        "CapInh:\t0000000000000000",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "NoNewPrivs:\t0",
        "Seccomp:\t2",
    ];
    for want in fields {
        assert!(text.contains(want), "{want} in {text}");
    }
    assert_eq!(text.matches("read-only").count(), 3, "{text}");
    assert!(text.contains("no mount") && text.contains("\n0\n"), "{text}");
    for device in
        ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "stdout"]
    {
        assert!(text.lines().any(|l| l == device), "{device} in {text}");
    }
}

#[tokio::test]
async fn rights_as_asked() {
    let host = Host::new();
    let engine = host.open().await;
    let spec = ContainerSpec {
        capabilities_add: list(&["NET_ADMIN"]),
        capabilities_drop: list(&["ALL"]),
        security_options: list(&["no-new-privileges", "seccomp=unconfined"]),
        ..shell("grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status")
    };
    let (_, text) = finish(&*engine, &spec).await;
    assert_eq!(text, "CapEff:\t0000000000001000\nNoNewPrivs:\t1\nSeccomp:\t0\n");
    let nnp = ContainerSpec {
        security_options: list(&["no-new-privileges"]),
        ..shell("grep -E '^Seccomp:' /proc/self/status")
    };
    assert_eq!(finish(&*engine, &nnp).await.1, "Seccomp:\t2\n");
    let privileged = ContainerSpec {
        privileged: true,
        ..shell(
            "mkdir /m; mount -t tmpfs t /m && echo mounted; grep -E '^Seccomp:' /proc/self/status; test -w /proc/sys/kernel/hostname && echo writable; test -c /dev/kmsg && echo kmsg",
        )
    };
    let (_, text) = finish(&*engine, &privileged).await;
    assert_eq!(text, "mounted\nSeccomp:\t0\nwritable\nkmsg\n");
}

#[tokio::test]
async fn file_systems() {
    let host = Host::new();
    let engine = host.open().await;
    let spec = ContainerSpec {
        readonly_root: true,
        tmpfs: vec![Tmpfs {
            container_path: "/scratch".into(),
            size_bytes: 1 << 20,
            options: list(&["mode=700", "exec"]),
        }],
        shm_bytes: Some(8 << 20),
        ..shell(
            "touch /x 2>/dev/null || echo read-only; touch /scratch/x && echo wrote; grep -E ' /scratch | /dev/shm ' /proc/mounts",
        )
    };
    let (_, text) = finish(&*engine, &spec).await;
    assert!(text.starts_with("read-only\nwrote\n"), "{text}");
    assert!(
        text.contains("size=1024k") && text.contains("mode=700") && text.contains("size=8192k"),
        "{text}"
    );
    assert!(!text.lines().any(|l| l.contains("/scratch") && l.contains("noexec")), "{text}");
    let dir = host.dir.path().join("engine");
    let id = host::run(&*engine, &shell("sleep 1000")).await;
    assert_eq!(host::mounts_under(&dir), Vec::<String>::new());
    engine.remove_task(&id.task).await.unwrap();
}

#[tokio::test]
async fn volumes_are_shared_copied_up_and_read_only() {
    let host = Host::new();
    let engine = host.open().await;
    let outside = host.dir.path().join("made/by/it");
    let task = TaskSpec {
        id: host::task_id(),
        volumes: BTreeMap::from([
            ("data".into(), Volume::Empty),
            ("host".into(), Volume::Host(outside.clone())),
        ]),
        ..TaskSpec::default()
    };
    engine.prepare_task(&task).await.unwrap();
    let mount = |volume: &str, path: &str, read_only| Mount {
        source_volume: volume.into(),
        container_path: PathBuf::from(path),
        read_only,
    };
    let first = ContainerSpec {
        mounts: vec![mount("data", "/etc", false), mount("host", "/host", false)],
        ..shell("ls /etc; echo shared > /etc/note; echo out > /host/note; cat /etc/hostname")
    };
    let second = ContainerSpec {
        volumes_from: vec![("first".into(), true)],
        ..shell("cat /etc/note /host/note; touch /etc/x 2>/dev/null || echo read-only")
    };
    for (name, spec, want) in [("first", &first, "group\n"), ("second", &second, "shared\nout\nread-only\n")]
    {
        let id = host::id(&task.id, name);
        engine.create(&id, spec).await.unwrap();
        engine.start(&id).await.unwrap();
        let text = host::text(&*engine, &id).await;
        assert!(text.contains(want), "{name}: {text}");
    }
    assert_eq!(std::fs::read_to_string(outside.join("note")).unwrap(), "out\n");
    let broken = ContainerSpec { mounts: vec![mount("none", "/x", false)], ..shell("true") };
    let error = engine.create(&host::id(&task.id, "third"), &broken).await.unwrap_err();
    assert_eq!(error.kind, Kind::Create);
}

#[tokio::test]
async fn limits_hold() {
    let host = Host::new();
    let engine = host.open().await;
    let spec = ContainerSpec {
        cpu_shares: Some(512),
        memory_bytes: Some(64 << 20),
        memory_reservation_bytes: Some(32 << 20),
        ulimits: vec![Ulimit { name: "nofile".into(), soft: 100, hard: 200 }],
        ..shell(
            "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max cpu/cpu.shares cpu.weight 2>/dev/null; ulimit -n; ulimit -Hn; sleep 1000",
        )
    };
    let id = host::run(&*engine, &spec).await;
    let text = host::until("the values", async || {
        let chunk = engine.output(&id, 0, 4096).await.unwrap();
        (chunk.records.len() == 4).then(|| {
            chunk.records.iter().map(|r| String::from_utf8_lossy(&r.data).into_owned()).collect::<Vec<_>>()
        })
    })
    .await;
    assert!(text[0] == "67108864" && ["512", "20"].contains(&text[1].as_str()), "{text:?}");
    assert_eq!(text[2..], ["100", "200"]);
    let stats = engine.stats(&id).await.unwrap();
    assert_eq!(stats.memory_limit_bytes, Some(64 << 20));
    assert!(stats.pids >= 1 && stats.cpu_ns > 0 && stats.memory_bytes > 0, "{stats:?}");
}

#[tokio::test]
async fn too_much_memory_is_told_as_such() {
    let host = Host::new();
    let engine = host.open().await;
    let greedy = ContainerSpec {
        memory_bytes: Some(16 << 20),
        memory_swap_bytes: Some(16 << 20),
        ..shell("exec dd if=/dev/zero of=/dev/null bs=64M count=1")
    };
    let id = host::run(&*engine, &greedy).await;
    let exit = host::exit(&*engine, &id).await;
    assert_eq!((exit.code, exit.oom_killed), (Some(137), true));
    // What starts a container is not charged so much that a small one could not start.
    let small = ContainerSpec { memory_bytes: Some(6 << 20), ..shell("umask") };
    assert_eq!(finish(&*engine, &small).await, (Some(0), "0022\n".into()));
    // The task's limit strikes too; who was not struck is not said to be.
    let task = TaskSpec {
        id: host::task_id(),
        memory_bytes: Some(24 << 20),
        cpu_millis: Some(500),
        pids_limit: Some(50),
        ..TaskSpec::default()
    };
    engine.prepare_task(&task).await.unwrap();
    for (name, script) in
        [("greedy", "exec dd if=/dev/zero of=/dev/null bs=64M count=1"), ("modest", "exit 137")]
    {
        let id = host::id(&task.id, name);
        let spec = ContainerSpec { memory_swap_bytes: Some(-1), ..shell(script) };
        engine.create(&id, &spec).await.unwrap();
        engine.start(&id).await.unwrap();
        let exit = host::exit(&*engine, &id).await;
        assert_eq!((exit.code, exit.oom_killed), (Some(137), name == "greedy"));
    }
}

#[tokio::test]
async fn stopping_asks_and_then_kills() {
    let host = Host::new();
    let engine = host.open().await;
    let polite = ContainerSpec {
        stop_signal: Some("SIGINT".into()),
        ..shell("trap 'echo bye; exit 5' INT; echo ready; while :; do sleep 0.05; done")
    };
    let stubborn = shell("echo ready; sleep 1000");
    for (spec, wait, want) in [(polite, 20_000, 5), (stubborn, 50, 137)] {
        let id = host::run(&*engine, &spec).await;
        host::until("the container's word", async || {
            let chunk = engine.output(&id, 0, 100).await.unwrap();
            (!chunk.records.is_empty()).then_some(())
        })
        .await;
        engine.stop(&id, Duration::from_millis(wait)).await.unwrap();
        assert_eq!(host::exit(&*engine, &id).await.code, Some(want));
        engine.stop(&id, Duration::ZERO).await.unwrap();
    }
}

#[tokio::test]
async fn an_init_process_reaps_and_hands_signals_on() {
    let host = Host::new();
    let engine = host.open().await;
    let with = |script: &str| ContainerSpec { init_process: true, ..shell(script) };
    let (code, text) = finish(&*engine, &with("echo $$; cat /proc/1/comm; exit 9")).await;
    assert_eq!((code, text), (Some(9), "2\ndocker-init\n".into()));
    let (code, _) = finish(&*engine, &with("kill -SEGV $$")).await;
    assert_eq!(code, Some(139));
    let id = host::run(&*engine, &with("sleep 1000")).await;
    engine.stop(&id, Duration::from_secs(20)).await.unwrap();
    assert_eq!(host::exit(&*engine, &id).await.code, Some(143));
}

#[tokio::test]
async fn a_terminal_and_an_open_input() {
    let host = Host::new();
    let engine = host.open().await;
    for init_process in [false, true] {
        let spec = ContainerSpec {
            pseudo_terminal: true,
            init_process,
            ..shell("tty; test -t 0 && test -t 2 && echo $TERM; exit 4")
        };
        let (code, text) = finish(&*engine, &spec).await;
        assert_eq!((code, text.replace('\r', "").as_str()), (Some(4), "/dev/pts/0\nxterm\n"));
    }
    let (code, _) = finish(&*engine, &shell("cat")).await;
    assert_eq!(code, Some(0));
    let id = host::run(&*engine, &ContainerSpec { interactive: true, ..shell("cat; echo ended") }).await;
    let exec = ExecSpec { command: list(&["true"]), timeout: Duration::from_secs(10), max_output_bytes: 10 };
    assert_eq!(engine.exec(&id, &exec).await.unwrap().code, Some(0));
    assert!(matches!(engine.inspect(&id).await.unwrap().unwrap().phase, Phase::Running(_)));
}

#[tokio::test]
async fn commands_in_a_running_container() {
    let host = Host::new();
    let engine = host.open().await;
    let spec = ContainerSpec {
        user: Some("7:8".into()),
        environment: BTreeMap::from([("A".into(), "1".into())]),
        ..shell("sleep 1000")
    };
    let id = host::run(&*engine, &spec).await;
    let exec = |script: &str, ms| ExecSpec {
        command: list(&["sh", "-c", script]),
        timeout: Duration::from_millis(ms),
        max_output_bytes: 60,
    };
    let outcome = engine
        .exec(
            &id,
            &exec(
                "id -u; echo $A; echo err >&2; grep -E '^Seccomp:|CapBnd' /proc/self/status; exit 6",
                10_000,
            ),
        )
        .await
        .unwrap();
    assert_eq!(outcome.code, Some(6));
    assert_eq!(
        String::from_utf8_lossy(&outcome.output),
        "7\n1\nerr\nCapBnd:\t00000000a80425fb\nSeccomp:\t2\n"
    );
    assert_eq!(engine.exec(&id, &exec("sleep 100 & sleep 100", 100)).await.unwrap().code, None);
    assert_eq!(engine.exec(&id, &exec("yes | head -c 100000", 10_000)).await.unwrap().output.len(), 60);
    let missing =
        ExecSpec { command: list(&["/nope"]), timeout: Duration::from_secs(10), max_output_bytes: 10 };
    assert!(engine.exec(&id, &missing).await.unwrap_err().message.contains("no such file"));
    engine.stop(&id, Duration::ZERO).await.unwrap();
    host::exit(&*engine, &id).await;
    assert!(engine.exec(&id, &exec("true", 100)).await.is_err());
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_leaves_nothing_running() {
    let host = Host::new();
    let engine = host.open().await;
    let task = TaskSpec { id: host::task_id(), ..TaskSpec::default() };
    engine.prepare_task(&task).await.unwrap();
    let command = |words: &[&str]| ContainerSpec { command: Some(list(words)), ..shell("") };
    let sysctl = |name: &str, value: &str| ContainerSpec {
        sysctls: BTreeMap::from([(name.into(), value.into())]),
        ..shell("true")
    };
    let tmpfs = |path: &str, option: &str| ContainerSpec {
        tmpfs: vec![Tmpfs { container_path: path.into(), size_bytes: 1 << 20, options: list(&[option]) }],
        ..shell("true")
    };
    let ulimit = |name: &str, limit| ContainerSpec {
        ulimits: vec![Ulimit { name: name.into(), soft: limit, hard: limit }],
        ..shell("true")
    };
    for (name, spec, want) in [
        ("a", command(&["nope"]), "exec: \"nope\": executable file not found in $PATH"),
        ("b", command(&["/etc/passwd"]), "permission denied"),
        ("c", ContainerSpec { user: Some("ghost".into()), ..shell("true") }, "unable to find user ghost"),
        ("d", ContainerSpec { init_process: true, ..command(&["nope"]) }, "executable file not found"),
        ("e", sysctl("kernel.msgmax", "many"), "msgmax"),
        ("f", tmpfs("/scratch", "nr_inodes=many"), "/scratch"),
        ("g", ulimit("nofile", 1 << 40), "rlimit"),
    ] {
        let id = host::id(&task.id, name);
        engine.create(&id, &spec).await.unwrap();
        let error = engine.start(&id).await.unwrap_err();
        assert!(error.kind == Kind::Start && error.message.contains(want), "{error}");
        assert_eq!(engine.inspect(&id).await.unwrap().unwrap().phase, Phase::Created);
    }
}

#[tokio::test]
async fn a_container_that_ended_starts_again_where_it_was() {
    let host = Host::new();
    let engine = host.open().await;
    let id = host::run(&*engine, &shell("echo run >> /log; cat /log; exit 1")).await;
    host::exit(&*engine, &id).await;
    engine.start(&id).await.unwrap();
    host::until("the second end", async || {
        let state = engine.inspect(&id).await.unwrap().unwrap();
        (state.starts == 2 && matches!(state.phase, Phase::Exited(_))).then_some(())
    })
    .await;
    assert_eq!(host::text(&*engine, &id).await, "run\nrun\nrun\n");
}

/// What ended holds no port, though what it wrote is still there; not over a restart of the engine either.
#[tokio::test]
async fn a_released_task_gives_its_port_to_another() {
    let host = Host::with_network();
    let engine = host.open().await;
    let port = PortMapping { container_port: 80, host_port: None, protocol: Protocol::Tcp, more: 0 };
    let spec = ContainerSpec {
        network: NetworkMode::Bridge,
        port_mappings: vec![port.clone()],
        ..shell("echo kept")
    };
    let first = host::run(&*engine, &spec).await;
    let host_port = engine.inspect(&first).await.unwrap().unwrap().created.bindings[0].host_port;
    host::exit(&*engine, &first).await;
    let fixed = PortMapping { host_port: Some(host_port), ..port };
    let spec = ContainerSpec { port_mappings: vec![fixed], ..spec };
    let task = TaskSpec { id: "second".into(), ..TaskSpec::default() };
    engine.prepare_task(&task).await.unwrap();
    let second = host::id(&task.id, "c");
    let refused = engine.create(&second, &spec).await.unwrap_err();
    assert!(refused.message.contains("port is already allocated"), "{refused}");
    engine.release_task(&first.task).await.unwrap();
    drop(engine);
    let engine = host.open().await;
    let created = engine.create(&second, &spec).await.unwrap();
    assert_eq!(created.bindings[0].host_port, host_port);
    engine.start(&second).await.unwrap();
    assert_eq!(host::text(&*engine, &first).await, "kept\n");
    assert!(matches!(engine.inspect(&first).await.unwrap().unwrap().phase, Phase::Exited(_)));
}

#[tokio::test]
async fn a_full_spool_holds_the_container_and_loses_nothing() {
    let host = Host::new();
    let engine = host.open().await;
    let id = host::run(&*engine, &shell("i=0; while [ $i -lt 2500 ]; do i=$((i+1)); echo $i; dd if=/dev/zero bs=16000 count=1 2>/dev/null | tr '\\0' x; echo; done")).await;
    let output = host.task_dir(&id.task).join("c/output");
    let bytes_on_disk = || -> u64 {
        // The folder comes with the first output.
        let segments = std::fs::read_dir(&output).into_iter().flatten();
        segments.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    };
    host::until("a full spool", async || (bytes_on_disk() >= 32 << 20).then_some(())).await;
    for _ in 0..100 {
        let state = engine.inspect(&id).await.unwrap().unwrap();
        assert!(matches!(state.phase, Phase::Running(_)) && bytes_on_disk() < 33 << 20);
    }
    let (mut cursor, mut lines, mut bytes) = (0, Vec::new(), 0);
    host::until("the end", async || {
        let chunk = engine.output(&id, cursor, 1 << 20).await.unwrap();
        assert_eq!(chunk.dropped_bytes, 0);
        cursor = chunk.cursor;
        engine.release_output(&id, cursor).await.unwrap();
        for record in chunk.records {
            bytes += record.data.len();
            if record.data.len() < 10 {
                lines.push(String::from_utf8(record.data).unwrap());
            }
        }
        chunk.ended.then_some(())
    })
    .await;
    assert_eq!(lines, (1..=2500).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(bytes > 40_000_000);
    let none = ContainerSpec { output: OutputPolicy::Discard, ..shell("echo gone") };
    assert_eq!(finish(&*engine, &none).await, (Some(0), String::new()));
}

#[tokio::test]
async fn a_user_may_open_the_standard_streams_by_name() {
    let host = Host::new();
    let engine = host.open().await;
    // PID 1 of an init process is the host's own program, into which nobody can look.
    let script = "for name in /dev/stdout /proc/self/fd/1 /dev/stderr /proc/$$/fd/2 /dev/fd/1; do \
                  ln -s $name /tmp/log; echo $name > /tmp/log || exit 1; rm /tmp/log; done; echo whole";
    let outputs = [
        engine::OutputPolicy::Blocking,
        engine::OutputPolicy::NonBlocking { max_bytes: 1 << 20 },
        engine::OutputPolicy::JsonFile { max_bytes: 1 << 20, files: 1 },
        engine::OutputPolicy::Discard,
    ];
    for (user, pseudo_terminal, interactive) in [
        ("1234", false, false),
        ("7:8", true, false),
        ("1234", true, true),
        ("1234", false, true),
        ("0", true, false),
    ] {
        for output in outputs.clone() {
            let init_process = interactive;
            let tmpfs = vec![engine::Tmpfs {
                container_path: "/tmp".into(),
                size_bytes: 0,
                options: vec!["mode=1777".into()],
            }];
            let spec = ContainerSpec {
                user: Some(user.into()),
                output: output.clone(),
                pseudo_terminal,
                interactive,
                init_process,
                tmpfs,
                ..shell(script)
            };
            let id = host::run(&*engine, &spec).await;
            let code = host::exit(&*engine, &id).await.code;
            let read =
                matches!(output, engine::OutputPolicy::Blocking | engine::OutputPolicy::NonBlocking { .. });
            let text = if read { host::text(&*engine, &id).await } else { String::new() };
            assert_eq!(code, Some(0), "{user} {pseudo_terminal} {output:?}: {text}");
            assert_eq!(read, text.contains("whole"), "{text}");
        }
    }
    let spec = ContainerSpec { user: Some("1234".into()), ..shell("sleep 1000") };
    let id = host::run(&*engine, &spec).await;
    let command = list(&["sh", "-c", "echo out > /dev/stdout; echo err > /proc/self/fd/2"]);
    let exec = ExecSpec { command, timeout: Duration::from_secs(10), max_output_bytes: 100 };
    let outcome = engine.exec(&id, &exec).await.unwrap();
    assert_eq!((outcome.code, outcome.output.as_slice()), (Some(0), &b"out\nerr\n"[..]));
}

#[tokio::test]
async fn a_command_that_the_kernel_does_not_take_never_starts() {
    let host = Host::new();
    let engine = host.open().await;
    let programs = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8], mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(programs.path().join(name), content).unwrap();
        std::fs::set_permissions(programs.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("plain", b"echo never\n", 0o755);
    write("empty", b"", 0o755);
    write("broken", b"\x7fELF", 0o755);
    write("lost", b"#!/no/such/sh\n", 0o755);
    write("secret", b"#!/bin/sh\n", 0o644);
    for (command, init_process, want) in [
        (&["/p/plain"][..], false, "exec: \"/p/plain\": exec format error"),
        (&["/p/plain"], true, "exec format error"),
        (&["/p/empty"], false, "exec format error"),
        (&["/p/broken"], false, "exec format error"),
        (&["/p/lost"], false, "\"/no/such/sh\""),
        (&["/p/secret"], false, "permission denied"),
        (&["/p"], false, "is a directory"),
        (&["/p/none"], false, "stat /p/none: no such file or directory"),
        (&["none"], true, "executable file not found in $PATH"),
    ] {
        let mut task = TaskSpec { id: host::task_id(), ..TaskSpec::default() };
        task.volumes.insert("p".into(), engine::Volume::Host(programs.path().into()));
        engine.prepare_task(&task).await.unwrap();
        let id = host::id(&task.id, "c");
        let mounts =
            vec![engine::Mount { source_volume: "p".into(), container_path: "/p".into(), read_only: true }];
        let spec = ContainerSpec { command: Some(list(command)), init_process, mounts, ..shell("") };
        engine.create(&id, &spec).await.unwrap();
        let error = engine.start(&id).await.unwrap_err();
        assert!(error.message.contains(want), "{command:?}: {error}");
        assert!(matches!(engine.inspect(&id).await.unwrap().unwrap().phase, Phase::Created));
        let code = async |command: &[&str]| {
            let id = host::run(&*engine, &shell("sleep 1000")).await;
            let exec =
                ExecSpec { command: list(command), timeout: Duration::from_secs(10), max_output_bytes: 100 };
            engine.exec(&id, &exec).await
        };
        if command == ["none"] {
            assert!(code(command).await.unwrap_err().message.contains("not found in $PATH"));
        }
    }
    let task = TaskSpec { id: host::task_id(), ..TaskSpec::default() };
    engine.prepare_task(&task).await.unwrap();
    let id = host::id(&task.id, "c");
    let spec = ContainerSpec { working_directory: Some("/bin/sh".into()), ..shell("pwd") };
    engine.create(&id, &spec).await.unwrap();
    let error = engine.start(&id).await.unwrap_err();
    assert!(error.message.contains("/bin/sh is a file of the image, not a folder"), "{error}");
}
