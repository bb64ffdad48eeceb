//! What one step may change, so that it always fits into one commit of the store: whatever waits behind it,
//! however long the rows are.

mod earlier;
mod lists;
mod scale;

use std::sync::Arc;

use serde_json::json;
use state::{Id128, Table};

use super::*;
use crate::{
    instance::state as standing, service::create::create_service, task::run::run_task, testing::World,
};

fn wait_for_room(world: &mut World, services: usize) {
    for n in 0..services {
        let request = json!({"serviceName": format!("s{n}"), "taskDefinition": "web", "desiredCount": 1});
        world.call(create_service, request).unwrap();
    }
}

fn placed(world: &World) -> usize {
    world.state.tasks().filter(|task| task.desired == Desired::Running).count()
}

#[test]
fn room_for_more_services_than_a_step_can_take_is_used_in_several() {
    let mut world = World::new();
    wait_for_room(&mut world, 1400);
    world.host(1_000_000);
    assert!(placed(&world) < 1400);
    world.pass(0);
    assert_eq!(placed(&world), 1400);
    assert_ne!(world.state.agenda().wake_at(), Some(Timestamp(0)), "nothing is left unfinished");
}

#[test]
fn a_host_with_more_tasks_than_a_step_can_take_is_given_up_in_several() {
    let mut world = World::new();
    let host = world.host(1_000_000);
    for _ in 0..400 {
        world.call(run_task, json!({"taskDefinition": "web", "count": 10})).unwrap();
    }
    world
        .call(standing::deregister_container_instance, json!({"containerInstance": host, "force": true}))
        .unwrap();
    assert!(placed(&world) > 0);
    world.pass(0);
    assert_eq!(placed(&world), 0);
    assert!(world.state.tasks().all(|task| task.last == TaskStatus::Stopped));
}

#[test]
fn a_start_disconnects_any_number_of_hosts_and_goes_on_with_what_was_left() {
    let mut world = World::new();
    wait_for_room(&mut world, 5);
    let host = InstanceId::parse(&world.host(10)).unwrap();
    let row = world.state.instance(&host).unwrap().as_ref().clone();
    for n in 0..1300 {
        let row = InstanceRow { id: InstanceId(Id128(n)), ..row.clone() };
        world.state.apply(&Change::Put(Row::Instance(Arc::new(row))));
    }
    let mut steps = 0;
    while world.run(|txn| Ok(standing::disconnect_all(txn))).unwrap() {
        steps += 1;
    }
    assert!(steps > 0);
    assert!(world.state.instances().all(|row| !row.agent_connected));
}

#[test]
fn a_weight_is_no_less_than_what_the_store_takes() {
    let mut world = World::new();
    let host = world.host(10_000);
    let tags: Vec<_> = (0..50).map(|n| json!({"key": format!("k{n}"), "value": "v".repeat(250)})).collect();
    let service = json!({
        "serviceName": "s", "taskDefinition": "port", "desiredCount": 3, "tags": tags, "propagateTags": "SERVICE",
        "clientToken": "t",
        "placementConstraints": [{"type": "memberOf", "expression": "agentConnected == true"}],
    });
    world.call(create_service, service).unwrap();
    let environment: Vec<_> = (0..99).map(|n| json!({"name": format!("n{n}"), "value": "v"})).collect();
    let over = json!({"containerOverrides": [{"name": "app", "command": vec!["x"; 500], "environment": environment}]});
    let run =
        json!({"taskDefinition": "web", "count": 10, "overrides": over, "clientToken": "t", "tags": tags});
    world.call(run_task, run).unwrap();
    world.obey();
    world
        .call(standing::deregister_container_instance, json!({"containerInstance": host, "force": true}))
        .unwrap();
    for row in world.state.rows() {
        let (weight, size) =
            (Change::Put(row.clone()).weight(), row.encode().len() + Row::path(&row.key()).len());
        assert!((size..size * 4 + 2048).contains(&weight), "{:?}: {weight} for {size}", row.key());
    }
}

#[test]
fn the_oldest_of_what_is_remembered_beyond_the_limits_goes_first() {
    let mut world = World::new();
    world.host(1_000_000);
    let run = world.call(run_task, json!({"taskDefinition": "web", "clientToken": "first"})).unwrap();
    let task = run.tasks.unwrap()[0].task_arn.clone().unwrap();
    world.report(&task, "STOPPED", Some(0));
    let first = world.state.tasks().next().unwrap().as_ref().clone();
    let token = world.state.token("first").unwrap().as_ref().clone();
    let later = |n: usize| Timestamp(first.forget_at.unwrap().0 + n as i64);
    for n in 0..crate::limits::STOPPED_TASKS {
        let row = TaskRow { id: TaskId(Id128(n as u128)), forget_at: Some(later(n + 1)), ..first.clone() };
        world.state.apply(&Change::Put(Row::Task(Arc::new(row))));
    }
    for n in 0..crate::limits::TOKENS {
        let forget_at = Timestamp(token.forget_at.0 + 1 + n as i64);
        let row = TokenRow { token: format!("t{n}"), forget_at, ..token.clone() };
        world.state.apply(&Change::Put(Row::Token(Arc::new(row))));
    }
    let surplus = world.state.surplus();
    assert_eq!(surplus, [Key::Task(first.id), Key::Token("first".to_owned())]);
    let trim = |txn: &mut Txn| {
        txn.trim();
        Ok(())
    };
    world.run(trim).unwrap();
    assert!(world.state.surplus().is_empty() && world.changed.len() == 2);
    assert!(world.state.task(&first.id).is_none() && world.state.token("first").is_none());
}

/// A start reads them as they lie in the file.
#[test]
fn what_has_stopped_on_a_container_instance_is_known_in_whatever_order_rows_are_read() {
    let mut world = World::new();
    let host = InstanceId::parse(&world.host(1000)).unwrap();
    let run = world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
    world.report(run.tasks.unwrap()[0].task_arn.as_deref().unwrap(), "STOPPED", Some(0));
    let task = world.state.tasks().next().unwrap().id;
    let rows: Vec<Row> = world.state.rows().collect();
    let backwards = rows.iter().rev().cloned().collect();
    for rows in [rows, backwards] {
        let mut read = Cluster::of(world.state.row.as_ref().clone());
        rows.into_iter().for_each(|row| read.apply(&Change::Put(row)));
        assert_eq!(read.usage(&host).unwrap().ended.iter().collect::<Vec<_>>(), [&task]);
        assert_eq!(read.usage(&host).unwrap(), world.state.usage(&host).unwrap());
        // It is known until both are forgotten, the container instance first.
        read.apply(&Change::Delete(Key::Instance(host)));
        assert!(read.usage(&host).unwrap().ended.contains(&task));
        read.apply(&Change::Delete(Key::Task(task)));
        assert!(read.usage(&host).is_none());
    }
}
