//! Targets: what can be called, and what a call holds.

use serde_json::{Value, json};

use crate::{
    plan::call,
    testing::{CLUSTER, HOUR, ROLE, World, refusal, schedule, started, with},
};

fn refused(target: Value) -> String {
    let mut world = World::new();
    let mut request = schedule("s", "rate(1 day)");
    request["Target"] = with(json!({"RoleArn": ROLE}), target);
    let (code, message) = refusal(world.call("CreateSchedule", request));
    assert_eq!(code, "ValidationException");
    message
}

#[test]
fn what_cannot_be_called_is_refused_by_name() {
    let ecs =
        |more: Value| with(json!({"Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": "web"}}), more);
    let own = |arn: &str| json!({"Arn": arn, "Input": "{}"});
    let service = |service: &str| own(&format!("arn:aws:{service}:us-east-1:000000000000:x"));
    for (target, message) in [
        (
            service("sqs"),
            "Targets of SQS are not built yet: arn:aws:sqs:us-east-1:000000000000:x. See docs/support.md.",
        ),
        (
            service("lambda"),
            "Targets of Lambda are not built yet: arn:aws:lambda:us-east-1:000000000000:x. See docs/support.md.",
        ),
        (service("s3"), "s3 is not a supported service for a target"),
        (
            own("arn:aws:scheduler:us-east-1:000000000000:aws-sdk:ecs:runTask"),
            "scheduler is not a supported service for a target",
        ),
        (own("web"), "The target ARN web is not valid."),
        (own("arn:aws:scheduler:::aws-sdk:sqs:listQueues"), "listQueues API is not supported."),
        (own("arn:aws:scheduler:::aws-sdk:ec2:describeInstances"), "describeInstances API is not supported."),
        (
            own("arn:aws:scheduler:::aws-sdk:sqs:sendMessage"),
            "The operation sendMessage of sqs is not built, so that no schedule can call it. See docs/support.md.",
        ),
        (
            json!({"Arn": "arn:aws:scheduler:::aws-sdk:ecs:updateService"}),
            "You must provide an input to set this target for your schedule",
        ),
        (
            json!({"Arn": "arn:aws:scheduler:::aws-sdk:ecs:updateService", "Input": "{not json"}),
            "JSON syntax error in input for the target",
        ),
        (
            ecs(json!({"Arn": "arn:aws:scheduler:::aws-sdk:ecs:updateService"})),
            "Parameters EcsParameters not supported for the target.",
        ),
        (
            ecs(json!({"KinesisParameters": {"PartitionKey": "k"}})),
            "Parameters KinesisParameters not supported for the target.",
        ),
        (ecs(json!({"Input": "[]"})), "JSON syntax error in input for the target"),
        (
            ecs(json!({"Arn": CLUSTER.replace("us-east-1", "eu-west-1")})),
            "The target ARN provided does not match the current region us-east-1.",
        ),
        (
            ecs(json!({"Arn": "arn:aws:ecs:us-east-1:000000000000:service/c/s"})),
            "The target ARN arn:aws:ecs:us-east-1:000000000000:service/c/s is not that of a cluster.",
        ),
        (json!({"Arn": CLUSTER}), "Parameters EcsParameters must be specified"),
        (
            ecs(json!({"EcsParameters": {"LaunchType": "FARGATE"}})),
            "Parameter NetworkConfiguration must be specified for the target when launch type is FARGATE",
        ),
        (
            ecs(json!({"EcsParameters": {"Tags": [{"name": "x"}]}})),
            "A tag of EcsParameters has the members key and value.",
        ),
        (
            ecs(json!({"EcsParameters": {"Tags": [{"key": "roadstead:concurrency", "value": "x"}]}})),
            "The tag roadstead:concurrency is a number from 1 to 1000.",
        ),
    ] {
        assert_eq!(refused(target.clone()), message, "{target}");
    }
}

#[test]
fn a_role_that_cannot_be_assumed_is_said_as_aws_says_it() {
    let mut world = World::new();
    *world.others.no_role.lock().unwrap() = true;
    let (code, message) = refusal(world.call("CreateSchedule", schedule("s", "rate(1 day)")));
    let text = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.";
    assert_eq!((code.as_str(), message.as_str()), ("ValidationException", text));
}

#[test]
fn every_member_reaches_run_task() {
    let mut world = World::new();
    let parameters = json!({
        "TaskDefinitionArn": "web:1",
        "TaskCount": 3,
        "LaunchType": "EC2",
        "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"]}},
        "PlatformVersion": "LATEST",
        "Group": "jobs",
        "CapacityProviderStrategy": [{"capacityProvider": "p", "weight": 1}],
        "EnableECSManagedTags": true,
        "EnableExecuteCommand": true,
        "PlacementConstraints": [{"type": "distinctInstance"}],
        "PlacementStrategy": [{"type": "spread", "field": "host"}],
        "PropagateTags": "TASK_DEFINITION",
        "ReferenceId": "r",
        "Tags": [{"key": "k", "value": "v"}, {"key": "roadstead:retry-without-capacity", "value": "true"}],
    });
    let input = r#"{"containerOverrides":[{"name":"app","environment":[{"name":"AT","value":"<aws.scheduler.scheduled-time>"}]}]}"#;
    let more = json!({"Target": {"EcsParameters": parameters, "Input": input}});
    world.schedule("nightly-report-of-everything", "at(2026-11-23T11:30:05)", more);
    world.pass(2 * HOUR);
    let run = world.run();
    let call = world.carry(Ok(started(3)));
    assert_eq!(
        (call.principal.as_str(), call.service.as_str(), call.operation.as_str()),
        (ROLE, "ecs", "RunTask")
    );
    let overrides = json!({"containerOverrides": [{"name": "app", "environment": [{"name": "AT", "value": "2026-11-23T11:30:05Z"}]}]});
    let expected = json!({
        "cluster": CLUSTER,
        "taskDefinition": "web:1",
        "count": 3,
        "launchType": "EC2",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}},
        "platformVersion": "LATEST",
        "group": "jobs",
        "capacityProviderStrategy": [{"capacityProvider": "p", "weight": 1}],
        "enableECSManagedTags": true,
        "enableExecuteCommand": true,
        "placementConstraints": [{"type": "distinctInstance"}],
        "placementStrategy": [{"type": "spread", "field": "host"}],
        "propagateTags": "TASK_DEFINITION",
        "referenceId": "r",
        "tags": [{"key": "k", "value": "v"}],
        "overrides": overrides,
        "startedBy": "chronos-schedule/nightly-report-of-e",
        "clientToken": format!("{}-1-0", run.execution_id()),
    });
    assert_eq!(call.input, expected);
    assert_eq!(world.state.invocations().count(), 0);
}

#[test]
fn tasks_are_started_by_the_schedule_in_36_characters() {
    for (name, started_by) in [
        ("tfg-fraud-dev-schedule", "chronos-schedule/tfg-fraud-dev-sched"),
        ("gold-coast-data-lake-x", "chronos-schedule/gold-coast-data-lak"),
        ("short", "chronos-schedule/short"),
    ] {
        assert_eq!(call::started_by(name), started_by);
    }
}

#[test]
fn a_universal_target_gets_its_input_in_the_names_of_the_model() {
    let mut world = World::new();
    let input = r#"{"Cluster":"c","DesiredCount":2,"Environment":[{"Name":"ID","value":"<aws.scheduler.execution-id>"}],
        "Other":"<aws.scheduler.schedule-arn> <aws.scheduler.attempt-number>"}"#;
    let target =
        json!({"Arn": "arn:aws:scheduler:::aws-sdk:ecs:updateService", "RoleArn": ROLE, "Input": input});
    let mut request = schedule("s", "rate(1 day)");
    request["Target"] = target;
    world.call("CreateSchedule", request.clone()).unwrap();
    let shown = world.call("GetSchedule", json!({"Name": "s"})).unwrap();
    assert_eq!(shown["Target"]["Input"], input);
    world.pass(0);
    let execution = world.run().execution_id();
    assert_eq!(execution.len(), 16);
    let call = world.carry(Err(wire::Error::unavailable("busy")));
    assert_eq!((call.service.as_str(), call.operation.as_str()), ("ecs", "UpdateService"));
    let arn = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s";
    let expected = |attempt: u32| {
        json!({
            "cluster": "c",
            "desiredCount": 2,
            "environment": [{"name": "ID", "value": execution}],
            "Other": format!("{arn} {attempt}"),
        })
    };
    assert_eq!(call.input, expected(1));
    world.pass(HOUR);
    assert_eq!(world.carry(Ok(json!({}))).input, expected(2));
}

#[test]
fn a_task_run_by_a_universal_target_is_not_run_twice_either() {
    let mut world = World::new();
    for (name, input, token) in [("own", r#"{"ClientToken":"mine"}"#, Some("mine")), ("none", "{}", None)] {
        let target =
            json!({"Arn": "arn:aws:scheduler:::aws-sdk:ecs:runTask", "RoleArn": ROLE, "Input": input});
        let mut request = schedule(name, "rate(1 day)");
        request["Target"] = target;
        world.call("CreateSchedule", request).unwrap();
        world.pass(0);
        let made = format!("{}-1-0", world.run().execution_id());
        let call = world.carry(Ok(json!({})));
        assert_eq!(call.input["clientToken"], token.unwrap_or(&made));
    }
}
