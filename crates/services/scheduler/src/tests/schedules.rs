//! Schedules: what is shown of them, what is refused, and the same request made twice.

use serde_json::{Value, json};

use crate::testing::{CLUSTER, HOUR, ROLE, World, at, refusal, schedule, with};

const ARN: &str = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s";

#[test]
fn what_is_not_given_is_shown_as_aws_shows_it() {
    let mut world = World::new();
    let made = world.call("CreateSchedule", schedule("s", "cron(0 8 * * ? *)")).unwrap();
    assert_eq!(made, json!({"ScheduleArn": ARN}));
    let now = world.ctx.now.as_seconds();
    let shown = json!({
        "Arn": ARN,
        "Name": "s",
        "GroupName": "default",
        "ScheduleExpression": "cron(0 8 * * ? *)",
        "ScheduleExpressionTimezone": "UTC",
        "State": "ENABLED",
        "ActionAfterCompletion": "NONE",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "CreationDate": now,
        "LastModificationDate": now,
        "Target": {
            "Arn": CLUSTER,
            "RoleArn": ROLE,
            "EcsParameters": {"TaskDefinitionArn": "web"},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
        },
    });
    assert_eq!(world.call("GetSchedule", json!({"Name": "s"})).unwrap(), shown);
    let summary = json!({
        "Arn": ARN, "Name": "s", "GroupName": "default", "State": "ENABLED", "Target": {"Arn": CLUSTER},
        "CreationDate": now, "LastModificationDate": now,
    });
    assert_eq!(world.call("ListSchedules", json!({})).unwrap(), json!({"Schedules": [summary]}));
}

/// Every member that can be given.
fn all_members() -> Value {
    json!({
        "Description": "What it does",
        "ScheduleExpressionTimezone": "Europe/London",
        "StartDate": 1_800_000_000,
        "EndDate": 1_900_000_000,
        "State": "DISABLED",
        "ActionAfterCompletion": "DELETE",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        "Target": {
            "Input": "{\"containerOverrides\":[]}",
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:dead"},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0},
            "EcsParameters": {
                "TaskDefinitionArn": "arn:aws:ecs:us-east-1:000000000000:task-definition/web:1",
                "TaskCount": 3,
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {"awsvpcConfiguration": {
                    "Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "ENABLED",
                }},
                "PlatformVersion": "LATEST",
                "Group": "family:web",
                "CapacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}],
                "EnableECSManagedTags": true,
                "EnableExecuteCommand": false,
                "PlacementConstraints": [{"type": "memberOf", "expression": "attribute:a == b"}],
                "PlacementStrategy": [{"type": "spread", "field": "host"}],
                "PropagateTags": "TASK_DEFINITION",
                "ReferenceId": "r",
                "Tags": [{"key": "k", "value": "v"}],
            },
        },
    })
}

#[test]
fn what_is_given_is_shown_as_it_was_given_and_an_update_replaces_all_of_it() {
    let mut world = World::new();
    let request = with(schedule("s", "rate(5 minutes)"), all_members());
    world.call("CreateSchedule", request.clone()).unwrap();
    let shown = world.call("GetSchedule", json!({"Name": "s"})).unwrap();
    for (name, given) in request.as_object().unwrap() {
        assert_eq!(shown[name], *given, "{name}");
    }
    world.restart();
    world.pass(HOUR);
    let made = world.call("UpdateSchedule", schedule("s", "rate(5 minutes)")).unwrap();
    assert_eq!(made, json!({"ScheduleArn": ARN}));
    let later = world.call("GetSchedule", json!({"Name": "s"})).unwrap();
    assert_eq!(later["State"], "ENABLED");
    for gone in ["Description", "StartDate", "EndDate"] {
        assert!(later.get(gone).is_none(), "{gone}");
    }
    assert_eq!(later["Target"]["RetryPolicy"]["MaximumRetryAttempts"], 185);
    assert_eq!(later["CreationDate"], shown["CreationDate"]);
    assert_eq!(later["LastModificationDate"], world.ctx.now.as_seconds());
}

#[test]
fn what_is_not_there_or_there_already_is_said_as_aws_says_it() {
    let mut world = World::new();
    world.schedule("s", "rate(1 hour)", json!({}));
    let missing = "Schedule x does not exist.";
    for (operation, input) in [
        ("GetSchedule", json!({"Name": "x"})),
        ("DeleteSchedule", json!({"Name": "x"})),
        ("UpdateSchedule", schedule("x", "rate(1 hour)")),
    ] {
        let refused = refusal(world.call(operation, input));
        assert_eq!(refused, ("ResourceNotFoundException".into(), missing.into()), "{operation}");
    }
    let again = refusal(world.call("CreateSchedule", schedule("s", "rate(1 hour)")));
    assert_eq!(again, ("ConflictException".into(), "Schedule s already exists.".into()));
    world.call("DeleteSchedule", json!({"Name": "s"})).unwrap();
    assert_eq!(world.state.counts(), (0, 0));
}

#[test]
fn what_does_not_fit_is_refused() {
    let off = |more: Value| json!({"FlexibleTimeWindow": more});
    let start = |start: i64, end: i64| json!({"StartDate": start, "EndDate": end});
    let now = World::new().ctx.now.as_seconds();
    for (expression, more, message) in [
        ("rate(0 minutes)", json!({}), "Invalid Schedule Expression rate(0 minutes)."),
        ("cron(0 8 * * ?)x", json!({}), "Invalid Schedule Expression cron(0 8 * * ?)x."),
        (
            "cron(0 8 * * ? 2020)",
            json!({}),
            "The schedule expression cron(0 8 * * ? 2020) will never schedule.",
        ),
        (
            "rate(1 day)",
            json!({"ScheduleExpressionTimezone": "Mars/Base"}),
            "Invalid Schedule Expression Timezone Mars/Base.",
        ),
        (
            "rate(1 day)",
            start(now - 301, now + 9),
            "The StartDate you specify cannot be earlier than 5 minutes ago.",
        ),
        ("rate(1 day)", start(now + 9, now + 9), "The StartDate you specify must come before the EndDate."),
        (
            "rate(1 day)",
            off(json!({"MaximumWindowInMinutes": 5})),
            "MaximumWindowInMinutes must not be provided when FlexibleTimeWindowMode is set to OFF.",
        ),
        (
            "rate(1 day)",
            off(json!({"Mode": "FLEXIBLE"})),
            "MaximumWindowInMinutes must be provided when FlexibleTimeWindowMode is set to FLEXIBLE",
        ),
        (
            "rate(1 day)",
            json!({"KmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"}),
            "KmsKeyArn is not built yet. See docs/support.md.",
        ),
    ] {
        let mut world = World::new();
        let request = with(schedule("s", expression), more);
        let refused = refusal(world.call("CreateSchedule", request.clone()));
        assert_eq!(refused, ("ValidationException".into(), message.into()));
        world.schedule("s", "rate(1 day)", json!({}));
        let refused = refusal(world.call("UpdateSchedule", request));
        assert_eq!(refused.1, message);
    }
    // A one-time schedule ignores both dates; a recurring one may begin a little while ago.
    let mut world = World::new();
    world.schedule("once", "at(2022-12-31T23:59:59)", start(9, 8));
    world.schedule("now", "rate(1 day)", json!({"StartDate": now - 300}));
    let (code, _) = refusal(world.call("CreateSchedule", schedule("a/b", "rate(1 day)")));
    assert_eq!(code, "ValidationException");
}

#[test]
fn an_old_start_date_stays_when_something_else_is_changed() {
    let mut world = World::new();
    let start = json!({"StartDate": world.ctx.now.as_seconds() + 60});
    world.schedule("s", "rate(1 day)", start.clone());
    world.pass(10 * HOUR);
    let change = with(with(schedule("s", "rate(1 day)"), start), json!({"Description": "d"}));
    let next = world.row("s").next;
    world.call("UpdateSchedule", change).unwrap();
    assert_eq!(world.row("s").next, next);
}

#[test]
fn the_same_request_with_the_same_token_is_carried_out_once() {
    let mut world = World::new();
    let group = json!({"Name": "g", "ClientToken": "t1"});
    let create = with(schedule("s", "rate(1 hour)"), json!({"ClientToken": "t2"}));
    let update = with(schedule("s", "rate(2 hours)"), json!({"ClientToken": "t3"}));
    let delete = json!({"Name": "s", "ClientToken": "t4"});
    let delete_group = json!({"Name": "g", "ClientToken": "t5"});
    for (operation, input) in [
        ("CreateScheduleGroup", group),
        ("CreateSchedule", create.clone()),
        ("UpdateSchedule", update),
        ("DeleteSchedule", delete),
        ("DeleteScheduleGroup", delete_group),
    ] {
        let first = world.call(operation, input.clone()).unwrap();
        let before = crate::testing::encoded(&world.state);
        assert_eq!(world.call(operation, input).unwrap(), first, "{operation}");
        assert_eq!(crate::testing::encoded(&world.state), before, "{operation}");
    }
    let other = with(create.clone(), json!({"Description": "another"}));
    assert_eq!(refusal(world.call("CreateSchedule", other)).0, "ConflictException");
    // Eight hours later it is a new request.
    world.pass(8 * HOUR);
    assert_eq!(world.state.rows().count(), 0);
    world.call("CreateSchedule", create).unwrap();
    assert!(world.state.schedule(&crate::testing::id("s")).is_some());
}

#[test]
fn lists_go_by_group_and_name_and_by_what_is_asked_for() {
    let mut world = World::new();
    for group in ["alpha", "zeta"] {
        world.call("CreateScheduleGroup", json!({"Name": group})).unwrap();
    }
    for (group, name, state) in [
        ("zeta", "b1", "ENABLED"),
        ("default", "a2", "DISABLED"),
        ("default", "b2", "ENABLED"),
        ("alpha", "b3", "DISABLED"),
        ("alpha", "a3", "ENABLED"),
    ] {
        world.schedule(name, "rate(1 hour)", json!({"GroupName": group, "State": state}));
    }
    let list = |world: &mut World, input: Value| {
        let reply = world.call("ListSchedules", input).unwrap();
        let names = reply["Schedules"].as_array().unwrap().iter();
        let names: Vec<String> = names.map(|row| row["Name"].as_str().unwrap().to_owned()).collect();
        (names, reply["NextToken"].clone())
    };
    for (input, names) in [
        (json!({}), vec!["a3", "b3", "a2", "b2", "b1"]),
        (json!({"GroupName": "default"}), vec!["a2", "b2"]),
        (json!({"NamePrefix": "b"}), vec!["b3", "b2", "b1"]),
        (json!({"NamePrefix": "b", "GroupName": "alpha"}), vec!["b3"]),
        (json!({"State": "DISABLED"}), vec!["b3", "a2"]),
        (json!({"NamePrefix": "none"}), vec![]),
    ] {
        assert_eq!(list(&mut world, input.clone()).0, names, "{input}");
        let (mut seen, mut token) = (Vec::new(), Value::Null);
        loop {
            let (page, next) =
                list(&mut world, with(input.clone(), json!({"MaxResults": 1, "NextToken": token})));
            seen.extend(page);
            token = next;
            if token.is_null() {
                break;
            }
        }
        assert_eq!(seen, names, "{input}, page by page");
    }
    assert_eq!(refusal(world.call("ListSchedules", json!({"NextToken": "!"}))).0, "ValidationException");
}

#[test]
fn what_an_update_leaves_of_the_times() {
    let mut world = World::new();
    world.schedule("s", "rate(1 hour)", json!({}));
    world.pass(HOUR / 2);
    assert_eq!(world.carry_all(), 1);
    // A new description: the next run is when it was.
    let next = at("2026-11-23T11:00:00Z");
    world.call("UpdateSchedule", with(schedule("s", "rate(1 hour)"), json!({"Description": "d"}))).unwrap();
    assert_eq!(world.row("s").next.unwrap().run, next);
    // Disabled and enabled: the same.
    world.call("UpdateSchedule", with(schedule("s", "rate(1 hour)"), json!({"State": "DISABLED"}))).unwrap();
    assert_eq!(world.row("s").next, None);
    world.call("UpdateSchedule", schedule("s", "rate(1 hour)")).unwrap();
    assert_eq!(world.row("s").next.unwrap().run, next);
    // Another rate begins now.
    world.call("UpdateSchedule", schedule("s", "rate(2 hours)")).unwrap();
    assert_eq!(world.row("s").next.unwrap().run, world.ctx.now);
}

#[test]
fn a_full_account_is_said() {
    let mut world = World::new();
    for n in 0..crate::limits::GROUPS {
        world.call("CreateScheduleGroup", json!({"Name": format!("g{n}")})).unwrap();
    }
    let refused = refusal(world.call("CreateScheduleGroup", json!({"Name": "more"})));
    assert_eq!(refused.0, "ServiceQuotaExceededException");
}
