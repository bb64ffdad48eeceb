//! Thousands of tasks and hosts: what a step changes, and whom it tells, is of what it is about, and not of how much
//! there is besides.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use state::Id128;

use crate::{
    instance::state::{connection, update_container_instances_state},
    service::events,
    task::{report::submit_task_state_change, stop::stop_task},
    testing::from,
};

/// What one step made: changed rows, and hosts that were told.
type Work = (usize, usize);

/// A cluster with that many hosts of 50 tasks each, half of the tasks a service's.
fn cluster(hosts: usize) -> (World, Vec<String>) {
    let mut world = World::new();
    let first = world.host(1_000_000);
    world
        .call(create_service, json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1}))
        .unwrap();
    world.call(run_task, json!({"taskDefinition": "web", "count": 1})).unwrap();
    world.obey();
    let host = world.state.instance(&InstanceId::parse(&first).unwrap()).unwrap().as_ref().clone();
    let tasks: Vec<TaskRow> = world.state.tasks().map(|row| row.as_ref().clone()).collect();
    let mut ids = Vec::new();
    for n in 0..hosts {
        let id = InstanceId(Id128(n as u128));
        world.state.apply(&Change::Put(Row::Instance(Arc::new(InstanceRow { id, ..host.clone() }))));
        for m in 0..50 {
            let of = tasks[m % tasks.len()].clone();
            let row = TaskRow { id: TaskId(Id128((n * 50 + m) as u128)), instance: Some(id), ..of };
            world.state.apply(&Change::Put(Row::Task(Arc::new(row))));
        }
        ids.push(id.to_string());
    }
    let of_service = world.state.tasks_of_service(&"s".into()).count();
    let row = world.state.service(&"s".into()).unwrap().as_ref().clone();
    let row = ServiceRow { desired_count: i32::try_from(of_service).unwrap(), ..row };
    world.state.apply(&Change::Put(Row::Service(Arc::new(row))));
    (world, ids)
}

fn work(world: &mut World, command: impl FnOnce(&mut crate::Txn) -> Result<(), wire::Error>) -> Work {
    let before = world.state.clone();
    world.run(command).unwrap();
    (world.changed.len(), assigned(&before, &world.state, &world.changed).count())
}

#[test]
fn a_step_is_as_large_as_what_it_is_about() {
    let mut seen: Vec<Vec<(&str, Work)>> = Vec::new();
    for hosts in [4, 400] {
        let (mut world, ids) = cluster(hosts);
        let task = |n: u128| Id128(n).to_string();
        let report = |task: String, status: &str| -> Value {
            json!({"task": task, "status": status, "containers": [{"containerName": "app", "status": status}]})
        };
        let host = InstanceId::parse(&ids[1]).unwrap();
        let stopped = report(task(1), "STOPPED");
        let of_service = report(task(0), "STOPPED");
        let drain = json!({"containerInstances": [ids[2]], "status": "ACTIVE"});
        seen.push(vec![
            (
                "RunTask",
                work(&mut world, |txn| run_task(txn, from(json!({"taskDefinition": "web"}))).map(drop)),
            ),
            ("StopTask", work(&mut world, |txn| stop_task(txn, from(json!({"task": task(1)}))).map(drop))),
            ("its end", work(&mut world, |txn| submit_task_state_change(txn, from(stopped)).map(drop))),
            (
                "a service's",
                work(&mut world, |txn| submit_task_state_change(txn, from(of_service)).map(drop)),
            ),
            (
                "a host goes",
                work(&mut world, |txn| {
                    connection(txn, &host, None);
                    Ok(())
                }),
            ),
            (
                "and comes",
                work(&mut world, |txn| {
                    connection(txn, &host, Some(Default::default()));
                    Ok(())
                }),
            ),
            ("no news", work(&mut world, |txn| update_container_instances_state(txn, from(drain)).map(drop))),
        ]);
    }
    assert_eq!(seen[0], seen[1], "with 4 hosts and with 400");
    assert!(seen[1].iter().all(|(_, (rows, told))| *rows <= 4 && *told <= 2), "{:?}", seen[1]);
}

/// What the last step has put and deleted, by kind, and the bytes of the rows that are no task's.
fn written(world: &World) -> (BTreeMap<&'static str, usize>, usize) {
    let (mut changes, mut bytes) = (BTreeMap::<&str, usize>::new(), 0);
    for (key, change) in &world.stored {
        let kind = match (key, change) {
            (Key::Task(_), _) => "task",
            (Key::Service(_), Change::Put(_)) => "service",
            (Key::ServiceEvent(_), Change::Put(_)) => "event",
            (Key::ServiceEvent(_), Change::Delete(_)) => "event that goes",
            other => panic!("{other:?}"),
        };
        *changes.entry(kind).or_default() += 1;
        bytes += match change {
            Change::Put(row) if kind != "task" => Row::path(key).len() + row.encode().len(),
            _ => 0,
        };
    }
    (changes, bytes)
}

#[test]
fn one_report_writes_little_though_its_service_has_said_much() {
    let mut world = World::new();
    world.host(1_000_000);
    world
        .call(create_service, json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 3}))
        .unwrap();
    world.obey();
    for n in 0..2 * crate::limits::SERVICE_EVENTS {
        let say = |txn: &mut Txn| {
            events::add(txn, &"s".into(), &format!("{n}: {}", "x".repeat(1000)));
            Ok(())
        };
        world.run(say).unwrap();
        assert!(world.changed.len() <= 2, "one comes, and one goes");
    }
    let begins = |world: &World| {
        let new = world.state.tasks().find(|row| row.last == TaskStatus::Pending);
        new.map(|row| row.id.to_string())
    };
    let one = world.live().remove(0);
    for (status, task, most) in [
        // Another one is started, and that is said.
        ("STOPPED", Some(one), vec![("event", 1), ("event that goes", 1), ("service", 1), ("task", 2)]),
        ("RUNNING", None, vec![("service", 1), ("task", 1)]),
    ] {
        let task = task.or_else(|| begins(&world)).unwrap();
        world.report(&task, status, Some(0));
        let (changes, bytes) = written(&world);
        assert_eq!(changes.into_iter().collect::<Vec<_>>(), most, "{status}");
        assert!(bytes < 2048, "{status}: {bytes} bytes");
    }
    assert_eq!(world.service("s").events.unwrap().len(), crate::limits::SERVICE_EVENTS);
}

/// A steady service of that many tasks on that many hosts, and daemons.
fn steady(hosts: u128, tasks: u128, daemons: usize) -> World {
    let mut world = World::new();
    let first = InstanceId::parse(&world.host(1_000_000)).unwrap();
    let request = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1});
    world.call(create_service, request).unwrap();
    for n in 0..daemons {
        let name = format!("d{n}");
        let request = json!({"serviceName": name, "taskDefinition": "web", "schedulingStrategy": "DAEMON"});
        world.call(create_service, request).unwrap();
    }
    world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
    world.obey();
    let host = world.state.instance(&first).unwrap().as_ref().clone();
    let made: Vec<TaskRow> = world.state.tasks().map(|row| row.as_ref().clone()).collect();
    let on = |n: u128| if n == 0 { first } else { InstanceId(Id128(n)) };
    for n in 1..hosts {
        world.state.apply(&Change::Put(Row::Instance(Arc::new(InstanceRow { id: on(n), ..host.clone() }))));
    }
    for (kind, row) in (0..).zip(&made) {
        let of_service = row.service.as_ref().map(|(name, _)| name.0.as_str());
        let count = if of_service == Some("s") { tasks } else { hosts };
        for n in 1..count {
            let id = TaskId(Id128(n << 8 | kind));
            let row = TaskRow { id, instance: Some(on(n % hosts)), ..row.clone() };
            world.state.apply(&Change::Put(Row::Task(Arc::new(row))));
        }
    }
    for row in world.state.services().cloned().collect::<Vec<_>>() {
        let count = if row.daemon() { hosts } else { tasks };
        let row = ServiceRow { desired_count: i32::try_from(count).unwrap(), ..row.as_ref().clone() };
        world.state.apply(&Change::Put(Row::Service(Arc::new(row))));
    }
    world
        .run(|txn| {
            txn.touch_all();
            Ok(())
        })
        .unwrap();
    assert_eq!(world.changed, [], "it is steady");
    world
}

/// What each of some steps looks at.
fn looked_at(hosts: u128, tasks: u128, daemons: usize) -> Vec<(&'static str, usize)> {
    let mut world = steady(hosts, tasks, daemons);
    let of = |world: &World, service: Option<&str>| {
        let is = |row: &&Arc<TaskRow>| {
            row.service.as_ref().map(|(name, _)| name.0.as_str()) == service
                && row.last == TaskStatus::Running
        };
        world.state.tasks().find(is).unwrap().id.to_string()
    };
    let mut seen = Vec::new();
    let alone = of(&world, None);
    let one = of(&world, Some("s"));
    world.call(stop_task, json!({"task": alone})).unwrap();
    seen.push(("StopTask", world.looked));
    world.report(&alone, "STOPPED", Some(0));
    seen.push(("its end", world.looked));
    world.report(&one, "STOPPED", Some(0));
    seen.push(("the end of a service's", world.looked));
    let new = world.state.tasks().find(|row| row.last == TaskStatus::Pending).unwrap().id.to_string();
    world.report(&new, "RUNNING", None);
    seen.push(("a service's begins", world.looked));
    if daemons > 0 {
        let one = of(&world, Some("d1"));
        world.report(&one, "STOPPED", Some(0));
        seen.push(("the end of a daemon's", world.looked));
        let host = world.state.task(&TaskId::parse(&one).unwrap()).unwrap().instance.unwrap();
        let drain = |to: &str| json!({"containerInstances": [host.to_string()], "status": to});
        world.call(update_container_instances_state, drain("DRAINING")).unwrap();
        seen.push(("a host drains", world.looked));
        world.call(update_container_instances_state, drain("ACTIVE")).unwrap();
        seen.push(("a host is ACTIVE again", world.looked));
    }
    world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
    seen.push(("RunTask", world.looked));
    let fewer = json!({"service": "s", "desiredCount": tasks - 1});
    world.call(crate::service::update::update_service, fewer).unwrap();
    seen.push(("UpdateService", world.looked));
    seen
}

#[test]
fn a_step_looks_at_what_it_is_about() {
    let (few, many) = (looked_at(20, 50, 3), looked_at(2000, 5000, 3));
    for ((what, few), (_, many)) in few.iter().zip(&many) {
        // A hundred times as many hosts are seven forks more in each of the tries that one stands in.
        assert!(many <= &(few + 32), "{what} looks at {few} rows of few, and at {many} of many");
    }
}

#[test]
fn ten_thousand_tasks_are_placed_on_two_thousand_hosts_in_steps_that_fit() {
    let mut world = World::new();
    let first = world.host(500);
    let host = world.state.instance(&InstanceId::parse(&first).unwrap()).unwrap().as_ref().clone();
    for n in 1..2000 {
        let row = InstanceRow { id: InstanceId(Id128(n as u128)), ..host.clone() };
        world.state.apply(&Change::Put(Row::Instance(Arc::new(row))));
    }
    for n in 0..2 {
        let request = json!({"serviceName": format!("s{n}"), "taskDefinition": "web", "desiredCount": 5000});
        world.call(create_service, request).unwrap();
    }
    let mut steps = 0;
    while world.state.agenda().wake_at() == Some(Timestamp(0)) {
        world.tick();
        assert!(!world.changed.is_empty());
        steps += 1;
    }
    assert_eq!(world.state.tasks().count(), 10_000);
    // Nothing is looked at twice: about as many steps as the tasks fill.
    assert!(steps <= 2 * 10_000 / state::limits::STEP_CHANGES, "{steps} steps");
    let most = world.state.hosts().map(|(_, usage)| usage.tasks.len()).max();
    assert_eq!(most, Some(5), "every host is full, and none more than that");
}

/// That many services that wait for 100 MiB, and as many that wait for 300, on a host that is full; then one task of
/// 100 MiB there ends. What that step looks at, and how many of them have their task.
fn room_comes(waiting: usize) -> (usize, usize) {
    let mut world = World::new();
    world.define("large", json!({"memory": 300}));
    world.host(200);
    let run = world.call(run_task, json!({"taskDefinition": "web", "count": 2})).unwrap();
    let task = run.tasks.unwrap()[0].task_arn.clone().unwrap();
    for n in 0..waiting {
        for (kind, definition) in [("a-large", "large"), ("b-small", "web"), ("c-elsewhere", "web")] {
            let nowhere = json!([{"type": "memberOf", "expression": "attribute:stack == absent"}]);
            let request = json!({
                "serviceName": format!("{kind}{n}"), "taskDefinition": definition, "desiredCount": 1,
                "placementConstraints": if kind == "c-elsewhere" { nowhere } else { json!([]) },
            });
            world.call(create_service, request).unwrap();
        }
    }
    assert_eq!(world.live().len(), 2);
    world.report(&task, "STOPPED", Some(0));
    let placed = world.state.tasks().filter(|row| row.service.is_some()).count();
    (world.looked, placed)
}

#[test]
fn room_is_offered_to_those_that_it_could_serve_and_only_while_it_lasts() {
    let (few, many) = (room_comes(2), room_comes(200));
    assert_eq!((few.1, many.1), (1, 1));
    assert!(many.0 <= few.0 + 16, "{few:?} of few, {many:?} of many");
}

#[test]
fn room_goes_to_each_that_it_serves_those_that_need_much_first() {
    let mut world = World::new();
    world.define("large", json!({"memory": 300}));
    world.define("huge", json!({"memory": 600}));
    for (name, definition) in [("a", "web"), ("b", "large"), ("c", "large"), ("d", "huge")] {
        let request = json!({"serviceName": name, "taskDefinition": definition, "desiredCount": 1});
        world.call(create_service, request).unwrap();
    }
    let has = |world: &World| {
        let of = |name: &str| world.state.tasks_of_service(&name.into()).count();
        ["a", "b", "c", "d"].map(of)
    };
    world.host(550);
    assert_eq!(has(&world), [1, 1, 0, 0]);
    world.host(1000);
    assert_eq!(has(&world), [1, 1, 1, 1]);
}
