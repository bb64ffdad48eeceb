//! Tables of what each operation answers, in the words of AWS where those are known.

use serde_json::{Value, json};

use super::*;
use crate::testing::{World, arn};

const NOT_FOUND: &str = "ResourceNotFoundException";
const VALIDATION: &str = "ValidationException";

#[test]
fn the_table_is_of_the_model() {
    let names: Vec<&str> = OPERATIONS.iter().map(|operation| operation.built.operation).collect();
    assert!(names.is_sorted() && names.len() == 22, "{names:?}");
    for operation in OPERATIONS {
        let name = operation.built.operation;
        let model = events_model::SERVICE.operation(name).expect(name);
        for member in operation.built.refused {
            let input = model.input.expect("it has an input");
            assert!(input.member(member).is_some(), "{name} {member}");
        }
    }
}

#[test]
fn operations_are_authorised_on_what_they_name() {
    let other = "arn:aws:events:eu-west-1:111111111111:event-bus/b";
    let pattern = json!({"source": ["a", {"prefix": "b"}, "c"], "detail": {"service": ["s"]}}).to_string();
    for (name, input, on) in [
        ("CreateEventBus", json!({"Name": "b"}), vec![arn("events", "event-bus/b")]),
        ("DescribeEventBus", json!({}), vec![arn("events", "event-bus/default")]),
        ("DescribeEventBus", json!({"Name": other}), vec![other.to_owned()]),
        ("ListRules", json!({"EventBusName": "b"}), vec!["*".to_owned()]),
        ("PutRule", json!({"Name": "r", "EventPattern": pattern}), vec![arn("events", "rule/r")]),
        ("PutTargets", json!({"Rule": "r", "EventBusName": "b"}), vec![arn("events", "rule/b/r")]),
        (
            "DeleteRule",
            json!({"Name": "r", "EventBusName": arn("events", "event-bus/default")}),
            vec![arn("events", "rule/r")],
        ),
        (
            "DeleteRule",
            json!({"Name": "r", "EventBusName": other}),
            vec!["arn:aws:events:eu-west-1:111111111111:rule/b/r".to_owned()],
        ),
        ("TagResource", json!({"ResourceARN": arn("events", "rule/r")}), vec![arn("events", "rule/r")]),
        (
            "PutEvents",
            json!({"Entries": [{"Source": "a"}, {"EventBusName": "b"}, {"EventBusName": "default"}]}),
            vec![arn("events", "event-bus/b"), arn("events", "event-bus/default")],
        ),
    ] {
        let built = &state::api::named(OPERATIONS, name).unwrap().built;
        assert_eq!((built.on)(&crate::testing::ctx(), &input), on, "{name} {input}");
    }
    let conditions = |name: &str, input: Value| {
        let built = &state::api::named(OPERATIONS, name).unwrap().built;
        let values = built.condition_values(&crate::testing::ctx(), &input);
        values.into_iter().map(|(key, values)| format!("{key}={}", values.join(","))).collect::<Vec<_>>()
    };
    assert_eq!(
        conditions("PutRule", json!({"EventPattern": pattern})),
        ["events:detail.service=s", "events:source=a,c"]
    );
    let entries = json!({"Entries": [{"Source": "a", "DetailType": "t"}, {"Source": "b"}]});
    let wanted = ["events:detail-type=t", "events:source=a,b", "events:eventBusInvocation=false"];
    assert_eq!(conditions("PutEvents", entries), wanted);
    assert_eq!(conditions("PutTargets", json!({"Targets": [{"Arn": "x"}]})), ["events:TargetArn=x"]);
}

#[test]
fn event_buses_are_made_changed_listed_and_deleted() {
    let mut world = World::new();
    assert_eq!(
        world.ok("DescribeEventBus", json!({})),
        json!({"Name": "default", "Arn": arn("events", "event-bus/default")})
    );
    let made = world
        .ok("CreateEventBus", json!({"Name": "b", "Description": "d", "Tags": [{"Key": "k", "Value": "v"}]}));
    assert_eq!(made, json!({"EventBusArn": arn("events", "event-bus/b"), "Description": "d"}));
    world.ok("CreateEventBus", json!({"Name": "z"}));
    let shown = world.ok("DescribeEventBus", json!({"Name": arn("events", "event-bus/b")}));
    assert_eq!((&shown["Name"], &shown["CreationTime"]), (&json!("b"), &json!(1_700_000_000)));
    let updated =
        world.ok("UpdateEventBus", json!({"Name": "b", "Description": "e", "LogConfig": {"Level": "OFF"}}));
    assert_eq!((&updated["Description"], &updated["LogConfig"]), (&json!("e"), &json!({"Level": "OFF"})));
    world.ok("UpdateEventBus", json!({"Description": "mine"}));
    let names = |page: &Value| {
        page["EventBuses"].as_array().unwrap().iter().map(|bus| bus["Name"].clone()).collect::<Vec<_>>()
    };
    let page = world.ok("ListEventBuses", json!({"Limit": 2}));
    assert_eq!(names(&page), ["b", "default"]);
    let page = world.ok("ListEventBuses", json!({"NextToken": page["NextToken"]}));
    assert_eq!((names(&page), &page["NextToken"]), (vec![json!("z")], &Value::Null));
    assert_eq!(names(&world.ok("ListEventBuses", json!({"NamePrefix": "z"}))), ["z"]);
    world.ok("PutRule", json!({"Name": "r", "EventBusName": "b", "EventPattern": "{\"source\":[\"a\"]}"}));
    for (operation, input, code, message) in [
        (
            "CreateEventBus",
            json!({"Name": "b"}),
            "ResourceAlreadyExistsException",
            "Event bus b already exists.",
        ),
        (
            "CreateEventBus",
            json!({"Name": "default"}),
            "ResourceAlreadyExistsException",
            "Event bus default already exists.",
        ),
        ("CreateEventBus", json!({"Name": "a/b"}), VALIDATION, "Event bus name must not contain '/'."),
        (
            "CreateEventBus",
            json!({"Name": "aws.partner/x/y", "EventSourceName": "aws.partner/x/y"}),
            NOT_FOUND,
            "Event source aws.partner/x/y does not exist.",
        ),
        (
            "CreateEventBus",
            json!({"Name": "k", "KmsKeyIdentifier": "x"}),
            VALIDATION,
            "Roadstead does not support KmsKeyIdentifier of event buses yet: see docs/support.md",
        ),
        (
            "CreateEventBus",
            json!({"Name": "k", "LogConfig": {"Level": "INFO"}}),
            VALIDATION,
            "Roadstead does not support LogConfig.Level of event buses, but for OFF yet: see docs/support.md",
        ),
        (
            "CreateEventBus",
            json!({"Name": "k", "Tags": [{"Key": "a", "Value": ""}, {"Key": "a", "Value": ""}]}),
            VALIDATION,
            "Invalid parameter: Duplicated keys are not allowed.",
        ),
        ("DescribeEventBus", json!({"Name": "x"}), NOT_FOUND, "Event bus x does not exist."),
        ("UpdateEventBus", json!({"Name": "x"}), NOT_FOUND, "Event bus x does not exist."),
        ("DeleteEventBus", json!({"Name": "default"}), VALIDATION, "Cannot delete event bus default."),
        ("DeleteEventBus", json!({"Name": "b"}), VALIDATION, "EventBus can't be deleted since it has rules."),
        ("ListEventBuses", json!({"NextToken": "!"}), VALIDATION, "Parameter NextToken is not valid."),
    ] {
        assert_eq!(world.refused(operation, input), (code.to_owned(), message.to_owned()));
    }
    world.ok("DeleteRule", json!({"Name": "r", "EventBusName": "b"}));
    world.ok("DeleteEventBus", json!({"Name": "b"}));
    world.ok("DeleteEventBus", json!({"Name": "b"}));
    for n in 1..limits_buses() {
        world.ok("CreateEventBus", json!({"Name": format!("n{n}")}));
    }
    assert_eq!(world.refused("CreateEventBus", json!({"Name": "one-more"})).0, "LimitExceededException");
}

fn limits_buses() -> usize {
    crate::limits::BUSES
}

#[test]
fn rules_are_put_switched_listed_and_deleted() {
    let mut world = World::new();
    let pattern = r#"{"source":["app"]}"#;
    world.ok("CreateEventBus", json!({"Name": "b"}));
    let made = world
        .ok("PutRule", json!({"Name": "r", "EventPattern": pattern, "Tags": [{"Key": "k", "Value": "v"}]}));
    assert_eq!(made, json!({"RuleArn": arn("events", "rule/r")}));
    let made = world.ok("PutRule", json!({"Name": "r", "EventPattern": pattern, "EventBusName": "b"}));
    assert_eq!(made, json!({"RuleArn": arn("events", "rule/b/r")}));
    world.ok("DisableRule", json!({"Name": "r"}));
    let shown = world.ok("DescribeRule", json!({"Name": "r"}));
    let wanted = json!({"Name": "r", "Arn": arn("events", "rule/r"), "EventPattern": pattern, "State": "DISABLED", "EventBusName": "default", "CreatedBy": "000000000000"});
    assert_eq!(shown, wanted);
    world.ok("EnableRule", json!({"Name": "r"}));
    // What a request leaves out is gone, but for the tags, which are a new rule's alone.
    world.ok(
        "PutRule",
        json!({"Name": "r", "ScheduleExpression": "rate(5 minutes)", "Tags": [{"Key": "x", "Value": "y"}]}),
    );
    let listed = world.ok("ListRules", json!({"NamePrefix": "r"}));
    let wanted = json!([{"Name": "r", "Arn": arn("events", "rule/r"), "ScheduleExpression": "rate(5 minutes)", "State": "ENABLED", "EventBusName": "default"}]);
    assert_eq!(listed["Rules"], wanted);
    assert_eq!(
        world.ok("ListTagsForResource", json!({"ResourceARN": arn("events", "rule/r")})),
        json!({"Tags": [{"Key": "k", "Value": "v"}]})
    );
    let target = json!({"Id": "t", "Arn": arn("logs", "log-group:/aws/events/g")});
    world.ok("PutTargets", json!({"Rule": "r", "Targets": [target]}));
    for (operation, input, code, message) in [
        (
            "PutRule",
            json!({"Name": "x"}),
            VALIDATION,
            "Parameter(s) EventPattern or ScheduleExpression must be specified.",
        ),
        (
            "PutRule",
            json!({"Name": "x", "ScheduleExpression": "rate(1 minute)", "EventBusName": "b"}),
            VALIDATION,
            "ScheduleExpression is supported only on the default event bus.",
        ),
        (
            "PutRule",
            json!({"Name": "x", "ScheduleExpression": "cron(INVALID)"}),
            VALIDATION,
            "Parameter ScheduleExpression is not valid.",
        ),
        (
            "PutRule",
            json!({"Name": "x", "EventPattern": "{\"a\":[]}"}),
            "InvalidEventPatternException",
            "Event pattern is not valid. Reason: Empty arrays are not allowed\n at [Source: (String)\"{\"a\":[]}\"; line: 1, column: 8]",
        ),
        (
            "PutRule",
            json!({"Name": "x", "EventPattern": pattern, "EventBusName": "no"}),
            NOT_FOUND,
            "Event bus no does not exist.",
        ),
        (
            "PutRule",
            json!({"Name": "x", "EventPattern": pattern, "State": "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"}),
            VALIDATION,
            "Roadstead does not support State ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS of rules yet: see docs/support.md",
        ),
        (
            "PutRule",
            json!({"Name": "x", "EventPattern": pattern, "RoleArn": "arn:aws:iam::111111111111:role/r"}),
            VALIDATION,
            "Provided role 'arn:aws:iam::111111111111:role/r' cannot be assumed by principal 'events.amazonaws.com'.",
        ),
        ("DescribeRule", json!({"Name": "x"}), NOT_FOUND, "Rule x does not exist on EventBus default."),
        (
            "EnableRule",
            json!({"Name": "x", "EventBusName": "b"}),
            NOT_FOUND,
            "Rule x does not exist on EventBus b.",
        ),
        (
            "DisableRule",
            json!({"Name": "x", "EventBusName": "no"}),
            NOT_FOUND,
            "Event bus no does not exist.",
        ),
        ("ListRules", json!({"EventBusName": "no"}), NOT_FOUND, "Event bus no does not exist."),
        ("DeleteRule", json!({"Name": "r"}), VALIDATION, "Rule can't be deleted since it has targets."),
    ] {
        assert_eq!(world.refused(operation, input), (code.to_owned(), message.to_owned()));
    }
    world.ok("RemoveTargets", json!({"Rule": "r", "Ids": ["t", "never"]}));
    for _ in 0..2 {
        world.ok("DeleteRule", json!({"Name": "r"}));
    }
    assert_eq!(world.ok("ListRules", json!({})), json!({"Rules": []}));
    for n in 0..crate::limits::RULES {
        world.ok("PutRule", json!({"Name": format!("n{n}"), "EventPattern": pattern}));
    }
    assert_eq!(
        world.refused("PutRule", json!({"Name": "x", "EventPattern": pattern})).0,
        "LimitExceededException"
    );
    world.ok("PutRule", json!({"Name": "n0", "EventPattern": pattern}));
}

#[test]
fn targets_are_shown_as_they_were_put() {
    let mut world = World::new();
    world.ok("PutRule", json!({"Name": "r", "ScheduleExpression": "rate(1 day)"}));
    let full = json!({
        "Id": "full", "Arn": arn("ecs", "cluster/c"), "RoleArn": "arn:aws:iam::000000000000:role/r",
        "InputTransformer": {"InputPathsMap": {"t": "$.time"}, "InputTemplate": "{\"containerOverrides\":[{\"name\":\"app\",\"command\":[<t>]}]}"},
        "EcsParameters": {
            "TaskDefinitionArn": "d:1", "TaskCount": 3, "LaunchType": "EC2",
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["s"], "SecurityGroups": ["g"], "AssignPublicIp": "DISABLED"}},
            "PlatformVersion": "1.4.0", "Group": "g", "CapacityProviderStrategy": [{"capacityProvider": "p", "weight": 1, "base": 2}],
            "EnableECSManagedTags": true, "EnableExecuteCommand": false,
            "PlacementConstraints": [{"type": "memberOf", "expression": "e"}], "PlacementStrategy": [{"type": "spread", "field": "f"}],
            "PropagateTags": "TASK_DEFINITION", "ReferenceId": "ref", "Tags": [{"Key": "k", "Value": "v"}],
        },
        "DeadLetterConfig": {"Arn": arn("sqs", "q")}, "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60},
    });
    let log = json!({"Id": "log", "Arn": arn("logs", "log-group:/aws/events/g")});
    let put = world.ok("PutTargets", json!({"Rule": "r", "Targets": [full, log]}));
    assert_eq!(put, json!({"FailedEntryCount": 0, "FailedEntries": []}));
    let listed = world.ok("ListTargetsByRule", json!({"Rule": "r"}));
    assert_eq!(listed, json!({"Targets": [full, log]}));
    // What a client lists, changes in place and puts back.
    world.ok("PutTargets", json!({"Rule": "r", "Targets": listed["Targets"]}));
    assert_eq!(world.ok("ListTargetsByRule", json!({"Rule": "r", "Limit": 1}))["Targets"], json!([full]));
    world.logged_rule("q");
    let names = |world: &mut World, input| world.ok("ListRuleNamesByTarget", input)["RuleNames"].clone();
    assert_eq!(names(&mut world, json!({"TargetArn": log["Arn"]})), json!(["q", "r"]));
    let page = world.ok("ListRuleNamesByTarget", json!({"TargetArn": log["Arn"], "Limit": 1}));
    assert_eq!(
        names(&mut world, json!({"TargetArn": log["Arn"], "NextToken": page["NextToken"]})),
        json!(["r"])
    );
    world.ok("RemoveTargets", json!({"Rule": "r", "Ids": ["log"]}));
    assert_eq!(names(&mut world, json!({"TargetArn": log["Arn"]})), json!(["q"]));
}

#[test]
fn targets_are_refused_by_name() {
    let mut world = World::new();
    world.ok("PutRule", json!({"Name": "r", "EventPattern": "{\"source\":[\"app\"]}"}));
    world.ok("CreateEventBus", json!({"Name": "b"}));
    let (group, cluster, bus) =
        (arn("logs", "log-group:g"), arn("ecs", "cluster/c"), arn("events", "event-bus/b"));
    let foreign = "arn:aws:events:eu-west-1:000000000000:event-bus/b";
    for (target, message) in [
        (json!({"Arn": "x"}), "Parameter x is not valid. Reason: Provided Arn is not in correct format.".to_owned()),
        (json!({"Arn": arn("sqs", "q")}), format!("Roadstead does not support targets of sqs (target t, {}) yet: see docs/support.md", arn("sqs", "q"))),
        (json!({"Arn": arn("lambda", "function:f")}), format!("Roadstead does not support targets of lambda (target t, {}) yet: see docs/support.md", arn("lambda", "function:f"))),
        (json!({"Arn": arn("events", "api-destination/a")}), format!("Roadstead does not support targets of events api-destination (target t, {}) yet: see docs/support.md", arn("events", "api-destination/a"))),
        (json!({"Arn": foreign}), format!("Roadstead does not support event buses of other accounts and Regions as targets (target t, {foreign}) yet: see docs/support.md")),
        (json!({"Arn": group, "SqsParameters": {}}), "Roadstead does not support SqsParameters of targets (target t) yet: see docs/support.md".to_owned()),
        (json!({"Arn": group, "RoleArn": "arn:aws:iam::000000000000:role/r"}), format!("RoleArn is not supported for target {group}.")),
        (json!({"Arn": group, "Input": "{}"}), "Input and InputPath are not valid forms of input for target t. The only valid form of input is InputTransformer.".to_owned()),
        (json!({"Arn": group, "Input": "{}", "InputPath": "$"}), "Only one of Input, InputPath, or InputTransformer must be provided for target t.".to_owned()),
        (json!({"Arn": group, "EcsParameters": {"TaskDefinitionArn": "d"}}), format!("EcsParameters is not supported for target {group}.")),
        (json!({"Arn": cluster, "RoleArn": "arn:aws:iam::111111111111:role/r"}), "Provided role 'arn:aws:iam::111111111111:role/r' cannot be assumed by principal 'events.amazonaws.com'.".to_owned()),
        (json!({"Arn": cluster}), "Parameter(s) EcsParameters must be specified for target: t.".to_owned()),
        (json!({"Arn": cluster, "EcsParameters": {"TaskDefinitionArn": "d"}}), format!("RoleArn is required for target {cluster}.")),
        (json!({"Arn": bus, "InputPath": "$.detail"}), format!("Input, InputPath and InputTransformer are not supported for target {bus}.")),
        (json!({"Arn": arn("events", "event-bus/default")}), format!("Parameter {} is not valid. Reason: A rule cannot have its own event bus as a target.", arn("events", "event-bus/default"))),
        (json!({"Arn": group, "DeadLetterConfig": {"Arn": "x"}}), "Parameter DeadLetterConfig.Arn is not valid. Reason: x is not the ARN of a standard SQS queue.".to_owned()),
    ] {
        let mut target = target;
        target["Id"] = "t".into();
        assert_eq!(world.refused("PutTargets", json!({"Rule": "r", "Targets": [target]})), (VALIDATION.to_owned(), message));
    }
    let missing = world.refused("PutTargets", json!({"Rule": "no", "Targets": []}));
    assert_eq!(missing, (NOT_FOUND.to_owned(), "Rule no does not exist on EventBus default.".to_owned()));
    let six: Vec<Value> = (0..6).map(|n| json!({"Id": n.to_string(), "Arn": group})).collect();
    let refused = world.refused("PutTargets", json!({"Rule": "r", "Targets": six}));
    assert_eq!(
        refused,
        (
            "LimitExceededException".to_owned(),
            "The requested resource exceeds the maximum number allowed.".to_owned()
        )
    );
    assert_eq!(world.ok("ListTargetsByRule", json!({"Rule": "r"})), json!({"Targets": []}));
}

#[test]
fn permissions_are_statements_of_a_policy() {
    let mut world = World::new();
    let put = |sid: &str, principal: &str| json!({"StatementId": sid, "Action": "events:PutEvents", "Principal": principal});
    world.ok("PutPermission", put("one", "111111111111"));
    world.ok("PutPermission", put("two", "*"));
    let policy = |world: &mut World| -> Value {
        let text = world.ok("DescribeEventBus", json!({}))["Policy"].clone();
        text.as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    };
    let bus = arn("events", "event-bus/default");
    let wanted = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "one", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "events:PutEvents", "Resource": bus},
        {"Sid": "two", "Effect": "Allow", "Principal": "*", "Action": "events:PutEvents", "Resource": bus},
    ]});
    assert_eq!(policy(&mut world), wanted);
    for (operation, input, code, message) in [
        (
            "PutPermission",
            json!({"StatementId": "x", "Action": "events:PutRule", "Principal": "*"}),
            VALIDATION,
            "Provided value in parameter 'action' is not supported.",
        ),
        ("PutPermission", json!({"Policy": "{}"}), VALIDATION, "Parameter Policy is not valid."),
        (
            "PutPermission",
            json!({"EventBusName": "no", "Policy": "{}"}),
            NOT_FOUND,
            "Event bus no does not exist.",
        ),
        (
            "RemovePermission",
            json!({"StatementId": "no"}),
            NOT_FOUND,
            "Statement with the provided id does not exist.",
        ),
    ] {
        assert_eq!(world.refused(operation, input), (code.to_owned(), message.to_owned()));
    }
    world.ok("RemovePermission", json!({"StatementId": "one"}));
    assert_eq!(policy(&mut world)["Statement"].as_array().unwrap().len(), 1);
    world.ok("RemovePermission", json!({"RemoveAllPermissions": true}));
    assert_eq!(policy(&mut world), Value::Null);
    let long =
        json!({"Statement": {"Sid": "x".repeat(11_000), "Effect": "Allow", "Principal": "*", "Action": "*"}});
    assert_eq!(
        world.refused("PutPermission", json!({"Policy": long.to_string()})).0,
        "PolicyLengthExceededException"
    );
}

#[test]
fn tags_are_of_event_buses_and_rules() {
    let mut world = World::new();
    world.ok("PutRule", json!({"Name": "r", "EventPattern": "{\"source\":[\"app\"]}"}));
    for resource in ["rule/r", "event-bus/default"] {
        let resource = arn("events", resource);
        let tags = json!([{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]);
        world.ok("TagResource", json!({"ResourceARN": resource, "Tags": tags}));
        assert_eq!(world.ok("ListTagsForResource", json!({"ResourceARN": resource})), json!({"Tags": tags}));
        world.ok("UntagResource", json!({"ResourceARN": resource, "TagKeys": ["a"]}));
        let left = world.ok("ListTagsForResource", json!({"ResourceARN": resource}));
        assert_eq!(left, json!({"Tags": [{"Key": "b", "Value": "2"}]}));
        let many: Vec<Value> = (0..50).map(|n| json!({"Key": format!("k{n}"), "Value": ""})).collect();
        assert_eq!(
            world.refused("TagResource", json!({"ResourceARN": resource, "Tags": many})).0,
            "LimitExceededException"
        );
        let reserved = json!([{"Key": "aws:x", "Value": ""}]);
        assert_eq!(
            world.refused("TagResource", json!({"ResourceARN": resource, "Tags": reserved})).0,
            VALIDATION
        );
    }
    for (resource, message) in [
        ("rule/x", "Rule x does not exist on EventBus default."),
        ("rule/b/x", "Event bus b does not exist."),
        ("event-bus/x", "Event bus x does not exist."),
    ] {
        let refused = world.refused("ListTagsForResource", json!({"ResourceARN": arn("events", resource)}));
        assert_eq!(refused, (NOT_FOUND.to_owned(), message.to_owned()));
    }
}

#[test]
fn events_are_put_one_by_one_and_patterns_are_tested() {
    let mut world = World::new();
    let good = json!({"Source": "app", "DetailType": "T", "Detail": "{}"});
    let lost = json!({"Source": "app", "DetailType": "T", "Detail": "{}", "EventBusName": "no"});
    let output = world.ok("PutEvents", json!({"Entries": [good, {"DetailType": "T", "Detail": "{}"}, lost]}));
    assert_eq!(output["FailedEntryCount"], 1);
    assert_eq!(
        output["Entries"][1],
        json!({"ErrorCode": "InvalidArgument", "ErrorMessage": "Parameter Source is not valid. Reason: Source is a required argument."})
    );
    assert!(output["Entries"][0]["EventId"].is_string() && output["Entries"][2]["EventId"].is_string());
    let big = json!({"Source": "app", "DetailType": "T", "Detail": format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024))});
    let refused = world.refused("PutEvents", json!({"Entries": [big]}));
    assert_eq!(refused.1, "Total size of the entries in the request is over the limit.");
    let event =
        json!({"id": "1", "account": "2", "source": "app", "time": "t", "region": "r", "detail-type": "T"});
    for (pattern, result) in [("{\"source\":[\"app\"]}", true), ("{\"source\":[\"other\"]}", false)] {
        let output =
            world.ok("TestEventPattern", json!({"EventPattern": pattern, "Event": event.to_string()}));
        assert_eq!(output, json!({"Result": result}));
    }
    let refused = world.refused("TestEventPattern", json!({"EventPattern": "{\"a\":[1]}", "Event": "{}"}));
    assert_eq!(refused, (VALIDATION.to_owned(), "Parameter Event is not valid.".to_owned()));
    assert_eq!(
        world.refused("TestEventPattern", json!({"EventPattern": "{}", "Event": "{}"})).0,
        "InvalidEventPatternException"
    );
}
