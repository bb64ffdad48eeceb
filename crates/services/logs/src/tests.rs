//! The operations as the server runs them: JSON in, JSON out, on a store in a directory of its own.

use std::sync::mpsc;

use logs::{Limits, Logs};
use serde_json::{Value, json};
use state::{Ctx, api::named};
use tempfile::TempDir;
use wire::{Error, Timestamp};

use crate::{
    Context,
    api::{Handler, OPERATIONS},
};

const NOW: i64 = 1_750_000_000_000;
const GROUP_ARN: &str = "arn:aws:logs:eu-north-1:123456789012:log-group:/ecs/web";

/// A fixed time and account.
pub fn ctx() -> Ctx {
    Ctx {
        now: Timestamp(NOW),
        account: "123456789012".into(),
        region: "eu-north-1".into(),
        partition: "aws".into(),
        caller_arn: "arn:aws:iam::123456789012:root".into(),
        agent: None,
    }
}

struct Api {
    store: Logs,
    _dir: TempDir,
}

impl Api {
    /// An API with the group `/ecs/web` and its stream `s`.
    fn new() -> Api {
        let dir = tempfile::tempdir().unwrap();
        let api = Api { store: Logs::open(dir.path(), Limits::default()).unwrap(), _dir: dir };
        api.ok("CreateLogGroup", json!({"logGroupName": "/ecs/web"}));
        api.ok("CreateLogStream", json!({"logGroupName": "/ecs/web", "logStreamName": "s"}));
        api
    }

    fn call(&self, name: &str, input: Value) -> Result<Value, Error> {
        let operation = logs_model::SERVICE.operation(name).unwrap();
        let context = Context { store: self.store.clone(), ctx: ctx(), operation };
        let output = match named(OPERATIONS, name).unwrap().handler {
            Handler::Waits(run) => run(&context, input)?,
            Handler::Tells(run) => {
                let (tell, told) = mpsc::channel();
                run(&context, input, Box::new(move |output| tell.send(output).unwrap()))?;
                told.recv().unwrap()?
            }
        };
        Ok(serde_json::from_slice(&output).unwrap())
    }

    fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    fn refused(&self, operation: &str, input: Value) -> String {
        self.call(operation, input).unwrap_err().to_string()
    }

    fn put(&self, messages: &[&str]) -> Value {
        let events: Vec<_> = messages.iter().map(|text| json!({"timestamp": NOW, "message": text})).collect();
        self.ok(
            "PutLogEvents",
            json!({"logGroupName": "/ecs/web", "logStreamName": "s", "logEvents": events}),
        )
    }
}

#[test]
fn events_go_in_and_come_out() {
    let api = Api::new();
    let put = api.put(&["one", "two"]);
    assert_eq!(put["nextSequenceToken"].as_str().unwrap().len(), 56);
    assert_eq!(put.get("rejectedLogEventsInfo"), None);
    let input =
        json!({"logGroupIdentifier": GROUP_ARN, "logStreamName": "s", "startFromHead": true, "limit": 1});
    let page = api.ok("GetLogEvents", input);
    assert_eq!(page["events"], json!([{"timestamp": NOW, "message": "one", "ingestionTime": NOW}]));
    let next =
        json!({"logGroupName": "/ecs/web", "logStreamName": "s", "nextToken": page["nextForwardToken"]});
    assert_eq!(api.ok("GetLogEvents", next)["events"][0]["message"], "two");

    let page = api.ok("FilterLogEvents", json!({"logGroupName": "/ecs/web", "filterPattern": "two"}));
    assert_eq!(page["searchedLogStreams"], json!([]));
    assert_eq!(page["events"][0]["logStreamName"], "s");
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
    assert_eq!(page.get("nextToken"), None);
    let page = api.ok("FilterLogEvents", json!({"logGroupName": "/ecs/web", "startFromHead": false}));
    assert_eq!(page["events"][0]["message"], "two");
}

#[test]
fn rejected_events_are_told() {
    let api = Api::new();
    let events = json!([{"timestamp": 1, "message": "old"}, {"timestamp": NOW, "message": "m"}]);
    let input = json!({"logGroupName": "/ecs/web", "logStreamName": "s", "logEvents": events});
    let put = api.ok("PutLogEvents", input);
    assert_eq!(put["rejectedLogEventsInfo"], json!({"tooOldLogEventEndIndex": 1}));
}

#[test]
fn groups_and_streams_are_described() {
    let api = Api::new();
    assert_eq!(
        api.ok("PutRetentionPolicy", json!({"logGroupName": "/ecs/web", "retentionInDays": 7})),
        json!({})
    );
    let groups = api.ok("DescribeLogGroups", json!({"logGroupNamePrefix": "/ecs"}));
    let group = json!({
        "logGroupName": "/ecs/web", "creationTime": NOW, "retentionInDays": 7, "metricFilterCount": 0, "storedBytes": 0,
        "arn": format!("{GROUP_ARN}:*"), "logGroupArn": GROUP_ARN, "logGroupClass": "STANDARD",
    });
    assert_eq!(groups, json!({"logGroups": [group]}));
    let by_arn = api.ok("DescribeLogGroups", json!({"logGroupIdentifiers": [GROUP_ARN]}));
    assert_eq!(by_arn, groups);
    let none = api.ok("DescribeLogGroups", json!({"logGroupClass": "INFREQUENT_ACCESS"}));
    assert_eq!(none, json!({"logGroups": []}));
    let listed = api.ok("ListLogGroups", json!({"logGroupNamePattern": "^/ecs"}));
    let summary = json!({"logGroupName": "/ecs/web", "logGroupArn": GROUP_ARN, "logGroupClass": "STANDARD"});
    assert_eq!(listed, json!({"logGroups": [summary]}));
    api.put(&["m"]);
    let streams =
        api.ok("DescribeLogStreams", json!({"logGroupName": "/ecs/web", "orderBy": "LastEventTime"}));
    let stream = &streams["logStreams"][0];
    assert_eq!(stream["arn"], format!("{GROUP_ARN}:log-stream:s"));
    assert_eq!((&stream["firstEventTimestamp"], &stream["lastIngestionTime"]), (&json!(NOW), &json!(NOW)));
    api.ok("DeleteRetentionPolicy", json!({"logGroupName": "/ecs/web"}));
    api.ok("DeleteLogStream", json!({"logGroupName": "/ecs/web", "logStreamName": "s"}));
    api.ok("DeleteLogGroup", json!({"logGroupName": "/ecs/web"}));
    assert_eq!(api.ok("DescribeLogGroups", json!({})), json!({"logGroups": []}));
}

#[test]
fn both_ways_of_tagging_see_the_same_tags() {
    let api = Api::new();
    api.ok("TagLogGroup", json!({"logGroupName": "/ecs/web", "tags": {"a": "1"}}));
    api.ok("TagResource", json!({"resourceArn": GROUP_ARN, "tags": {"b": "2"}}));
    let tags = json!({"tags": {"a": "1", "b": "2"}});
    assert_eq!(api.ok("ListTagsLogGroup", json!({"logGroupName": "/ecs/web"})), tags);
    assert_eq!(api.ok("ListTagsForResource", json!({"resourceArn": GROUP_ARN})), tags);
    api.ok("UntagResource", json!({"resourceArn": GROUP_ARN, "tagKeys": ["a"]}));
    api.ok("UntagLogGroup", json!({"logGroupName": "/ecs/web", "tags": ["b"]}));
    assert_eq!(api.ok("ListTagsForResource", json!({"resourceArn": GROUP_ARN})), json!({"tags": {}}));
}

#[test]
fn failures_carry_the_names_and_words_of_aws() {
    let api = Api::new();
    let many: serde_json::Map<_, _> = (0..51).map(|i| (i.to_string(), json!(""))).collect();
    let other = "arn:aws:logs:eu-north-1:210987654321:log-group:/ecs/web";
    let cases = [
        (
            "CreateLogGroup",
            json!({"logGroupName": "/ecs/web"}),
            "ResourceAlreadyExistsException: The specified log group already exists",
        ),
        (
            "CreateLogStream",
            json!({"logGroupName": "/ecs/web", "logStreamName": "s"}),
            "ResourceAlreadyExistsException: The specified log stream already exists",
        ),
        (
            "CreateLogGroup",
            json!({"logGroupName": "x", "logGroupClass": "DELIVERY"}),
            "InvalidParameterException: Only the log group class STANDARD is supported.",
        ),
        (
            "DescribeLogStreams",
            json!({"logGroupName": "x"}),
            "ResourceNotFoundException: The specified log group does not exist.",
        ),
        (
            "DescribeLogStreams",
            json!({"logGroupName": "x", "logGroupIdentifier": "x"}),
            "InvalidParameterException: Should provider either name or id, but not both",
        ),
        (
            "GetLogEvents",
            json!({"logGroupName": "/ecs/web", "logStreamName": "x"}),
            "ResourceNotFoundException: The specified log stream does not exist.",
        ),
        (
            "GetLogEvents",
            json!({"logGroupIdentifier": other, "logStreamName": "s"}),
            "ResourceNotFoundException: The specified log group does not exist.",
        ),
        (
            "FilterLogEvents",
            json!({"logGroupName": "/ecs/web", "filterPattern": "a-b"}),
            "InvalidParameterException: Invalid character(s) in term 'a-b'",
        ),
        (
            "TagLogGroup",
            json!({"logGroupName": "/ecs/web", "tags": many}),
            "InvalidParameterException: The maximum number of tags per log group is 50.",
        ),
        (
            "TagResource",
            json!({"resourceArn": GROUP_ARN, "tags": many}),
            "TooManyTagsException: The maximum number of tags per log group is 50.",
        ),
        (
            "TagResource",
            json!({"resourceArn": "x", "tags": {"a": "b"}}),
            "InvalidParameterException: The specified resource ARN is not valid.",
        ),
    ];
    for (operation, input, text) in cases {
        assert_eq!(api.refused(operation, input.clone()), text, "{operation} {input}");
    }
}
