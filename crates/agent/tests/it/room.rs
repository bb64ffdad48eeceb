//! CPU, memory and ports of the host: who has them, and from when on another has.

use std::sync::Arc;

use agent::{host::Host, ledger::Ledger};
use serde_json::{Value, json};

use crate::{
    World, app,
    disk::{assignment, host},
    engine_double::FakeEngine,
    server_double::eventually,
    stopped, task, with,
};

struct Room {
    engine: Arc<FakeEngine>,
    host: Arc<Host>,
}

impl Room {
    fn new() -> Room {
        let engine = FakeEngine::new();
        let host = host(&engine, Ledger::over(Arc::new(store::memory::Memory::new()), "boot"));
        tokio::spawn(host.clone().listen(engine::Engine::events(engine.as_ref())));
        Room { engine, host }
    }

    async fn assign(&self, task: Value) {
        self.host.assign(assignment(task)).await.unwrap();
    }

    async fn runs(&self, id: &str) {
        eventually(id, || self.engine.running(id, "app").then_some(())).await;
    }

    fn done(&self, what: &str) -> Option<()> {
        self.engine.log().contains(&what.to_owned()).then_some(())
    }
}

fn of(memory: u64, id: &str) -> Value {
    task(id, json!([with(app(), json!({"memory": memory}))]))
}

fn with_port(port: u16, id: &str) -> Value {
    task(
        id,
        json!([with(
            app(),
            json!({"memory": 10, "portMappings": [{"containerPort": 80, "hostPort": port}]})
        )]),
    )
}

#[tokio::test]
async fn a_full_host_lets_tasks_wait() {
    let room = Room::new();
    room.assign(of(90, "t1")).await;
    room.runs("t1").await;
    room.assign(of(90, "t2")).await;
    eventually("the second waits", || (room.host.waiting() == 1).then_some(())).await;
    // What fits goes past it.
    room.assign(of(10, "t3")).await;
    room.runs("t3").await;
    assert_eq!(room.host.waiting(), 1);
    assert!(room.done("prepare t2").is_none());
    room.assign(stopped("t1")).await;
    room.runs("t2").await;
}

#[tokio::test]
async fn what_ended_holds_nothing_though_it_is_not_removed() {
    let room = Room::new();
    let engine = room.engine.clone();
    // As while its output waits to be shipped, or the host keeps ended tasks for a while.
    let removals = engine.removals.write().await;
    room.assign(with_port(8080, "t1")).await;
    room.runs("t1").await;
    let releases = engine.releases.write().await;
    engine.exit("t1", "app", 0);
    eventually("its release begins", || room.done("release t1")).await;
    // Until the engine has given the port back its next user waits, and nobody else does.
    room.assign(with_port(8080, "t2")).await;
    eventually("the next waits", || (room.host.waiting() == 1).then_some(())).await;
    room.assign(with_port(8081, "t3")).await;
    room.runs("t3").await;
    assert_eq!(room.host.waiting(), 1);
    drop(releases);
    room.runs("t2").await;
    assert!(engine.tasks().contains(&"t1".to_owned()));
    drop(removals);
    eventually("it is removed", || (engine.tasks() == ["t2", "t3"]).then_some(())).await;
}

#[tokio::test]
async fn what_ended_holds_nothing_over_a_restart() {
    let mut w = World::new().await;
    let engine = w.engine.clone();
    let removals = engine.removals.write().await;
    w.server.assign(with_port(8080, "t1")).await;
    w.server.report("t1", "RUNNING").await;
    engine.exit("t1", "app", 0);
    w.server.report("t1", "STOPPED").await;
    w.kill_agent().await;
    w.start_agent();
    w.server.assign(with_port(8080, "t2")).await;
    w.server.report("t2", "RUNNING").await;
    assert!(engine.tasks().contains(&"t1".to_owned()));
    drop(removals);
    eventually("it is removed", || (engine.tasks() == ["t2"]).then_some(())).await;
}

/// The least that an engine takes (6 MiB) is not what the scheduler counts.
#[tokio::test]
async fn as_many_run_as_the_scheduler_has_counted() {
    for told in [true, false] {
        let room = Room::new();
        for n in 0..25 {
            let mut small = task(&format!("t{n}"), json!([with(app(), json!({"cpu": 0, "memory": 4}))]));
            if told {
                small["roadstead:needs"] = json!({"cpu": 0, "memory": 4, "portsTcp": [], "portsUdp": []});
            }
            room.assign(small).await;
        }
        for n in 0..25 {
            room.runs(&format!("t{n}")).await;
        }
        room.assign(of(4, "more")).await;
        eventually("one more waits", || (room.host.waiting() == 1).then_some(())).await;
    }
}
