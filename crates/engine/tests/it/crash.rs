//! What dies, at the worst moment: the engine, a supervisor, both. Nothing is lost, nothing stays.

use std::time::Duration;

use engine::{Engine, Event, Phase};

use crate::host::{self, Host, shell};

#[tokio::test]
async fn a_new_engine_finds_what_runs_and_what_ended_meanwhile() {
    let host = Host::new();
    let engine = host.open().await;
    let runs = host::run(
        &*engine,
        &shell("i=0; while [ ! -e /stop ]; do i=$((i+1)); echo $i; sleep 0.01; done; echo end; exit 7"),
    )
    .await;
    let ends = host::run(&*engine, &shell("sleep 0.2; exit 8")).await;
    let pid = match engine.inspect(&runs).await.unwrap().unwrap().phase {
        Phase::Running(started) => started.pid,
        other => panic!("{other:?}"),
    };
    drop(engine);
    let state = host.task_dir(&ends.task).join("c/state.json");
    host::until("the end without an engine", async || {
        std::fs::read_to_string(&state).unwrap().contains("Exited").then_some(())
    })
    .await;
    let engine = host.open().await;
    assert_eq!(host::exit(&*engine, &ends).await.code, Some(8));
    match engine.inspect(&runs).await.unwrap().unwrap().phase {
        Phase::Running(started) => assert_eq!(started.pid, pid),
        other => panic!("{other:?}"),
    }
    let touch = |path: &str| engine::ExecSpec {
        command: vec!["touch".into(), path.into()],
        timeout: Duration::from_secs(10),
        max_output_bytes: 0,
    };
    assert_eq!(engine.exec(&runs, &touch("/tried")).await.unwrap().code, Some(0));
    // The container may end, and take the command along, before the command does.
    let code = engine.exec(&runs, &touch("/stop")).await.unwrap().code;
    assert!(matches!(code, Some(0 | 137)), "{code:?}");
    assert_eq!(host::exit(&*engine, &runs).await.code, Some(7));
    let text = host::text(&*engine, &runs).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.last(), Some(&"end"));
    for (at, line) in lines[..lines.len() - 1].iter().enumerate() {
        assert_eq!(*line, (at + 1).to_string());
    }
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_containers_along_and_leaves_nothing() {
    let host = Host::new();
    let engine = host.open().await;
    let mut events = engine.events();
    let id = host::run(&*engine, &shell("sleep 1000 & sleep 1000")).await;
    let Phase::Running(started) = engine.inspect(&id).await.unwrap().unwrap().phase else { panic!() };
    // SAFETY: the pid is our own supervisor's.
    unsafe { libc::kill(host.supervisor(&id.task), libc::SIGKILL) };
    let exit = host::event(&mut events, |e| match e {
        Event::Exited { id: ended, exit } if ended == id => Some(exit),
        _ => None,
    })
    .await;
    assert_eq!(exit.code, None);
    host::until("its process to go", async || {
        (!std::path::Path::new(&format!("/proc/{}", started.pid)).exists()).then_some(())
    })
    .await;
    assert!(!engine.audit().iter().any(|l| l.ends_with("/c")), "{:?}", engine.audit());
    // The task goes on with another supervisor.
    engine.start(&id).await.unwrap();
    assert!(matches!(engine.inspect(&id).await.unwrap().unwrap().phase, Phase::Running(_)));
}

#[tokio::test]
async fn a_supervisor_killed_while_no_engine_was_there_is_noticed() {
    let host = Host::with_network();
    let engine = host.open().await;
    let mut spec = shell("sleep 1000");
    spec.network = engine::NetworkMode::Bridge;
    let id = host::run(&*engine, &spec).await;
    let supervisor = host.supervisor(&id.task);
    drop(engine);
    // SAFETY: the pid is our own supervisor's.
    unsafe { libc::kill(supervisor, libc::SIGKILL) };
    let engine = host.open().await;
    assert_eq!(host::exit(&*engine, &id).await.code, None);
    engine.remove_task(&id.task).await.unwrap();
    let left: Vec<String> = engine.audit().into_iter().filter(|l| l.contains(&id.task)).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn a_boot_takes_what_runs_and_keeps_how_others_ended() {
    let host = Host::new();
    let engine = host.open().await;
    let runs = host::run(&*engine, &shell("sleep 1000")).await;
    let ends = host::run(&*engine, &shell("echo last words; exit 8")).await;
    assert_eq!(host::exit(&*engine, &ends).await.code, Some(8));
    drop(engine);
    for task in [&runs.task, &ends.task] {
        // SAFETY: the pid is our own supervisor's.
        unsafe { libc::kill(host.supervisor(task), libc::SIGKILL) };
    }
    // All that was in memory is gone.
    nix::mount::umount2(&host.config.run_dir, nix::mount::MntFlags::MNT_DETACH).unwrap();
    let engine = host.open().await;
    assert_eq!(host::exit(&*engine, &runs).await.code, None, "nobody saw it");
    assert_eq!(host::exit(&*engine, &ends).await.code, Some(8));
    assert_eq!(host::text(&*engine, &ends).await, "last words\n");
    for task in [&runs.task, &ends.task] {
        engine.remove_task(task).await.unwrap();
        assert!(!host.task_dir(task).exists());
    }
    assert_eq!(host.config.images.holds().unwrap(), [], "no image is held for what is gone");
}

#[tokio::test]
async fn a_damaged_state_costs_its_own_container_at_most() {
    let host = Host::new();
    let engine = host.open().await;
    let sound = host::run(&*engine, &shell("sleep 1000")).await;
    let followed = host::run(&*engine, &shell("sleep 1000")).await;
    let left = host::run(&*engine, &shell("sleep 1000")).await;
    let ended = host::run(&*engine, &shell("exit 8")).await;
    assert_eq!(host::exit(&*engine, &ended).await.code, Some(8));
    drop(engine);
    // SAFETY: the pid is our own supervisor's.
    unsafe { libc::kill(host.supervisor(&left.task), libc::SIGKILL) };
    for damaged in [&followed, &left, &ended] {
        let state = host.task_dir(&damaged.task).join("c/state.json");
        std::fs::write(&state, b"\n{\"id\":\xff\0\0").unwrap();
    }
    // Not even readable.
    let state = host.task_dir(&ended.task).join("c/state.json");
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    // SAFETY: the pid is our own supervisor's.
    unsafe { libc::kill(host.supervisor(&ended.task), libc::SIGKILL) };
    let engine = host.open().await;
    assert_eq!(engine.list().await.unwrap().len(), 4);
    assert!(matches!(engine.inspect(&sound).await.unwrap().unwrap().phase, Phase::Running(_)));
    // Another can be run, and what is damaged can be removed.
    let next = host::run(&*engine, &shell("exit 3")).await;
    assert_eq!(host::exit(&*engine, &next).await.code, Some(3));
    for damaged in [&followed, &left, &ended] {
        engine.remove_task(&damaged.task).await.unwrap();
        assert!(!host.task_dir(&damaged.task).exists());
    }
    assert!(matches!(engine.inspect(&sound).await.unwrap().unwrap().phase, Phase::Running(_)));
}

#[tokio::test]
async fn remains_of_a_crash_are_cleared_at_opening() {
    let host = Host::new();
    let memory = std::path::Path::new("/sys/fs/cgroup/memory");
    let root = if memory.exists() { memory } else { std::path::Path::new("/sys/fs/cgroup") };
    let stray = root.join(format!("roadstead-{}/{}/x", host.config.instance_id8, host::task_id()));
    std::fs::create_dir_all(&stray).unwrap();
    let half = host.task_dir("0123456789abcdef").join("half");
    std::fs::create_dir_all(&half).unwrap();
    let engine = host.open().await;
    assert!(!stray.exists());
    assert_eq!(engine.list().await.unwrap().len(), 1);
    engine.remove_task(&"0123456789abcdef".to_owned()).await.unwrap();
    assert!(!half.exists());
}

#[tokio::test]
async fn supervisors_killed_at_any_moment_of_a_start_leave_nothing() {
    let host = Host::new();
    let engine = host.open().await;
    for step in 0..16u64 {
        let task = engine::TaskSpec { id: host::task_id(), ..engine::TaskSpec::default() };
        engine.prepare_task(&task).await.unwrap();
        let id = host::id(&task.id, "c");
        engine.create(&id, &shell("sleep 1000")).await.unwrap();
        let supervisor = host.supervisor(&task.id);
        let killer = tokio::task::spawn_blocking(move || {
            // The moments of a start, a millisecond or two apart.
            std::thread::sleep(Duration::from_micros(step * 1_700));
            // SAFETY: the pid is our own supervisor's.
            unsafe { libc::kill(supervisor, libc::SIGKILL) };
        });
        let _ = engine.start(&id).await;
        killer.await.unwrap();
        engine.remove_task(&task.id).await.unwrap();
    }
    // What is left is the spawner.
    host::until("all to be gone", async || {
        let left = engine.audit();
        (left.iter().filter(|l| l.starts_with("process")).count() == 1).then_some(())
    })
    .await;
    assert!(engine.audit().iter().all(|l| !l.starts_with("task")), "{:?}", engine.audit());
}

#[tokio::test]
async fn a_supervisor_that_comes_about_after_its_engine_died_leaves_no_trace() {
    let host = Host::new();
    let engine = host.open().await;
    let id = host::run(&*engine, &shell("exec sleep 1000")).await;
    let supervisor = host.supervisor(&id.task);
    // Spawner, supervisor, container.
    let three = || engine.audit().iter().filter(|l| l.starts_with("process")).count() == 3;
    host::until("what starts a container to go", async || three().then_some(())).await;
    ask_and_die(&host, &id.task);
    host::until("the late one to go", async || three().then_some(())).await;
    assert_eq!(host.supervisor(&id.task), supervisor);
    drop(engine);
    let engine = host.open().await;
    let exec = engine::ExecSpec {
        command: vec!["true".into()],
        timeout: Duration::from_secs(10),
        max_output_bytes: 0,
    };
    assert_eq!(engine.exec(&id, &exec).await.unwrap().code, Some(0));
}

/// What an engine leaves behind that dies once it has asked its spawner for a supervisor. Answers when the
/// spawner has done what it was asked, and is gone.
fn ask_and_die(host: &Host, task: &str) {
    use std::os::fd::AsRawFd;
    use std::process::{Command, Stdio};

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let (ours, theirs) = packet_pair();
    let mut spawner = Command::new(&host.config.supervisor)
        .args(["--spawner", &host.config.instance_id8])
        .stdin(Stdio::from(theirs))
        .spawn()
        .unwrap();
    let spawn = serde_json::json!({
        "dir": { "disk": host.task_dir(task), "run": host.config.run_dir.join("tasks").join(task) },
        "group": format!("roadstead-{}/{task}", host.config.instance_id8),
    });
    let (engine, client) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(engine);
    let rights = [client.as_raw_fd()];
    sendmsg::<()>(
        ours.as_raw_fd(),
        &[std::io::IoSlice::new(spawn.to_string().as_bytes())],
        &[ControlMessage::ScmRights(&rights)],
        MsgFlags::empty(),
        None,
    )
    .unwrap();
    drop((ours, client));
    assert!(spawner.wait().unwrap().success());
}

fn packet_pair() -> (std::os::fd::OwnedFd, std::os::fd::OwnedFd) {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
}
