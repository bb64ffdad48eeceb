//! One table: what is refused, and in which words.

use ecs_model as ecs;
use events_model as events;
use logs_model as logs;
use proptest::prelude::*;
use scheduler_model as scheduler;
use serde_json::{Value, json};
use wire::{Error, schema::Service, validate::validate};

fn run(service: &'static Service, operation: &str, mut input: Value) -> Result<Value, Error> {
    let operation = service.operation(operation).unwrap();
    validate(service, operation, &mut input).map(|()| input)
}

fn refused(service: &'static Service, operation: &str, input: Value) -> (String, String) {
    let error = run(service, operation, input).unwrap_err();
    assert_eq!(error.status(), 400);
    (error.code().to_owned(), error.message().to_owned())
}

#[test]
fn wrong_types_are_serialization_errors() {
    for (operation, input, message) in [
        ("DescribeTasks", json!({"tasks": "a"}), "Expected list or null"),
        ("DescribeTasks", json!({"tasks": [1]}), "NUMBER_VALUE can not be converted to a String"),
        ("DescribeTasks", json!({"tasks": [["a"]]}), "Start of list found where not expected"),
        ("DescribeTasks", json!([]), "Unrecognized collection type DescribeTasksRequest"),
        ("DescribeTasks", json!("x"), "Expected structure or null"),
        ("RunTask", json!({"count": "1"}), "STRING_VALUE can not be converted to an Integer"),
        ("RunTask", json!({"count": 1.5}), "DECIMAL_VALUE can not be converted to an Integer"),
        ("RunTask", json!({"count": 4_294_967_296_i64}), "NUMBER_VALUE can not be converted to an Integer"),
        ("RunTask", json!({"count": {}}), "Start of structure or map found where not expected"),
        ("RunTask", json!({"enableExecuteCommand": "yes"}), "STRING_VALUE can not be converted to a Boolean"),
        ("RunTask", json!({"cluster": true}), "TRUE_VALUE can not be converted to a String"),
    ] {
        let (code, found) = refused(&ecs::SERVICE, operation, input);
        assert_eq!((code.as_str(), found.as_str()), ("SerializationException", message));
    }
}

#[test]
fn broken_constraints_are_told_as_aws_does() {
    let told = |text: &str| format!("1 validation error detected: Value {text}");
    for (operation, input, message) in [
        ("DescribeTasks", json!({}), "null at 'tasks' failed to satisfy constraint: Member must not be null"),
        (
            "DescribeTasks",
            json!({"tasks": [null]}),
            "null at 'tasks.1.member' failed to satisfy constraint: Member must not be null",
        ),
        (
            "RunTask",
            json!({"taskDefinition": "a", "launchType": "ec2"}),
            "'ec2' at 'launchType' failed to satisfy constraint: Member must satisfy enum value set: \
             [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]",
        ),
        (
            "TagResource",
            json!({"resourceArn": "a", "tags": [{"key": "a"}, {"key": "b|c", "value": "x"}]}),
            "'b|c' at 'tags.2.member.key' failed to satisfy constraint: Member must satisfy regular expression \
             pattern: ([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)",
        ),
        (
            "CreateService",
            json!({"serviceName": "a", "capacityProviderStrategy": [{"capacityProvider": "a", "weight": 1001}]}),
            "'1001' at 'capacityProviderStrategy.1.member.weight' failed to satisfy constraint: Member must have \
             value less than or equal to 1000",
        ),
    ] {
        assert_eq!(
            refused(&ecs::SERVICE, operation, input),
            ("InvalidParameterException".into(), told(message))
        );
    }
    let (code, message) =
        refused(&logs::SERVICE, "CreateLogGroup", json!({"logGroupName": "a b", "tags": {}}));
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(
        message,
        "2 validation errors detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+; Value '{}' at 'tags' failed to satisfy \
         constraint: Member must have length greater than or equal to 1"
    );
}

/// Members with a small first letter, also where the model has a large one; constraints of a list's items and of a map's
/// keys and values are told of the list and the map.
#[test]
fn paths_are_written_as_aws_writes_them() {
    let (role, long) = ("arn:aws:iam::123456789012:role/r", "i".repeat(65));
    let target = |role: &str| json!({"Arn": "arn:aws:ecs:a", "RoleArn": role});
    let schedule = |target: Value| json!({"Name": "a", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target});
    for (service, operation, input, message) in [
        (
            &events::SERVICE,
            "PutTargets",
            json!({"Rule": "rule/a", "Targets": [{"Id": "i", "Arn": "a"}]}),
            "'rule/a' at 'rule' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             [\\.\\-_A-Za-z0-9]+",
        ),
        (
            &events::SERVICE,
            "PutTargets",
            json!({"Rule": "a", "Targets": [{"Id": "i", "Arn": "a"}, {"Id": long, "Arn": "a"}]}),
            &format!(
                "'{long}' at 'targets.2.member.id' failed to satisfy constraint: Member must have length less than or \
                 equal to 64"
            ),
        ),
        (
            &events::SERVICE,
            "PutTargets",
            json!({"Rule": "a", "Targets": [{"Id": "i", "Arn": "a", "InputTransformer": {
                "InputPathsMap": {"a": "$.a", "de onde?": "$.b"}, "InputTemplate": "t"}}]}),
            "'{a=$.a, de onde?=$.b}' at 'targets.1.member.inputTransformer.inputPathsMap' failed to satisfy constraint: \
             Map keys must satisfy constraint: [Member must have length less than or equal to 256, Member must have \
             length greater than or equal to 1, Member must satisfy regular expression pattern: [A-Za-z0-9\\_\\-]+]",
        ),
        (
            &events::SERVICE,
            "PutTargets",
            json!({"Rule": "a", "Targets": [{"Id": "i", "Arn": "a", "HttpParameters": {"PathParameterValues": ["b", " "]}}]}),
            "'[b,  ]' at 'targets.1.member.httpParameters.pathParameterValues' failed to satisfy constraint: Member must \
             satisfy constraint: [Member must satisfy regular expression pattern: ^(?!\\s*$).+]",
        ),
        (
            &scheduler::SERVICE,
            "CreateSchedule",
            schedule(target("r")),
            "'r' at 'target.roleArn' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             arn:aws[a-z-]*:iam::\\d{12}:role\\/[\\w+=,.@\\/-]+",
        ),
        (
            &scheduler::SERVICE,
            "CreateSchedule",
            schedule(json!({"RoleArn": role})),
            "null at 'target.arn' failed to satisfy constraint: Member must not be null",
        ),
        (
            &logs::SERVICE,
            "FilterLogEvents",
            json!({"logGroupName": "a", "logStreamNames": ["a", "b:c"]}),
            "'[a, b:c]' at 'logStreamNames' failed to satisfy constraint: Member must satisfy constraint: [Member must \
             have length less than or equal to 512, Member must have length greater than or equal to 1, Member must \
             satisfy regular expression pattern: [^:*]*]",
        ),
        (
            &logs::SERVICE,
            "TagLogGroup",
            json!({"logGroupName": "a", "tags": {"a": "v".repeat(257)}}),
            &format!(
                "'{{a={}…' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must have \
                 length less than or equal to 256, Member must satisfy regular expression pattern: \
                 ^([\\p{{L}}\\p{{Z}}\\p{{N}}_.:/=+\\-@]*)$]",
                "v".repeat(253)
            ),
        ),
        (
            &ecs::SERVICE,
            "DescribeClusters",
            json!({"include": ["TAGS", "tags"]}),
            "'[TAGS, tags]' at 'include' failed to satisfy constraint: Member must satisfy constraint: [Member must \
             satisfy enum value set: [ATTACHMENTS, CONFIGURATIONS, SETTINGS, STATISTICS, TAGS]]",
        ),
    ] {
        let (_, found) = refused(service, operation, input);
        assert_eq!(found, format!("1 validation error detected: Value {message}"), "{operation}");
    }
    assert!(run(&scheduler::SERVICE, "CreateSchedule", schedule(target(role))).is_ok());
}

#[test]
fn a_long_value_is_cut_and_at_most_ten_errors_are_told() {
    let tags: Vec<Value> = (0..40).map(|_| json!({"key": "|".repeat(1000)})).collect();
    let (_, message) = refused(&ecs::SERVICE, "TagResource", json!({"resourceArn": "a", "tags": tags}));
    assert!(message.starts_with("10 validation errors detected"), "{message}");
    assert!(message.len() < 8000);
}

#[test]
fn what_is_left_is_what_the_types_read() {
    let input = json!({
        "taskDefinition": "web", "count": 2.0, "cluster": null, "newMember": {"deep": [1]},
        "overrides": {"containerOverrides": [{"name": "a", "environment": null, "unknown": 1}]},
    });
    let left = run(&ecs::SERVICE, "RunTask", input).unwrap();
    assert_eq!(
        left,
        json!({"taskDefinition": "web", "count": 2, "overrides": {"containerOverrides": [{"name": "a"}]}})
    );
    let request: ecs::RunTaskRequest = serde_json::from_value(left).unwrap();
    assert_eq!(request.count, Some(2));
    assert_eq!(run(&sts_model::SERVICE, "GetCallerIdentity", json!({"x": 1})).unwrap(), json!({}));
    assert_eq!(run(&ecs::SERVICE, "ListClusters", Value::Null).unwrap(), json!({}));
}

/// Any JSON, shaped a little like an input of `RegisterTaskDefinition`.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "[a-z]{1,5}",
        proptest::sample::select(vec![
            "family",
            "containerDefinitions",
            "name",
            "image",
            "cpu",
            "memory",
            "volumes",
            "host",
            "tags",
            "key",
            "value",
            "environment",
            "dockerLabels",
            "portMappings",
            "containerPort",
            "networkMode",
            "ulimits",
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What passes can be read by the generated type, whatever it was.
    #[test]
    fn tables_and_types_agree(input in any_json()) {
        if let Ok(left) = run(&ecs::SERVICE, "RegisterTaskDefinition", input) {
            let request: ecs::RegisterTaskDefinitionRequest = serde_json::from_value(left.clone()).unwrap();
            prop_assert_eq!(serde_json::to_value(request).unwrap().as_object().map(|o| o.len()), left.as_object().map(|o| o.len()));
        }
    }
}
