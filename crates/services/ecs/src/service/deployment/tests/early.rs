//! Deployments that succeed before all of their tasks are there, or those before them gone.

use super::*;
use crate::{cluster::TaskStatus, service::configuration, task::protection::update_task_protection};

fn criteria(percent: i32, cleanup: &str) -> Value {
    json!({"enable": true, "healthyPercent": percent, "sourceServiceRevisionCleanup": cleanup})
}

/// A service of ten tasks of `web:1` that is steady, whose next deployments succeed early.
fn steady(world: &mut World, cleanup: &str, more: Value) {
    world.host(100_000);
    create(world, 10, json!({}));
    world.obey();
    let mut of = json!({"minimumHealthyPercent": 50, "earlySuccessCriteria": criteria(80, cleanup)});
    of.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    update(world, json!({"deploymentConfiguration": of}));
}

/// The tasks that shall run of a definition, those that do not run yet first.
fn of(world: &World, definition: &str) -> Vec<String> {
    let mut all = world.live();
    all.retain(|id| world.task(id).task_definition_arn.unwrap().ends_with(definition));
    all.sort_by_key(|id| world.task(id).last_status.unwrap() == "RUNNING");
    all
}

/// So many tasks of `web:2` start to run.
fn run(world: &mut World, tasks: usize) {
    for task in of(world, "web:2").into_iter().take(tasks) {
        world.report(&task, "RUNNING", None);
    }
}

/// What was to be stopped is.
fn stop_all(world: &mut World) {
    let stops = |world: &World| {
        let mut tasks = world.state.tasks();
        let stops = |task: &&std::sync::Arc<crate::cluster::TaskRow>| {
            task.desired == crate::cluster::Desired::Stopped && task.last != TaskStatus::Stopped
        };
        tasks.find(stops).map(|task| task.id.to_string())
    };
    while let Some(id) = stops(world) {
        world.report(&id, "STOPPED", Some(143));
    }
}

fn status(world: &World) -> (Status, String) {
    let newest = deployments(world).remove(0);
    (newest.status.unwrap(), newest.lifecycle_stage.unwrap().as_str().to_owned())
}

#[test]
fn the_percentage_is_rounded_up_and_never_nothing() {
    let early = |percent: i32| {
        let given = crate::cluster::DeploymentEarlySuccessCriteria {
            enable: true,
            healthy_percent: Some(percent),
            source_service_revision_cleanup: None,
        };
        let all = crate::cluster::DeploymentConfiguration {
            early_success_criteria: Some(given),
            ..Default::default()
        };
        configuration::early(&all).unwrap()
    };
    for (desired, percent, enough) in
        [(2, 50, 1), (3, 50, 2), (10, 80, 8), (100, 90, 90), (10, 100, 10), (10, 0, 1), (0, 100, 0)]
    {
        assert_eq!(early(percent).enough(desired), enough, "{percent} % of {desired}");
    }
}

#[test]
fn it_succeeds_with_enough_tasks_once_those_before_them_are_gone() {
    let mut world = World::new();
    steady(&mut world, "BLOCKING", json!({}));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    run(&mut world, 7);
    assert_eq!(status(&world), (Status::InProgress, "SCALE_UP".to_owned()));
    run(&mut world, 1);
    // Enough, so all of those before them go, not only as many as are replaced.
    assert_eq!(status(&world), (Status::InProgress, "CLEAN_UP".to_owned()));
    assert_eq!((of(&world, "web:1").len(), of(&world, "web:2").len()), (0, 10));
    stop_all(&mut world);
    assert_eq!(status(&world), (Status::Successful, "CLEAN_UP".to_owned()));
    let shown = deployments(&world).remove(0);
    let target = shown.target_service_revision.unwrap();
    assert_eq!((target.requested_task_count, target.running_task_count), (Some(10), Some(8)));
    let early = serde_json::to_value(shown.deployment_configuration.unwrap()).unwrap();
    assert_eq!(early["earlySuccessCriteria"], criteria(80, "BLOCKING"));
    // The others come outside of the deployment.
    world.obey();
    assert_eq!(counts(&world.service("s")), (10, 10, 0));
    assert_eq!(world.events("s").last().unwrap(), "has reached a steady state.");
}

#[test]
fn it_succeeds_before_those_before_it_are_gone_where_that_is_deferred() {
    let mut world = World::new();
    steady(&mut world, "DEFERRED", json!({}));
    let kept = world.live().remove(0);
    world.call(update_task_protection, json!({"tasks": [kept], "protectionEnabled": true})).unwrap();
    update(&mut world, json!({"taskDefinition": "web:2"}));
    run(&mut world, 8);
    assert_eq!(status(&world), (Status::Successful, "CLEAN_UP".to_owned()));
    world.obey();
    assert_eq!(of(&world, "web:1"), std::slice::from_ref(&kept), "as long as it is protected");
    assert_eq!(world.service("s").deployments.unwrap().len(), 2);
    world.call(update_task_protection, json!({"tasks": [kept], "protectionEnabled": false})).unwrap();
    world.obey();
    assert_eq!(counts(&world.service("s")), (10, 10, 0));
    assert_eq!(world.service("s").deployments.unwrap().len(), 1);
}

#[test]
fn what_it_replaces_stays_as_long_as_minimum_healthy_percent_asks_for_it_that_was_raised_meanwhile() {
    let mut world = World::new();
    steady(&mut world, "BLOCKING", json!({}));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    let stricter = json!({"minimumHealthyPercent": 100, "earlySuccessCriteria": {"enable": false}});
    update(&mut world, json!({"deploymentConfiguration": stricter}));
    run(&mut world, 8);
    assert_eq!(status(&world), (Status::InProgress, "CLEAN_UP".to_owned()));
    assert_eq!((of(&world, "web:1").len(), of(&world, "web:2").len()), (2, 10));
    run(&mut world, 2);
    world.obey();
    assert_eq!(status(&world), (Status::Successful, "CLEAN_UP".to_owned()));
    assert_eq!(counts(&world.service("s")), (10, 10, 0));
}

#[test]
fn bake_time_and_circuit_breaker_come_first() {
    let mut world = World::new();
    let breaker = json!({"enable": true, "rollback": true});
    steady(&mut world, "DEFERRED", json!({"bakeTimeInMinutes": 5, "deploymentCircuitBreaker": breaker}));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    run(&mut world, 8);
    assert_eq!(status(&world).1, "SCALE_UP", "until they have lived for long enough");
    world.pass(limits::HEALTHY_AFTER_MS);
    assert_eq!(status(&world), (Status::InProgress, "BAKE_TIME".to_owned()));
    assert!(!of(&world, "web:1").is_empty());
    world.pass(5 * 60_000);
    assert_eq!(status(&world), (Status::Successful, "CLEAN_UP".to_owned()));
    // From now on nothing is rolled back.
    for _ in 0..20 {
        let Some(task) = of(&world, "web:2").into_iter().next() else { break };
        world.report(&task, "STOPPED", Some(1));
        world.pass(limits::SHORT_LIFE_MS);
    }
    assert_eq!(status(&world).0, Status::Successful);
    assert!(deployments(&world).remove(0).rollback.is_none());
}

#[test]
fn tasks_that_crash_behind_those_that_are_enough_start_with_pauses_between() {
    let mut world = World::new();
    let hook = json!([{"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}]);
    steady(&mut world, "BLOCKING", json!({"lifecycleHooks": hook}));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    run(&mut world, 8);
    world.pass(120_000);
    assert_eq!(status(&world), (Status::InProgress, "POST_SCALE_UP".to_owned()));
    let mut crashes = 0;
    while let Some(task) =
        of(&world, "web:2").into_iter().find(|id| world.task(id).last_status.unwrap() != "RUNNING")
    {
        world.report(&task, "STOPPED", Some(1));
        crashes += 1;
        assert!(crashes < 20, "each is followed by the next one at once");
    }
}
