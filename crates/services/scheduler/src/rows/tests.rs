//! Rows of every version are read, and no row takes more of the store than its weight says.

use serde_json::json;
use state::{Change, Domain, Table};

use crate::{
    Row, Scheduler,
    testing::{HOUR, ROLE, World, schedule, with},
};

const VERSION_1: &str = include_str!("version-1.txt");

/// A row of each kind, with every member.
fn world() -> World {
    let mut world = World::new();
    world.call("CreateScheduleGroup", json!({"Name": "g", "Tags": [{"Key": "k", "Value": "v"}]})).unwrap();
    let parameters = json!({
        "TaskDefinitionArn": "web:1",
        "TaskCount": 3,
        "LaunchType": "FARGATE",
        "NetworkConfiguration": {"awsvpcConfiguration": {
            "Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "ENABLED",
        }},
        "PlatformVersion": "LATEST",
        "Group": "jobs",
        "CapacityProviderStrategy": [{"capacityProvider": "p", "weight": 1, "base": 2}],
        "EnableECSManagedTags": true,
        "EnableExecuteCommand": false,
        "PlacementConstraints": [{"type": "memberOf", "expression": "e"}],
        "PlacementStrategy": [{"type": "spread", "field": "host"}],
        "PropagateTags": "TASK_DEFINITION",
        "ReferenceId": "r",
        "Tags": [{"key": "k", "value": "v"}],
    });
    let more = json!({
        "GroupName": "g",
        "Description": "d\u{1}",
        "ClientToken": "t",
        "ScheduleExpressionTimezone": "Europe/London",
        "StartDate": 1_795_428_000,
        "EndDate": 1_900_000_000,
        "ActionAfterCompletion": "DELETE",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        "Target": {
            "Input": "{\"containerOverrides\":[]}",
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:dead"},
            "EcsParameters": parameters,
        },
    });
    world.schedule("all", "rate(5 minutes)", more);
    let universal = json!({
        "Arn": "arn:aws:scheduler:::aws-sdk:ecs:updateService", "RoleArn": ROLE, "Input": "{\"Cluster\":\"c\"}",
    });
    let mut request = with(schedule("once", "at(2026-11-23T10:00:00)"), json!({"State": "ENABLED"}));
    request["Target"] = universal;
    world.call("CreateSchedule", request).unwrap();
    world.pass(0);
    let fails = wire::Error::new("ClientException", 400, "no");
    world.carry(Err(fails));
    world.pass(HOUR);
    while let Some((id, _)) = world.ready().into_iter().next() {
        world.told(id, Err(wire::Error::unavailable("busy")));
    }
    world
}

#[test]
#[allow(clippy::disallowed_methods)]
fn rows_of_version_1_are_read_and_written_as_they_were() {
    let written = lines(&world());
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rows/version-1.txt");
        return std::fs::write(path, &written).unwrap();
    }
    let mut state = Scheduler::default();
    let mut kinds = std::collections::BTreeSet::new();
    for line in VERSION_1.lines() {
        let (path, value) = line.split_once('\t').unwrap();
        let row = Row::decode(path, value.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(row.encode()).unwrap(), value);
        kinds.insert(path.split('/').next().unwrap().to_owned());
        state.apply(&Change::Put(row));
    }
    let all = ["failure", "group", "invocation", "schedule", "token"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
    // What is written today is of version 1: a change of its form is a new version.
    assert_eq!(written, VERSION_1);
}

/// One row of each form: some of a kind would only say it again.
fn lines(world: &World) -> String {
    let mut lines: Vec<String> = Vec::new();
    for row in world.state.rows() {
        let path = Row::path(&row.key());
        let kind = path.split('/').next().unwrap().to_owned();
        let count = lines.iter().filter(|line| line.starts_with(&kind)).count();
        if count < 2 {
            lines.push(format!("{path}\t{}\n", String::from_utf8(row.encode()).unwrap()));
        }
    }
    lines.concat()
}

#[test]
fn a_weight_is_no_less_than_what_the_store_takes() {
    let mut world = world();
    let tags: Vec<_> = (0..50).map(|n| json!({"key": format!("k{n}"), "value": "\"".repeat(200)})).collect();
    let input = json!({"containerOverrides": [{"command": vec!["\"\\\"".repeat(9); 500]}]}).to_string();
    let target = json!({"Input": input, "EcsParameters": {"Tags": tags}});
    world.schedule("long", "rate(5 minutes)", json!({"Description": "\u{7}".repeat(500), "Target": target}));
    for row in world.state.rows() {
        let (weight, size) = (row.weight(), row.encode().len() + Row::path(&row.key()).len());
        assert!((size..size * 4 + 2048).contains(&weight), "{:?}: {weight} for {size}", row.key());
    }
}
