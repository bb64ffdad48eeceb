//! What is said of each state, and that it is ECS's own sentence where there is one.

use serde_json::json;

use super::*;
use crate::{
    service::{create::create_service, delete::delete_service, update::update_service},
    task::{run::run_task, stop::stop_task},
    testing::World,
};

fn told(world: &World, kind: Kind, named: &str) -> Explanation {
    explain(&world.state, &world.account, &world.ctx, kind, named).unwrap()
}

fn has(sentences: &[String], part: &str) -> bool {
    sentences.iter().any(|sentence| sentence.contains(part))
}

#[test]
fn a_service_without_room_says_how_many_instances_each_filter_refuses() {
    let mut world = World::new();
    let (small, away) = (world.host(50), world.host(1000));
    world.host(60);
    world.connect(&away, false);
    world
        .call(create_service, json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 2}))
        .unwrap();
    let said = told(&world, Kind::Service, "s");
    assert_eq!(said.state, "ACTIVE, desired 2, running 0, pending 0");
    let event = world.state.service_events(&"s".into()).next().unwrap().message.clone();
    let why = event.split_once("because ").unwrap().1;
    assert!(has(&said.because, why), "the sentence of the service event: {said:?}");
    let refused: Vec<(&str, usize)> =
        said.refused.iter().map(|one| (one.reason.as_str(), one.container_instances)).collect();
    assert_eq!(refused, [("AGENT", 1), ("RESOURCE:MEMORY", 2)]);
    assert!(has(&said.would_change, "with 100 MiB left; the most that one of these has is 60"), "{said:?}");
    // Room comes.
    world.connect(&away, true);
    world.obey();
    let said = told(&world, Kind::Service, "s");
    assert_eq!(
        (said.because, said.waits_for.is_empty()),
        (vec!["it has reached a steady state".to_owned()], true)
    );
    assert!(has(&told(&world, Kind::Instance, &small).because, "of 50 MiB 50"));
}

#[test]
fn an_empty_cluster_lacks_a_container_instance() {
    let mut world = World::new();
    world
        .call(create_service, json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1}))
        .unwrap();
    let said = told(&world, Kind::Service, "s");
    assert!(said.refused.is_empty());
    assert!(has(&said.would_change, "registers with the cluster"), "{said:?}");
}

#[test]
fn a_task_says_what_it_waits_for_and_why_it_stopped() {
    let mut world = World::new();
    let host = world.host(1000);
    world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
    let id = world.live().remove(0);
    let said = told(&world, Kind::Task, &id);
    assert_eq!(said.state, "PENDING, to be RUNNING");
    assert!(has(&said.waits_for, "its turn"), "{said:?}");
    world.connect(&host, false);
    let said = told(&world, Kind::Task, &id);
    assert!(
        has(&said.because, &format!("the agent of container instance {host} is not connected")),
        "{said:?}"
    );
    world.connect(&host, true);
    world.report(&id, "RUNNING", None);
    assert_eq!(told(&world, Kind::Task, &id).because, ["it runs as it shall"]);
    world.call(stop_task, json!({"task": id, "reason": "enough"})).unwrap();
    let said = told(&world, Kind::Task, &id);
    assert_eq!(said.state, "STOPPING, to be STOPPED");
    assert!(has(&said.because, "UserInitiated: enough") && has(&said.waits_for, "container app"), "{said:?}");
    world.report(&id, "STOPPED", Some(143));
    let said = told(&world, Kind::Task, &id);
    assert_eq!(said.state, "STOPPED");
    assert_eq!(said.because, ["UserInitiated: enough", "container app ended with exit code 143"]);
    assert!(said.waits_for.is_empty());
}

#[test]
fn a_deployment_says_what_its_breaker_counts_and_its_service_what_it_replaces() {
    let mut world = World::new();
    world.host(1000);
    let configuration = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let request = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": 1,
        "deploymentConfiguration": configuration});
    world.call(create_service, request).unwrap();
    world.obey();
    world.pass(60 * 60_000);
    world.call(update_service, json!({"service": "s", "taskDefinition": "web:2"})).unwrap();
    let id = world.state.service_deployment(&"s".into()).unwrap().id.clone();
    let said = told(&world, Kind::Deployment, &format!("s/{id}"));
    assert_eq!(said.state, "IN_PROGRESS");
    assert!(has(&said.because, "counted 0 failures, and gives it up at 3"), "{said:?}");
    assert!(has(&said.waits_for, "1 task of earlier revisions"), "{said:?}");
    let failing =
        world.live().into_iter().find(|id| world.task(id).last_status.as_deref() == Some("PENDING"));
    world.report(&failing.unwrap(), "STOPPED", Some(1));
    assert!(has(&told(&world, Kind::Deployment, &format!("s/{id}")).because, "counted 1 failure,"));
    world.call(delete_service, json!({"service": "s", "force": true})).unwrap();
    let said = told(&world, Kind::Service, "s");
    assert!(said.state.starts_with("DRAINING") && has(&said.waits_for, "the end of"), "{said:?}");
}

#[test]
fn what_is_not_there_is_said_as_by_the_operation_that_describes_it() {
    let world = World::new();
    let code = |kind, named: &str| {
        let error = explain(&world.state, &world.account, &world.ctx, kind, named).unwrap_err();
        error.code().to_owned()
    };
    assert_eq!(code(Kind::Service, "s"), "ServiceNotFoundException");
    assert_eq!(code(Kind::Task, "0123456789abcdef0123456789abcdef"), "InvalidParameterException");
    assert_eq!(code(Kind::Instance, "0123456789abcdef0123456789abcdef"), "InvalidParameterException");
    assert_eq!(code(Kind::Deployment, "s"), "ClientException");
    assert_eq!(code(Kind::Deployment, "s/x"), "ClientException");
}
