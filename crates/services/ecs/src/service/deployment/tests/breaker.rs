//! The circuit breaker: what it counts, when it gives a deployment up, and what becomes of the service.

use state::contract::Tells;

use super::*;
use crate::{
    cluster::{Desired, HealthStatus},
    service::tests::verdict,
};

const EXCEEDED: &str = "Service deployment rolled back because the circuit breaker threshold was exceeded.";

#[test]
fn a_deployment_whose_tasks_never_start_is_rolled_back() {
    let mut world = World::new();
    world.listened = true;
    rolling_to_2(&mut world, 2, rolling(true, true));
    let old = world.service("s").deployments.unwrap()[1].id.clone().unwrap();
    let new = primary(&world);
    assert_eq!(fail_to_start(&mut world, "web:2", 2), 2);
    let going = deployments(&world).remove(0);
    let breaker = going.deployment_circuit_breaker.unwrap();
    assert_eq!(
        (breaker.status.unwrap().as_str(), breaker.failure_count, breaker.threshold),
        ("MONITORING", Some(2), Some(3))
    );
    assert_eq!(listed(&world)[0].2, format!("ECS deployment {new} in progress."));
    assert_eq!(
        fail_to_start(&mut world, "web:2", 99),
        1,
        "the third is one too many, and none is started after it"
    );
    let shown = listed(&world);
    let back = format!("ECS deployment circuit breaker: rolling back to deploymentId {old}.");
    assert_eq!(shown[0], ("PRIMARY".to_owned(), DeploymentRolloutState::InProgress, back));
    world.obey();
    let ended = deployments(&world).remove(0);
    assert_eq!(
        (ended.status, ended.status_reason.as_deref()),
        (Some(Status::RollbackSuccessful), Some(EXCEEDED))
    );
    let breaker = ended.deployment_circuit_breaker.unwrap();
    assert_eq!(
        (breaker.status.unwrap().as_str(), breaker.failure_count, breaker.threshold),
        ("TRIGGERED", Some(3), Some(3))
    );
    let completed = format!("ECS deployment {old} completed.");
    assert_eq!(listed(&world), [("PRIMARY".to_owned(), DeploymentRolloutState::Completed, completed)]);
    assert_eq!(counts(&world.service("s")), (2, 2, 0));
    let messages: Vec<String> =
        world.state.service_events(&"s".into()).map(|event| event.message.clone()).collect();
    let said = |text: String| messages.iter().any(|message| *message == format!("(service s) {text}"));
    assert!(said(format!("(deployment {new}) deployment failed: tasks failed to start.")), "{messages:?}");
    assert!(said(format!("rolling back to deployment {old}.")), "{messages:?}");
    let told: Vec<(String, String)> = world
        .state
        .outgoing()
        .waiting()
        .filter(|event| event.detail["deploymentId"].is_string())
        .map(|event| {
            (
                event.detail["eventName"].as_str().unwrap().to_owned(),
                event.detail["reason"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let failed = "ECS deployment circuit breaker: tasks failed to start.";
    assert!(told.contains(&("SERVICE_DEPLOYMENT_FAILED".to_owned(), failed.to_owned())), "{told:?}");
    // The next one may fail, and be rolled back, again.
    update(&mut world, json!({"taskDefinition": "web:2"}));
    assert_eq!(fail_to_start(&mut world, "web:2", 99), 3);
    world.obey();
    assert_eq!(statuses(&world)[0].0, Status::RollbackSuccessful);
}

#[test]
fn without_rollback_a_deployment_that_fails_stands_still() {
    let mut world = World::new();
    rolling_to_2(&mut world, 2, rolling(true, false));
    let failed = fail_to_start(&mut world, "web:2", 99);
    assert_eq!(failed, 4, "one was on its way when the third failed");
    let stopped = deployments(&world).remove(0);
    let reason = "Service deployment stopped because the circuit breaker threshold was exceeded.";
    assert_eq!((stopped.status, stopped.status_reason.as_deref()), (Some(Status::Stopped), Some(reason)));
    assert!(stopped.stopped_at.is_some());
    let failed = "ECS deployment circuit breaker: tasks failed to start.";
    let shown = listed(&world);
    assert_eq!(shown[0], ("PRIMARY".to_owned(), DeploymentRolloutState::Failed, failed.to_owned()));
    assert_eq!(shown[1].0, "ACTIVE");
    // What runs goes on; nothing is started, not even where something ends or more is wanted.
    update(&mut world, json!({"desiredCount": 3}));
    world.pass(600_000);
    assert_eq!(counts(&world.service("s")), (3, 2, 0));
    let one = world.live().remove(0);
    world.report(&one, "STOPPED", Some(0));
    assert_eq!(counts(&world.service("s")), (3, 1, 0));
    // Another deployment moves on.
    update(&mut world, json!({"taskDefinition": "web:1"}));
    world.obey();
    world.pass(limits::HEALTHY_AFTER_MS);
    assert_eq!(counts(&world.service("s")), (3, 3, 0));
    assert_eq!(statuses(&world)[0], (Status::Successful, None));
}

#[test]
fn a_first_deployment_has_nothing_to_be_rolled_back_to() {
    let mut world = World::new();
    world.host(10_000);
    create(&mut world, 1, rolling(true, true));
    assert_eq!(fail_to_start(&mut world, "web:1", 99), 3);
    let reason = "No rollback candidate was found to run the rollback.";
    assert_eq!(statuses(&world), [(Status::RollbackFailed, Some(reason.to_owned()))]);
    assert_eq!(listed(&world)[0].1, DeploymentRolloutState::Failed);
    assert_eq!(world.service("s").current_service_deployment, None);
}

/// As the developer guide has it: a deployment that is rolled back to is no candidate until it is COMPLETED again.
#[test]
fn a_rollback_is_never_rolled_back() {
    let mut world = World::new();
    // The old task goes before a new one comes.
    let mut configuration = rolling(true, true);
    configuration["deploymentConfiguration"]["minimumHealthyPercent"] = json!(0);
    configuration["deploymentConfiguration"]["maximumPercent"] = json!(100);
    rolling_to_2(&mut world, 1, configuration);
    let old = world.state.tasks().find(|task| task.desired == Desired::Stopped).unwrap().id.to_string();
    world.report(&old, "STOPPED", Some(0));
    assert_eq!(fail_to_start(&mut world, "web:2", 99), 3);
    // The way back fails too, and is tried again, as often as it needs.
    assert_eq!(fail_to_start(&mut world, "web:1", 5), 5);
    assert_eq!(statuses(&world)[0], (Status::RollbackInProgress, Some(EXCEEDED.to_owned())));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    assert_eq!(statuses(&world)[1].0, Status::RollbackFailed, "it was overtaken on its way");
    assert_eq!(fail_to_start(&mut world, "web:2", 99), 3);
    assert_eq!(statuses(&world)[0].0, Status::RollbackFailed);
}

#[test]
fn a_healthy_task_begins_the_count_anew_unless_failures_add_up() {
    for (resets, failures) in [(None, 1), (Some(true), 1), (Some(false), 3)] {
        for definition in ["web", "checked"] {
            let mut world = World::new();
            world.host(100_000);
            let breaker = json!({"enable": true, "rollback": false, "resetOnHealthyTask": resets,
                "thresholdConfiguration": {"type": "COUNT", "value": 9}});
            let configuration = json!({"deploymentConfiguration": {"deploymentCircuitBreaker": breaker},
                "taskDefinition": format!("{definition}:1")});
            create(&mut world, 3, configuration);
            assert_eq!(fail_to_start(&mut world, ":1", 2), 2);
            let one = world.live().remove(0);
            world.report(&one, "RUNNING", None);
            if definition == "checked" {
                verdict(&mut world, &one, HealthStatus::Healthy);
            } else {
                world.pass(limits::HEALTHY_AFTER_MS);
            }
            assert_eq!(fail_to_start(&mut world, ":1", 1), 1);
            let breaker = deployments(&world).remove(0).deployment_circuit_breaker.unwrap();
            assert_eq!(breaker.failure_count, Some(failures), "{definition} {resets:?}");
        }
    }
}

#[test]
fn what_starts_and_is_never_healthy_counts() {
    // Its health check fails, or it ends before it was healthy.
    for (definition, fails) in [("checked", true), ("checked", false), ("web", false)] {
        let mut world = World::new();
        world.host(10_000);
        let configuration = rolling(true, true);
        create(
            &mut world,
            1,
            json!({"taskDefinition": format!("{definition}:1"),
            "deploymentConfiguration": configuration["deploymentConfiguration"]}),
        );
        for _ in 0..3 {
            world.pass(limits::BACKOFF_LONGEST_MS);
            let one = world.live().pop().unwrap();
            world.report(&one, "RUNNING", None);
            assert_eq!(listed(&world)[0].1, DeploymentRolloutState::InProgress, "it is not believed yet");
            match fails {
                true => verdict(&mut world, &one, HealthStatus::Unhealthy),
                false => world.report(&one, "STOPPED", Some(1)),
            }
        }
        assert_eq!(listed(&world)[0].1, DeploymentRolloutState::Failed, "{definition} {fails}");
    }
}

#[test]
fn what_was_healthy_and_ends_does_not_count() {
    let mut world = World::new();
    world.host(10_000);
    create(&mut world, 2, rolling(true, true));
    for _ in 0..4 {
        world.pass(limits::BACKOFF_LONGEST_MS);
        let one = world.live().remove(0);
        world.report(&one, "RUNNING", None);
        world.pass(limits::HEALTHY_AFTER_MS);
        world.report(&one, "STOPPED", Some(1));
    }
    let breaker = deployments(&world).remove(0).deployment_circuit_breaker.unwrap();
    assert_eq!(breaker.failure_count, Some(0));
}

#[test]
fn a_breaker_that_is_turned_on_late_counts_what_has_failed() {
    let mut world = World::new();
    rolling_to_2(&mut world, 1, rolling(false, true));
    assert_eq!(fail_to_start(&mut world, "web:2", 4), 4);
    let breaker = deployments(&world).remove(0).deployment_circuit_breaker.unwrap();
    assert_eq!((breaker.status.unwrap().as_str(), breaker.failure_count), ("DISABLED", Some(4)));
    let shown = update(&mut world, rolling(true, true)).deployment_configuration.unwrap();
    assert!(shown.deployment_circuit_breaker.unwrap().rollback);
    world.obey();
    assert_eq!(statuses(&world)[0].0, Status::RollbackSuccessful);
}
