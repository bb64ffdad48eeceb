//! What becomes of a run: retries, and what is recorded.

use serde_json::{Value, json};
use wire::Error;

use crate::{
    limits,
    testing::{HOUR, World, started},
};

fn busy() -> Result<Value, Error> {
    Err(Error::unavailable("busy"))
}

/// A world with one run on its way.
fn world(policy: Value) -> World {
    let mut world = World::new();
    let target = json!({"RetryPolicy": policy, "EcsParameters": {"TaskCount": 3}});
    world.schedule("s", "at(2026-11-23T10:00:00)", json!({"Target": target}));
    world.pass(0);
    world
}

#[test]
fn refusals_that_may_pass_are_retried_and_others_are_not() {
    for (error, retried) in [
        (Error::unavailable("busy"), true),
        (Error::internal("broken"), true),
        (Error::new("ThrottlingException", 400, "slow"), true),
        (Error::new("Throttling", 400, "slow"), true),
        (Error::new("Anything", 429, "slow"), true),
        (Error::new("RequestLimitExceeded", 400, "slow"), true),
        (Error::new("ClusterNotFoundException", 400, "Cluster not found."), false),
        (Error::new("AccessDeniedException", 403, "no"), false),
        (Error::new("ValidationException", 400, "no"), false),
    ] {
        let mut world = world(json!({}));
        let code = error.code().to_owned();
        world.carry(Err(error));
        assert_eq!(world.state.invocation_count(), usize::from(retried), "{code}");
        if retried {
            assert_eq!(world.run().error.unwrap().code, code);
        } else {
            assert_eq!(world.failed(), [(code, None)]);
        }
    }
}

#[test]
fn pauses_double_until_the_longest_and_the_attempts_are_counted() {
    let mut world = world(json!({"MaximumRetryAttempts": 14}));
    let mut longest = limits::BACKOFF_FIRST_MS;
    for attempt in 1..=14 {
        let now = world.ctx.now;
        world.carry(busy());
        let run = world.run();
        let pause = run.not_before.millis_since(now);
        assert!((longest / 2..=longest).contains(&pause), "{attempt}: {pause}");
        assert_eq!(run.attempts, attempt);
        longest = (longest * 2).min(limits::BACKOFF_LONGEST_MS);
        world.restart();
        world.pass(pause - 1);
        assert_eq!(world.ready().len(), 0);
        world.pass(1);
    }
    world.carry(busy());
    assert_eq!(world.state.invocation_count(), 0);
    assert_eq!(world.failed(), [("ServiceUnavailable".into(), Some("MaximumRetryAttempts".into()))]);
    let row = world.state.failures().next().unwrap();
    assert_eq!((row.attempts, row.error.message.as_str()), (15, "busy"));
    // It is remembered for two weeks.
    world.pass(limits::FAILURE_KEPT_MS - 1);
    assert_eq!(world.state.failures().count(), 1);
    world.pass(1);
    assert_eq!(world.state.failures().count(), 0);
}

#[test]
fn nothing_is_tried_when_the_event_is_too_old() {
    let mut world = world(json!({"MaximumEventAgeInSeconds": 60}));
    let mut tries = 0;
    while world.state.invocation_count() > 0 {
        world.carry(busy());
        tries += 1;
        if world.state.invocation_count() > 0 {
            let wait = world.run().not_before.millis_since(world.ctx.now);
            world.pass(wait);
        }
    }
    assert!((5..9).contains(&tries), "{tries}");
    assert!(world.ctx.now.millis_since(World::new().ctx.now) <= 60_000);
    assert_eq!(world.failed(), [("ServiceUnavailable".into(), Some("MaximumEventAgeInSeconds".into()))]);
}

#[test]
fn what_nobody_carried_out_is_recorded_and_an_outcome_that_comes_too_late_changes_nothing() {
    let mut world = world(json!({"MaximumEventAgeInSeconds": 60}));
    let id = world.run().id;
    world.pass(60_000 + limits::LATE_MS - 1);
    assert_eq!(world.state.invocation_count(), 1);
    world.pass(1);
    assert_eq!(world.failed(), [("Roadstead.NotCarriedOut".into(), Some("MaximumEventAgeInSeconds".into()))]);
    world.told(id, Ok(started(3)));
    assert_eq!(world.failed().len(), 1);
}

#[test]
fn a_call_that_may_have_been_done_is_made_again_with_its_token() {
    let mut world = world(json!({}));
    let token = |world: &mut World, outcome| {
        let call = world.carry(outcome);
        world.pass(HOUR);
        call.input["clientToken"].as_str().unwrap().rsplit('-').next().unwrap().to_owned()
    };
    assert_eq!(token(&mut world, busy()), "0");
    assert_eq!(token(&mut world, Err(Error::new("ThrottlingException", 400, "slow"))), "0");
    // That one was surely not done.
    assert_eq!(token(&mut world, busy()), "1");
    assert_eq!(token(&mut world, Ok(started(3))), "1");
}

#[test]
fn tasks_without_room_are_told_and_retried_only_if_that_is_asked_for() {
    let failures = json!([{"arn": "i", "reason": "RESOURCE:MEMORY", "detail": "no host has it"}]);
    let reply = |started: usize| json!({"tasks": vec![json!({}); started], "failures": failures});
    let mut plain = world(json!({}));
    plain.carry(Ok(reply(1)));
    assert_eq!(plain.failed(), [("RESOURCE:MEMORY".into(), None)]);
    let message = plain.state.failures().next().unwrap().error.message.clone();
    assert_eq!(message, "2 of 3 tasks were not started: no host has it");
    assert_eq!(plain.state.invocation_count(), 0);

    let mut world = World::new();
    let tags = json!([{"key": "roadstead:retry-without-capacity", "value": "true"}]);
    let target = json!({"EcsParameters": {"TaskCount": 3, "Tags": tags}});
    world.schedule("s", "at(2026-11-23T10:00:00)", json!({"Target": target}));
    world.pass(0);
    assert_eq!(world.carry(Ok(reply(1))).input["count"], 3);
    world.pass(HOUR);
    assert_eq!(world.carry(Ok(reply(0))).input["count"], 2);
    world.pass(HOUR);
    let last = world.carry(Ok(started(2)));
    assert_eq!(last.input["count"], 2);
    assert!(last.input["clientToken"].as_str().unwrap().ends_with("-2"));
    assert_eq!((world.state.invocation_count(), world.failed().len()), (0, 0));
}

#[test]
fn a_run_is_retried_while_no_agent_is_connected() {
    let mut world = world(json!({}));
    let failures = json!([{"arn": "i", "reason": "AGENT"}]);
    world.carry(Ok(json!({"tasks": [], "failures": failures})));
    assert_eq!((world.state.invocation_count(), world.failed().len()), (1, 0));
    world.pass(HOUR);
    assert_eq!(world.carry(Ok(started(3))).input["count"], 3);
    assert_eq!((world.state.invocation_count(), world.failed().len()), (0, 0));
}

#[test]
fn the_oldest_failures_beyond_the_limit_go_first() {
    let mut world = world(json!({}));
    world.carry(Err(Error::new("E", 400, "x".repeat(9999))));
    let row = world.state.failures().next().unwrap().as_ref().clone();
    assert_eq!(row.error.message.len(), limits::MESSAGE);
    for n in 1..limits::FAILURES {
        let id = state::Id128(n as u128);
        let failed_at = row.failed_at.plus_millis(n as i64);
        let row = crate::rows::FailureRow { id, failed_at, ..row.clone() };
        state::Domain::apply(&mut world.state, &state::Change::Put(row.into()));
    }
    world.pass(HOUR);
    world.schedule("t", "at(2026-11-23T10:00:00)", json!({}));
    world.pass(0);
    world.carry(Err(Error::new("New", 400, "x")));
    assert_eq!(world.state.failures().count(), limits::FAILURES);
    assert!(world.state.failure(&row.id).is_none());
    assert_eq!(world.state.failures().next().unwrap().error.code, "New");
}
