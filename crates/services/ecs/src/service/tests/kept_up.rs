//! What a service runs is kept up while a deployment replaces it.

use super::*;

/// A service that is steady with its first revision, and its tasks.
fn steady(world: &mut World, desired: i32, definition: &str, more: Value) -> Vec<String> {
    let mut request = json!({"taskDefinition": definition});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    create(world, desired, request);
    world.obey();
    world.live().iter().for_each(|task| verdict(world, task, HealthStatus::Healthy));
    // Long enough that what ends from now on did not fail to start.
    world.pass(120_000);
    world.live()
}

/// The tasks of a revision that shall run.
fn of(world: &World, definition: &str) -> Vec<String> {
    let is = |task: &String| {
        world.task(task).task_definition_arn.unwrap().ends_with(&format!("task-definition/{definition}"))
    };
    world.live().into_iter().filter(is).collect()
}

/// So many tasks of two revisions.
fn both(world: &World, old: &str, new: &str) -> (usize, usize) {
    (of(world, old).len(), of(world, new).len())
}

fn running(world: &mut World, tasks: &[String]) {
    tasks.iter().for_each(|task| world.report(task, "RUNNING", None));
}

#[test]
fn what_is_lost_of_it_is_made_up_for_while_the_new_revision_does_not_start() {
    let mut world = World::new();
    world.host(10_000);
    let old = steady(&mut world, 3, "web:1", json!({}));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    assert_eq!(both(&world, "web:1", "web:2"), (3, 3));
    // One after the other, and then all at once.
    for task in &old {
        world.report(task, "STOPPED", Some(1));
        assert_eq!(both(&world, "web:1", "web:2"), (3, 3));
    }
    let again = of(&world, "web:1");
    running(&mut world, &again);
    let all: Vec<_> = again.iter().map(|task| (task.clone(), "STOPPED")).collect();
    all.iter().for_each(|(task, status)| world.report(task, status, Some(1)));
    world.pass(600_000);
    assert_eq!(both(&world, "web:1", "web:2"), (3, 3), "their starts may be spaced out");
    assert_eq!(world.service("s").deployments.unwrap().len(), 2);
    // Once the new ones run the old ones go, also those that have not started, and none comes again.
    let new = of(&world, "web:2");
    running(&mut world, &new);
    world.obey();
    world.pass(600_000);
    assert_eq!(both(&world, "web:1", "web:2"), (0, 3));
    let deployments = world.service("s").deployments.unwrap();
    assert_eq!(
        (deployments.len(), deployments[0].rollout_state.as_ref().unwrap().as_str()),
        (1, "COMPLETED")
    );
}

#[test]
fn what_the_deployment_has_replaced_is_not_made_up_for() {
    let mut world = World::new();
    world.host(10_000);
    let bounds = json!({"deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 100}});
    let old = steady(&mut world, 4, "web:1", bounds);
    update(&mut world, json!({"taskDefinition": "web:2"}));
    assert_eq!(both(&world, "web:1", "web:2"), (2, 2), "two went to make room");
    let left: Vec<_> = old.iter().filter(|task| world.live().contains(task)).cloned().collect();
    world.report(&left[0], "STOPPED", Some(1));
    assert_eq!(both(&world, "web:1", "web:2"), (2, 2));
    // A new one that ends is made up for with a new one.
    let new = of(&world, "web:2");
    world.report(&new[0], "RUNNING", None);
    world.report(&new[0], "STOPPED", Some(1));
    assert_eq!(both(&world, "web:1", "web:2"), (2, 2));
    world.obey();
    world.pass(60_000);
    world.obey();
    assert_eq!(both(&world, "web:1", "web:2"), (0, 4));
}

#[test]
fn a_new_task_that_is_lost_after_it_took_the_place_of_one_is_made_up_for_with_a_new_one() {
    let mut world = World::new();
    world.host(10_000);
    steady(&mut world, 2, "web:1", json!({}));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    let new = of(&world, "web:2");
    running(&mut world, &new[..1]);
    assert_eq!(both(&world, "web:1", "web:2"), (1, 2));
    world.report(&new[0], "STOPPED", Some(1));
    assert_eq!(both(&world, "web:1", "web:2"), (1, 2));
}

#[test]
fn one_whose_health_checks_fail_is_replaced_with_its_own_revision() {
    let mut world = World::new();
    world.host(10_000);
    let old = steady(&mut world, 2, "checked:1", json!({"deploymentConfiguration": {"maximumPercent": 300}}));
    update(&mut world, json!({"taskDefinition": "checked:2"}));
    world.obey();
    verdict(&mut world, &old[0], HealthStatus::Unhealthy);
    assert_eq!(both(&world, "checked:1", "checked:2"), (3, 2));
    world.obey();
    assert_eq!(both(&world, "checked:1", "checked:2"), (3, 2), "it stays until the other one is HEALTHY");
    let fresh: Vec<_> = of(&world, "checked:1").into_iter().filter(|task| !old.contains(task)).collect();
    verdict(&mut world, &fresh[0], HealthStatus::Healthy);
    assert_eq!(both(&world, "checked:1", "checked:2"), (2, 2));
    assert!(!world.live().contains(&old[0]));
    for task in of(&world, "checked:2") {
        verdict(&mut world, &task, HealthStatus::Healthy);
    }
    world.obey();
    assert_eq!(both(&world, "checked:1", "checked:2"), (0, 2));
}

#[test]
fn scaling_out_gives_more_of_both() {
    let mut world = World::new();
    world.host(10_000);
    let old = steady(&mut world, 2, "web:1", json!({}));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    running(&mut world, &old);
    update(&mut world, json!({"desiredCount": 5}));
    assert_eq!(both(&world, "web:1", "web:2"), (5, 5));
    // Fewer again: those that have not started go first.
    update(&mut world, json!({"desiredCount": 2}));
    world.obey();
    world.pass(60_000);
    world.obey();
    assert_eq!(both(&world, "web:1", "web:2"), (0, 2));
}

/// A change of the count that comes with the new revision is for that one.
#[test]
fn a_deployment_that_scales_out_begins_with_as_many_as_there_were() {
    let mut world = World::new();
    world.host(10_000);
    let old = steady(&mut world, 2, "web:1", json!({}));
    update(&mut world, json!({"taskDefinition": "web:2", "desiredCount": 4}));
    assert_eq!(both(&world, "web:1", "web:2"), (2, 4));
    world.report(&old[0], "STOPPED", Some(1));
    assert_eq!(both(&world, "web:1", "web:2"), (2, 4));
}

#[test]
fn a_deployment_in_place_of_one_that_has_not_ended_keeps_up_what_that_one_left() {
    let mut world = World::new();
    world.host(10_000);
    let old = steady(&mut world, 3, "web:1", json!({}));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    let new = of(&world, "web:2");
    running(&mut world, &new[..1]);
    assert_eq!(both(&world, "web:1", "web:2"), (2, 3));
    update(&mut world, json!({"taskDefinition": "checked:1"}));
    let left: Vec<_> = old.iter().filter(|task| world.live().contains(task)).cloned().collect();
    world.report(&left[0], "STOPPED", Some(1));
    assert_eq!(of(&world, "web:1").len(), 2);
}

#[test]
fn tasks_on_a_drained_container_instance_are_replaced_with_their_own_revision_once() {
    let mut world = World::new();
    let one = world.host(300);
    let old = steady(&mut world, 2, "web:1", json!({}));
    world.host(10_000);
    update(&mut world, json!({"taskDefinition": "web:2"}));
    drain(&mut world, &one);
    let on_other =
        |world: &World, task: &String| !world.task(task).container_instance_arn.unwrap().ends_with(&one);
    let elsewhere: Vec<_> = of(&world, "web:1").into_iter().filter(|task| on_other(&world, task)).collect();
    assert!(old.len() == 2 && elsewhere.len() <= 2);
    world.obey();
    world.pass(60_000);
    world.obey();
    assert_eq!(both(&world, "web:1", "web:2"), (0, 2));
    assert_eq!(world.service("s").deployments.unwrap().len(), 1);
}
