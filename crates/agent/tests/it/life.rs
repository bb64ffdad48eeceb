//! The life of tasks, from assignment to removal.

use agent_protocol::{acs, tcs};
use serde_json::json;

use crate::{
    World, app,
    server_double::{INSTANCE_ARN, eventually},
    stopped, task, with,
};

#[tokio::test]
async fn a_task_runs_is_reported_and_stops() {
    let w = World::new().await;
    w.server.assign(task("t1", json!([with(app(), json!({"portMappings": [{"containerPort": 80}]}))]))).await;
    let running = w.server.report("t1", "RUNNING").await;
    assert_eq!(running["containers"][0]["status"], "RUNNING");
    assert_eq!(running["containers"][0]["networkBindings"][0]["hostPort"], 32768);
    assert_eq!(running["containers"][0]["imageDigest"], "sha256:busybox");
    assert!(running["pullStartedAt"].is_number());

    w.server.assign(stopped("t1")).await;
    let ended = w.server.report("t1", "STOPPED").await;
    assert_eq!(ended["containers"][0]["exitCode"], 143);
    assert!(ended["executionStoppedAt"].is_number());
    eventually("the task is removed", || w.engine.tasks().is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_task_stopped_while_it_is_prepared_is_removed_afterwards() {
    let w = World::new().await;
    let preparation = w.engine.preparations.write().await;
    w.server.assign(task("t1", json!([app()]))).await;
    let done = |what: &str| w.engine.log().iter().position(|entry| entry == what);
    eventually("its preparation begins", || done("prepare t1")).await;
    w.server.assign(stopped("t1")).await;
    w.server.report("t1", "STOPPED").await;
    drop(preparation);
    let removed = eventually("its removal", || done("remove t1")).await;
    assert!(done("prepared t1").is_some_and(|prepared| prepared < removed), "{:?}", w.engine.log());
    eventually("nothing is left", || w.engine.tasks().is_empty().then_some(())).await;
}

#[tokio::test]
async fn registration_tells_what_the_host_has() {
    let w = World::new().await;
    let look = |heard: &crate::server_double::Heard| heard.calls.first().cloned();
    let (operation, input) = w.server.until("the host registers", look).await;
    assert_eq!(operation, "RegisterContainerInstance");
    let has = |name: &str| input["attributes"].as_array().unwrap().iter().any(|a| a["name"] == name);
    assert!(has("ecs.capability.container-ordering") && has("rack"));
    let provider =
        input["attributes"].as_array().unwrap().iter().find(|a| a["name"] == "roadstead.capacity-provider");
    assert_eq!(provider.unwrap()["value"], "blue");
    assert!(has("ecs.capability.task-eni"), "the engine can");
    assert_eq!(input["totalResources"][0]["integerValue"], 2048);
}

#[tokio::test]
async fn an_exit_is_reported_with_its_code_and_a_missing_image_with_its_reason() {
    let w = World::new().await;
    w.run("t1").await;
    w.engine.exit("t1", "app", 7);
    assert_eq!(w.server.report("t1", "STOPPED").await["containers"][0]["exitCode"], 7);

    w.engine.missing("nowhere");
    w.server.assign(task("t2", json!([with(app(), json!({"image": "nowhere"}))]))).await;
    let ended = w.server.report("t2", "STOPPED").await;
    assert_eq!(ended["containers"][0]["reason"], "CannotPullContainerError: no such image");
}

#[tokio::test]
async fn what_cannot_be_done_is_reported_not_tried() {
    let w = World::new().await;
    w.server.assign(with(task("t1", json!([app()])), json!({"networkMode": "awsvpc"}))).await;
    let ended = w.server.report("t1", "STOPPED").await;
    assert!(ended["reason"].as_str().unwrap().contains("awsvpc"));
    w.server.assign(task("t2", json!([]))).await;
    let ended = w.server.report("t2", "STOPPED").await;
    assert!(ended["reason"].as_str().unwrap().starts_with("UnrecogniedTaskError"));
    assert!(!w.engine.log().iter().any(|entry| entry.starts_with("create")));
}

#[tokio::test]
async fn a_stop_for_an_unknown_task_is_answered_at_once() {
    let w = World::new().await;
    w.server.assign(stopped("never")).await;
    let ended = w.server.report("never", "STOPPED").await;
    assert_eq!(ended["containers"][0]["status"], "STOPPED");
    assert!(ended["containers"][0]["runtimeId"].is_null());
    assert!(!w.engine.log().contains(&"prepare never".to_string()));
}

#[tokio::test]
async fn an_assignment_sent_again_starts_nothing_twice() {
    let w = World::new().await;
    w.run("t1").await;
    w.server.assign(task("t1", json!([app()]))).await;
    w.engine.exit("t1", "app", 0);
    w.server.report("t1", "STOPPED").await;
    eventually("the task is removed", || w.engine.tasks().is_empty().then_some(())).await;
    w.server.assign(task("t1", json!([app()]))).await;
    w.run("t2").await;
    let starts = w.engine.log().iter().filter(|entry| *entry == "start app").count();
    assert_eq!(starts, 2, "t1 once and t2 once");
}

#[tokio::test]
async fn what_is_stopped_while_it_waits_for_its_turn_makes_nothing() {
    let w = World::new().await;
    let places = 6 * std::thread::available_parallelism().map_or(1, usize::from).max(2);
    let small = |id: &str| task(id, json!([with(app(), json!({"cpu": 1, "memory": 1}))]));
    let preparation = w.engine.preparations.write().await;
    let first: Vec<String> = (0..places).map(|n| format!("first{n:04}")).collect();
    for id in &first {
        w.server.assign(small(id)).await;
    }
    let begun = || w.engine.log().iter().filter(|entry| entry.starts_with("prepare ")).count();
    eventually("all places are taken", || (begun() == places).then_some(())).await;
    w.server.assign(small("late")).await;
    w.server.assign(stopped("late")).await;
    w.server.report("late", "STOPPED").await;
    drop(preparation);
    for id in &first {
        w.server.report(id, "RUNNING").await;
    }
    assert_eq!(begun(), places, "{:?}", w.engine.log());
}

#[tokio::test]
async fn the_manifest_stops_what_the_control_plane_does_not_know() {
    let w = World::new().await;
    w.run("keep").await;
    w.run("orphan").await;
    let identifier = |id: &str| acs::TaskIdentifier {
        task_arn: Some(format!("arn:aws:ecs:us-east-1:000000000000:task/default/{id}")),
        task_cluster_arn: None,
        desired_status: Some("RUNNING".into()),
    };
    let manifest = acs::TaskManifestMessage {
        message_id: Some("m1".into()),
        timeline: Some(5),
        tasks: vec![identifier("keep")],
        ..Default::default()
    };
    w.server.send(manifest.clone()).await;
    let candidates = w
        .server
        .until("candidates", |heard| {
            heard.acs.iter().find_map(|message| match message {
                acs::Message::TaskStopVerificationMessage(m) => Some(m.clone()),
                _ => None,
            })
        })
        .await;
    assert_eq!(candidates.message_id.as_deref(), Some("m1"));
    assert_eq!(candidates.stop_candidates.len(), 1);
    w.server
        .send(acs::TaskStopVerificationAck {
            message_id: Some("m1".into()),
            generated_at: Some(1),
            stop_tasks: candidates.stop_candidates,
        })
        .await;
    w.server.report("orphan", "STOPPED").await;
    assert!(w.engine.running("keep", "app"));
}

#[tokio::test]
async fn heartbeats_are_answered_and_telemetry_flows() {
    let w = World::new().await;
    w.server.send(acs::HeartbeatMessage { healthy: Some(true), message_id: Some("h".into()) }).await;
    let ack = acs::HeartbeatAckRequest { message_id: Some("h".into()) };
    w.server
        .until("the heartbeat's answer", |heard| heard.acs.contains(&ack.clone().into()).then_some(()))
        .await;
    w.server.until("idle metrics", |heard| heard.tcs.iter().find_map(idle)).await;

    w.run("t1").await;
    let measured = |message: &tcs::Message| match message {
        tcs::Message::PublishMetricsRequest(metrics) => metrics.task_metrics.first().cloned(),
        _ => None,
    };
    let metric = w.server.until("metrics", |heard| heard.tcs.iter().find_map(measured)).await;
    let memory = metric.container_metrics[0].memory_stats_set.clone().unwrap();
    assert_eq!(memory.max, Some(1.0));
}

fn idle(message: &tcs::Message) -> Option<()> {
    match message {
        tcs::Message::PublishMetricsRequest(metrics) => {
            let metadata = metrics.metadata.as_ref()?;
            (metadata.idle == Some(true) && metadata.container_instance.as_deref() == Some(INSTANCE_ARN))
                .then_some(())
        }
        _ => None,
    }
}

#[tokio::test]
async fn a_side_containers_end_is_told_without_a_change_of_the_task() {
    let w = World::new().await;
    let side = with(app(), json!({"name": "side", "essential": false}));
    w.server.assign(task("t1", json!([app(), side]))).await;
    w.server.report("t1", "RUNNING").await;
    w.engine.exit("t1", "side", 3);
    let look = |heard: &crate::server_double::Heard| {
        let reports = heard.reports("t1");
        reports.into_iter().find(|r| r["containers"][1]["exitCode"] == 3 && r["status"] == "RUNNING")
    };
    w.server.until("the side container's end", look).await;
}
