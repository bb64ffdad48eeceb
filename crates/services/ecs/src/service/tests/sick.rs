//! What becomes of tasks whose health checks fail: others take their place first.

use super::*;
use crate::task::protection;

/// A service of tasks whose health is checked, all of them HEALTHY, on a container instance with room for so many.
fn healthy(world: &mut World, desired: i32, room: i32, more: Value) -> Vec<String> {
    world.host(room * 100);
    let mut request = json!({"taskDefinition": "checked:1"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    create(world, desired, request);
    world.obey();
    world.live().iter().for_each(|task| verdict(world, task, HealthStatus::Healthy));
    assert_eq!(world.events("s").last().unwrap(), "has reached a steady state.");
    world.pass(120_000);
    world.live()
}

/// The service is believed to be steady again once its tasks have lived for a while.
fn settles(world: &mut World) {
    world.obey();
    world.pass(120_000);
    assert_eq!(world.events("s").last().unwrap(), "has reached a steady state.");
}

fn fresh(world: &World, old: &[String]) -> Vec<String> {
    world.live().into_iter().filter(|task| !old.contains(task)).collect()
}

#[test]
fn a_sick_task_stays_until_a_healthy_one_is_there() {
    let mut world = World::new();
    let old = healthy(&mut world, 2, 10, json!({}));
    verdict(&mut world, &old[0], HealthStatus::Unhealthy);
    let new = fresh(&world, &old);
    assert_eq!((world.live().len(), new.len()), (3, 1));
    world.obey();
    // The same verdict again says nothing new.
    verdict(&mut world, &old[0], HealthStatus::Unhealthy);
    assert_eq!(world.live().len(), 3, "the new one is not HEALTHY yet");
    verdict(&mut world, &new[0], HealthStatus::Healthy);
    assert_eq!(world.live(), [old[1].clone(), new[0].clone()]);
    let task = world.task(&old[0]);
    assert_eq!(task.stopped_reason.as_deref(), Some("Task failed container health checks"));
    assert_eq!(task.stop_code.unwrap().as_str(), "ServiceSchedulerInitiated");
    settles(&mut world);
    let events = world.events("s");
    assert_eq!(events.iter().filter(|event| event.contains("failed container health checks")).count(), 1);
}

#[test]
fn one_that_becomes_healthy_again_stays_and_what_was_to_replace_it_goes() {
    let mut world = World::new();
    let old = healthy(&mut world, 2, 10, json!({}));
    verdict(&mut world, &old[0], HealthStatus::Unhealthy);
    world.obey();
    verdict(&mut world, &old[0], HealthStatus::Healthy);
    assert_eq!(world.live(), old);
    settles(&mut world);
}

#[test]
fn where_no_more_may_run_they_are_replaced_one_after_the_other() {
    let mut world = World::new();
    let bounds = json!({"deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 100}});
    let old = healthy(&mut world, 3, 10, bounds);
    for task in &old {
        verdict(&mut world, task, HealthStatus::Unhealthy);
    }
    for replaced in 1..=3 {
        world.pass(120_000);
        world.obey();
        let new = fresh(&world, &old);
        assert_eq!((world.live().len(), new.len()), (3, replaced));
        verdict(&mut world, new.last().unwrap(), HealthStatus::Healthy);
    }
    settles(&mut world);
}

#[test]
fn where_there_is_no_room_they_make_it_one_after_the_other() {
    let mut world = World::new();
    let old = healthy(&mut world, 3, 3, json!({}));
    for task in &old {
        verdict(&mut world, task, HealthStatus::Unhealthy);
    }
    for replaced in 1..=3 {
        world.pass(120_000);
        assert_eq!((world.live().len(), fresh(&world, &old).len()), (2, replaced - 1), "one goes");
        world.obey();
        world.pass(120_000);
        let new = fresh(&world, &old);
        assert_eq!((world.live().len(), new.len()), (3, replaced), "and its place is taken");
        verdict(&mut world, new.last().unwrap(), HealthStatus::Healthy);
    }
    settles(&mut world);
}

/// A task is protected from being scaled in, not from being replaced for its health.
#[test]
fn protection_keeps_no_sick_task() {
    let mut world = World::new();
    let old = healthy(&mut world, 1, 10, json!({}));
    let protect = json!({"tasks": [old[0]], "protectionEnabled": true});
    world.call(protection::update_task_protection, protect).unwrap();
    verdict(&mut world, &old[0], HealthStatus::Unhealthy);
    world.obey();
    let new = fresh(&world, &old);
    verdict(&mut world, &new[0], HealthStatus::Healthy);
    assert_eq!(world.live(), new);
}

/// Where new ones become UNHEALTHY, too, their starts are spaced out, and what there is stays meanwhile.
#[test]
fn a_service_whose_tasks_are_all_sick_is_not_emptied() {
    let mut world = World::new();
    healthy(&mut world, 2, 10, json!({}));
    let (mut most, mut rounds) = (0, 0);
    while rounds < 60 {
        rounds += 1;
        world.obey();
        let live = world.live();
        assert!((2..=4).contains(&live.len()), "{} tasks", live.len());
        most = most.max(live.len());
        for task in &live {
            verdict(&mut world, task, HealthStatus::Unhealthy);
        }
        assert!(world.live().len() >= 2, "{} tasks", world.live().len());
        if let Some(wake) = world.state.agenda().wake_at() {
            world.pass(wake.millis_since(world.ctx.now).clamp(0, 30_000));
        }
    }
    assert_eq!(most, 4);
}

#[test]
fn one_that_ends_by_itself_afterwards_has_failed_once() {
    let mut world = World::new();
    let old = healthy(&mut world, 1, 10, json!({}));
    verdict(&mut world, &old[0], HealthStatus::Unhealthy);
    let failures = |world: &World| {
        let service = world.state.service(&"s".into()).unwrap();
        service.deployments[0].consecutive_failures
    };
    assert_eq!(failures(&world), 1);
    world.report(&old[0], "STOPPED", Some(1));
    assert_eq!(failures(&world), 1);
}
