//! Where events go, and what becomes of them.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use state::{Domain, Table, contract::EventOut, outbox::Sends};
use wire::{Error, Timestamp};

use super::accept::accept;
use crate::{
    limits,
    rows::{Change, Row, RuleRow},
    testing::{World, arn},
};

fn down() -> Error {
    Error::unavailable("down")
}

#[test]
fn a_log_group_gets_the_event_in_a_stream_that_is_made_for_it() {
    let mut world = World::new();
    world.logged_rule("r");
    let id = world.send(json!({"a": 1}))["Entries"][0]["EventId"].clone();
    let (delivery, call) = world.ready().remove(0);
    assert_eq!(
        (call.principal.as_str(), call.service.as_str(), call.operation.as_str()),
        ("events.amazonaws.com", "logs", "PutLogEvents")
    );
    assert_eq!(
        (&call.input["logGroupName"], &call.input["logEvents"][0]["timestamp"]),
        (&json!("/aws/events/g"), &json!(1_700_000_000_000_i64))
    );
    let message: Value =
        serde_json::from_str(call.input["logEvents"][0]["message"].as_str().unwrap()).unwrap();
    assert_eq!((&message["id"], &message["detail"]), (&id, &json!({"a": 1})));
    world.outcome(delivery, Err(Error::new("ResourceNotFoundException", 400, "no stream")));
    let (delivery, make) = world.ready().remove(0);
    assert_eq!(make.operation, "CreateLogStream");
    assert_eq!(
        make.input,
        json!({"logGroupName": "/aws/events/g", "logStreamName": call.input["logStreamName"]})
    );
    world.outcome(delivery, Err(Error::new("ResourceAlreadyExistsException", 400, "it is there")));
    let (delivery, again) = world.ready().remove(0);
    assert_eq!(again, call);
    world.outcome(delivery, Ok(json!({})));
    assert_eq!((world.ready().len(), world.state.dead_letters().count()), (0, 0));
}

#[test]
fn an_ecs_target_starts_tasks_with_all_that_it_says() {
    let mut world = World::new();
    world.ok("PutRule", json!({"Name": "r".repeat(40), "EventPattern": "{\"source\":[\"app\"]}"}));
    let target = json!({
        "Id": "t", "Arn": arn("ecs", "cluster/c"), "RoleArn": "arn:aws:iam::000000000000:role/r",
        "Input": "{\"containerOverrides\":[{\"name\":\"app\"}],\"x\":1}",
        "EcsParameters": {
            "TaskDefinitionArn": "d:1", "TaskCount": 12, "LaunchType": "EC2", "Group": "g", "PlatformVersion": "1.4.0",
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["s"], "SecurityGroups": ["g"], "AssignPublicIp": "ENABLED"}},
            "CapacityProviderStrategy": [{"capacityProvider": "p", "weight": 1}], "EnableECSManagedTags": true,
            "PlacementConstraints": [{"type": "memberOf", "expression": "e"}], "PlacementStrategy": [{"type": "spread", "field": "f"}],
            "PropagateTags": "TASK_DEFINITION", "ReferenceId": "ref", "Tags": [{"Key": "k", "Value": "v"}],
        },
    });
    world.ok("PutTargets", json!({"Rule": "r".repeat(40), "Targets": [target]}));
    world.send(json!({}));
    let mut calls = world.ready();
    calls.sort_by_key(|(_, call)| call.input["count"].as_i64());
    assert_eq!(calls.len(), 2);
    let (id, call) = &calls[0];
    assert_eq!(
        (call.principal.as_str(), call.operation.as_str()),
        ("arn:aws:iam::000000000000:role/r", "RunTask")
    );
    let wanted = json!({
        "cluster": arn("ecs", "cluster/c"), "taskDefinition": "d:1", "count": 2, "clientToken": format!("{id}-0"),
        "startedBy": format!("events-rule/{}", "r".repeat(24)), "launchType": "EC2", "group": "g", "platformVersion": "1.4.0",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["s"], "securityGroups": ["g"], "assignPublicIp": "ENABLED"}},
        "capacityProviderStrategy": [{"capacityProvider": "p", "weight": 1}], "enableECSManagedTags": true, "enableExecuteCommand": false,
        "placementConstraints": [{"type": "memberOf", "expression": "e"}], "placementStrategy": [{"type": "spread", "field": "f"}],
        "propagateTags": "TASK_DEFINITION", "referenceId": "ref", "tags": [{"key": "k", "value": "v"}],
        "overrides": {"containerOverrides": [{"name": "app"}]},
    });
    assert_eq!(call.input, wanted);
    assert_eq!(calls[1].1.input["count"], 10);
    // No room on any host: tried again with another token. Some placed: that was it.
    world.outcome(*id, Ok(json!({"tasks": [], "failures": [{"reason": "RESOURCE:CPU"}]})));
    assert_eq!(world.state.call(*id).unwrap().input["clientToken"], format!("{id}-1"));
    world.outcome(calls[1].0, Ok(json!({"tasks": [{}], "failures": [{"reason": "RESOURCE:CPU"}]})));
    assert!(world.state.delivery(calls[1].0).is_none());
}

#[test]
fn overrides_that_are_too_long_are_remembered_and_not_sent() {
    let mut world = World::new();
    world.ok("PutRule", json!({"Name": "r", "EventPattern": "{\"source\":[\"app\"]}"}));
    let target = json!({
        "Id": "t", "Arn": arn("ecs", "cluster/c"), "RoleArn": "arn:aws:iam::000000000000:role/r", "InputPath": "$.detail",
        "EcsParameters": {"TaskDefinitionArn": "d"},
    });
    world.ok("PutTargets", json!({"Rule": "r", "Targets": [target]}));
    for (length, waiting, given_up) in [(8000, 1, 0), (9000, 1, 1)] {
        world.send(json!({"containerOverrides": [{"name": "a", "command": ["x".repeat(length)]}]}));
        assert_eq!((world.ready().len(), world.state.dead_letters().count()), (waiting, given_up));
    }
}

#[test]
fn deliveries_are_retried_for_a_day_and_then_remembered() {
    let mut world = World::new();
    world.logged_rule("r");
    world.send(json!({}));
    let id = world.ready()[0].0;
    let mut calls = 0;
    while let Some(row) = world.state.delivery(id).cloned() {
        let wait = row.not_before.millis_since(world.ctx.now);
        assert!((0..=limits::BACKOFF_LONGEST_MS).contains(&wait), "{wait}");
        world.pass(wait);
        if world.state.delivery(id).is_some() {
            calls += 1;
            world.outcome(id, Err(down()));
        }
    }
    assert_eq!(calls, limits::RETRIES + 1);
    let letter = world.state.dead_letters().next().unwrap().clone();
    assert_eq!(
        (letter.attempts, letter.code.as_str(), letter.exhausted.as_deref()),
        (186, "ServiceUnavailable", Some("MaximumRetryAttempts"))
    );
    let target = json!({"Id": "t", "Arn": arn("logs", "log-group:g"), "RetryPolicy": {"MaximumEventAgeInSeconds": 60}});
    world.ok("PutTargets", json!({"Rule": "r", "Targets": [target]}));
    world.send(json!({}));
    world.pass(60_000);
    let letter = world.state.dead_letters().next_back().unwrap().clone();
    assert_eq!((letter.code.as_str(), world.ready().len()), ("EventAgeExceeded", 0));
    // What will not pass is given up at once.
    world.send(json!({}));
    let id = world.ready()[0].0;
    world.outcome(id, Err(Error::new("AccessDeniedException", 400, "no")));
    assert_eq!(world.state.dead_letters().next_back().unwrap().code, "AccessDeniedException");
    for _ in 0..limits::DEAD_LETTERS + 5 {
        world.send(json!({}));
        let id = world.ready()[0].0;
        world.outcome(id, Err(Error::new("AccessDeniedException", 400, "no")));
    }
    assert_eq!(world.state.dead_letters().count(), limits::DEAD_LETTERS);
}

#[test]
fn an_event_goes_to_another_event_bus_and_no_further() {
    let mut world = World::new();
    for name in ["b", "c"] {
        world.ok("CreateEventBus", json!({"Name": name}));
    }
    for (bus, next) in [("default", "b"), ("b", "c"), ("c", "default")] {
        world.ok(
            "PutRule",
            json!({"Name": "on", "EventBusName": bus, "EventPattern": "{\"source\":[\"app\"]}"}),
        );
        let targets = json!([{"Id": "bus", "Arn": arn("events", &format!("event-bus/{next}"))}, {"Id": "log", "Arn": arn("logs", &format!("log-group:{bus}"))}]);
        world.ok("PutTargets", json!({"Rule": "on", "EventBusName": bus, "Targets": targets}));
    }
    world.send(json!({}));
    let calls = world.ready();
    let mut groups: Vec<&Value> = calls.iter().map(|(_, call)| &call.input["logGroupName"]).collect();
    groups.sort_by_key(|group| group.as_str());
    assert_eq!(groups, ["b", "default"]);
    let messages: Vec<&Value> =
        calls.iter().map(|(_, call)| &call.input["logEvents"][0]["message"]).collect();
    assert_eq!(messages[0], messages[1], "it is the same event, id and all");
}

#[test]
fn a_schedule_runs_at_its_times_and_once_for_what_was_missed() {
    let mut world = World::new();
    world.ok("PutRule", json!({"Name": "r", "ScheduleExpression": "rate(5 minutes)"}));
    let target = json!({"Id": "t", "Arn": arn("logs", "log-group:g")});
    world.ok("PutTargets", json!({"Rule": "r", "Targets": [target]}));
    world.pass(299_999);
    assert_eq!(world.ready().len(), 0);
    world.pass(1);
    let (id, call) = world.ready().remove(0);
    let event: Value = serde_json::from_str(call.input["logEvents"][0]["message"].as_str().unwrap()).unwrap();
    let rest = json!({"version": "0", "id": event["id"], "detail-type": "Scheduled Event", "source": "aws.events", "account": "000000000000", "time": "2023-11-14T22:18:20Z", "region": "us-east-1", "resources": [arn("events", "rule/r")], "detail": {}});
    assert_eq!(event, rest);
    world.outcome(id, Ok(json!({})));
    // Nothing ran for an hour and two minutes.
    world.ctx.now = world.ctx.now.plus_millis(3_720_000);
    world.pass(0);
    assert_eq!(world.ready().len(), 1);
    assert_eq!(world.state.schedule("r").unwrap().next.millis_since(world.ctx.now), 180_000);
    world.ok("DisableRule", json!({"Name": "r"}));
    assert!(world.state.schedule("r").is_none());
    world.ok("EnableRule", json!({"Name": "r"}));
    assert_eq!(world.state.schedule("r").unwrap().next.millis_since(world.ctx.now), 300_000);
    world.ok("RemoveTargets", json!({"Rule": "r", "Ids": ["t"]}));
    world.ok("DeleteRule", json!({"Name": "r"}));
    assert!(world.state.schedule("r").is_none());
}

fn out(sequence: u64) -> EventOut {
    EventOut {
        sequence,
        id: format!("id-{sequence}"),
        source: "aws.ecs".to_owned(),
        detail_type: "ECS Task State Change".to_owned(),
        resources: Vec::new(),
        detail: json!({"n": sequence}),
        time: Timestamp(1_700_000_000_000),
    }
}

#[test]
fn what_other_domains_say_is_taken_once() {
    let mut world = World::new();
    world.ok("PutRule", json!({"Name": "r", "EventPattern": "{\"source\":[\"aws.ecs\"]}"}));
    world.ok("PutTargets", json!({"Rule": "r", "Targets": [{"Id": "t", "Arn": arn("logs", "log-group:g")}]}));
    let take = |world: &mut World, sender: &str, events: &[EventOut]| {
        world.run(|txn| Ok(accept(txn, sender, events))).unwrap()
    };
    assert_eq!(take(&mut world, "ecs/c", &[]), None);
    assert_eq!(take(&mut world, "ecs/c", &[out(1), out(2)]), Some(2));
    assert_eq!(take(&mut world, "ecs/c", &[out(1), out(2), out(5)]), Some(5));
    assert_eq!(take(&mut world, "ecs/d", &[out(1)]), Some(1));
    assert_eq!(world.ready().len(), 4);
    world.state = world.reloaded();
    assert_eq!(take(&mut world, "ecs/c", &[out(4), out(5)]), Some(5));
    assert_eq!(world.ready().len(), 4);
    // What has no room stays with its sender.
    let many: Vec<EventOut> = (6..3000).map(out).collect();
    let taken = take(&mut world, "ecs/c", &many).unwrap();
    assert!((500..1100).contains(&taken), "{taken}");
    assert_eq!(world.ready().len() as u64, 4 + taken - 5);
}

#[test]
fn what_does_not_fit_into_one_step_goes_on_in_the_next() {
    let mut world = World::new();
    for rule in 0..limits::RULES {
        let name = format!("r{rule}");
        world.ok("PutRule", json!({"Name": name, "EventPattern": "{\"source\":[\"app\"]}"}));
        let targets: Vec<Value> =
            (0..5).map(|n| json!({"Id": n.to_string(), "Arn": arn("logs", "log-group:g")})).collect();
        world.ok("PutTargets", json!({"Rule": name, "Targets": targets}));
    }
    world.send(json!({"text": "x".repeat(5000)}));
    let mut seen: Vec<(String, String)> =
        world.state.deliveries().map(|row| (row.rule.clone(), row.target.clone())).collect();
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), world.state.deliveries().count()), (1500, 1500));
    assert!(world.stored.keys().all(|path| !path.starts_with("arrival/")));
}

#[test]
fn one_event_costs_the_same_among_10_and_10_000_rules() {
    let steps = [10, 10_000].map(|rules| {
        let mut world = World::new();
        world.logged_rule("r");
        for n in 0..rules {
            let pattern = format!(r#"{{"source":["app"],"detail":{{"id":["{n}"]}}}}"#);
            let row = RuleRow {
                bus: "default".to_owned(),
                name: format!("n{n}"),
                pattern: Some(pattern),
                enabled: true,
                ..RuleRow::default()
            };
            world.state.apply(&Change::Put(Row::Rule(Arc::new(row))));
        }
        world.send(json!({"id": "none"}));
        assert_eq!(world.ready().len(), 1);
        let event = r#"{"source":"app","detail":{"id":"none"}}"#;
        world.state.matcher("default").unwrap().find(event).unwrap().steps
    });
    assert!(steps[1] <= steps[0] + 32, "{steps:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Rules and targets come and go; what is read back from the rows does as what was never put down.
    #[test]
    fn a_state_that_is_read_back_does_the_same(steps in prop::collection::vec((0u8..6, 0u8..6, 0u8..3), 1..40)) {
        let mut world = World::new();
        for (what, rule, value) in steps {
            let name = format!("r{rule}");
            let _ = match what {
                0 | 1 => world.call("PutRule", json!({"Name": name, "EventPattern": format!(r#"{{"source":["app"],"detail":{{"v":[{value}]}}}}"#)})),
                2 => world.call("PutTargets", json!({"Rule": name, "Targets": [{"Id": value.to_string(), "Arn": arn("logs", &format!("log-group:g{value}"))}]})),
                3 => world.call("RemoveTargets", json!({"Rule": name, "Ids": [value.to_string()]})),
                4 => world.call(if value == 0 { "DisableRule" } else { "EnableRule" }, json!({"Name": name})),
                _ => world.call("DeleteRule", json!({"Name": name})),
            };
        }
        let mut other = World { state: world.reloaded(), ctx: world.ctx.clone(), ids: world.ids.clone(), stored: world.stored.clone() };
        for value in 0..3 {
            prop_assert_eq!(world.send(json!({"v": value})), other.send(json!({"v": value})));
        }
        prop_assert_eq!(world.ready(), other.ready());
        prop_assert_eq!(&world.stored, &other.stored);
        for value in 0..3 {
            let input = json!({"TargetArn": arn("logs", &format!("log-group:g{value}"))});
            prop_assert_eq!(world.ok("ListRuleNamesByTarget", input.clone()), other.ok("ListRuleNamesByTarget", input));
        }
        for (path, value) in &world.stored {
            let weight = Row::decode(path, value).unwrap().weight();
            prop_assert!(weight * 2 >= value.len(), "{path}: {weight} {}", value.len());
        }
    }
}
