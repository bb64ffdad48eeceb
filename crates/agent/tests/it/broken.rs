//! Panics: each costs its own task a new beginning, and in the end that task alone.

use serde_json::{Value, json};

use crate::{World, app, server_double::eventually, stopped, task, with};

fn named(name: &str) -> Value {
    with(app(), json!({ "name": name }))
}

#[tokio::test]
async fn what_panics_once_is_done_again() {
    let w = World::new().await;
    for (id, what) in
        [("t1", "pull busybox"), ("t2", "prepare t2"), ("t3", "create app"), ("t4", "start app")]
    {
        w.engine.breaks(what, 1);
        w.run(id).await;
        assert!(w.engine.running(id, "app"), "{what}");
    }
    for (id, what) in [("t2", "stop app"), ("t3", "release t3"), ("t4", "remove t4")] {
        w.engine.breaks(what, 1);
        w.server.assign(stopped(id)).await;
        let ended = w.server.report(id, "STOPPED").await;
        assert_eq!(ended["containers"][0]["exitCode"], 143, "{what}");
        assert!(ended["reason"].is_null(), "{what}: {ended}");
        eventually(what, || (!w.engine.tasks().contains(&id.to_owned())).then_some(())).await;
    }
}

#[tokio::test]
async fn what_panics_again_and_again_is_stopped_and_says_why() {
    let w = World::new().await;
    w.run("t1").await;
    w.engine.breaks("create bad", usize::MAX);
    w.server.assign(task("t2", json!([named("bad")]))).await;
    let ended = w.server.report("t2", "STOPPED").await;
    let reason = ended["reason"].as_str().unwrap();
    assert!(reason.starts_with("InternalError") && reason.contains("create bad"), "{reason}");
    eventually("it is removed", || (w.engine.tasks() == ["t1"]).then_some(())).await;
    assert!(w.engine.running("t1", "app"));
    w.run("t3").await;
}

#[tokio::test]
async fn what_runs_and_panics_is_asked_to_end_as_any_other() {
    let w = World::new().await;
    w.engine.breaks("exec app", usize::MAX);
    let config = r#"{"Healthcheck":{"Test":["CMD","healthy"],"Interval":1000000,"Retries":1}}"#;
    let checked = with(app(), json!({"healthCheckType": "docker", "dockerConfig": {"config": config}}));
    w.server.assign(task("t1", json!([checked]))).await;
    let ended = w.server.report("t1", "STOPPED").await;
    assert_eq!(ended["containers"][0]["exitCode"], 143);
    assert!(ended["reason"].as_str().unwrap().contains("exec app"), "{ended}");
    let starts = w.engine.log().iter().filter(|entry| *entry == "start app").count();
    assert_eq!(starts, 1);
}

#[tokio::test]
async fn what_cannot_be_stopped_for_panics_is_removed_when_it_shall_stop() {
    let mut w = World::new().await;
    w.run("t1").await;
    w.run("t2").await;
    w.engine.breaks("stop app", usize::MAX);
    w.server.assign(stopped("t1")).await;
    let ended = w.server.report("t1", "STOPPED").await;
    assert!(ended["reason"].as_str().unwrap().contains("stop app"), "{ended}");
    eventually("it is removed", || (w.engine.tasks() == ["t2"]).then_some(())).await;
    // Sent again it is no new task, neither to this agent nor to the next.
    w.server.assign(task("t1", json!([app()]))).await;
    w.kill_agent().await;
    w.start_agent();
    w.run("t3").await;
    assert_eq!(w.engine.tasks(), ["t2", "t3"]);
}
