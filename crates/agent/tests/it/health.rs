//! What the agent says of health checks, and what it writes down of them.

use std::{sync::Arc, time::Duration};

use agent::ledger::Ledger;
use serde_json::{Value, json};

use crate::{
    World, app,
    disk::{assignment, host},
    engine_double::FakeEngine,
    server_double::{Heard, eventually},
    task, with,
};

/// A container that is probed every 50 ms.
fn checked(name: &str) -> Value {
    let config = r#"{"Healthcheck":{"Test":["CMD","healthy"],"Interval":50000000,"Retries":1}}"#;
    let members = json!({"name": name, "healthCheckType": "docker", "dockerConfig": {"config": config}});
    with(with(app(), json!({"cpu": 1, "memory": 4})), members)
}

/// Waits until exactly these verdicts came in one message, after the first `from` messages; gives how many there are then.
async fn told(w: &World, from: usize, verdicts: &[&str]) -> usize {
    let look = |heard: &Heard| {
        let health = heard.health();
        health.get(from..)?.iter().any(|one| one == verdicts).then_some(health.len())
    };
    w.server.until(&format!("{verdicts:?} in one message"), look).await
}

/// Waits until the newest that is told of each container is that it is HEALTHY; gives how many messages there are then.
async fn healthy(w: &World, containers: &[impl AsRef<str>]) -> usize {
    let look = |heard: &Heard| {
        let health = heard.health();
        let newest = |of: &str| health.iter().flatten().rfind(|told| told.starts_with(of));
        let is_healthy = |of: &str| newest(of).is_some_and(|told| told.ends_with(" HEALTHY"));
        containers.iter().all(|of| is_healthy(of.as_ref())).then_some(health.len())
    };
    w.server.until("all are healthy", look).await
}

/// Waits for that many publications of metrics.
async fn periods(w: &World, more: usize) {
    let until = w.server.heard.lock().periods() + more;
    w.server.until("metrics", |heard| (heard.periods() >= until).then_some(())).await;
}

#[tokio::test]
async fn health_is_told_when_it_changes_and_by_what_changed() {
    let mut w = World::new().await;
    w.server.assign(task("t1", json!([checked("a"), app()]))).await;
    w.server.assign(task("t2", json!([checked("b")]))).await;
    let so_far = healthy(&w, &["t1 a", "t2 b"]).await;
    periods(&w, 5).await;
    assert_eq!(w.server.heard.lock().health().len(), so_far, "nothing has changed");

    w.engine.sicken("t2");
    let so_far = told(&w, so_far, &["t2 b UNHEALTHY"]).await;
    // All of it to whoever may not know.
    let all = ["t1 a HEALTHY", "t2 b UNHEALTHY"];
    w.server.die();
    w.server.come_back().await;
    let so_far = told(&w, so_far, &all).await;
    w.kill_agent().await;
    w.start_agent();
    let so_far = told(&w, so_far, &all).await;
    periods(&w, 5).await;
    assert_eq!(w.server.heard.lock().health().len(), so_far, "it was told once");

    // What was not taken is told again.
    w.server.refuse.lock().push(("PublishHealthRequest", "ServerException"));
    w.engine.sicken("t1");
    let so_far = told(&w, so_far, &["t1 a UNHEALTHY"]).await;
    told(&w, so_far, &["t1 a UNHEALTHY", "t2 b UNHEALTHY"]).await;
}

#[tokio::test]
async fn as_many_tasks_as_a_message_may_hold_and_no_more() {
    let w = World::new().await;
    let tasks: Vec<String> = (0..21).map(|number| format!("t{number:02}")).collect();
    for id in &tasks {
        w.server.assign(task(id, json!([checked("a")]))).await;
    }
    let containers: Vec<String> = tasks.iter().map(|id| format!("{id} a")).collect();
    let so_far = healthy(&w, &containers).await;
    w.server.die();
    w.server.come_back().await;
    let sizes = |heard: &Heard| {
        let sizes: Vec<usize> = heard.health().get(so_far..)?.iter().map(Vec::len).collect();
        (sizes.len() >= 3).then_some(sizes)
    };
    assert_eq!(w.server.until("all health", sizes).await, [10, 10, 1]);
}

#[tokio::test]
async fn probes_that_find_what_the_last_one_found_are_not_written_down() {
    let store = Arc::new(store::memory::Memory::new());
    let engine = FakeEngine::new();
    let host = host(&engine, Ledger::over(store.clone(), "boot"));
    host.assign(assignment(task("t1", json!([checked("a")])))).await.unwrap();
    let revision = || store::Store::revision(store.as_ref());
    let probes = || engine.log().iter().filter(|entry| *entry == "exec a").count();
    let probed = async || {
        let until = probes() + 20;
        eventually("probes", || (probes() >= until).then_some(())).await;
    };
    // What came before the probes may still be on its way to the ledger.
    let quiet = async {
        loop {
            let before = revision();
            probed().await;
            if revision() == before {
                return before;
            }
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(20), quiet).await.expect("probes write nothing");
    engine.sicken("t1");
    eventually("the verdict is written down", || (revision() > written).then_some(())).await;
}
