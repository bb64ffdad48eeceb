//! STOPPED tasks beyond the hour that the API shows.

use serde_json::json;

use crate::{
    cluster::Keeps,
    explain::{Kind, explain},
    limits,
    task::{describe, list, run::run_task},
    testing::{World, refusal},
};

const HOUR: i64 = 3_600_000;

/// Runs a task to its end; gives its id.
fn ended(world: &mut World) -> String {
    world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
    let id = world.live().remove(0);
    world.report(&id, "RUNNING", None);
    world.report(&id, "STOPPED", Some(3));
    id
}

fn kept(world: &World) -> Vec<String> {
    world.state.kept_tasks().map(|row| row.task.id.to_string()).collect()
}

#[test]
fn a_task_is_explained_for_longer_than_it_is_shown() {
    let mut world = World::new();
    world.host(10_000);
    world.keeps = Some(Keeps { ms: 24 * HOUR, count: 10 });
    let id = ended(&mut world);
    world.pass(limits::STOPPED_TASK_KEPT_MS);
    assert_eq!(kept(&world), std::slice::from_ref(&id));
    let described = world.look(describe::describe_tasks, json!({"tasks": [id]})).unwrap();
    assert_eq!((described.tasks.unwrap().len(), described.failures.unwrap().len()), (0, 1));
    let listed = world.look(list::list_tasks, json!({"desiredStatus": "STOPPED"})).unwrap();
    assert_eq!(listed.task_arns.unwrap(), [""; 0]);
    let said = explain(&world.state, &world.account, &world.ctx, Kind::Task, &id).unwrap();
    assert_eq!(said.state, "STOPPED");
    assert!(said.because.iter().any(|why| why.contains("exit code 3")), "{said:?}");
    assert!(said.because.iter().any(|why| why.contains("is kept until")), "{said:?}");
    world.pass(23 * HOUR);
    assert_eq!(kept(&world), [""; 0]);
    let gone = explain(&world.state, &world.account, &world.ctx, Kind::Task, &id);
    assert_eq!(refusal(gone).0, "InvalidParameterException");
}

#[test]
fn no_more_are_kept_than_may_be_and_none_where_none_is_to_be() {
    let mut world = World::new();
    world.host(10_000);
    world.keeps = Some(Keeps { ms: 24 * HOUR, count: 2 });
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(ended(&mut world));
        world.pass(1000);
    }
    world.pass(limits::STOPPED_TASK_KEPT_MS);
    all.reverse();
    assert_eq!(kept(&world), all[..2], "the last ones");
    world.keeps = None;
    ended(&mut world);
    world.pass(limits::STOPPED_TASK_KEPT_MS);
    assert_eq!(kept(&world).len(), 2, "those that were kept stay until their time");
    world.pass(24 * HOUR);
    assert!(kept(&world).is_empty() && world.state.tasks_kept() == 0);
}

#[test]
fn steps_do_not_look_at_what_is_kept() {
    let mut looked = std::collections::BTreeSet::new();
    for tasks in [1, 20] {
        let mut world = World::new();
        world.host(100_000);
        world.keeps = Some(Keeps { ms: 24 * HOUR, count: 100 });
        for _ in 0..tasks {
            ended(&mut world);
        }
        world.pass(limits::STOPPED_TASK_KEPT_MS);
        assert_eq!(kept(&world).len(), tasks);
        ended(&mut world);
        looked.insert(world.looked);
    }
    assert_eq!(looked.len(), 1, "{looked:?}");
}
