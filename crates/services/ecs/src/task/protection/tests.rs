//! Protection of tasks on a small cluster: what it is refused for, what it keeps from being stopped, and how it ends.

use serde_json::{Value, json};
use state::Domain;

use super::*;
use crate::{
    cluster::Key,
    instance::state::update_container_instances_state,
    service::{
        delete::delete_service,
        tests::{counts, create, update},
    },
    task::{run, stop},
    testing::{World, refusal},
};

/// A service `s` of so many tasks that run, on hosts of so many MiB.
fn world(tasks: i32, hosts: &[i32]) -> (World, Vec<String>) {
    let mut world = World::new();
    let hosts = hosts.iter().map(|memory| world.host(*memory)).collect();
    create(&mut world, tasks, json!({}));
    world.obey();
    (world, hosts)
}

fn change(world: &mut World, request: Value) -> ecs::UpdateTaskProtectionResponse {
    let mut all = json!({"cluster": "c"});
    all.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
    world.call(update_task_protection, all).unwrap()
}

/// Protects tasks for two hours; the reasons of those that are not.
fn protect(world: &mut World, tasks: &[String]) -> Vec<String> {
    let reply = change(world, json!({"tasks": tasks, "protectionEnabled": true}));
    reply.failures.unwrap().into_iter().filter_map(|failure| failure.reason).collect()
}

/// Whether tasks are protected, and for how many seconds, in order.
fn told(world: &World, tasks: &[String]) -> Vec<(bool, Option<i64>)> {
    let reply = world.look(get_task_protection, json!({"cluster": "c", "tasks": tasks})).unwrap();
    assert_eq!(reply.failures, Some(Vec::new()));
    let left = |task: &ecs::ProtectedTask| {
        let left = task.expiration_date.map(|at| at.millis_since(world.ctx.now) / 1000);
        (task.protection_enabled.unwrap(), left)
    };
    reply.protected_tasks.unwrap().iter().map(left).collect()
}

/// How many tasks wait for a time.
fn waiting(world: &World) -> usize {
    world.state.agenda().timers().filter(|(_, key)| matches!(key, Key::Task(_))).count()
}

#[test]
fn a_request_is_checked() {
    let (mut world, _) = world(1, &[1000]);
    let many = |count: usize| vec!["0".repeat(32); count];
    for (request, words) in [
        (json!({"tasks": []}), "Tasks cannot be empty."),
        (json!({"tasks": many(11)}), "Tasks cannot have more than 10 elements."),
        (json!({"tasks": many(1), "expiresInMinutes": 0}), "expiresInMinutes must be between 1 and 2880."),
        (json!({"tasks": many(1), "expiresInMinutes": 2881}), "expiresInMinutes must be between 1 and 2880."),
    ] {
        let refused = refusal(world.call(update_task_protection, request));
        assert_eq!(refused, ("InvalidParameterException".to_owned(), words.to_owned()));
    }
    for (request, words) in [
        (json!({}), "Tasks cannot be empty."),
        (json!({"tasks": many(101)}), "Tasks cannot have more than 100 elements."),
    ] {
        let refused = refusal(world.look(get_task_protection, request));
        assert_eq!(refused, ("InvalidParameterException".to_owned(), words.to_owned()));
    }
}

#[test]
fn only_tasks_of_services_that_shall_run_are_protected() {
    let (mut world, _) = world(2, &[1000]);
    let of_service = world.live();
    let alone = world.call(run::run_task, json!({"taskDefinition": "web"})).unwrap().tasks.unwrap();
    let alone = alone[0].task_arn.clone().unwrap();
    world.call(stop::stop_task, json!({"task": of_service[1]})).unwrap();
    let tasks = [&of_service[0], &of_service[1], &alone, &"0".repeat(32)];
    let reply = change(&mut world, json!({"tasks": tasks, "protectionEnabled": true}));
    let protected = reply.protected_tasks.unwrap();
    assert_eq!(protected.len(), 1);
    assert!(protected[0].task_arn.as_ref().unwrap().ends_with(&format!(":task/c/{}", of_service[0])));
    let reasons = |failures: Option<Vec<ecs::Failure>>| {
        failures.unwrap().into_iter().filter_map(|failure| failure.reason).collect::<Vec<_>>()
    };
    assert_eq!(reasons(reply.failures), ["TASK_NOT_VALID", "TASK_NOT_VALID", "MISSING"]);
    let reply = world.look(get_task_protection, json!({"tasks": tasks})).unwrap();
    assert_eq!(reply.protected_tasks.unwrap(), protected);
    assert_eq!(reasons(reply.failures), ["TASK_NOT_VALID", "TASK_NOT_VALID", "MISSING"]);
}

#[test]
fn protection_lasts_two_hours_or_as_said_and_is_taken_off() {
    let (mut world, _) = world(1, &[1000]);
    let task = world.live();
    assert_eq!(told(&world, &task), [(false, None)]);
    protect(&mut world, &task);
    assert_eq!(told(&world, &task), [(true, Some(7200))]);
    // Each time anew, longer or shorter.
    for minutes in [2880, 1] {
        change(&mut world, json!({"tasks": task, "protectionEnabled": true, "expiresInMinutes": minutes}));
        assert_eq!(told(&world, &task), [(true, Some(minutes * 60))]);
    }
    world.pass(59_999);
    assert_eq!(told(&world, &task), [(true, Some(0))]);
    world.pass(1);
    assert_eq!(told(&world, &task), [(false, None)]);
    assert_eq!(waiting(&world), 0);
    protect(&mut world, &task);
    change(&mut world, json!({"tasks": task, "protectionEnabled": false, "expiresInMinutes": 5}));
    assert_eq!(told(&world, &task), [(false, None)]);
    assert_eq!(waiting(&world), 0);
}

#[test]
fn scale_in_chooses_others_and_waits_for_those_that_are_protected() {
    let (mut world, _) = world(3, &[1000]);
    let tasks = world.live();
    // The newest are chosen otherwise.
    let newest = [tasks[2].clone(), tasks[1].clone()];
    protect(&mut world, &newest);
    update(&mut world, json!({"desiredCount": 2}));
    world.obey();
    assert_eq!(world.live(), tasks[1..]);
    assert_eq!(counts(&world.service("s")), (2, 2, 0));
    update(&mut world, json!({"desiredCount": 0}));
    world.obey();
    assert_eq!(world.live(), tasks[1..]);
    assert_eq!(counts(&world.service("s")), (0, 2, 0));
    // More are protected than are wanted: none may be for longer.
    assert_eq!(protect(&mut world, &newest), ["DEPLOYMENT_BLOCKED", "DEPLOYMENT_BLOCKED"]);
    change(&mut world, json!({"tasks": [tasks[1]], "protectionEnabled": false}));
    world.obey();
    assert_eq!(world.live(), tasks[2..]);
    world.pass(7_200_000);
    world.obey();
    assert_eq!((world.live(), counts(&world.service("s"))), (Vec::new(), (0, 0, 0)));
    assert_eq!(world.events("s").last().unwrap(), "has reached a steady state.");
}

#[test]
fn a_deployment_replaces_the_others_and_waits_for_those_that_are_protected() {
    let (mut world, _) = world(2, &[1000]);
    let old = world.live();
    protect(&mut world, &old[..1]);
    update(&mut world, json!({"taskDefinition": "web:2"}));
    world.obey();
    let shown = world.service("s");
    assert_eq!(counts(&shown), (2, 3, 0), "two new ones, and the protected one");
    assert!(world.live().contains(&old[0]) && !world.live().contains(&old[1]));
    let of = |shown: &ecs::Service| {
        let all = shown.deployments.iter().flatten();
        all.map(|d| (d.status.clone().unwrap(), d.running_count.unwrap(), d.rollout_state.unwrap()))
            .collect::<Vec<_>>()
    };
    let state = of(&shown);
    assert_eq!((&*state[0].0, state[0].1, state[0].2.as_str()), ("PRIMARY", 2, "IN_PROGRESS"));
    assert_eq!((&*state[1].0, state[1].1), ("ACTIVE", 1));
    world.pass(7_199_999);
    assert_eq!(world.live().len(), 3);
    world.pass(1);
    world.obey();
    assert_eq!(world.live().len(), 2);
    let state = of(&world.service("s"));
    assert_eq!((state.len(), state[0].2.as_str()), (1, "COMPLETED"));
}

/// What cannot be replaced for its protection blocks as the percentages do, and is told so.
#[test]
fn protected_tasks_take_the_room_of_new_ones() {
    let mut world = World::new();
    world.host(1000);
    let none_above = json!({"deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 100}});
    create(&mut world, 2, none_above);
    world.obey();
    let old = world.live();
    protect(&mut world, &old);
    update(&mut world, json!({"taskDefinition": "web:2"}));
    world.obey();
    assert_eq!(world.live(), old);
    assert!(
        world
            .events("s")
            .last()
            .unwrap()
            .starts_with("was unable to stop or start tasks during a deployment")
    );
    update(&mut world, json!({"deploymentConfiguration": {"maximumPercent": 200}}));
    world.obey();
    assert_eq!(counts(&world.service("s")), (2, 4, 0));
    change(&mut world, json!({"tasks": old, "protectionEnabled": false}));
    world.obey();
    assert_eq!(counts(&world.service("s")), (2, 2, 0));
}

#[test]
fn draining_replaces_the_others_and_waits_for_those_that_are_protected() {
    let (mut world, hosts) = world(2, &[250]);
    let old = world.live();
    protect(&mut world, &old[1..]);
    world.host(1000);
    let drain = json!({"containerInstances": [hosts[0]], "status": "DRAINING"});
    world.call(update_container_instances_state, drain).unwrap();
    world.obey();
    let on_it = |world: &World| {
        let id = crate::cluster::InstanceId::parse(&hosts[0]).unwrap();
        world.state.tasks_on(&id).map(|task| task.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(on_it(&world), old[1..]);
    assert_eq!(world.live().len(), 3);
    change(&mut world, json!({"tasks": old[1..], "protectionEnabled": false}));
    world.obey();
    assert_eq!((on_it(&world), world.live().len()), (Vec::new(), 2));
}

#[test]
fn what_is_no_choice_stops_protected_tasks_too() {
    let (mut world, _) = world(3, &[1000]);
    let tasks = world.live();
    protect(&mut world, &tasks);
    world.call(stop::stop_task, json!({"task": tasks[0]})).unwrap();
    world.report(&tasks[1], "STOPPED", Some(1));
    world.call(delete_service, json!({"service": "s", "force": true})).unwrap();
    assert_eq!(world.live(), Vec::<String>::new());
    let protected = world.state.tasks().filter(|task| task.protected_until.is_some());
    assert_eq!(protected.count(), 0);
    // The timer of what has stopped is that of its being forgotten.
    world.obey();
    world.pass(3_600_001);
    assert_eq!(world.state.tasks().count(), 0);
}

/// Beyond the limit the oldest STOPPED tasks go, and none that runs, whatever its timer.
#[test]
fn a_protected_task_is_none_of_those_that_go_first() {
    let (mut world, _) = world(1, &[1000]);
    let task = world.live();
    change(&mut world, json!({"tasks": task, "protectionEnabled": true, "expiresInMinutes": 1}));
    assert_eq!(world.state.surplus(), []);
    world.call(stop::stop_task, json!({"task": task[0]})).unwrap();
    world.obey();
    assert_eq!(waiting(&world), 1);
}
