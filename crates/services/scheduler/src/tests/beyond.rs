//! Beyond AWS: a limit on the runs that go on at a time.

use serde_json::{Value, json};

use crate::{
    limits,
    testing::{HOUR, MINUTE, World, started},
};

const STARTED_BY: &str = "chronos-schedule/s";

fn running(world: &World, tasks: usize) {
    world.others.running.lock().unwrap().insert(STARTED_BY.to_owned(), tasks);
}

fn limited(most: &str, tasks: i32, more: Value) -> World {
    let mut world = World::new();
    let tags = json!([{"key": "roadstead:concurrency", "value": most}]);
    let target = json!({"EcsParameters": {"TaskCount": tasks, "Tags": tags}});
    world.schedule("s", "rate(10 minutes)", crate::testing::with(json!({"Target": target}), more));
    world
}

#[test]
fn a_run_waits_until_an_earlier_one_has_ended() {
    let mut world = limited("1", 2, json!({}));
    world.pass(0);
    assert_eq!(world.carry_all(), 1);
    running(&world, 2);
    world.pass(10 * MINUTE);
    assert_eq!((world.ready().len(), world.state.invocation_count()), (0, 1));
    world.restart();
    // One task of the two goes on: it is still that run.
    running(&world, 1);
    world.pass(MINUTE);
    assert_eq!(world.ready().len(), 0);
    running(&world, 0);
    world.pass(limits::ROOM_RETRY_MS);
    assert_eq!(world.carry_all(), 1);
    assert_eq!(world.failed().len(), 0);
}

#[test]
fn one_run_waits_at_most_and_the_later_one_stays() {
    let mut world = limited("1", 1, json!({}));
    world.pass(0);
    world.carry_all();
    running(&world, 1);
    world.pass(HOUR);
    assert_eq!(world.state.invocation_count(), 1);
    assert_eq!(world.run().run, world.ctx.now);
    assert_eq!(world.failed(), vec![("Roadstead.NoRoom".to_owned(), None); 5]);
}

#[test]
fn calls_on_their_way_count_too() {
    let mut world = limited("2", 1, json!({}));
    world.pass(10 * MINUTE);
    assert_eq!(world.ready().len(), 2);
    world.pass(10 * MINUTE);
    assert_eq!((world.ready().len(), world.state.invocation_count()), (2, 3));
    let (id, _) = world.ready().remove(0);
    world.told(id, Ok(started(1)));
    running(&world, 1);
    world.pass(limits::ROOM_RETRY_MS);
    assert_eq!(world.ready().len(), 1);
    running(&world, 0);
    world.pass(limits::ROOM_RETRY_MS);
    assert_eq!(world.ready().len(), 2);
}

#[test]
fn a_run_that_waits_for_longer_than_its_age_is_recorded() {
    let mut world = limited("1", 1, json!({"Target": {"RetryPolicy": {"MaximumEventAgeInSeconds": 60}}}));
    running(&world, 1);
    world.pass(2 * MINUTE);
    assert_eq!(world.state.invocation_count(), 0);
    assert_eq!(world.failed(), [("Roadstead.NoRoom".into(), Some("MaximumEventAgeInSeconds".into()))]);
}

#[test]
fn a_tag_of_the_group_is_for_each_of_its_schedules_and_their_own_goes_before() {
    let mut world = World::new();
    let tags = json!([{"Key": "roadstead:concurrency", "Value": "1"}]);
    world.call("CreateScheduleGroup", json!({"Name": "g", "Tags": tags})).unwrap();
    let own = json!([{"key": "roadstead:concurrency", "value": "9"}]);
    let own = json!({"GroupName": "g", "Target": {"EcsParameters": {"Tags": own}}});
    world.schedule("s", "rate(1 hour)", own);
    world.schedule("t", "rate(1 hour)", json!({"GroupName": "g"}));
    for name in ["s", "t"] {
        world.others.running.lock().unwrap().insert(format!("chronos-schedule/{name}"), 1);
    }
    world.pass(0);
    let ready = world.ready();
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].1.input["startedBy"], STARTED_BY);
}

#[test]
fn a_set_back_clock_does_not_hold_up_what_waits_for_room() {
    let mut world = limited("1", 1, json!({}));
    running(&world, 1);
    world.pass(MINUTE);
    running(&world, 0);
    world.set_clock(world.ctx.now.plus_millis(-HOUR));
    world.pass(limits::ROOM_RETRY_MS);
    assert_eq!(world.ready().len(), 1);
}
