//! What may be said of how deployments go, and what ECS fills in.

use serde_json::{Value, json};

use crate::{
    service::{create, tests::update},
    testing::{World, refusal},
};

fn pause(stages: Value) -> Value {
    json!({"targetType": "PAUSE", "lifecycleStages": stages})
}

fn calls(but: Value) -> Value {
    let mut hook = json!({"hookTargetArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "roleArn": "arn:aws:iam::000000000000:role/hooks", "lifecycleStages": ["TEST_TRAFFIC_SHIFT"]});
    for (member, value) in but.as_object().unwrap() {
        hook[member] = value.clone();
    }
    hook
}

fn early(percent: i32) -> Value {
    json!({"enable": true, "healthyPercent": percent, "sourceServiceRevisionCleanup": "DEFERRED"})
}

#[test]
fn what_cannot_be_is_refused() {
    let mut timed = pause(json!(["POST_SCALE_UP"]));
    timed["timeoutConfiguration"] = json!({"timeoutInMinutes": 20_161});
    let mut aimed = pause(json!(["POST_SCALE_UP"]));
    aimed["roleArn"] = json!("arn:aws:iam::000000000000:role/x");
    let refused = "InvalidParameterException";
    for (given, code, message) in [
        (json!({"bakeTimeInMinutes": -1}), refused, "bakeTimeInMinutes must be at least 0"),
        (json!({"bakeTimeInMinutes": 1441}), refused, "bakeTimeInMinutes must be at most 1440"),
        (
            json!({"linearConfiguration": {}}),
            refused,
            "linearConfiguration is only valid when the deployment strategy is LINEAR.",
        ),
        (
            json!({"strategy": "LINEAR", "canaryConfiguration": {}}),
            refused,
            "canaryConfiguration is only valid when the deployment strategy is CANARY.",
        ),
        (
            json!({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 2.9}}),
            refused,
            "linearConfiguration stepPercent must be a multiple of 0.1 between 3.0 and 100.0",
        ),
        (
            json!({"strategy": "LINEAR", "linearConfiguration": {"stepBakeTimeInMinutes": 1441}}),
            refused,
            "linearConfiguration stepBakeTimeInMinutes must be at most 1440",
        ),
        (
            json!({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 12.34}}),
            refused,
            "canaryConfiguration canaryPercent must be a multiple of 0.1 between 0.1 and 100.0",
        ),
        (
            json!({"strategy": "CANARY", "canaryConfiguration": {"canaryBakeTimeInMinutes": -1}}),
            refused,
            "canaryConfiguration canaryBakeTimeInMinutes must be at least 0",
        ),
        (
            json!({"lifecycleHooks": [pause(json!(["TEST_TRAFFIC_SHIFT"]))]}),
            refused,
            "PAUSE lifecycle hooks are not supported at the TEST_TRAFFIC_SHIFT lifecycle stage.",
        ),
        (
            json!({"lifecycleHooks": [pause(json!(["PRE_SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT"]))]}),
            refused,
            "PAUSE lifecycle hooks are not supported at the PRODUCTION_TRAFFIC_SHIFT lifecycle stage.",
        ),
        (json!({"lifecycleHooks": [pause(json!([]))]}), refused, "lifecycleStages cannot be empty."),
        (
            json!({"lifecycleHooks": vec![pause(json!(["PRE_SCALE_UP"])); 11]}),
            refused,
            "lifecycleHooks can have at most 10 PAUSE hooks",
        ),
        (
            json!({"lifecycleHooks": [timed]}),
            refused,
            "timeoutConfiguration timeoutInMinutes must be at most 20160",
        ),
        (json!({"lifecycleHooks": [aimed]}), refused, "roleArn is not supported for PAUSE lifecycle hooks."),
        (
            json!({"earlySuccessCriteria": {"enable": true, "healthyPercent": 100}}),
            refused,
            "healthyPercent and sourceServiceRevisionCleanup are required when earlySuccessCriteria is enabled.",
        ),
        (
            json!({"minimumHealthyPercent": 60, "earlySuccessCriteria": early(59)}),
            refused,
            "earlySuccessCriteria healthyPercent must be between minimumHealthyPercent (60) and 100.",
        ),
        (
            json!({"strategy": "BLUE_GREEN", "earlySuccessCriteria": early(100)}),
            refused,
            "earlySuccessCriteria is only valid when the deployment strategy is ROLLING, and it is BLUE_GREEN.",
        ),
    ] {
        let mut world = World::new();
        let request = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": 0, "deploymentConfiguration": given});
        let is = refusal(world.call(create::create_service, request));
        assert_eq!(is, (code.to_owned(), message.to_owned()), "{given}");
    }
    let request = json!({
        "serviceName": "s", "taskDefinition": "web:1", "schedulingStrategy": "DAEMON",
        "deploymentConfiguration": {"strategy": "BLUE_GREEN"}
    });
    World::new()
        .call(create::create_service, request)
        .map(|_| ())
        .expect_err("a daemon has no two revisions");
}

#[test]
fn hooks_that_cannot_call_are_refused() {
    let refused = "InvalidParameterException";
    for (given, code, message) in [
        (
            json!({"lifecycleHooks": [calls(json!({"hookTargetArn": null}))]}),
            refused,
            "hookTargetArn is required for AWS_LAMBDA lifecycle hooks.",
        ),
        (
            json!({"lifecycleHooks": [calls(json!({"roleArn": null}))]}),
            refused,
            "roleArn is required for AWS_LAMBDA lifecycle hooks.",
        ),
        (
            json!({"lifecycleHooks": [calls(json!({"hookTargetArn": "approve"}))]}),
            refused,
            "hookTargetArn must be the ARN of a Lambda function.",
        ),
        (
            json!({"lifecycleHooks": [calls(json!({"roleArn": "arn:aws:iam::000000000000:user/u"}))]}),
            refused,
            "roleArn must be the ARN of an IAM role.",
        ),
        (
            json!({"lifecycleHooks": [calls(json!({"lifecycleStages": []}))]}),
            refused,
            "lifecycleStages cannot be empty.",
        ),
        (
            json!({"lifecycleHooks": [calls(json!({"hookDetails": [1]}))]}),
            refused,
            "hookDetails must be a JSON object.",
        ),
        (
            json!({"lifecycleHooks": [calls(json!({"hookDetails": {"a": "x".repeat(4096)}}))]}),
            refused,
            "hookDetails can have at most 4096 bytes.",
        ),
        (
            json!({"lifecycleHooks": vec![calls(json!({})); 21]}),
            refused,
            "lifecycleHooks can have at most 20 elements.",
        ),
    ] {
        let mut world = World::new();
        let request = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": 0, "deploymentConfiguration": given});
        let is = refusal(world.call(create::create_service, request));
        assert_eq!(is, (code.to_owned(), message.to_owned()), "{given}");
    }
}

#[test]
fn what_is_not_said_is_filled_in_and_steps_go_with_their_strategy() {
    let mut world = World::new();
    let request = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": 0});
    world.call(create::create_service, request).unwrap();
    let mut shown = |given: Value| {
        let shown = update(&mut world, json!({"deploymentConfiguration": given}));
        serde_json::to_value(shown.deployment_configuration.unwrap()).unwrap()
    };
    let linear = shown(json!({"strategy": "LINEAR", "bakeTimeInMinutes": 3}));
    assert_eq!(linear["linearConfiguration"], json!({"stepPercent": 10.0, "stepBakeTimeInMinutes": 6}));
    let again = shown(json!({"linearConfiguration": {"stepPercent": 25.5}}));
    assert_eq!(again["linearConfiguration"], json!({"stepPercent": 25.5, "stepBakeTimeInMinutes": 6}));
    let hook = pause(json!(["PRE_PRODUCTION_TRAFFIC_SHIFT"]));
    let canary = shown(json!({"strategy": "CANARY", "lifecycleHooks": [hook.clone()]}));
    assert_eq!(canary["canaryConfiguration"], json!({"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10}));
    assert_eq!((&canary["linearConfiguration"], &canary["lifecycleHooks"]), (&Value::Null, &json!([hook])));
    assert_eq!(canary["bakeTimeInMinutes"], 3);
    let rolling = shown(json!({"strategy": "ROLLING", "lifecycleHooks": [], "bakeTimeInMinutes": 0}));
    assert_eq!((&rolling["canaryConfiguration"], &rolling["lifecycleHooks"]), (&Value::Null, &Value::Null));
    assert_eq!((&rolling["strategy"], &rolling["bakeTimeInMinutes"]), (&json!("ROLLING"), &json!(0)));
}
