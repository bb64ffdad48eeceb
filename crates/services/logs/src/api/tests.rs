//! The table agrees with the model, and says what each operation is authorised on.

use serde_json::json;
use state::api::named;

use super::*;
use crate::tests::ctx;

#[test]
fn every_operation_is_in_the_model() {
    for Operation { built, .. } in OPERATIONS {
        let model = logs_model::SERVICE.operation(built.operation).expect(built.operation);
        for member in built.refused {
            assert!(model.input_members().iter().any(|known| known.name == *member), "{member}");
        }
    }
}

#[test]
fn operations_are_authorised_on_what_they_name() {
    let arn = |resource: &str| format!("arn:aws:logs:eu-north-1:123456789012:log-group:{resource}");
    let foreign = "arn:aws:logs:eu-north-1:210987654321:log-group:g";
    let named_group = json!({"logGroupName": "/ecs/web", "logStreamName": "s"});
    let identified = json!({"logGroupIdentifier": "/ecs/web", "logStreamName": "s"});
    let elsewhere = json!({"logGroupIdentifier": format!("{foreign}:*"), "logStreamName": "s"});
    let tagged = json!({"resourceArn": arn("/ecs/web"), "tags": {}, "tagKeys": []});
    let (group, stream) = (arn("/ecs/web:log-stream:"), arn("/ecs/web:log-stream:s"));
    for (operations, input, on) in [
        (
            "CreateLogGroup DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy TagLogGroup UntagLogGroup \
             ListTagsLogGroup DescribeLogStreams FilterLogEvents",
            &named_group,
            group.as_str(),
        ),
        ("CreateLogStream DeleteLogStream GetLogEvents PutLogEvents", &named_group, &stream),
        ("DescribeLogStreams FilterLogEvents", &identified, &group),
        ("DescribeLogStreams FilterLogEvents", &elsewhere, &format!("{foreign}:log-stream:")),
        ("GetLogEvents", &identified, &stream),
        ("GetLogEvents", &elsewhere, &format!("{foreign}:log-stream:s")),
        ("TagResource UntagResource ListTagsForResource", &tagged, &arn("/ecs/web")),
        ("DescribeLogGroups", &json!({"logGroupNamePrefix": "/ecs"}), &arn(":log-stream:")),
        ("ListLogGroups", &json!({}), "*"),
    ] {
        for name in operations.split_whitespace() {
            let built = named(OPERATIONS, name).expect(name).built;
            assert_eq!((built.on)(&ctx(), input), [on], "{name} {input}");
        }
    }
}

#[test]
fn tags_of_a_request_are_condition_keys() {
    let given = json!({"tags": {"k": "v"}, "tagKeys": ["k"]});
    let of = |name: &str, input: &Value| {
        let values = named(OPERATIONS, name).expect(name).built.condition_values(&ctx(), input);
        values.into_iter().map(|(key, values)| format!("{key}={}", values.join(","))).collect::<Vec<_>>()
    };
    for name in ["CreateLogGroup", "TagLogGroup", "TagResource"] {
        assert_eq!(of(name, &given), ["aws:TagKeys=k", "aws:RequestTag/k=v"], "{name}");
    }
    assert_eq!(of("UntagLogGroup", &json!({"tags": ["a", "b"]})), ["aws:TagKeys=a,b"]);
    assert_eq!(of("UntagResource", &given), ["aws:TagKeys=k"]);
    assert!(of("PutLogEvents", &given).is_empty());
}
