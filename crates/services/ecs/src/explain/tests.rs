//! What is said of each state, and that it is ECS's own sentence where there is one.

use serde_json::json;

use super::*;
use crate::{
    capacity::attach,
    instance::state::update_container_instances_state,
    service::{
        create::create_service, delete::delete_service, task_sets::create::create_task_set,
        update::update_service,
    },
    task::{protection::update_task_protection, run::run_task, stop::stop_task},
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
    assert!(said.state.starts_with("INACTIVE") && has(&said.waits_for, "the end of"), "{said:?}");
    world.obey();
    let said = told(&world, Kind::Service, "s");
    assert!(said.waits_for.is_empty() && has(&said.because, "has no task left"), "{said:?}");
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

#[test]
fn a_deployment_says_at_which_stage_it_waits_for_whom_and_until_when() {
    let mut world = World::new();
    world.host(10_000);
    let hook = json!({"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"],
        "timeoutConfiguration": {"timeoutInMinutes": 10, "action": "CONTINUE"}});
    let configuration = json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 30, "lifecycleHooks": [hook],
        "alarms": {"enable": true, "rollback": true, "alarmNames": ["errors"]}});
    let request = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": 1});
    world.call(create_service, request).unwrap();
    world.obey();
    let request =
        json!({"service": "s", "taskDefinition": "web:2", "deploymentConfiguration": configuration});
    world.call(update_service, request).unwrap();
    let id = world.state.service_deployment(&"s".into()).unwrap().id.clone();
    let named = format!("s/{id}");
    let said = told(&world, Kind::Deployment, &named);
    assert!(has(&said.because, "lifecycle stage SCALE_UP since 2023-"), "{said:?}");
    assert!(has(&said.because, "once one of these alarms is in ALARM: errors"), "{said:?}");
    assert!(has(&said.waits_for, "all tasks of its revision; it fails where that takes until"), "{said:?}");
    world.obey();
    let said = told(&world, Kind::Deployment, &named);
    assert!(has(&said.because, "hook ecs-pause-") && has(&said.because, "pauses it at POST_SCALE_UP since"));
    assert!(has(&said.waits_for, "without that it goes on at"), "{said:?}");
    let arn = format!("arn:aws:ecs:us-east-1:000000000000:service-deployment/c/s/{id}");
    let change = format!("continue-service-deployment --service-deployment-arn {arn} --hook-id ecs-pause-");
    assert!(has(&said.would_change, &change), "{said:?}");
    // Its service says the same.
    let service = told(&world, Kind::Service, "s");
    assert!(has(&service.because, &format!("its deployment {id} is IN_PROGRESS")), "{service:?}");
    assert!(has(&service.would_change, &change));
    world.pass(10 * 60_000);
    let said = told(&world, Kind::Deployment, &named);
    assert!(has(&said.because, "stage BAKE_TIME") && has(&said.waits_for, "the end of its bake time, at"));
}

#[test]
fn protected_tasks_that_hold_something_back_are_named() {
    let mut world = World::new();
    let host = world.host(10_000);
    let request = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": 2});
    world.call(create_service, request).unwrap();
    world.obey();
    let tasks = world.live();
    let request = json!({"tasks": tasks, "protectionEnabled": true, "expiresInMinutes": 60});
    world.call(update_task_protection, request).unwrap();
    assert!(has(&told(&world, Kind::Task, &tasks[0]).because, "it is protected until"));
    world.call(update_service, json!({"service": "s", "desiredCount": 1})).unwrap();
    let said = told(&world, Kind::Service, "s");
    assert!(has(&said.waits_for, "of 1 task beyond the desired count, at 2023-"), "{said:?}");
    world.call(update_service, json!({"service": "s", "taskDefinition": "web:2"})).unwrap();
    world.obey();
    let said = told(&world, Kind::Service, "s");
    assert!(has(&said.waits_for, "the end of the protection of 2 tasks of earlier revisions"), "{said:?}");
    assert!(has(&said.would_change, &tasks[0]) && has(&said.would_change, &tasks[1]), "{said:?}");
    let drain = json!({"containerInstances": [host], "status": "DRAINING"});
    world.call(update_container_instances_state, drain).unwrap();
    let said = told(&world, Kind::Instance, &host);
    assert!(has(&said.waits_for, "the end of the protection of 2 of them"), "{said:?}");
}

#[test]
fn a_service_says_how_its_task_sets_are_and_what_rebalances_it() {
    let mut world = World::new();
    world.host(10_000);
    let request =
        json!({"serviceName": "e", "desiredCount": 4, "deploymentController": {"type": "EXTERNAL"}});
    world.call(create_service, request).unwrap();
    assert!(has(&told(&world, Kind::Service, "e").because, "it has no task set"));
    let request = json!({"service": "e", "cluster": "c", "taskDefinition": "web", "scale": {"value": 50}});
    let id = world.call(create_task_set, request).unwrap().task_set.unwrap().id.unwrap();
    let said = told(&world, Kind::Service, "e");
    let of =
        format!("task set {id} is ACTIVE: 50 % of 4 are 2 tasks, 0 RUNNING, 2 pending; STABILIZING since");
    assert!(has(&said.because, &of), "{said:?}");
    assert!(has(&said.waits_for, &format!("task set {id} to have its tasks")), "{said:?}");
    world.obey();
    let said = told(&world, Kind::Service, "e");
    assert!(has(&said.because, "STEADY_STATE since") && said.waits_for.is_empty(), "{said:?}");
    // Another service is in one zone, and another zone comes.
    let mut world = World::new();
    world.host_in("a", 10_000);
    let request = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 2});
    world.call(create_service, request).unwrap();
    world.obey();
    world.host_in("b", 10_000);
    let said = told(&world, Kind::Service, "s");
    assert!(has(&said.because, "rebalanced over zones: it has 1 task more than it wants"), "{said:?}");
}

#[test]
fn a_service_says_which_of_its_tags_have_no_effect_and_why() {
    let mut world = World::new();
    world.host(10_000);
    let tag = |key: &str, value: &str| json!({"key": format!("roadstead:{key}"), "value": value});
    let (packed, single) = (tag("rebalance", "binpack"), tag("one-at-a-time", "true"));
    let binpack = json!([{"type": "binpack", "field": "memory"}]);
    for (number, (more, expected)) in [
        (json!({"tags": [packed]}), &["rebalance has no effect: its first placement strategy is not binpack"][..]),
        (
            json!({"tags": [packed], "placementStrategy": binpack, "desiredCount": 3,
                "deploymentConfiguration": {"maximumPercent": 133}}),
            &["rebalance has no effect: maximumPercent 133 of 3 allows no task beyond these"],
        ),
        (json!({"tags": [packed, single], "placementStrategy": binpack}), &[]),
        (
            json!({"tags": [packed, single], "placementStrategy": binpack, "desiredCount": 0,
                "taskDefinition": null, "deploymentController": {"type": "EXTERNAL"}}),
            &[
                "rebalance has no effect: its controller is EXTERNAL",
                "one-at-a-time has no effect: its controller is EXTERNAL; of drained container instances alone",
            ],
        ),
        (
            json!({"tags": [single], "deploymentConfiguration": {"strategy": "BLUE_GREEN"}}),
            &["one-at-a-time has no effect: its deployments are BLUE_GREEN; of drained container instances alone"],
        ),
        (
            json!({"tags": [tag("one-at-a-time", "false")], "deploymentConfiguration": {"strategy": "BLUE_GREEN"}}),
            &[],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("s{number}");
        let mut request = json!({"serviceName": name, "taskDefinition": "web", "desiredCount": 1});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.call(create_service, request).unwrap();
        world.obey();
        let said = told(&world, Kind::Service, &name);
        let of_tags: Vec<&String> = said.because.iter().filter(|because| because.contains("its tag")).collect();
        assert_eq!(of_tags.len(), expected.len(), "{said:?}");
        let is_told = |text: &&str| of_tags.iter().any(|said| said.starts_with(&format!("its tag roadstead:{text}")));
        assert!(expected.iter().all(is_told), "{said:?}");
    }
    // From before such tags were checked.
    let mut row = world.state.service(&"s2".into()).unwrap().as_ref().clone();
    row.scheduling = crate::cluster::Scheduling::Daemon;
    assert_eq!(
        crate::beyond::without_effect(&row),
        ["rebalance", "one-at-a-time"].map(|key| format!(
            "its tag roadstead:{key} has no effect: it is for services of strategy REPLICA alone"
        ))
    );
}

#[test]
fn a_service_that_is_packed_says_when_it_is_looked_at_and_what_moves() {
    let mut world = World::new();
    world.host(100);
    world.host(100);
    let tags = json!([{"key": "roadstead:rebalance", "value": "binpack"}]);
    let request = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 2, "tags": tags,
        "placementStrategy": [{"type": "binpack", "field": "memory"}]});
    world.call(create_service, request).unwrap();
    world.obey();
    let said = told(&world, Kind::Service, "s");
    assert_eq!(said.because[0], "it has reached a steady state");
    assert!(has(&said.because, "fit onto fewer container instances is looked at again at 2023-"), "{said:?}");
    assert!(said.waits_for.is_empty() && !has(&said.because, "zones"), "{said:?}");
}

#[test]
fn a_service_with_a_strategy_is_refused_by_what_is_of_no_provider_of_it() {
    let mut world = World::new();
    world.providers(&["own", "other"]);
    world.host(10_000);
    world.host_of("own", 150);
    let strategy = json!([{"capacityProvider": "own", "weight": 1}]);
    let request = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 2, "capacityProviderStrategy": strategy});
    world.call(create_service, request).unwrap();
    let said = told(&world, Kind::Service, "s");
    let refused: Vec<(&str, usize)> =
        said.refused.iter().map(|one| (one.reason.as_str(), one.container_instances)).collect();
    assert_eq!(refused, [("ATTRIBUTE", 1), ("RESOURCE:MEMORY", 1)]);
    assert!(has(&said.would_change, "a container instance of capacity provider own"), "{said:?}");
}

#[test]
fn a_task_in_provisioning_says_how_long_and_who_refuses_it() {
    let mut world = World::new();
    let request = json!({"name": "p", "autoScalingGroupProvider": {
        "autoScalingGroupArn": "p", "managedScaling": {"status": "ENABLED"}}});
    let (ctx, create) = (world.ctx.clone(), crate::account::providers::create);
    crate::testing::on_account(&mut world.account, &ctx, |txn| {
        create(txn, crate::testing::from(request), None)
    })
    .unwrap();
    let put = json!({"cluster": "c", "capacityProviders": ["p"], "defaultCapacityProviderStrategy": []});
    world.call(attach::put_cluster_capacity_providers, put).unwrap();
    world.host(10_000);
    let request = json!({"taskDefinition": "web", "capacityProviderStrategy": [{"capacityProvider": "p", "weight": 1}]});
    world.call(run_task, request).unwrap();
    let said = told(&world, Kind::Task, &world.live()[0]);
    assert_eq!(said.state, "PROVISIONING, to be RUNNING");
    assert!(has(&said.because, "no container instance of capacity provider p"), "{said:?}");
    assert!(has(&said.waits_for, "it fails where there is none until 2023-"), "{said:?}");
    assert_eq!(said.refused.len(), 1, "{said:?}");
}

#[test]
fn a_daemon_says_where_it_belongs_and_what_is_missing() {
    let mut world = World::new();
    world.provider("p");
    let host = world.host_of("p", 10_000);
    world.define_daemon("agent", json!({}));
    let request = json!({
        "daemonName": "d",
        "daemonTaskDefinitionArn": "agent",
        "capacityProviderArns": ["p"],
    });
    world.call(crate::daemon::change::create_daemon, request).unwrap();
    let said = told(&world, Kind::Daemon, "d");
    assert_eq!(said.state, "ACTIVE, running 0, pending 1");
    assert!(has(&said.because, "it belongs on 1 container instance"), "{said:?}");
    assert!(has(&told(&world, Kind::Instance, &host).waits_for, "its critical daemons: d ("));
    let task = world.live().remove(0);
    world.report(&task, "RUNNING", None);
    world.pass(24 * 60 * 60_000);
    let said = told(&world, Kind::Daemon, "d");
    assert!(has(&said.because, "its task runs on each of them") && said.waits_for.is_empty(), "{said:?}");
    world.report(&task, "STOPPED", Some(1));
    assert!(has(&told(&world, Kind::Task, &task).would_change, "`roadstead explain daemon d`"));
    assert_eq!(
        explain(&world.state, &world.account, &world.ctx, Kind::Daemon, "x").unwrap_err().code(),
        "DaemonNotFoundException"
    );
}
