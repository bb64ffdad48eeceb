//! Numbers, with bounds loose enough for a busy machine and an unoptimised build. Run with
//! `--no-capture` to see them.

use std::time::Instant;

use engine::{Engine, TaskSpec};

use crate::host::{self, Host, shell};

/// Bytes of a process that are its own or its share, from `smaps_rollup`.
fn memory(pid: i32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let sum = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    };
    sum(field)
}

#[tokio::test]
async fn an_idle_task_costs_little_memory() {
    let host = Host::new();
    let engine = host.open().await;
    let mut supervisors = Vec::new();
    for _ in 0..10 {
        let id = host::run(&*engine, &shell("sleep 1000")).await;
        supervisors.push(host.supervisor(&id.task));
    }
    let worst = |field| supervisors.iter().map(|pid| memory(*pid, field)).max().unwrap();
    let (pss, private) = (worst("Pss:"), worst("Private_Dirty:"));
    println!("supervisor: PSS {} KiB, private dirty {} KiB", pss >> 10, private >> 10);
    assert!(private <= 1_500_000 && pss <= 1_500_000, "{pss} {private}");
}

#[tokio::test]
async fn starts_are_quick() {
    let host = Host::with_network();
    let engine = host.open().await;
    let mut spec = shell("sleep 1000");
    spec.network = engine::NetworkMode::Bridge;
    let mut times = Vec::new();
    for _ in 0..20 {
        let task = TaskSpec { id: host::task_id(), ..TaskSpec::default() };
        let id = host::id(&task.id, "c");
        let at = Instant::now();
        engine.prepare_task(&task).await.unwrap();
        let prepared = at.elapsed();
        engine.create(&id, &spec).await.unwrap();
        let created = at.elapsed();
        engine.start(&id).await.unwrap();
        let started = at.elapsed();
        engine.remove_task(&task.id).await.unwrap();
        times.push((started, created - prepared, prepared, at.elapsed() - started));
    }
    times.sort();
    let (started, create, prepare, remove) = times[times.len() / 2];
    println!(
        "start {started:?} in all; prepare {prepare:?}, create {create:?}, run {:?}, remove {remove:?}",
        started - create - prepare
    );
    assert!(started.as_millis() < 500);
}

#[tokio::test]
async fn many_short_tasks() {
    const TASKS: usize = 60;
    const AT_ONCE: usize = 6;
    let host = Host::with_network();
    let engine = host.open().await;
    let mut spec = shell("exit 0");
    spec.network = engine::NetworkMode::Bridge;
    let at = Instant::now();
    let local = tokio::task::LocalSet::new();
    let mut workers = Vec::new();
    for _ in 0..AT_ONCE {
        let (engine, spec) = (engine.clone(), spec.clone());
        workers.push(local.spawn_local(async move {
            for _ in 0..TASKS / AT_ONCE {
                let id = host::run(&*engine, &spec).await;
                assert_eq!(host::exit(&*engine, &id).await.code, Some(0));
                engine.remove_task(&id.task).await.unwrap();
            }
        }));
    }
    local
        .run_until(async {
            for worker in workers {
                worker.await.unwrap();
            }
        })
        .await;
    println!("{:.0} tasks a second", TASKS as f64 / at.elapsed().as_secs_f64());
    assert!(at.elapsed() < host::WAIT);
}
