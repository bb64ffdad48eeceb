//! Supervisors, and their spawner, that live and do nothing: whatever is asked of them has a bound.

use std::time::Duration;

use engine::native::Native;
use engine::{Engine, Exit, Kind, Phase};

use crate::host::{self, Host, shell};

fn send(pid: i32, signal: i32) {
    // SAFETY: the pid is of a process that this test had made.
    unsafe { libc::kill(pid, signal) };
}

async fn pid(engine: &Native, id: &engine::ContainerId) -> i32 {
    match engine.inspect(id).await.unwrap().unwrap().phase {
        Phase::Running(started) => started.pid,
        other => panic!("{other:?}"),
    }
}

fn told_why(exit: &Exit) -> bool {
    let reason = exit.reason.as_deref().unwrap_or_default();
    reason.starts_with("ContainerRuntimeTimeoutError: ") && reason.contains("supervisor")
}

#[tokio::test]
async fn a_stop_is_carried_out_also_where_the_supervisor_does_nothing() {
    let host = Host::new();
    let engine = host.open().await;
    let task = engine::TaskSpec { id: host::task_id(), ..engine::TaskSpec::default() };
    engine.prepare_task(&task).await.unwrap();
    let [heeds, ignores] = ["heeds", "ignores"].map(|name| host::id(&task.id, name));
    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    engine.create(&heeds, &shell(script)).await.unwrap();
    engine.create(&ignores, &shell("trap '' TERM; echo ready; sleep 1000 & wait; sleep 1000")).await.unwrap();
    for id in [&heeds, &ignores] {
        engine.start(id).await.unwrap();
        host::until("its trap", async || {
            (!engine.output(id, 0, 100).await.unwrap().records.is_empty()).then_some(())
        })
        .await;
    }
    let pids = [pid(&engine, &heeds).await, pid(&engine, &ignores).await];
    let supervisor = host.supervisor(&task.id);
    send(supervisor, libc::SIGSTOP);
    for id in [&heeds, &ignores] {
        engine.stop(id, Duration::from_secs(1)).await.unwrap();
    }
    let (heeded, killed) = (host::exit(&*engine, &heeds).await, host::exit(&*engine, &ignores).await);
    assert_eq!((heeded.code, killed.code), (Some(5), Some(137)));
    assert!(told_why(&heeded) && told_why(&killed), "{heeded:?} {killed:?}");
    host::until("all of it to go", async || {
        let gone = |pid: &i32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
        [pids[0], pids[1], supervisor].iter().all(gone).then_some(())
    })
    .await;
    engine.remove_task(&task.id).await.unwrap();
}

#[tokio::test]
async fn an_end_is_noticed_that_the_supervisor_does_not_see() {
    let host = Host::new();
    let engine = host.open().await;
    let adopted = host::run(&*engine, &shell("while [ ! -e /go ]; do sleep 0.05; done; exit 8")).await;
    drop(engine);
    // Also of what another engine began.
    let engine = host.open().await;
    let id = host::run(&*engine, &shell("while [ ! -e /go ]; do sleep 0.05; done; exit 9")).await;
    for id in [&id, &adopted] {
        let go = format!("/proc/{}/root/go", pid(&engine, id).await);
        send(host.supervisor(&id.task), libc::SIGSTOP);
        std::fs::write(go, "").unwrap();
    }
    let exit = host::exit(&*engine, &id).await;
    assert!(exit.code == Some(9) && told_why(&exit), "{exit:?}");
    assert_eq!(host::exit(&*engine, &adopted).await.code, Some(8));
}

#[tokio::test]
async fn a_start_that_the_supervisor_does_not_make_is_given_up() {
    let host = Host::new();
    let engine = host.open().await;
    let task = engine::TaskSpec { id: host::task_id(), ..engine::TaskSpec::default() };
    engine.prepare_task(&task).await.unwrap();
    let id = host::id(&task.id, "c");
    engine.create(&id, &shell("sleep 1000")).await.unwrap();
    let supervisor = host.supervisor(&task.id);
    send(supervisor, libc::SIGSTOP);
    let error = tokio::time::timeout(host::WAIT, engine.start(&id)).await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::Start);
    assert!(error.message.contains("did not answer"), "{error}");
    // It cannot do it later either; another one does, when asked again.
    send(supervisor, libc::SIGCONT);
    engine.start(&id).await.unwrap();
    assert_ne!(host.supervisor(&task.id), supervisor);
}

#[tokio::test]
async fn a_spawner_that_stands_still_is_replaced() {
    let host = Host::new();
    let engine = host.open().await;
    host::run(&*engine, &shell("sleep 1000")).await;
    let line = format!("--spawner\0{}\0", host.config.instance_id8);
    let spawner = || {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let mut pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
        pids.find(|pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            // Supervisors are copies of it, and have other names.
            String::from_utf8_lossy(&command).ends_with(&line) && !status.contains("roadstead-super")
        })
    };
    let first = spawner().unwrap();
    send(first, libc::SIGSTOP);
    host::run(&*engine, &shell("sleep 1000")).await;
    assert!(spawner().is_some_and(|second| second != first));
    send(spawner().unwrap(), libc::SIGSTOP);
}

#[tokio::test]
async fn what_is_frozen_is_stopped_all_the_same() {
    let host = Host::new();
    let engine = host.open().await;
    let v1 = std::path::Path::new("/sys/fs/cgroup/freezer");
    for supervisor_too in [false, true] {
        let id = host::run(&*engine, &shell("sleep 1000")).await;
        let mut frozen = vec![pid(&engine, &id).await];
        if supervisor_too {
            frozen.push(host.supervisor(&id.task));
        }
        let group = v1.join(format!("roadstead-test-{}", id.task));
        if v1.join("cgroup.procs").exists() {
            std::fs::create_dir(&group).unwrap();
            for pid in frozen {
                std::fs::write(group.join("cgroup.procs"), pid.to_string()).unwrap();
            }
            std::fs::write(group.join("freezer.state"), "FROZEN").unwrap();
        } else {
            let inside = format!("roadstead-{}/{}/c", host.config.instance_id8, id.task);
            std::fs::write(format!("/sys/fs/cgroup/{inside}/cgroup.freeze"), "1").unwrap();
        }
        engine.stop(&id, Duration::from_millis(100)).await.unwrap();
        assert_eq!(host::exit(&*engine, &id).await.code, Some(137));
        engine.remove_task(&id.task).await.unwrap();
        if group.exists() {
            host::until("the frozen to go", async || std::fs::remove_dir(&group).ok()).await;
        }
    }
}
