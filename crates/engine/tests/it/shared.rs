//! What containers of one task share when they are asked to: processes and IPC, with each other or with the host, and
//! nothing beyond.

use std::fs;
use std::time::Duration;

use engine::{ContainerId, ContainerSpec, Engine, IpcMode, PidMode, TaskSpec};

use crate::host::{self, Host, say, shell};

/// The namespace of a kind of a process here.
fn here(pid: &str, kind: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string()
}

/// Starts the containers of a new task, named a, b, …
async fn start(engine: &dyn Engine, task: TaskSpec, specs: &[ContainerSpec]) -> Vec<ContainerId> {
    host::start(engine, &TaskSpec { id: host::task_id(), ..task }, specs).await
}

fn sleeper() -> ContainerSpec {
    shell("trap 'exit 7' TERM; touch /started; while :; do sleep 1; done")
}

#[tokio::test]
async fn by_itself_a_container_shares_neither() {
    let host = Host::new();
    let engine = host.open().await;
    let ids = start(&*engine, TaskSpec::default(), &[sleeper(), sleeper()]).await;
    for kind in ["pid", "ipc"] {
        let look = format!("readlink /proc/self/ns/{kind}");
        let (a, b) = (say(&*engine, &ids[0], &look).await, say(&*engine, &ids[1], &look).await);
        assert!(a != b && a != here("self", kind) && a.starts_with(kind), "{a} {b}");
    }
    say(&*engine, &ids[0], "touch /dev/shm/x").await;
    assert_eq!(say(&*engine, &ids[1], "ls /dev/shm").await, "");
}

#[tokio::test]
async fn containers_of_a_task_see_each_other_s_processes() {
    let host = Host::new();
    let engine = host.open().await;
    let task = TaskSpec { pid_mode: PidMode::Task, ..TaskSpec::default() };
    let ptrace = ContainerSpec { capabilities_add: vec!["SYS_PTRACE".into()], ..sleeper() };
    let ids = start(&*engine, task, &[sleeper(), ptrace]).await;
    let look = "readlink /proc/self/ns/pid";
    let (a, b) = (say(&*engine, &ids[0], look).await, say(&*engine, &ids[1], look).await);
    assert_eq!(a, b);
    assert_ne!(a, here("self", "pid"));
    let processes = say(&*engine, &ids[1], "ps -o args").await;
    assert_eq!(processes.matches("exit 7").count(), 2, "{processes}");
    // The first process has nothing, whoever looks.
    let first = say(
        &*engine,
        &ids[1],
        "cat /proc/1/comm; ls /proc/1/root | wc -l; grep CapPrm /proc/1/status; \
         ls /proc/1/fd | wc -l; test $(readlink /proc/1/ns/net) = $(readlink /proc/self/ns/net) && echo net",
    )
    .await;
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines[..3], ["roadstead-pause", "0", "CapPrm:\t0000000000000000"], "{first}");
    assert_eq!(lines[3..], ["2"], "its life line, and what tells it of children: {first}");
    // What a container leaves behind is reaped, and goes with the container.
    say(&*engine, &ids[0], "(sleep 1000 &)").await;
    assert!(say(&*engine, &ids[1], "ps -o args").await.contains("sleep 1000"));
    let one = &ids[0];
    host::until("the script's start", async || {
        say(&*engine, one, "ls /started 2>/dev/null").await.contains("started").then_some(())
    })
    .await;
    engine.stop(one, Duration::from_secs(20)).await.unwrap();
    assert_eq!(host::exit(&*engine, one).await.code, Some(7));
    host::until("the end of all of it", async || {
        let left = say(&*engine, &ids[1], "ps -o stat,args").await;
        (left.matches("exit 7").count() == 1 && !left.contains("1000") && !left.contains("Z ")).then_some(())
    })
    .await;
    engine.start(one).await.unwrap();
    assert_eq!(say(&*engine, one, look).await, a, "started again, it is among them again");
}

#[tokio::test]
async fn a_keeper_that_is_killed_takes_the_processes_with_it_and_is_made_anew() {
    let host = Host::new();
    let engine = host.open().await;
    let task = TaskSpec { pid_mode: PidMode::Task, ..TaskSpec::default() };
    let ids = start(&*engine, task, &[sleeper()]).await;
    let parent = format!("PPid:\t{}\n", host.supervisor(&ids[0].task));
    let is_keeper = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.starts_with("Name:\troadstead-pause\n") && status.contains(&parent)
    };
    let keeper = || {
        let names = fs::read_dir("/proc").unwrap().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.parse::<i32>().ok()).find(is_keeper).unwrap()
    };
    let first = keeper();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::SIGKILL).unwrap();
    assert_eq!(host::exit(&*engine, &ids[0]).await.code, Some(137));
    host::until("another keeper", async || engine.start(&ids[0]).await.ok()).await;
    // The number of a namespace is given again; so it is the process that tells them apart.
    assert_ne!(keeper(), first);
}

#[tokio::test]
async fn containers_see_the_host_s_processes_if_they_are_asked_to() {
    let host = Host::new();
    let engine = host.open().await;
    let task = TaskSpec { pid_mode: PidMode::Host, ..TaskSpec::default() };
    let ids = start(&*engine, task, &[sleeper()]).await;
    assert_eq!(say(&*engine, &ids[0], "readlink /proc/self/ns/pid").await, here("self", "pid"));
    let pid = std::process::id();
    assert!(!say(&*engine, &ids[0], &format!("cat /proc/{pid}/comm")).await.is_empty());
    // What it leaves behind ends with it, though no namespace does.
    say(&*engine, &ids[0], "(sleep 98765 &)").await;
    let lives = || {
        let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| line == b"sleep\x0098765\0")
    };
    assert!(lives());
    engine.stop(&ids[0], Duration::ZERO).await.unwrap();
    host::exit(&*engine, &ids[0]).await;
    host::until("its end", async || (!lives()).then_some(())).await;
}

#[tokio::test]
async fn ipc_is_the_task_s_the_host_s_or_nobody_s() {
    let host = Host::new();
    let engine = host.open().await;
    let look = "readlink /proc/self/ns/ipc; grep -c ' /dev/shm ' /proc/mounts; ls /dev/shm 2>/dev/null | grep -x mine";
    for mode in [IpcMode::Task, IpcMode::Host, IpcMode::None] {
        let task = TaskSpec { ipc_mode: mode, ..TaskSpec::default() };
        let ids = start(&*engine, task, &[sleeper(), sleeper()]).await;
        if mode == IpcMode::Task {
            say(&*engine, &ids[0], "touch /dev/shm/mine").await;
        }
        let (a, b) = (say(&*engine, &ids[0], look).await, say(&*engine, &ids[1], look).await);
        let own = here("self", "ipc");
        let of = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        match mode {
            IpcMode::Task => {
                assert_eq!(a, b);
                assert!(a.ends_with("1\nmine") && of(&a) != own, "{a}");
                let size = say(&*engine, &ids[0], "df -k /dev/shm | tail -1").await;
                assert!(size.contains("65536"), "{size}");
                assert_eq!(
                    host::mounts_under(&host.dir.path().join("run/tasks")),
                    [""; 0],
                    "none of it shows"
                );
            }
            IpcMode::Host => assert_eq!((of(&a), of(&b)), (own.clone(), own)),
            _ => {
                assert!(of(&a) != of(&b) && of(&a) != own, "{a} {b}");
                assert_eq!(a.lines().nth(1), Some("0"), "there is no /dev/shm");
            }
        }
        engine.remove_task(&ids[0].task).await.unwrap();
    }
}
