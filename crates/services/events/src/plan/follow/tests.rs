//! What is kept for those who follow, and who listens.

use serde_json::{Value, json};
use state::contract::ECS;

use super::follow;
use crate::{limits, testing::World};

fn follows(world: &mut World) {
    let done = world.run(|txn| {
        follow(txn);
        Ok(())
    });
    done.unwrap();
}

/// The numbers in `detail` of what is kept behind a number, and the number of the last.
fn passed(world: &World, after: u64) -> (Vec<u64>, u64) {
    let of = |text: &str| serde_json::from_str::<Value>(text).unwrap()["detail"]["n"].as_u64().unwrap();
    let kept: Vec<_> = world.state.passed_after(after).collect();
    let last = kept.last().map_or(after, |row| row.number);
    (kept.iter().map(|row| of(&row.event)).collect(), last)
}

#[test]
fn events_are_kept_while_somebody_follows_and_for_a_while_after() {
    let mut world = World::new();
    world.send(json!({"n": 0}));
    assert!(passed(&world, 0).0.is_empty());
    follows(&mut world);
    let first = world.state.follow().unwrap().first;
    world.send(json!({"n": 1}));
    world.pass(limits::FOLLOWED_MS / 2 + 1);
    follows(&mut world);
    world.send(json!({"n": 2}));
    let (numbers, last) = passed(&world, 0);
    assert_eq!((numbers, last, world.state.follow().unwrap().first), (vec![1, 2], first + 1, first));
    assert_eq!(passed(&world, first).0, [2]);
    world.pass(limits::FOLLOWED_MS);
    world.send(json!({"n": 3}));
    assert_eq!(passed(&world, 0).0, [1, 2], "nobody followed");
    world.state = world.reloaded();
    follows(&mut world);
    world.send(json!({"n": 4}));
    let next = world.state.passed_after(last).next().unwrap().number;
    assert!(next > last + 1, "a number is left out for what was missed");
    world.pass(limits::FOLLOWED_MS + limits::PASSED_KEPT_MS);
    assert!(passed(&world, 0).0.is_empty() && world.state.follow().is_none());
    follows(&mut world);
    assert!(world.state.follow().unwrap().first > next, "numbers rise for ever");
}

#[test]
fn the_oldest_are_forgotten_beyond_the_limits() {
    let mut world = World::new();
    follows(&mut world);
    for n in 0..limits::PASSED as u64 + 5 {
        world.send(json!({"n": n}));
    }
    assert!(passed(&world, 0).0.into_iter().eq(5..limits::PASSED as u64 + 5));
    let long = "x".repeat(200_000);
    for n in 0..60 {
        world.send(json!({"n": n, "long": long}));
    }
    let kept = passed(&world, 0).0;
    assert!(kept.last() == Some(&59) && kept.len() * long.len() <= limits::PASSED_BYTES, "{}", kept.len());
    world.pass(limits::FOLLOWED_MS + limits::PASSED_KEPT_MS);
    assert!(passed(&world, 0).0.is_empty());
}

#[test]
fn events_of_other_buses_and_of_schedules_are_not_among_them() {
    let mut world = World::new();
    world.ok("CreateEventBus", json!({"Name": "b"}));
    world.ok("PutRule", json!({"Name": "r", "ScheduleExpression": "rate(1 minute)"}));
    follows(&mut world);
    let entry = json!({"Source": "app", "DetailType": "T", "Detail": "{}", "EventBusName": "b"});
    world.ok("PutEvents", json!({"Entries": [entry]}));
    world.pass(50_000);
    follows(&mut world);
    world.pass(50_000);
    assert_eq!(world.state.passed_after(0).count(), 0);
}

#[test]
fn who_listens_is_known_without_a_look_at_each_rule() {
    let listens = |world: &World| world.state.listens(ECS, world.ctx.now);
    let mut world = World::new();
    assert!(!listens(&world));
    for (pattern, may) in [
        (r#"{"source":["aws.ecs"]}"#, true),
        (r#"{"source":["app"]}"#, false),
        (r#"{"source":[{"prefix":"aws."}],"detail":{"lastStatus":["STOPPED"]}}"#, true),
        (r#"{"source":[{"anything-but":"aws.ecs"}]}"#, false),
        (r#"{"source":[{"exists":false}]}"#, false),
        (r#"{"detail":{"source":["app"]}}"#, true),
        (r#"{"$or":[{"source":["app"]},{"detail-type":["T"]}]}"#, true),
        (r#"{"detail-type":["T"],"$or":[{"source":["app"]},{"source":["other"]}]}"#, false),
    ] {
        world.ok("PutRule", json!({"Name": "r", "EventPattern": pattern}));
        assert_eq!(listens(&world), may, "{pattern}");
        assert_eq!(world.reloaded().listens(ECS, world.ctx.now), may, "{pattern}");
    }
    world.ok("PutRule", json!({"Name": "r", "EventPattern": r#"{"source":["aws.ecs"]}"#}));
    world.ok("DisableRule", json!({"Name": "r"}));
    assert!(!listens(&world));
    world.ok("EnableRule", json!({"Name": "r"}));
    assert!(listens(&world));
    world.ok("DeleteRule", json!({"Name": "r"}));
    world.ok("CreateEventBus", json!({"Name": "b"}));
    let other = json!({"Name": "r", "EventPattern": r#"{"source":["aws.ecs"]}"#, "EventBusName": "b"});
    world.ok("PutRule", other);
    assert!(!listens(&world), "services send to the default event bus alone");
    follows(&mut world);
    assert!(listens(&world));
    world.pass(limits::FOLLOWED_MS);
    assert!(!listens(&world));
}
