//! The log driver `awslogs`.

use serde_json::{Value, json};

use crate::{World, app, server_double::eventually, task, with};

fn logging(options: Value) -> Value {
    let mut config =
        json!({"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"});
    for (name, value) in options.as_object().unwrap() {
        config[name] = value.clone();
    }
    let host_config = json!({"LogConfig": {"Type": "awslogs", "Config": config}}).to_string();
    with(app(), json!({"dockerConfig": {"hostConfig": host_config}}))
}

#[tokio::test]
async fn lines_are_shipped_and_the_last_ones_too() {
    let w = World::new().await;
    w.server.assign(task("t1", json!([logging(json!({}))]))).await;
    w.server.report("t1", "RUNNING").await;
    w.engine.write("t1", "app", &["one", "two"]);
    w.server
        .until("the first lines", |heard| (heard.lines("p/app/t1") == ["one", "two"]).then_some(()))
        .await;
    eventually("the space is given back", || (w.engine.released("t1", "app") == 8).then_some(())).await;
    w.engine.write("t1", "app", &["last words"]);
    w.engine.exit("t1", "app", 0);
    w.server
        .until("the last line", |heard| (heard.lines("p/app/t1").last()? == "last words").then_some(()))
        .await;
    eventually("the task is removed", || w.engine.tasks().is_empty().then_some(())).await;
}

#[tokio::test]
async fn output_waits_for_an_absent_control_plane_and_a_dead_agent() {
    let mut w = World::new().await;
    w.server.assign(task("t1", json!([logging(json!({}))]))).await;
    w.server.report("t1", "RUNNING").await;
    w.engine.write("t1", "app", &["before"]);
    w.server.until("the first line", |heard| heard.lines("p/app/t1").first().cloned()).await;
    eventually("it is written down", || (w.engine.released("t1", "app") > 0).then_some(())).await;
    w.server.die();
    w.engine.write("t1", "app", &["meanwhile"]);
    w.kill_agent().await;
    w.engine.exit("t1", "app", 0);
    w.start_agent();
    w.server.come_back().await;
    w.server
        .until("all lines, once", |heard| (heard.lines("p/app/t1") == ["before", "meanwhile"]).then_some(()))
        .await;
    eventually("the task is removed", || w.engine.tasks().is_empty().then_some(())).await;
}

#[tokio::test]
async fn groups_are_made_where_asked_and_missed_where_not() {
    let w = World::new().await;
    w.server.assign(task("t1", json!([logging(json!({"awslogs-group": "new"}))]))).await;
    let ended = w.server.report("t1", "STOPPED").await;
    let reason = ended["containers"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("CannotStartContainerError: failed to initialize logging driver"), "{reason}");
    let made = logging(json!({"awslogs-group": "new", "awslogs-create-group": "true"}));
    w.server.assign(task("t2", json!([made]))).await;
    w.server.report("t2", "RUNNING").await;
}

/// As with Docker's driver, such output is lost; but nothing stands still for it, and nothing stays for it.
#[tokio::test]
async fn a_group_that_is_gone_holds_nothing_up() {
    let w = World::new().await;
    w.server.assign(task("t1", json!([logging(json!({}))]))).await;
    w.server.report("t1", "RUNNING").await;
    w.engine.write("t1", "app", &["one"]);
    w.server.until("the first line", |heard| heard.lines("p/app/t1").first().cloned()).await;
    let delete = || {
        let mut heard = w.server.heard.lock();
        heard.groups.clear();
        heard.streams.clear();
    };
    delete();
    w.engine.write("t1", "app", &["two", "three"]);
    eventually("the space is given back", || (w.engine.released("t1", "app") == 14).then_some(())).await;
    w.server.heard.lock().groups.push("g".into());
    w.engine.write("t1", "app", &["four"]);
    w.server.until("it goes on", |heard| (heard.lines("p/app/t1") == ["four"]).then_some(())).await;
    delete();
    w.engine.write("t1", "app", &["five"]);
    w.engine.exit("t1", "app", 0);
    eventually("the task is removed", || w.engine.tasks().is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_group_that_the_task_may_make_is_made_again() {
    let w = World::new().await;
    w.server.assign(task("t1", json!([logging(json!({"awslogs-create-group": "true"}))]))).await;
    w.server.report("t1", "RUNNING").await;
    {
        let mut heard = w.server.heard.lock();
        heard.groups.clear();
        heard.streams.clear();
    }
    w.engine.write("t1", "app", &["one"]);
    w.server.until("the line", |heard| heard.lines("p/app/t1").first().cloned()).await;
}

#[tokio::test]
async fn a_pattern_keeps_lines_together() {
    let w = World::new().await;
    let logs = logging(json!({"awslogs-multiline-pattern": "^ERROR"}));
    w.server.assign(task("t1", json!([logs]))).await;
    w.server.report("t1", "RUNNING").await;
    w.engine.write("t1", "app", &["ERROR one", " at here", "ERROR two"]);
    w.server
        .until("both events", |heard| {
            (heard.lines("p/app/t1") == ["ERROR one\n at here", "ERROR two"]).then_some(())
        })
        .await;
}
