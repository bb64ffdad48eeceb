//! Tasks in a sandbox of gVisor's: what is as without it, what is not, and what becomes of it all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::conformance::{self, Given};
use engine::native::Native;
use engine::{
    ContainerId, ContainerSpec, Engine, ExecSpec, Isolation, Kind, Mount, NetworkMode, Phase, PidMode,
    TaskSpec, Tmpfs, Ulimit, Volume,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{self, Host, IMAGE, say, start, start_named};
use crate::task_network::{self, fetched, let_in, server, sleeper};

/// gVisor's program that is installed, or that `tools/setup.sh` has unpacked; without which CI must not be.
pub fn program() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/roadstead/bench"));
    let unpacked = std::env::var_os("ROADSTEAD_BENCH_DIR").map(PathBuf::from).or(home);
    let unpacked = unpacked.map(|folder| folder.join("gvisor/usr/bin/runsc"));
    let installed = engine::native::find_runsc(Path::new("runsc")).ok();
    installed.or_else(|| unpacked.filter(|file| file.exists()))
}

/// A host with a network, and its engine; none where there is no gVisor.
async fn open() -> Option<(Host, Arc<Native>)> {
    if program().is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI has gVisor: tools/setup.sh VENV test");
        eprintln!("SKIPPED: there is no runsc here; `tools/setup.sh VENV test` fetches Debian's");
        return None;
    }
    let host = Host::with_network();
    let engine = host.open().await;
    Some((host, engine))
}

fn shell(script: &str) -> ContainerSpec {
    ContainerSpec { network: NetworkMode::None, ..host::shell(script) }
}

fn walled() -> TaskSpec {
    TaskSpec { id: host::task_id(), isolation: Isolation::Gvisor, ..TaskSpec::default() }
}

/// The pid of a task's sandbox.
fn sandbox(host: &Host, task: &str) -> Pid {
    let file = host.dir.path().join("run/tasks").join(task).join(".sandbox/pid");
    Pid::from_raw(std::fs::read_to_string(file).unwrap().trim().parse().unwrap())
}

/// Whether a process is there, and more than what nobody has reaped.
fn lives(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

async fn runs(engine: &dyn Engine, id: &ContainerId) -> bool {
    matches!(engine.inspect(id).await.unwrap().unwrap().phase, Phase::Running(_))
}

#[tokio::test]
async fn the_whole_suite_is_passed_in_sandboxes() {
    let Some((_host, engine)) = open().await else { return };
    let given = Given { image: IMAGE.to_owned() };
    conformance::run_within(&*engine, &given, Isolation::Gvisor).await;
}

#[tokio::test]
async fn all_containers_of_a_task_have_one_kernel_and_it_is_not_the_host_s() {
    let Some((host, engine)) = open().await else { return };
    let task = walled();
    let ids = start(&*engine, &task, &[shell("sleep 1000"), shell("sleep 1000")]).await;
    for id in &ids {
        assert!(say(&*engine, id, "cat /proc/version").await.starts_with("Linux version 4.4.0"));
        assert!(say(&*engine, id, "dmesg").await.contains("Starting gVisor"));
        let tried = "exec 2>/dev/null; mount -t tmpfs t /mnt && echo mounted; insmod /x.ko && echo loaded; \
                     ip link set lo down && echo down; ls /sys/fs/cgroup; cat /proc/1/comm";
        assert_eq!(say(&*engine, id, tried).await, "sleep", "its own processes are all it sees");
    }
    let first = say(&*engine, &ids[0], "nc -l -p 7000 -e echo shared > /dev/null 2>&1 & echo begun").await;
    assert_eq!(first, "begun");
    host::until("the other's port", async || {
        (say(&*engine, &ids[1], "nc -w 1 127.0.0.1 7000 < /dev/null").await == "shared").then_some(())
    })
    .await;
    let of = |pid: Pid| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(of(sandbox(&host, &task.id)).contains(&format!("/{}/.sandbox", task.id)));
    engine.remove_task(&task.id).await.unwrap();
    assert_eq!(host::mounts_under(host.dir.path()).len(), 1, "but for R");
}

#[tokio::test]
async fn files_volumes_limits_and_terminals_are_as_without_it() {
    let Some((host, engine)) = open().await else { return };
    let mount =
        |path: &str| Mount { source_volume: "shared".into(), container_path: path.into(), read_only: false };
    let task = TaskSpec { volumes: [("shared".to_owned(), Volume::Empty)].into(), ..walled() };
    let first = ContainerSpec {
        readonly_root: true,
        mounts: vec![mount("/data/deep")],
        working_directory: Some("/data/deep".into()),
        pseudo_terminal: true,
        tmpfs: vec![Tmpfs {
            container_path: "/scratch".into(),
            size_bytes: 1 << 20,
            options: vec!["mode=700".into(), "uid=7".into()],
        }],
        ulimits: vec![Ulimit { name: "nofile".into(), soft: 100, hard: 10_000 }],
        ..shell(
            "echo x > file; stat -c %u file /scratch; touch /x 2>/dev/null || echo read-only; test -t 0 && echo terminal; \
             ulimit -Sn; ulimit -Hn; sleep 1000",
        )
    };
    let second = ContainerSpec {
        mounts: vec![mount("/other")],
        user: Some("1000:50".into()),
        ..shell("echo out; echo err >&2; sleep 1000")
    };
    let ids = start(&*engine, &task, &[first, second]).await;
    let want = ["0", "7", "read-only", "terminal", "100", "10000"];
    host::until("the first to say it all", async || {
        let chunk = engine.output(&ids[0], 0, 4000).await.unwrap();
        let said: Vec<String> =
            chunk.records.iter().map(|r| String::from_utf8_lossy(&r.data).trim().to_owned()).collect();
        (said.len() == want.len()).then(|| assert_eq!(said, want))
    })
    .await;
    assert_eq!(say(&*engine, &ids[0], "pwd").await, "/data/deep");
    let look = "cat /other/file; id -u; id -g; touch /x 2>/dev/null || echo no; echo t > /tmp/t; cat /tmp/t; echo $HOME";
    assert_eq!(say(&*engine, &ids[1], look).await, "x\n1000\n50\nno\nt\n/home");
    // What one writes the other sees, and it lies on the disk of the task.
    say(&*engine, &ids[0], "echo y > file").await;
    assert_eq!(say(&*engine, &ids[1], "cat /other/file").await, "y");
    let tmp = host.task_dir(&task.id).join("b/upper/tmp/t");
    assert_eq!(std::fs::read_to_string(&tmp).unwrap(), "t\n", "{}", tmp.display());
    engine.stop(&ids[1], Duration::from_secs(5)).await.unwrap();
    assert_eq!(host::text(&*engine, &ids[1]).await.lines().count(), 2);
}

#[tokio::test]
async fn signals_codes_and_restarts_are_each_container_s_own() {
    let Some((_host, engine)) = open().await else { return };
    let task = TaskSpec { pid_mode: PidMode::Task, ..walled() };
    let trap = shell("echo begun; trap 'exit 7' TERM; while :; do sleep 1; done");
    let ids =
        start(&*engine, &task, &[trap, shell("trap '' TERM; sleep 1000 & while :; do sleep 1; done")]).await;
    host::until("the other's process", async || {
        say(&*engine, &ids[0], "ps -o args").await.contains("sleep 1000").then_some(())
    })
    .await;
    engine.stop(&ids[0], Duration::from_secs(20)).await.unwrap();
    assert_eq!(host::exit(&*engine, &ids[0]).await.code, Some(7));
    assert!(runs(&*engine, &ids[1]).await);
    engine.start(&ids[0]).await.unwrap();
    assert_eq!(say(&*engine, &ids[0], "echo again").await, "again");
    engine.stop(&ids[1], Duration::from_millis(300)).await.unwrap();
    assert_eq!(host::exit(&*engine, &ids[1]).await.code, Some(137), "it did not heed");
    assert!(!say(&*engine, &ids[0], "ps -o args").await.contains("sleep 1000"), "nothing of it stays");
    // A command that takes too long ends inside too.
    let exec = |ms| ExecSpec {
        command: vec!["sleep".into(), "4321".into()],
        timeout: Duration::from_millis(ms),
        max_output_bytes: 100,
    };
    assert_eq!(engine.exec(&ids[0], &exec(300)).await.unwrap().code, None);
    host::until("the command's end", async || {
        (!say(&*engine, &ids[0], "ps -o args").await.contains("4321")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_outlives_the_engine_and_is_made_anew_when_it_ends() {
    let Some((host, engine)) = open().await else { return };
    let_in(&*engine, &[80]).await;
    let task = TaskSpec { isolation: Isolation::Gvisor, ..task_network::task(5) };
    let ids = start_named(&*engine, &task, &[("a", server()), ("b", sleeper())]).await;
    let other = start_named(&*engine, &task_network::task(6), &[("a", sleeper())]).await;
    fetched(&*engine, &other[0], "10.0.1.5").await;
    let before = sandbox(&host, &task.id);
    drop(engine);
    let engine = host.open().await;
    engine.prepare_task(&task).await.unwrap();
    assert!(runs(&*engine, &ids[0]).await && runs(&*engine, &ids[1]).await);
    assert_eq!(sandbox(&host, &task.id), before);
    fetched(&*engine, &other[0], "10.0.1.5").await;
    // A sandbox that ends takes its containers along; the next start makes another, on the same network.
    kill(before, Signal::SIGKILL).unwrap();
    for id in &ids {
        assert_eq!(host::exit(&*engine, id).await.code, Some(137));
    }
    engine.start(&ids[0]).await.unwrap();
    assert_ne!(sandbox(&host, &task.id), before);
    fetched(&*engine, &other[0], "10.0.1.5").await;
    // So does a supervisor.
    kill(Pid::from_raw(host.supervisor(&task.id)), Signal::SIGKILL).unwrap();
    host::exit(&*engine, &ids[0]).await;
    assert!(!lives(sandbox(&host, &task.id)));
    engine.start(&ids[0]).await.unwrap();
    fetched(&*engine, &other[0], "10.0.1.5").await;
    assert_eq!(sandbox_of_audit(&engine, &task.id), 1);
    engine.remove_task(&task.id).await.unwrap();
    assert_eq!(sandbox_of_audit(&engine, &task.id), 0);
}

/// How many control groups of sandboxes of a task there are.
fn sandbox_of_audit(engine: &Native, task: &str) -> usize {
    let ending = format!("/{task}/.sandbox");
    engine.audit().iter().filter(|line| line.ends_with(&ending)).count().min(1)
}

#[tokio::test]
async fn its_network_is_the_task_s_and_it_cannot_spoof() {
    let Some((_host, engine)) = open().await else { return };
    let_in(&*engine, &[80]).await;
    let task = TaskSpec { isolation: Isolation::Gvisor, ..task_network::task(5) };
    let ids = start_named(&*engine, &task, &[("a", server()), ("b", sleeper())]).await;
    for id in &ids {
        let name = "ip-10-0-1-5.us-west-2.compute.internal";
        assert_eq!(say(&*engine, id, "hostname").await, name);
        let said = say(&*engine, id, "ip addr show eth0; ip route").await;
        assert!(said.contains("10.0.1.5/24") && said.contains("0a:00:00:00:00:05"), "{said}");
        assert!(said.contains("default via 10.0.1.1"), "{said}");
    }
    fetched(&*engine, &ids[1], "127.0.0.1").await;
    let plain = start_named(&*engine, &task_network::task(6), &[("a", server())]).await;
    fetched(&*engine, &plain[0], "10.0.1.5").await;
    fetched(&*engine, &ids[1], "10.0.1.6").await;
    let stats = engine.stats(&ids[0]).await.unwrap();
    assert!(stats.rx.packets > 0 && stats.tx.packets > 0 && stats.memory_bytes > 0, "{stats:?}");
    // No raw sockets, no other addresses.
    let tried = "exec 2>/dev/null; ip addr add 10.0.1.77/24 dev eth0 && echo added; ping -c 1 -W 1 10.0.1.6 > /dev/null && echo raw; \
                 ip link set eth0 address 0a:00:00:00:00:06 && echo changed; true";
    assert_eq!(say(&*engine, &ids[0], tried).await, "");
    let_in(&*engine, &[]).await;
    assert_eq!(say(&*engine, &plain[0], task_network::REFUSED).await, "nothing", "its groups are heeded");
}

#[tokio::test]
async fn a_task_s_memory_is_a_limit() {
    let Some((_host, engine)) = open().await else { return };
    let task = TaskSpec { memory_bytes: Some(128 << 20), ..walled() };
    let ids =
        start(&*engine, &task, &[shell("sleep 1000"), shell("tail /dev/zero; echo survived; exit 3")]).await;
    let exit = host::exit(&*engine, &ids[1]).await;
    assert!(exit.oom_killed && exit.code == Some(137), "{exit:?}");
    // What cannot be, or would be forgotten, is refused.
    for (spec, what) in [
        (ContainerSpec { init_process: true, ..shell("true") }, "linuxParameters.initProcessEnabled"),
        (ContainerSpec { privileged: true, ..shell("true") }, "privileged"),
        (
            ContainerSpec { memory_bytes: Some(64 << 20), ..shell("true") },
            "a container's memory below its task's",
        ),
    ] {
        let error = engine.create(&host::id(&task.id, "c"), &spec).await.unwrap_err();
        assert_eq!((error.kind, error.temporary), (Kind::Create, false), "{error}");
        assert!(error.message.contains(&format!("{what} is not possible with isolation gvisor")), "{error}");
    }
}
