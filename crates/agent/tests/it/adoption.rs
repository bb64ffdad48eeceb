//! Deaths of the agent, the control plane, both, and the host.

use serde_json::json;

use crate::{World, app, server_double::eventually, stopped, task, with};

#[tokio::test]
async fn a_new_agent_finds_its_tasks_again() {
    let mut w = World::new().await;
    w.run("runs").await;
    w.run("ends").await;
    w.kill_agent().await;
    w.engine.exit("ends", "app", 42);
    w.start_agent();
    assert_eq!(w.server.report("ends", "STOPPED").await["containers"][0]["exitCode"], 42);
    assert!(w.engine.running("runs", "app"));
    let starts = w.engine.log().iter().filter(|entry| *entry == "start app").count();
    assert_eq!(starts, 2, "nothing is started twice");
    w.server.assign(stopped("runs")).await;
    w.server.report("runs", "STOPPED").await;
    let register = |heard: &crate::server_double::Heard| {
        let mut calls = heard.calls.iter().filter(|(operation, _)| operation == "RegisterContainerInstance");
        calls.next_back().map(|(_, input)| input.clone())
    };
    let again = w.server.until("the second registration", register).await;
    assert_eq!(again["containerInstanceArn"], crate::server_double::INSTANCE_ARN);
    eventually("all is removed", || w.engine.tasks().is_empty().then_some(())).await;
}

#[tokio::test]
async fn an_absent_control_plane_hears_everything_later_and_in_order() {
    let mut w = World::new().await;
    w.run("t1").await;
    w.server.die();
    w.engine.exit("t1", "app", 5);
    eventually("the task is removed all the same", || w.engine.tasks().is_empty().then_some(())).await;
    // Both gone now.
    w.kill_agent().await;
    w.start_agent();
    w.server.come_back().await;
    assert_eq!(w.server.report("t1", "STOPPED").await["containers"][0]["exitCode"], 5);
    let statuses: Vec<_> = w.server.heard.lock().reports("t1").iter().map(|r| r["status"].clone()).collect();
    let first_stop = statuses.iter().position(|status| status == "STOPPED").unwrap();
    assert!(statuses[..first_stop].contains(&"RUNNING".into()));
    assert!(!statuses[first_stop..].contains(&"RUNNING".into()), "{statuses:?}");
    w.run("t2").await;
}

#[tokio::test]
async fn what_the_ledger_does_not_know_is_removed() {
    use engine::Engine;
    let mut w = World::new().await;
    w.run("known").await;
    w.kill_agent().await;
    let stray = engine::TaskSpec { id: "stray".into(), ..Default::default() };
    w.engine.prepare_task(&stray).await.unwrap();
    w.start_agent();
    eventually("the stray is removed", || (w.engine.tasks() == ["known"]).then_some(())).await;
}

/// The agent may die before an assignment is on disk but after it began; it comes again then.
#[tokio::test]
async fn a_task_waits_for_what_an_earlier_attempt_left() {
    use engine::Engine;
    let mut w = World::new().await;
    w.kill_agent().await;
    let stray = engine::TaskSpec { id: "again".into(), ..Default::default() };
    w.engine.prepare_task(&stray).await.unwrap();
    let engine = w.engine.clone();
    let removal = engine.removals.write().await;
    w.start_agent();
    eventually("the removal begins", || engine.log().contains(&"remove again".into()).then_some(())).await;
    // Acknowledged all the same.
    w.server.assign(task("again", json!([app()]))).await;
    drop(removal);
    w.server.report("again", "RUNNING").await;
}

#[tokio::test]
async fn containers_that_are_gone_are_reported_as_such() {
    let mut w = World::new().await;
    w.run("t1").await;
    // The report does not wait for the ledger, which is written a moment later.
    w.is_written(r#""phase":"Running""#).await;
    w.kill_agent().await;
    w.engine.reboot();
    w.start_agent();
    let ended = w.server.report("t1", "STOPPED").await;
    assert!(ended["containers"][0]["reason"].as_str().unwrap().starts_with("ContainerVanishedError"));
    assert!(ended["containers"][0]["exitCode"].is_null());
    let starts = w.engine.log().iter().filter(|entry| *entry == "start app").count();
    assert_eq!(starts, 1);
}

#[tokio::test]
async fn an_acknowledged_task_that_had_not_begun_goes_on() {
    let mut w = World::new().await;
    let big = |id: &str| task(id, json!([with(app(), json!({"memory": 900}))]));
    w.server.assign(big("first")).await;
    w.server.report("first", "RUNNING").await;
    w.server.assign(big("second")).await;
    w.kill_agent().await;
    w.start_agent();
    w.engine.exit("first", "app", 0);
    w.server.report("second", "RUNNING").await;
}

/// How often the agent has connected its telemetry.
fn telemetry(heard: &crate::server_double::Heard) -> usize {
    heard.signers.iter().filter(|(path, _)| path == "/tcs/ws").count()
}

#[tokio::test]
async fn a_deregistered_instance_stays_away() {
    let w = World::new().await;
    w.run("t1").await;
    w.server.until("its telemetry", |heard| (telemetry(heard) == 1).then_some(())).await;
    *w.server.refuse_acs.lock() = Some(r#"{"InactiveInstanceException":"gone"}"#.into());
    w.server.die();
    w.server.come_back().await;
    // Its tasks are still looked after.
    w.engine.exit("t1", "app", 1);
    w.server.report("t1", "STOPPED").await;
    // Telemetry comes back after a second or two; an agent that did not stay away would have asked again by then.
    w.server.until("telemetry again", |heard| (telemetry(heard) > 1).then_some(())).await;
    assert_eq!(w.server.heard.lock().refused_acs, 1);
}

#[tokio::test]
async fn an_instance_that_is_refused_for_now_asks_again() {
    let w = World::new().await;
    w.run("t1").await;
    *w.server.refuse_acs.lock() = Some(r#"{"ServerException":"busy"}"#.into());
    w.server.die();
    w.server.come_back().await;
    w.server.until("another attempt", |heard| (heard.refused_acs > 1).then_some(())).await;
    *w.server.refuse_acs.lock() = None;
    w.run("t2").await;
}

/// Cuts a row of the ledger in half, as it lies on the disk.
async fn damage(w: &World, key: &str) {
    use store::{Commit, Store};
    let path = w.data.path().join("ledger.db");
    let ledger = store::sqlite::Sqlite::open(&path, Default::default()).unwrap();
    let row = ledger.get(key).unwrap().unwrap().value;
    ledger.commit(Commit::new().put(key, row.slice(..row.len() / 2))).unwrap();
}

fn starts(w: &World) -> usize {
    w.engine.log().iter().filter(|entry| *entry == "start app").count()
}

#[tokio::test]
async fn a_ledger_row_that_cannot_be_read_costs_no_container() {
    for key in ["task/t1/assignment", "task/t1/record", "instance", "acs"] {
        let mut w = World::new().await;
        w.run("t1").await;
        w.run("t2").await;
        w.is_written(r#""phase":"Running""#).await;
        w.kill_agent().await;
        damage(&w, key).await;
        w.start_agent();
        w.run("t3").await;
        assert!(w.engine.running("t1", "app") && w.engine.running("t2", "app"), "{key}");
        // As a new session does, everything is sent again; and it can be stopped.
        w.server.assign(task("t1", json!([app()]))).await;
        w.server.assign(stopped("t1")).await;
        w.server.report("t1", "STOPPED").await;
        assert!(w.engine.running("t2", "app"), "{key}");
        assert_eq!(starts(&w), 3, "nothing is started twice: {key}");
    }
}

/// As another version of the agent may have written it.
#[tokio::test]
async fn a_task_that_this_agent_cannot_read_keeps_no_other_from_it_and_is_not_left_alone() {
    use store::{Commit, Store};
    let mut w = World::new().await;
    w.run("t1").await;
    w.run("t2").await;
    w.is_written(r#""phase":"Running""#).await;
    w.kill_agent().await;
    let odd = |id: &str| task(id, json!([app(), app()]));
    {
        let path = w.data.path().join("ledger.db");
        let ledger = store::sqlite::Sqlite::open(&path, Default::default()).unwrap();
        ledger.commit(Commit::new().put("task/t1/assignment", odd("t1").to_string())).unwrap();
    }
    w.start_agent();
    w.run("t3").await;
    assert!(w.engine.running("t1", "app") && w.engine.running("t2", "app"));
    // Once it is clear that it is no task for this agent, nothing stays of it.
    w.server.assign(odd("t1")).await;
    w.server.report("t1", "STOPPED").await;
    eventually("it is removed", || (w.engine.tasks() == ["t2", "t3"]).then_some(())).await;
}

#[tokio::test]
async fn a_task_whose_record_is_lost_does_not_run_twice() {
    let mut w = World::new().await;
    w.run("t1").await;
    w.is_written(r#""phase":"Running""#).await;
    w.kill_agent().await;
    damage(&w, "task/t1/record").await;
    w.engine.reboot();
    w.start_agent();
    w.server.report("t1", "STOPPED").await;
    assert_eq!(starts(&w), 1);
}

#[tokio::test]
async fn without_its_ledger_an_agent_does_not_begin() {
    let mut w = World::new().await;
    w.run("t1").await;
    w.kill_agent().await;
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(w.data.path().join(format!("ledger.db{suffix}")));
    }
    let ledger = agent::ledger::Ledger::open(w.data.path()).unwrap();
    let refused = crate::disk::host(&w.engine, ledger).adopt().await;
    assert!(matches!(refused, Err(agent::ledger::Error::Gone(1))), "{refused:?}");
    assert!(w.engine.running("t1", "app"));
}
