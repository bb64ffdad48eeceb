//! What becomes of tasks whose health checks fail, with time and without.

use serde_json::{Value, json};

use crate::{
    cluster::HealthStatus,
    limits,
    service::{
        create,
        tests::{counts, update, verdict},
        update::update_service,
    },
    testing::{World, refusal},
};

fn checked(world: &mut World, desired: i32, more: Value) {
    let mut request = json!({"serviceName": "s", "taskDefinition": "checked:1", "desiredCount": desired});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call(create::create_service, request).unwrap();
    world.obey();
}

#[test]
fn a_task_has_time_to_become_healthy() {
    let mut world = World::new();
    world.host(100_000);
    checked(&mut world, 2, json!({"healthCheckGracePeriodSeconds": 60}));
    assert_eq!(world.service("s").health_check_grace_period_seconds, Some(60));
    let live = world.live();
    world.pass(10_000);
    for task in &live {
        verdict(&mut world, task, HealthStatus::Unhealthy);
    }
    assert_eq!(world.live(), live, "that does not count yet");
    assert_eq!(world.task(&live[0]).health_status.unwrap().as_str(), "UNHEALTHY");
    world.pass(20_000);
    verdict(&mut world, &live[0], HealthStatus::Healthy);
    world.pass(30_000 - 1);
    assert_eq!(world.live(), live);
    world.pass(1);
    world.obey();
    let new = world.live().pop().unwrap();
    verdict(&mut world, &new, HealthStatus::Healthy);
    let left = world.live();
    assert!(left.contains(&live[0]) && !left.contains(&live[1]), "that one was UNHEALTHY still");
    assert!(world.events("s").contains(&"(task) failed container health checks.".to_owned()));
    // Later than that it counts at once.
    world.obey();
    verdict(&mut world, &live[0], HealthStatus::Unhealthy);
    assert_eq!(world.live().len(), 3);
    world.obey();
    assert_eq!(counts(&world.service("s")), (2, 3, 0));
}

#[test]
fn a_period_that_is_changed_holds_for_what_runs() {
    let mut world = World::new();
    world.host(100_000);
    checked(&mut world, 1, json!({}));
    assert_eq!(world.service("s").health_check_grace_period_seconds, Some(0));
    let deployment = world.service("s").deployments.unwrap()[0].id.clone();
    update(&mut world, json!({"healthCheckGracePeriodSeconds": 3600}));
    assert_eq!(world.service("s").deployments.unwrap()[0].id, deployment, "no new deployment");
    let task = world.live().remove(0);
    verdict(&mut world, &task, HealthStatus::Unhealthy);
    world.pass(limits::PLACEMENT_RETRY_MS);
    assert_eq!(world.live(), std::slice::from_ref(&task));
    update(&mut world, json!({"healthCheckGracePeriodSeconds": 0}));
    verdict(&mut world, &task, HealthStatus::Unhealthy);
    assert_eq!(world.live().len(), 2);
    let refused =
        refusal(world.call(update_service, json!({"service": "s", "healthCheckGracePeriodSeconds": -1})));
    assert_eq!(refused.1, "healthCheckGracePeriodSeconds must be at least 0");
}

#[test]
fn a_clock_that_is_set_back_gives_no_more_time() {
    let mut world = World::new();
    world.host(100_000);
    checked(&mut world, 1, json!({"healthCheckGracePeriodSeconds": 60}));
    let task = world.live().remove(0);
    world.ctx.now = world.ctx.now.plus_millis(-86_400_000);
    verdict(&mut world, &task, HealthStatus::Unhealthy);
    assert_eq!(world.live().len(), 2);
}
