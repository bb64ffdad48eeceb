//! Rows that break an assertion, and clocks that are set back.

use std::sync::Arc;

use serde_json::json;
use state::{Domain, Set};

use super::*;
use crate::{
    cluster::{Change, Row, ServiceName, ServiceRow, TaskId, TaskRow},
    service::create::create_service,
    task::{run::run_task, stop::stop_task},
    testing::World,
};

const HOUR: i64 = 3_600_000;

fn service(world: &mut World, name: &str) {
    let request = json!({"serviceName": name, "taskDefinition": "web", "desiredCount": 1});
    world.call(create_service, request).unwrap();
}

fn change(world: &mut World, name: &str, with: impl FnOnce(&mut ServiceRow)) {
    let mut row = world.state.service(&ServiceName::from(name)).unwrap().as_ref().clone();
    with(&mut row);
    world.state.apply(&Change::Put(Row::Service(Arc::new(row))));
}

/// A task that cannot be changed any more, and its service wants to stop it.
fn break_service(world: &mut World, name: &str) {
    let due = world.ctx.now;
    let task = world.state.tasks_of_service(&name.into()).next().unwrap().as_ref().clone();
    world.state.apply(&Change::Put(Row::Task(Arc::new(TaskRow { version: i64::MAX, ..task }))));
    change(world, name, |row| {
        row.desired_count = 0;
        row.wake_at = Some(due);
    });
}

fn ticked(world: &mut World) -> Vec<Key> {
    world.batch(|batch, ctx, ids| batch.tick(ctx, ids)).1
}

#[test]
fn a_row_that_breaks_an_assertion_holds_no_other_up() {
    let mut world = World::new();
    world.host(1000);
    for name in ["a", "b", "z"] {
        service(&mut world, name);
    }
    world.obey();
    let run = world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
    let task = run.tasks.unwrap()[0].task_arn.clone().unwrap();
    world.call(stop_task, json!({"task": task})).unwrap();
    world.obey();
    world.ctx.now = world.ctx.now.plus_millis(HOUR);
    let stopped = || Key::Task(TaskId::parse(task.rsplit('/').next().unwrap()).unwrap());
    break_service(&mut world, "a");
    // What waits behind it: the stopped task's end, and another service's own time.
    let due = world.ctx.now;
    change(&mut world, "z", |row| row.wake_at = Some(due));
    let broken = Key::Service("a".into());
    assert_eq!(ticked(&mut world), std::slice::from_ref(&broken));
    assert!(!world.state.agenda().due(world.ctx.now, 100).contains(&stopped()), "the task is forgotten");
    assert_eq!(world.state.service(&"z".into()).unwrap().wake_at, None);
    assert_eq!(ticked(&mut world), [], "it is left alone");
    assert!(world.state.agenda().wake_at().is_some_and(|at| at > world.ctx.now));
    // It is tried again later, and at once when it is changed.
    let later = world.ctx.now.plus_millis(state::limits::ASIDE_MS);
    assert_eq!(world.state.agenda().due(later, 1), std::slice::from_ref(&broken));
    let done = world.run(|txn| {
        let row = txn.state.service(&"a".into()).unwrap().as_ref().clone();
        txn.put_service(ServiceRow { desired_count: 1, ..row });
        Ok(())
    });
    done.unwrap();
    assert!(!world.state.is_aside(&broken, world.ctx.now));
}

#[test]
fn a_command_is_carried_out_though_a_service_that_it_touches_breaks() {
    let mut world = World::new();
    world.host(1000);
    for name in ["a", "b"] {
        service(&mut world, name);
    }
    break_service(&mut world, "a");
    let touch = |txn: &mut Txn| {
        txn.touch_all();
        Ok(7)
    };
    let (reply, broken) = world.batch(|batch, ctx, ids| batch.command(ctx, ids, touch));
    assert_eq!((reply.unwrap().unwrap(), broken), (7, vec![Key::Service("a".into())]));
}

#[test]
fn times_from_while_the_clock_was_ahead_are_brought_into_line() {
    let mut world = World::new();
    world.host(100);
    service(&mut world, "full");
    service(&mut world, "waits");
    world.obey();
    let right = world.ctx.now;
    // An hour ahead: a task stops, a service finds no room, another is deleted, a token is used.
    world.ctx.now = right.plus_millis(HOUR);
    let made = json!({"serviceName": "made", "taskDefinition": "web", "desiredCount": 0, "clientToken": "t"});
    world.call(create_service, made).unwrap();
    let tasks = world.live();
    for task in &tasks {
        world.report(task, "STOPPED", Some(1));
    }
    change(&mut world, "waits", |row| {
        row.deployments[0].consecutive_failures = 20;
        row.deployments[0].not_before = Some(right.plus_millis(HOUR + limits::BACKOFF_LONGEST_MS));
        row.wake_at = Some(right.plus_millis(HOUR + limits::PLACEMENT_RETRY_MS));
    });
    world.ctx.now = right;
    let run = |world: &mut World| {
        world.batch(|batch, ctx, ids| batch.clock(ctx, ids, Set::Unseen));
        world.changed.len()
    };
    assert!(run(&mut world) > 0);
    while run(&mut world) > 0 {}
    let state = &world.state;
    assert!(
        state.tasks().all(|row| {
            row.forget_at.is_none_or(|at| at <= right.plus_millis(limits::STOPPED_TASK_KEPT_MS))
        })
    );
    let good_until: Vec<_> = state.service_tokens().map(|row| row.forget_at).collect();
    assert_eq!(good_until, [right.plus_millis(limits::TOKEN_KEPT_MS)]);
    for row in state.services() {
        let latest = row.wakes_at().unwrap_or(right);
        assert!(latest <= right.plus_millis(limits::BACKOFF_LONGEST_MS), "{}: {latest:?}", row.name);
    }
}

#[test]
fn what_came_about_while_the_clock_was_behind_can_still_be_seen() {
    let mut world = World::new();
    world.host(100);
    let run = world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
    let task = run.tasks.unwrap()[0].task_arn.clone().unwrap();
    world.call(stop_task, json!({"task": task})).unwrap();
    world.obey();
    // The clock was two hours behind all along, and is put right.
    world.pass(1000);
    world.ctx.now = world.ctx.now.plus_millis(2 * HOUR);
    world.batch(|batch, ctx, ids| batch.clock(ctx, ids, Set::Seen));
    world.pass(HOUR - 1);
    assert_eq!(world.state.tasks().count(), 1);
    world.pass(1);
    assert_eq!(world.state.tasks().count(), 0);
}
